//! The end of a provider: every request in flight is answered, then every connection is closed.

use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, ConnectError, Descriptor, Event, Invocation, Item, Outcome, Session, Source, WindowRequest,
};
use serde_json::{Value, json};

use crate::apps::{Gate, Log, Number, clocked, code, engine, kinds, watching};

#[tokio::test]
async fn connections_are_told_and_new_ones_refused() {
    let engine = engine();
    let log = Log::of(&engine);
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    let ending = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_secs(60)).await }
    });
    assert_eq!(
        consumer.next().await,
        json!({"type": "closed", "code": 1001, "reason": "the provider is shutting down"})
    );
    assert_eq!(engine.connect(&Session::new("t")).map(drop), Err(ConnectError::Closing));
    drop(consumer);
    ending.await.unwrap();
    assert_eq!(engine.stats().connections, 0);
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: "closing", .. })), 1);
}

#[tokio::test]
async fn a_call_in_flight_gets_the_time_to_end() {
    let (engine, _clock) = clocked(|_| {});
    let (number, gate) = (Number::at(&engine, "n"), Gate::default());
    let stand = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| {
        stand.pass();
        number.set(1);
        Outcome::data("late but done")
    });
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    consumer.start_invoke("/m", "act", Value::Null);
    gate.arrived(1).await;
    let ending = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_secs(60)).await }
    });
    gate.open();
    let messages = [consumer.next().await, consumer.next().await, consumer.next().await];
    assert_eq!(kinds(&messages), ["patch", "result", "closed"], "{messages:?}");
    assert_eq!((&messages[1]["data"], &messages[2]["code"]), (&json!("late but done"), &json!(1001)));
    drop(consumer);
    ending.await.unwrap();
}

#[tokio::test]
async fn at_the_deadline_whatever_is_in_flight_is_answered_in_its_place() {
    let (engine, clock) = clocked(|_| {});
    let gate = Gate::default();
    let (stand, wait) = (gate.clone(), gate.clone());
    let act = Action::new("act", move |_: Invocation<()>| stand.pass());
    let source = Source::new(move |_: &Session| Descriptor::collection().lazy(9).action(&act)).on_window(
        move |_: &Session, _: &WindowRequest| {
            wait.pass();
            Vec::<Item>::new()
        },
    );
    engine.register_source("m", source);
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    let call = consumer.start_invoke("/m", "act", Value::Null);
    consumer.send(&json!({"type": "query", "id": "slow", "path": "/m", "window": [0, 5]}));
    gate.arrived(2).await;
    let ending = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_millis(5_000)).await }
    });
    tokio::task::yield_now().await;
    clock.advance(5_000);
    let mut messages = [consumer.next().await, consumer.next().await];
    messages.sort_by_key(|message| message["type"].as_str().unwrap().to_owned());
    let told: Vec<_> =
        messages.iter().map(|m| (m["type"].as_str().unwrap(), m["id"].as_str().unwrap(), code(m))).collect();
    assert_eq!(told, [("error", "slow", "internal"), ("result", call.as_str(), "internal")], "each in its own form");
    assert_eq!(consumer.next().await["code"], 1001);
    drop(consumer);
    ending.await.unwrap();
    // What ends later answers nobody.
    gate.open();
    engine.settle().await;
}

#[tokio::test]
async fn who_does_not_leave_is_not_waited_for_longer_than_a_second() {
    let (engine, clock) = clocked(|_| {});
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let ending = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_millis(500)).await }
    });
    while !ending.is_finished() {
        tokio::task::yield_now().await;
        clock.advance(100);
        assert!(grove_engine::Clock::now_ms(&*clock) < 60_000, "it takes too long");
    }
    assert_eq!(engine.stats().connections, 1);
    drop(consumer);
}

#[tokio::test]
async fn an_engine_that_nobody_holds_is_gone() {
    let held = Arc::new(());
    let engine = engine();
    let inside = Arc::clone(&held);
    engine.register("n", move |_: &Session| Descriptor::status().prop("held", Arc::strong_count(&inside)));
    let (consumer, _) = watching(&engine, Session::new("s")).await;
    assert_eq!(Arc::strong_count(&held), 2);
    drop(engine);
    drop(consumer);
    // The runtime still has to let go of what it was doing.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&held), 1);
}
