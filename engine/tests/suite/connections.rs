//! A connection over any transport: opened, spoken to, closed, and gone without a trace.

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, CloseReason, Descriptor, Event, Frame, Invocation, Item, Session};
use serde_json::{Value, json};

use crate::apps::{Gate, Log, Number, clocked, engine, watching};

fn text(frame: Frame) -> Value {
    match frame {
        Frame::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("not a message: {other:?}"),
    }
}

#[tokio::test]
async fn a_transport_connects_passes_messages_in_and_takes_frames_out() {
    let engine = engine();
    Number::at(&engine, "n");
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
    let log = Log::of(&engine);
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    for number in 0..10 {
        consumer.send(&json!({"type": "query", "id": number, "path": "/"}));
        consumer.send(&json!({"type": "subscribe", "id": format!("more-{number}"), "path": "/"}));
    }
    let stats = engine.stats();
    assert_eq!((stats.connections, stats.subscriptions), (1, 11));
    assert!(stats.outbox_bytes > 0, "answers wait");
    drop(consumer);
    let stats = engine.stats();
    assert_eq!((stats.connections, stats.subscriptions, stats.outbox_bytes), (0, 0, 0));
    assert_eq!(log.count(|event| matches!(event, Event::Connected { session, .. } if session == "s")), 1);
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::Gone, .. })), 1);
}

#[tokio::test]
async fn a_call_outlives_its_connection_and_others_see_its_change() {
    let engine = engine();
    let (number, gate) = (Number::at(&engine, "n"), Gate::default());
    let stand = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| {
        stand.pass();
        number.set(1);
    });
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let mut leaver = TestConsumer::connect(&engine, Session::new("s")).await;
    let (mut sibling, id) = watching(&engine, Session::new("s")).await;
    leaver.start_invoke("/m", "act", Value::Null);
    gate.arrived(1).await;
    drop(leaver);
    gate.open();
    sibling.settled().await;
    assert_eq!(crate::apps::at(sibling.tree(&id), "n")["properties"]["n"], 1);
}

#[tokio::test]
async fn a_silent_peer_is_pinged_and_dropped_if_it_stays_silent() {
    let (engine, clock) = clocked(|_| {});
    let log = Log::of(&engine);
    let connection = engine.connect(&Session::new("s")).unwrap();
    assert_eq!(text(connection.next_frame().await)["type"], "hello");
    clock.advance(20_000);
    assert_eq!(connection.next_frame().await, Frame::Ping);
    connection.heard();
    clock.advance(20_000);
    assert_eq!(connection.next_frame().await, Frame::Ping, "an answer puts it off");
    clock.advance(20_000);
    assert_eq!(connection.next_frame().await, Frame::Ping);
    engine.settle().await;
    clock.advance(20_000);
    connection.aborted().await;
    drop(connection);
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::Silent, .. })), 1);
}

#[tokio::test]
async fn a_peer_that_sends_messages_is_not_pinged() {
    let (engine, clock) = clocked(|_| {});
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for _ in 0..20 {
        clock.advance(10_000);
        assert_eq!(consumer.query("/").await["id"], "app");
        assert_eq!(consumer.connection().try_next_frame(), None);
    }
}

#[tokio::test]
async fn a_connection_that_takes_no_frames_is_dropped_even_if_its_peer_is_alive() {
    let (engine, clock) = clocked(|_| {});
    let log = Log::of(&engine);
    let connection = engine.connect(&Session::new("s")).unwrap();
    // The frame was taken from the engine, and the socket has no room: nobody asks for the next one.
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
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    engine.close_session("s");
    consumer.send(&json!({"type": "query", "id": "late", "path": "/"}));
    let messages = consumer.settled().await;
    assert_eq!((messages.len(), messages[0]["type"].as_str()), (1, Some("closed")));
    consumer.send(&json!({"type": "query", "id": "later", "path": "/"}));
    assert_eq!(consumer.settled().await, Vec::<Value>::new(), "nothing follows the close");
}
