//! An engine whose runtime has ended says so.

use std::time::Duration;

use grove_engine::client::Query;
use grove_engine::{ConnectError, Provider, Scope};
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
    assert_eq!(engine.stats().commits, committed);
}
