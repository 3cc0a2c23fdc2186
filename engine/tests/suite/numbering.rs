//! Numbers that a consumer sees say nothing about what happens in other sessions, and never go back.

use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Engine, Invocation, Scope, Session};
use serde_json::{Value, json};

use crate::fixtures::{SharedNumber, connect_and_subscribe, engine, engine_with_clock, user_session};

async fn version(consumer: &mut TestConsumer) -> u64 {
    consumer.query_with(json!({"path": "/"})).await["version"].as_u64().unwrap()
}

/// Serves `/private`, a number of each user's own.
fn private(engine: &Engine) -> [SharedNumber; 2] {
    let numbers = [SharedNumber::default(), SharedNumber::default()];
    let read = numbers.clone();
    engine.register("private", move |session: &Session| {
        let own = &read[usize::from(session.user() == Some("bob"))];
        Descriptor::status().prop("n", own.get())
    });
    numbers
}

#[tokio::test]
async fn the_version_of_a_session_does_not_tell_what_happens_in_others() {
    let engine = engine();
    let [alices, bobs] = private(&engine);
    let (mut alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    let before = version(&mut bob).await;
    for n in 1..=20 {
        alices.set(n);
        engine.refresh_now(Scope::user("alice")).await;
    }
    bobs.set(1);
    engine.refresh_now(Scope::user("bob")).await;
    assert_eq!(version(&mut bob).await, before + 1);
    let alices_version = version(&mut alice).await;
    bobs.set(2);
    engine.refresh_now(Scope::all()).await;
    assert_eq!((version(&mut alice).await, version(&mut bob).await), (alices_version, before + 2));
}

#[tokio::test]
async fn versions_go_on_after_the_tree_was_evicted() {
    let (engine, clock) = engine_with_clock(|_| {});
    let [number, _] = private(&engine);
    let mut last = 0;
    for n in 0..5 {
        number.set(n);
        let (mut consumer, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
        let now = version(&mut consumer).await;
        assert!(now > last, "{now} after {last}");
        last = now;
        drop(consumer);
        clock.advance(Duration::from_secs(61).as_millis() as u64);
        engine.settle().await;
        assert_eq!((engine.stats().sessions, engine.stats().trees), (1, 0));
    }
}

#[tokio::test]
async fn no_version_of_a_forgotten_session_comes_again_even_if_the_clock_stands_still() {
    let (engine, clock) = engine_with_clock(|_| {});
    let [number, _] = private(&engine);
    let mut last = 0;
    for round in 0..6 {
        let (mut consumer, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
        for n in 0..5 {
            number.set(round * 10 + n);
            engine.refresh_now(Scope::all()).await;
            let now = version(&mut consumer).await;
            assert!(now > last, "{now} after {last}");
            last = now;
        }
        drop(consumer);
        engine.close_session("a");
        if round % 2 == 0 {
            clock.advance(3);
        }
    }
}

#[tokio::test]
async fn a_copy_of_a_forgotten_session_is_never_taken_for_one_of_its_successor() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let [number, _] = private(&engine);
    let (mut old, id) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    engine.close_session("a");
    number.set(7);
    let (new, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    drop(new);
    old.reconnect().await;
    old.check_mirrors().await;
    assert_eq!(old.tree(&id)["children"][0]["properties"]["n"], 7);
}

#[tokio::test]
async fn the_numbers_of_tasks_do_not_tell_what_happens_in_other_sessions() {
    let (engine, clock) = engine_with_clock(|_| {});
    let start = Action::new("start", |call: Invocation<()>| call.start_task("Export", |_| async { Ok(json!(1)) }));
    engine.register("n", move |_: &Session| Descriptor::group().action(&start));
    let (mut alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    let task = |result: &Value| result["data"]["taskId"].as_str().unwrap().to_owned();
    for n in 1..=10 {
        assert_eq!(task(&alice.invoke("/n", "start", Value::Null).await), format!("task-{n}"));
    }
    assert_eq!(task(&bob.invoke("/n", "start", Value::Null).await), "task-1");
    // Their nodes are removed, and their tree is evicted: the numbers go on.
    drop(alice);
    clock.advance(Duration::from_secs(200).as_millis() as u64);
    engine.settle().await;
    let (mut alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    assert_eq!(task(&alice.invoke("/n", "start", Value::Null).await), "task-11");
}
