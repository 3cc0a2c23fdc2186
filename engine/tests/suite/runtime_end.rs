//! An engine whose runtime has ended says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grove_engine::client::Query;
use grove_engine::{ConnectError, Descriptor, Provider, Scope, Session};
use tokio::runtime::{Builder, Runtime};

use crate::fixtures::{SharedNumber, engine, user_session};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn when_the_runtime_has_ended_nobody_is_let_in_and_nothing_counts_as_committed() {
    let (ended, other) = (runtime(), runtime());
    let (engine, client, waiting) = ended.block_on(async {
        let engine = engine();
        SharedNumber::serve(&engine, "n");
        let client = engine.client(&user_session("s", "alice")).unwrap();
        client.query(&Query::at("/n")).await.unwrap();
        let waiting = engine.client(&user_session("t", "bob")).unwrap();
        assert_eq!(engine.refresh_now(Scope::all()).await, 2);
        (engine, client, waiting)
    });
    let committed = engine.stats().commits;
    ended.shutdown_background();
    let error = loop {
        // The runtime ends in the background.
        match engine.connect(&user_session("u", "carol")) {
            Ok(connection) => drop(connection),
            Err(error) => break error,
        }
        std::thread::yield_now();
    };
    assert_eq!(error, ConnectError::RuntimeEnded);
    assert_eq!(engine.client(&user_session("s", "alice")).unwrap_err(), ConnectError::RuntimeEnded);
    assert_eq!(engine.connect_tab(&user_session("s", "alice")).unwrap_err(), ConnectError::RuntimeEnded);
    assert_eq!(engine.open_session(&user_session("v", "dave")).unwrap_err(), ConnectError::RuntimeEnded);
    assert!(!engine.update_session(&user_session("s", "alice").with_permission("write")));
    assert!(Provider::is_closing(&engine) && engine.renew(user_session("s", "alice")).is_err());
    other.block_on(async {
        let refreshed = tokio::time::timeout(Duration::from_secs(30), engine.refresh_now(Scope::all())).await;
        assert_eq!(refreshed, Ok(0));
        for client in [&client, &waiting] {
            let answer = tokio::time::timeout(Duration::from_secs(30), client.query(&Query::at("/n"))).await;
            assert!(answer.expect("nobody waits for ever").is_err());
        }
    });
    engine.refresh(Scope::all());
    assert_eq!(engine.stats().commits, committed);
}

#[test]
fn whoever_waits_for_a_refresh_when_the_runtime_ends_is_released() {
    let (ended, other) = (runtime(), runtime());
    let started = Arc::new(tokio::sync::Semaphore::new(0));
    let (engine, _client) = ended.block_on(async {
        let engine = engine();
        let (engine_started, hangs) = (Arc::clone(&started), AtomicBool::new(false));
        engine.register_async("n", move |_: Session| {
            let (started, hangs) = (Arc::clone(&engine_started), hangs.swap(true, Ordering::SeqCst));
            async move {
                if hangs {
                    started.add_permits(1);
                    std::future::pending::<()>().await;
                }
                Descriptor::status()
            }
        });
        let client = engine.client(&user_session("s", "alice")).unwrap();
        client.query(&Query::at("/n")).await.unwrap();
        (engine, client)
    });
    other.block_on(async {
        // The first two have begun, and the third one follows them.
        let mut waiting = Vec::new();
        for begun in [true, true, false] {
            let engine = engine.clone();
            waiting.push(tokio::spawn(async move { engine.refresh_now(Scope::all()).await }));
            if begun {
                started.acquire().await.unwrap().forget();
            }
            tokio::task::yield_now().await;
        }
        ended.shutdown_background();
        for refresh in waiting {
            let released = tokio::time::timeout(Duration::from_secs(30), refresh).await;
            assert_eq!(released.expect("nobody waits for ever").unwrap(), 0);
        }
    });
}
