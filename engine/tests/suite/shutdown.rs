//! The end of a provider: every request in flight is answered, then every connection is closed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, CloseCode, CloseReason, ConnectError, Descriptor, Engine, Event, Frame, Invocation, Item, Outcome, Session,
    Shutdown, Source, WindowRequest,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::apps::{Gate, Log, Number, clocked, code, engine, kinds, watching};

#[tokio::test]
async fn a_shutdown_closes_connections_and_refuses_new_ones() {
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
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::ShuttingDown, .. })), 1);
}

#[tokio::test]
async fn a_call_in_flight_gets_time_to_finish() {
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
async fn at_the_deadline_every_request_in_flight_gets_an_error_reply() {
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
async fn a_shutdown_waits_only_briefly_for_a_peer_that_does_not_disconnect() {
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
async fn an_engine_is_freed_with_its_last_handle_and_connection() {
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

/// Begins to shut down, and comes back when the engine has done what is to be done at once.
async fn begin(engine: &Engine, how: Shutdown) -> JoinHandle<()> {
    let engine = engine.clone();
    let ending = tokio::spawn(async move { engine.shutdown(how).await });
    rest().await;
    ending
}

/// Lets the shutdown go on until it waits for time to pass.
async fn rest() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// How many of them are closed by now.
async fn closed(consumers: &mut [TestConsumer]) -> usize {
    let mut count = 0;
    for consumer in consumers {
        consumer.settled().await;
        count += usize::from(consumer.closed() == Some(1001));
    }
    count
}

#[tokio::test]
async fn connections_are_closed_in_batches_over_the_spread_and_each_gets_its_own_retry_time() {
    let (engine, clock) = clocked(|_| {});
    let log = Log::of(&engine);
    let mut consumers = Vec::new();
    for session in 0..10 {
        consumers.push(TestConsumer::connect(&engine, Session::new(format!("s{session}"))).await);
    }
    let spread = Duration::from_millis(1_000);
    let how = Shutdown { spread, batch: 3, ..Shutdown::within(Duration::from_secs(10)) };
    let ending = begin(&engine, how).await;
    let mut times = BTreeSet::new();
    for consumer in &mut consumers {
        let told = consumer.next().await;
        assert_eq!((&told["type"], &told["name"]), (&json!("event"), &json!("server.draining")));
        let retry_in_ms = told["data"]["retry_in_ms"].as_u64().unwrap();
        assert!(retry_in_ms < 1_000, "{told}");
        times.insert(retry_in_ms);
    }
    assert!(times.len() > 5, "they come back at different times: {times:?}");
    let mut leaving = vec![closed(&mut consumers).await];
    for _ in 0..4 {
        clock.advance(250);
        rest().await;
        leaving.push(closed(&mut consumers).await);
    }
    assert_eq!(leaving, [3, 6, 9, 10, 10]);
    drop(consumers);
    ending.await.unwrap();
    assert_eq!(log.count(|event| matches!(event, Event::Draining { connections: 10, spread_ms: 1_000 })), 1);
}

#[tokio::test]
async fn connections_are_not_closed_in_the_order_they_were_opened() {
    let (engine, _clock) = clocked(|_| {});
    let mut consumers = Vec::new();
    for session in 0..40 {
        consumers.push(TestConsumer::connect(&engine, Session::new(format!("s{session}"))).await);
    }
    let spread = Duration::from_secs(1);
    let _ending = begin(&engine, Shutdown { spread, batch: 20, ..Shutdown::within(spread) }).await;
    let early = closed(&mut consumers[..20]).await;
    let late = closed(&mut consumers[20..]).await;
    assert_eq!(early + late, 20);
    assert!((1..20).contains(&early), "{early} of the first twenty leave first");
}

#[tokio::test]
async fn a_connection_with_a_call_in_flight_stays_until_its_result_and_delays_no_other() {
    let (engine, _clock) = clocked(|_| {});
    let (number, gate) = (Number::at(&engine, "n"), Gate::default());
    let stand = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| {
        stand.pass();
        number.set(1);
    });
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let (mut calling, _) = watching(&engine, Session::new("calling")).await;
    let mut idle = TestConsumer::connect(&engine, Session::new("idle")).await;
    let call = calling.start_invoke("/m", "act", Value::Null);
    gate.arrived(1).await;
    let ending = begin(&engine, Shutdown::within(Duration::from_secs(60))).await;
    assert_eq!(idle.next().await["code"], 1001, "it does not wait for the other");
    let refused = calling.invoke("/m", "act", Value::Null).await;
    assert_eq!((code(&refused), &refused["error"]["message"]), ("busy", &json!("the provider is shutting down")));
    assert_eq!(calling.closed(), None);
    gate.open();
    let messages = [calling.next().await, calling.next().await, calling.next().await];
    assert_eq!(kinds(&messages), ["patch", "result", "closed"], "{messages:?}");
    assert_eq!((&messages[1]["id"], &messages[1]["status"]), (&json!(call), &json!("ok")));
    drop((calling, idle));
    ending.await.unwrap();
}

#[tokio::test]
async fn a_connection_is_served_as_usual_until_its_batch_is_closed() {
    let (engine, clock) = clocked(|_| {});
    let (number, shown) = (Number::at(&engine, "n"), Session::new("s"));
    let set = number.clone();
    let act = Action::new("act", move |_: Invocation<()>| set.set(7));
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let mut consumers = Vec::new();
    for _ in 0..2 {
        consumers.push(watching(&engine, shown.clone()).await.0);
    }
    let spread = Duration::from_secs(1);
    let ending = begin(&engine, Shutdown { spread, batch: 1, ..Shutdown::within(spread * 2) }).await;
    assert_eq!(closed(&mut consumers).await, 1);
    let mut left = consumers.into_iter().find(|consumer| consumer.closed().is_none()).unwrap();
    assert_eq!(left.invoke("/m", "act", Value::Null).await["status"], "ok");
    left.check_mirrors().await;
    clock.advance(500);
    assert_eq!(left.next().await["code"], 1001);
    drop(left);
    ending.await.unwrap();
}

#[tokio::test]
async fn a_browser_tab_is_closed_in_its_batch_without_a_notice() {
    let (engine, _clock) = clocked(|_| {});
    let tab = engine.connect_tab(&Session::new("s")).unwrap();
    let spread = Duration::from_secs(1);
    let ending = begin(&engine, Shutdown { spread, ..Shutdown::within(spread) }).await;
    let frames: Vec<_> = std::iter::from_fn(|| tab.try_next_frame()).collect();
    let [Frame::Text(_), Frame::Close { code: CloseCode::GoingAway, .. }] = frames.as_slice() else {
        panic!("{frames:?}")
    };
    drop(tab);
    ending.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_early_when_everyone_has_disconnected() {
    let (engine, _clock) = clocked(|_| {});
    let mut consumers = Vec::new();
    for session in 0..3 {
        consumers.push(TestConsumer::connect(&engine, Session::new(format!("s{session}"))).await);
    }
    let spread = Duration::from_secs(30);
    let ending = begin(&engine, Shutdown { spread, batch: 1, ..Shutdown::within(spread * 2) }).await;
    assert!(!ending.is_finished());
    drop(consumers);
    // No time passes.
    ending.await.unwrap();
}
