//! A connection over any transport: opened, used, closed, and fully cleaned up.

use std::task::{Context, Waker};

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, CloseReason, Descriptor, Event, Frame, Invocation, Item, Scope, Session};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, Gate, SharedNumber, connect_and_subscribe, engine, engine_with_clock, node_at};

fn text(frame: Frame) -> Value {
    match frame {
        Frame::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("not a message: {other:?}"),
    }
}

#[tokio::test]
async fn a_transport_can_connect_pass_messages_in_and_take_frames_out() {
    let engine = engine();
    SharedNumber::serve(&engine, "n");
    let connection = engine.connect(&Session::new("s")).unwrap();
    assert_eq!(text(connection.next_frame().await)["type"], "hello");
    connection.receive(r#"{"type":"subscribe","id":"x","path":"/n"}"#);
    assert_eq!(text(connection.next_frame().await)["tree"]["id"], "n");
    assert_eq!(engine.stats().connections, 1);
    drop(connection);
    assert_eq!(engine.stats().connections, 0);
}

#[tokio::test]
async fn dropping_a_connection_frees_its_subscriptions_and_outbox() {
    let engine = engine();
    engine.register("n", |_: &Session| Descriptor::collection().items((0..100).map(|n| Item::new(format!("i{n}")))));
    let log = EventLog::of(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    for number in 0..10 {
        consumer.send(&json!({"type": "query", "id": number, "path": "/"}));
        consumer.send(&json!({"type": "subscribe", "id": format!("more-{number}"), "path": "/"}));
    }
    let stats = engine.stats();
    assert_eq!((stats.connections, stats.subscriptions), (1, 11));
    assert!(stats.outbox_bytes > 0, "replies wait in the outbox");
    drop(consumer);
    let stats = engine.stats();
    assert_eq!((stats.connections, stats.subscriptions, stats.outbox_bytes), (0, 0, 0));
    assert_eq!(log.count(|event| matches!(event, Event::Connected { session, .. } if session == "s")), 1);
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::Gone, .. })), 1);
}

#[tokio::test]
async fn a_call_outlives_its_connection_and_others_see_its_change() {
    let engine = engine();
    let (number, gate) = (SharedNumber::serve(&engine, "n"), Gate::default());
    let handler_gate = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| {
        handler_gate.wait();
        number.set(1);
    });
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let mut leaver = TestConsumer::connect(&engine, Session::new("s")).await;
    let (mut sibling, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    leaver.start_invoke("/m", "act", Value::Null);
    gate.wait_for_arrivals(1).await;
    drop(leaver);
    gate.open();
    sibling.settled().await;
    assert_eq!(crate::fixtures::node_at(sibling.tree(&id), "n")["properties"]["n"], 1);
}

#[tokio::test]
async fn a_silent_peer_is_pinged_and_dropped_if_it_stays_silent() {
    let (engine, clock) = engine_with_clock(|_| {});
    let log = EventLog::of(&engine);
    let connection = engine.connect(&Session::new("s")).unwrap();
    assert_eq!(text(connection.next_frame().await)["type"], "hello");
    clock.advance(20_000);
    assert_eq!(connection.next_frame().await, Frame::Ping);
    connection.heard();
    clock.advance(20_000);
    assert_eq!(connection.next_frame().await, Frame::Ping, "a pong postpones the timeout");
    clock.advance(20_000);
    assert_eq!(connection.next_frame().await, Frame::Ping);
    engine.settle().await;
    clock.advance(20_000);
    connection.aborted().await;
    drop(connection);
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::Silent, .. })), 1);
}

/// Its last sign of life was just after the look before.
#[tokio::test]
async fn a_silent_peer_is_pinged_before_it_is_dropped_whenever_it_fell_silent() {
    let (engine, clock) = engine_with_clock(|config| {
        config.times.ping_interval = std::time::Duration::from_secs(20);
        config.times.silence_timeout = std::time::Duration::from_secs(30);
    });
    let connection = engine.connect(&Session::new("s")).unwrap();
    assert_eq!(text(connection.next_frame().await)["type"], "hello");
    for silent_at in [1, 7_000, 19_999, 12_345] {
        clock.advance(silent_at);
        engine.settle().await;
        let _ping = connection.try_next_frame();
        connection.heard();
        clock.advance(19_999);
        engine.settle().await;
        clock.advance(1);
        assert_eq!(connection.next_frame().await, Frame::Ping);
        assert!(!connection.is_aborted());
        connection.heard();
    }
}

#[tokio::test]
async fn a_peer_that_sends_messages_is_not_pinged() {
    let (engine, clock) = engine_with_clock(|_| {});
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for _ in 0..20 {
        clock.advance(10_000);
        assert_eq!(consumer.query("/").await["id"], "app");
        assert_eq!(consumer.connection().try_next_frame(), None);
    }
}

#[tokio::test]
async fn a_connection_that_takes_no_frames_is_dropped_even_if_its_peer_is_alive() {
    let (engine, clock) = engine_with_clock(|_| {});
    let log = EventLog::of(&engine);
    let connection = engine.connect(&Session::new("s")).unwrap();
    // The frame was taken from the engine, but the socket is full: no further frame is taken.
    assert_eq!(text(connection.next_frame().await)["type"], "hello");
    for _ in 0..4 {
        connection.heard();
        clock.advance(20_000);
        engine.settle().await;
    }
    connection.aborted().await;
    drop(connection);
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::Slow, .. })), 1);
}

#[tokio::test]
async fn a_closed_connection_serves_nothing() {
    let engine = engine();
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    engine.close_session("s");
    consumer.send(&json!({"type": "query", "id": "late", "path": "/"}));
    let messages = consumer.settled().await;
    assert_eq!((messages.len(), messages[0]["type"].as_str()), (1, Some("closed")));
    consumer.send(&json!({"type": "query", "id": "later", "path": "/"}));
    assert_eq!(consumer.settled().await, Vec::<Value>::new(), "nothing follows the close");
}

#[tokio::test]
async fn the_test_consumer_is_sent_nothing_for_which_it_was_not_woken() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert!(consumer.settled().await.is_empty());
    // Somebody else waits in its place, and takes the wake.
    let mut context = Context::from_waker(Waker::noop());
    assert!(consumer.connection().poll_next_frame(&mut context).is_pending());
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    assert!(consumer.settled().await.is_empty(), "a lost wake is a message that never comes");
    assert_eq!(node_at(consumer.tree(&id), "n")["properties"]["n"], 0);
    assert_eq!(text(consumer.connection().next_frame().await)["type"], "patch");
}
