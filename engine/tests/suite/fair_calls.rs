//! Threads for handlers are handed out fairly: no user's calls, however many, keep another user's from running.

use std::sync::Arc;

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Engine, Invocation, Limit, Session};
use parking_lot::Mutex;
use serde_json::Value;

use crate::fixtures::{EventLog, Gate, connect_and_subscribe, engine, engine_with, user_session};

/// Serves `/n` with `wait`, which waits at the gate, and `note`, which writes down the caller's user.
fn serve(engine: &Engine) -> (Gate, Arc<Mutex<Vec<String>>>) {
    let (gate, users) = (Gate::default(), Arc::new(Mutex::new(Vec::new())));
    let (handler_gate, noted) = (gate.clone(), Arc::clone(&users));
    let wait = Action::new("wait", move |_: Invocation<()>| handler_gate.wait());
    let note = Action::new("note", move |call: Invocation<()>| {
        noted.lock().push(call.session.user().unwrap_or_default().to_owned());
    });
    engine.register("n", move |_: &Session| Descriptor::group().action(&wait).action(&note));
    (gate, users)
}

/// Lets calls get as far as they can, until so many wait for a thread.
async fn until_waiting(log: &EventLog, limit: Limit, count: usize) {
    while log.limit_count(limit) < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_calls_of_one_users_many_sessions_do_not_delay_another_users_call() {
    let engine = engine();
    let (gate, _) = serve(&engine);
    let log = EventLog::of(&engine);
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    let mut consumers = Vec::new();
    for id in 0..8 {
        consumers.push(connect_and_subscribe(&engine, user_session(&format!("a{id}"), "alice")).await.0);
    }
    for consumer in &mut consumers {
        for _ in 0..16 {
            consumer.start_invoke("/n", "wait", Value::Null);
        }
    }
    gate.wait_for_arrivals(32).await;
    until_waiting(&log, Limit::BlockingCallsPerUser, 96).await;
    assert_eq!(bob.invoke("/n", "note", Value::Null).await["status"], "ok");
    assert_eq!(gate.arrivals(), 32);
    gate.open();
    for consumer in &mut consumers {
        let results = consumer.settled().await;
        assert_eq!(
            results.iter().filter(|message| message["status"] == "ok").count(),
            16,
            "all of them run in the end"
        );
    }
}

#[tokio::test]
async fn users_whose_calls_wait_for_a_thread_take_turns() {
    let engine = engine_with(|config| config.execution.blocking_calls = 1);
    let (gate, users) = serve(&engine);
    let log = EventLog::of(&engine);
    let (mut alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (again, _) = connect_and_subscribe(&engine, user_session("a2", "alice")).await;
    let (bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    let mut nobody = TestConsumer::connect(&engine, Session::new("n")).await;
    nobody.query("/").await;
    alice.start_invoke("/n", "wait", Value::Null);
    gate.wait_for_arrivals(1).await;
    let mut waiting = 0;
    let mut consumers = [alice, again, bob, nobody];
    for caller in [0, 1, 0, 2, 2, 3] {
        consumers[caller].start_invoke("/n", "note", Value::Null);
        waiting += 1;
        until_waiting(&log, Limit::BlockingCalls, waiting).await;
    }
    gate.open();
    engine.settle().await;
    assert_eq!(*users.lock(), ["alice", "bob", "", "alice", "bob", "alice"]);
}

#[tokio::test]
async fn a_call_whose_consumer_leaves_while_it_waits_gives_up_its_place() {
    let engine = engine_with(|config| config.execution.blocking_calls = 1);
    let (gate, users) = serve(&engine);
    let log = EventLog::of(&engine);
    let (mut alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let bob = engine.client(&user_session("b", "bob")).unwrap();
    let (mut carol, _) = connect_and_subscribe(&engine, user_session("c", "carol")).await;
    alice.start_invoke("/n", "wait", Value::Null);
    gate.wait_for_arrivals(1).await;
    let call = tokio::spawn(async move { bob.invoke("/n", "note", Value::Null).await });
    until_waiting(&log, Limit::BlockingCalls, 1).await;
    carol.start_invoke("/n", "note", Value::Null);
    until_waiting(&log, Limit::BlockingCalls, 2).await;
    call.abort();
    assert!(call.await.is_err());
    gate.open();
    engine.settle().await;
    assert_eq!(*users.lock(), ["carol"]);
}
