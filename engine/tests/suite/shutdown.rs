//! The end of a provider: every request in flight gets its reply, then every connection is closed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, CloseCode, CloseReason, ConnectError, Connection, Descriptor, Engine, Event, Frame, Invocation, Item,
    Outcome, Session, Shutdown, Source, WindowRequest,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::fixtures::{
    EventLog, Gate, SharedNumber, connect_and_subscribe, engine, engine_with_clock, error_code, message_types,
};

#[tokio::test]
async fn a_shutdown_closes_connections_and_refuses_new_ones() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let shutdown = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_secs(60)).await }
    });
    assert_eq!(
        consumer.next().await,
        json!({"type": "closed", "code": 1001, "reason": "the provider is shutting down"})
    );
    assert_eq!(engine.connect(&Session::new("t")).map(drop), Err(ConnectError::Closing));
    drop(consumer);
    shutdown.await.unwrap();
    assert_eq!(engine.stats().connections, 0);
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::ShuttingDown, .. })), 1);
}

#[tokio::test]
async fn a_call_in_flight_gets_time_to_finish() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let (number, gate) = (SharedNumber::serve(&engine, "n"), Gate::default());
    let handler_gate = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| {
        handler_gate.wait();
        number.set(1);
        Outcome::data("late but done")
    });
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.start_invoke("/m", "act", Value::Null);
    gate.wait_for_arrivals(1).await;
    let shutdown = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_secs(60)).await }
    });
    gate.open();
    let messages = [consumer.next().await, consumer.next().await, consumer.next().await];
    assert_eq!(message_types(&messages), ["patch", "result", "closed"], "{messages:?}");
    assert_eq!((&messages[1]["data"], &messages[2]["code"]), (&json!("late but done"), &json!(1001)));
    drop(consumer);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn at_the_deadline_every_request_in_flight_gets_an_error_reply() {
    let (engine, clock) = engine_with_clock(|_| {});
    let gate = Gate::default();
    let (handler_gate, loader_gate) = (gate.clone(), gate.clone());
    let act = Action::new("act", move |_: Invocation<()>| handler_gate.wait());
    let source = Source::new(move |_: &Session| Descriptor::collection().lazy(9).action(&act)).on_window(
        move |_: &Session, _: &WindowRequest| {
            loader_gate.wait();
            Vec::<Item>::new()
        },
    );
    engine.register_source("m", source);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let call = consumer.start_invoke("/m", "act", Value::Null);
    consumer.send(&json!({"type": "query", "id": "slow", "path": "/m", "window": [0, 5]}));
    gate.wait_for_arrivals(2).await;
    let shutdown = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_millis(5_000)).await }
    });
    tokio::task::yield_now().await;
    clock.advance(5_000);
    let mut messages = [consumer.next().await, consumer.next().await];
    messages.sort_by_key(|message| message["type"].as_str().unwrap().to_owned());
    let replies: Vec<_> =
        messages.iter().map(|m| (m["type"].as_str().unwrap(), m["id"].as_str().unwrap(), error_code(m))).collect();
    assert_eq!(
        replies,
        [("error", "slow", "internal"), ("result", call.as_str(), "internal")],
        "each in its own message type"
    );
    assert_eq!(consumer.next().await["code"], 1001);
    drop(consumer);
    shutdown.await.unwrap();
    // A call that finishes later sends nothing.
    gate.open();
    engine.settle().await;
}

