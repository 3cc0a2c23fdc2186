//! An engine whose runtime has ended says so.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use grove_engine::client::Query;
use grove_engine::{
    Action, ConnectError, Descriptor, Event, Invocation, NewRoom, NewRun, Provider, Queue, Room, RoomOptions,
    RunStatus, Scope, Session,
};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::fixtures::{EventLog, SharedNumber, engine, room_engine_with, user_session};
use crate::run_fixtures::{ask, silent};

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

#[test]
fn runs_in_progress_and_those_that_wait_fail_once_when_the_runtime_ends() {
    let ended = runtime();
    let (_engine, rooms, log, runs) = ended.block_on(async {
        let (engine, _clock) = room_engine_with(RoomOptions::new(), |_| {});
        engine.register_agent(silent("silent").concurrency(1));
        engine.register_agent(ask("ask"));
        let log = EventLog::of(&engine);
        let ann = user_session("a", "ann");
        let (mut rooms, mut runs) = (Vec::new(), 0);
        for number in 0..100 {
            let agent = if number % 10 == 0 { "ask" } else { "silent" };
            let new = NewRoom::new("t").agent(agent).replayable(number % 2 == 0).queue(Queue::Parallel);
            rooms.push(engine.rooms().create(&ann, &new).unwrap().room);
            for _ in 0..10 {
                engine.rooms().run(&ann, rooms[number].id(), &NewRun::new(json!(null))).unwrap();
                runs += 1;
            }
        }
        assert_eq!((engine.rooms().stats().runs, engine.rooms().stats().queued), (runs, 900 - 1));
        (engine, rooms, log, runs)
    });
    // As many as wait for one place end one after another, and not one within another.
    drop(ended);
    let mut ends = HashMap::new();
    for event in log.all() {
        if let Event::RunEnded { run, status, .. } = event {
            *ends.entry((run, status)).or_insert(0) += 1;
        }
    }
    assert_eq!(ends.len(), runs);
    assert!(ends.into_iter().all(|((_, status), times)| status == RunStatus::Failed && times == 1));
    for run in rooms.iter().flat_map(Room::runs) {
        assert_eq!(run.error.map(|error| error.code().to_owned()).as_deref(), Some("interrupted"), "{}", run.id);
    }
}

#[test]
fn a_task_that_runs_when_the_runtime_ends_is_dropped_with_what_it_holds() {
    let ended = runtime();
    let ((held, dropped), task) = (mpsc::channel::<()>(), Arc::new(parking_lot::Mutex::new(None)));
    let kept = Arc::clone(&task);
    let engine = ended.block_on(async {
        let engine = engine();
        let begin = Action::new("begin", move |call: Invocation<()>| {
            let (held, kept) = (held.clone(), Arc::clone(&kept));
            call.start_task("t", move |task| async move {
                *kept.lock() = Some(task);
                std::future::pending::<()>().await;
                drop(held);
                Ok(json!(null))
            })
        });
        engine.register("n", move |_: &Session| Descriptor::status().action(&begin));
        let client = engine.client(&user_session("s", "alice")).unwrap();
        client.invoke("/n", "begin", json!({})).await.unwrap();
        while task.lock().is_none() {
            tokio::task::yield_now().await;
        }
        engine
    });
    drop(ended);
    let task = task.lock().take().unwrap();
    // Nobody can see its node any more; but nothing hangs, and what it held is gone.
    task.progress(0.5, "late");
    drop((task, engine));
    // A thread of the engine may still be at the end of its last pass.
    let is_dropped = dropped.recv_timeout(Duration::from_secs(20));
    assert_eq!(is_dropped, Err(RecvTimeoutError::Disconnected), "something still holds it");
}