#[tokio::test]
async fn a_shutdown_waits_only_briefly_for_a_peer_that_does_not_disconnect() {
    let (engine, clock) = engine_with_clock(|_| {});
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let shutdown = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_millis(500)).await }
    });
    while !shutdown.is_finished() {
        tokio::task::yield_now().await;
        clock.advance(100);
        assert!(grove_engine::Clock::now_ms(&*clock) < 60_000, "the shutdown takes too long");
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
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(Arc::strong_count(&held), 2);
    drop(engine);
    drop(consumer);
    // Lets the runtime drop the tasks that still hold the engine.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test]
async fn a_connection_is_served_after_the_last_handle_of_the_engine_is_dropped() {
    let engine = engine();
    engine.register("n", |_: &Session| Descriptor::status().prop("n", 7));
    let connection = engine.connect(&Session::new("s")).unwrap();
    drop(engine);
    assert_eq!(next_message(&connection).await["type"], "hello");
    connection.receive(r#"{"type": "subscribe", "id": "a"}"#);
    let snapshot = next_message(&connection).await;
    assert_eq!((&snapshot["type"], &snapshot["id"]), (&json!("snapshot"), &json!("a")));
    assert_eq!(snapshot["tree"]["children"][0]["properties"]["n"], 7);
}

async fn next_message(connection: &Connection) -> Value {
    let frame = tokio::time::timeout(Duration::from_secs(10), connection.next_frame()).await;
    match frame.expect("a message is sent within ten seconds") {
        Frame::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("not a message: {other:?}"),
    }
}

/// Begins to shut down, and returns when the engine has done everything that needs no time to pass.
async fn begin_shutdown(engine: &Engine, how: Shutdown) -> JoinHandle<()> {
    let engine = engine.clone();
    let shutdown = tokio::spawn(async move { engine.shutdown(how).await });
    run_until_idle().await;
    shutdown
}

/// Lets the shutdown run until it waits for time to pass.
async fn run_until_idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Returns how many of these consumers are closed by now.
async fn count_closed(consumers: &mut [TestConsumer]) -> usize {
    let mut count = 0;
    for consumer in consumers {
        consumer.settled().await;
        count += usize::from(consumer.closed() == Some(1001));
    }
    count
}

#[tokio::test]
async fn connections_are_closed_in_batches_over_the_spread_and_each_gets_its_own_retry_time() {
    let (engine, clock) = engine_with_clock(|_| {});
    let log = EventLog::of(&engine);
    let mut consumers = Vec::new();
    for session in 0..10 {
        consumers.push(TestConsumer::connect(&engine, Session::new(format!("s{session}"))).await);
    }
    let spread = Duration::from_millis(1_000);
    let how = Shutdown { spread, batch: 3, ..Shutdown::within(Duration::from_secs(10)) };
    let shutdown = begin_shutdown(&engine, how).await;
    let mut times = BTreeSet::new();
    for consumer in &mut consumers {
        let notice = consumer.next().await;
        assert_eq!((&notice["type"], &notice["name"]), (&json!("event"), &json!("server.draining")));
        let retry_in_ms = notice["data"]["retry_in_ms"].as_u64().unwrap();
        assert!(retry_in_ms < 1_000, "{notice}");
        times.insert(retry_in_ms);
    }
    assert!(times.len() > 5, "they reconnect at different times: {times:?}");
    let mut counts = vec![count_closed(&mut consumers).await];
    for _ in 0..4 {
        clock.advance(250);
        run_until_idle().await;
        counts.push(count_closed(&mut consumers).await);
    }
    assert_eq!(counts, [3, 6, 9, 10, 10]);
    drop(consumers);
    shutdown.await.unwrap();
    assert_eq!(log.count(|event| matches!(event, Event::Draining { connections: 10, spread_ms: 1_000 })), 1);
}

#[tokio::test]
async fn connections_are_not_closed_in_the_order_they_were_opened() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let mut consumers = Vec::new();
    for session in 0..40 {
        consumers.push(TestConsumer::connect(&engine, Session::new(format!("s{session}"))).await);
    }
    let spread = Duration::from_secs(1);
    let _shutdown = begin_shutdown(&engine, Shutdown { spread, batch: 20, ..Shutdown::within(spread) }).await;
    let early = count_closed(&mut consumers[..20]).await;
    let late = count_closed(&mut consumers[20..]).await;
    assert_eq!(early + late, 20);
    assert!((1..20).contains(&early), "{early} of the first twenty are closed first");
}

#[tokio::test]
async fn a_connection_with_a_call_in_flight_stays_until_its_result_and_delays_no_other() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let (number, gate) = (SharedNumber::serve(&engine, "n"), Gate::default());
    let handler_gate = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| {
        handler_gate.wait();
        number.set(1);
    });
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let (mut calling, _) = connect_and_subscribe(&engine, Session::new("calling")).await;
    let mut idle = TestConsumer::connect(&engine, Session::new("idle")).await;
    let call = calling.start_invoke("/m", "act", Value::Null);
    gate.wait_for_arrivals(1).await;
    let shutdown = begin_shutdown(&engine, Shutdown::within(Duration::from_secs(60))).await;
    assert_eq!(idle.next().await["code"], 1001, "it does not wait for the other connection");
    let refused = calling.invoke("/m", "act", Value::Null).await;
    assert_eq!((error_code(&refused), &refused["error"]["message"]), ("busy", &json!("the provider is shutting down")));
    assert_eq!(calling.closed(), None);
    gate.open();
    let messages = [calling.next().await, calling.next().await, calling.next().await];
    assert_eq!(message_types(&messages), ["patch", "result", "closed"], "{messages:?}");
    assert_eq!((&messages[1]["id"], &messages[1]["status"]), (&json!(call), &json!("ok")));
    drop((calling, idle));
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_connection_is_served_as_usual_until_its_batch_is_closed() {
    let (engine, clock) = engine_with_clock(|_| {});
    let (number, session) = (SharedNumber::serve(&engine, "n"), Session::new("s"));
    let set = number.clone();
    let act = Action::new("act", move |_: Invocation<()>| set.set(7));
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let mut consumers = Vec::new();
    for _ in 0..2 {
        consumers.push(connect_and_subscribe(&engine, session.clone()).await.0);
    }
    let spread = Duration::from_secs(1);
    let shutdown = begin_shutdown(&engine, Shutdown { spread, batch: 1, ..Shutdown::within(spread * 2) }).await;
    assert_eq!(count_closed(&mut consumers).await, 1);
    let mut remaining = consumers.into_iter().find(|consumer| consumer.closed().is_none()).unwrap();
    assert_eq!(remaining.invoke("/m", "act", Value::Null).await["status"], "ok");
    remaining.check_mirrors().await;
    clock.advance(500);
    assert_eq!(remaining.next().await["code"], 1001);
    drop(remaining);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_browser_tab_is_closed_in_its_batch_without_notice() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let tab = engine.connect_tab(&Session::new("s")).unwrap();
    let spread = Duration::from_secs(1);
    let shutdown = begin_shutdown(&engine, Shutdown { spread, ..Shutdown::within(spread) }).await;
    let frames: Vec<_> = std::iter::from_fn(|| tab.try_next_frame()).collect();
    let [Frame::Text(_), Frame::Close { code: CloseCode::GoingAway, .. }] = frames.as_slice() else {
        panic!("{frames:?}")
    };
    drop(tab);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_early_when_everyone_has_disconnected() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let mut consumers = Vec::new();
    for session in 0..3 {
        consumers.push(TestConsumer::connect(&engine, Session::new(format!("s{session}"))).await);
    }
    let spread = Duration::from_secs(30);
    let shutdown = begin_shutdown(&engine, Shutdown { spread, batch: 1, ..Shutdown::within(spread * 2) }).await;
    assert!(!shutdown.is_finished());
    drop(consumers);
    // The clock does not advance.
    shutdown.await.unwrap();
}
