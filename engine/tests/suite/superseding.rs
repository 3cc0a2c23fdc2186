//! A consumer that reconnects before the engine has noticed the loss of its socket supersedes its old connection.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use grove_engine::CloseCode;
use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, CloseReason, Connection, Descriptor, Engine, Event, Frame, Invocation, Item, Scope, Session,
};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, Gate, SharedNumber, connect_and_subscribe, engine, engine_with, engine_with_clock, message_types, node_at,
};

/// An engine with one number that changes among much content that does not.
fn app() -> (Engine, SharedNumber) {
    let engine = engine();
    let number = serve(&engine);
    (engine, number)
}

fn serve(engine: &Engine) -> SharedNumber {
    let item = |n: u64| Item::new(format!("t{n}")).prop("title", format!("todo {n}"));
    engine.register("todos", move |_: &Session| Descriptor::collection().items((0..50).map(item)));
    SharedNumber::serve(engine, "n")
}

async fn change(engine: &Engine, number: &SharedNumber) {
    number.set(number.get() + 1);
    engine.refresh_now(Scope::all()).await;
}

/// Takes all messages that a connection has to send now.
fn take_all(connection: &Connection) -> Vec<Value> {
    let frames = std::iter::from_fn(|| connection.try_next_frame());
    let message = |frame| match frame {
        Frame::Text(text) => serde_json::from_str(&text).unwrap(),
        Frame::Ping => json!({"type": "ping"}),
        Frame::Close { code, .. } => json!({"type": "closed", "code": code.as_u16()}),
    };
    frames.map(message).collect()
}

fn superseded(log: &EventLog) -> usize {
    log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::Superseded, .. }))
}

#[tokio::test]
async fn a_superseding_connection_resumes_with_one_patch_and_the_old_one_is_notified() {
    let (engine, number) = app();
    let log = EventLog::of(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    change(&engine, &number).await;
    consumer.settled().await;
    // Changes after the loss wait in the outbox of the old connection, which nobody reads any more.
    change(&engine, &number).await;
    change(&engine, &number).await;
    let old = consumer.supersede().await;
    assert_eq!(message_types(&consumer.settled().await), ["resumed", "patch"]);
    change(&engine, &number).await;
    assert_eq!(message_types(&consumer.settled().await), ["patch"]);
    consumer.check_mirrors().await;
    let final_messages = take_all(&old);
    assert_eq!(message_types(&final_messages), ["event", "closed"]);
    assert_eq!(final_messages[0]["name"], "session_replaced");
    assert_eq!(final_messages[1]["code"], CloseCode::Replaced.as_u16());
    drop(old);
    assert_eq!(superseded(&log), 1);
    assert_eq!(log.count(|event| matches!(event, Event::Resumed { .. })), 1);
    assert_eq!(engine.stats().connections, 1);
}

#[tokio::test]
async fn a_frame_lost_with_the_old_socket_costs_a_snapshot() {
    let (engine, number) = app();
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    change(&engine, &number).await;
    let lost = consumer.connection().try_next_frame();
    assert!(matches!(lost, Some(Frame::Text(text)) if text.contains(r#""type":"patch""#)));
    let old = consumer.supersede().await;
    assert_eq!(message_types(&consumer.settled().await), ["snapshot"]);
    consumer.check_mirrors().await;
    assert_eq!(message_types(&take_all(&old)), ["event", "closed"]);
}

#[tokio::test]
async fn a_stalled_connection_fails_its_calls_and_hands_over_its_subscriptions() {
    let engine = engine();
    let (number, gate) = (serve(&engine), Gate::default());
    let handler_gate = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| handler_gate.wait());
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.subscribe_with(json!({"path": "/n"})).await;
    consumer.start_invoke("/m", "act", Value::Null);
    gate.wait_for_arrivals(1).await;
    consumer.send(&json!({"type": "query", "id": "never read", "path": "/n"}));
    change(&engine, &number).await;
    let old = consumer.supersede().await;
    let messages = consumer.ready();
    assert_eq!(message_types(&messages), ["resumed", "resumed", "patch", "patch"]);
    let final_messages = take_all(&old);
    assert_eq!(message_types(&final_messages), ["snapshot", "result", "event", "closed"]);
    assert_eq!(final_messages[1]["error"]["code"], "internal", "the call in flight gets an error");
    gate.open();
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn only_one_of_two_connections_can_supersede_the_same_connection() {
    for _ in 0..50 {
        let (engine, number) = app();
        let log = EventLog::of(&engine);
        let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
        let mut probe = TestConsumer::silent(&engine, Session::new("s"));
        let epoch = probe.next().await["provider"]["epoch"].clone();
        let version = consumer.query_with(json!({"path": "/"})).await["version"].clone();
        let subscribe = json!({"type": "subscribe", "id": id, "path": "/", "depth": -1,
            "resume": {"epoch": epoch, "version": version, "connection": consumer.name()}})
        .to_string();
        let both = [(); 2].map(|()| engine.connect(&Session::new("s")).unwrap());
        let start = Barrier::new(2);
        std::thread::scope(|threads| {
            for connection in &both {
                threads.spawn(|| {
                    start.wait();
                    connection.receive(&subscribe);
                });
            }
        });
        let mut received = both.each_ref().map(|connection| message_types(&take_all(connection)).join(" "));
        received.sort_unstable();
        assert_eq!(received, ["hello resumed", "hello snapshot"]);
        change(&engine, &number).await;
        for connection in &both {
            let patches = take_all(connection);
            assert_eq!((message_types(&patches), patches[0]["seq"].as_u64()), (vec!["patch"], Some(1)));
        }
        let final_messages = consumer.settled().await;
        assert_eq!(message_types(&final_messages), ["event", "closed"], "it is notified once");
        drop(consumer);
        assert_eq!(superseded(&log), 1);
    }
}

#[tokio::test]
async fn naming_a_connection_of_another_session_has_no_effect_and_reveals_nothing() {
    let (engine, number) = app();
    let (mut bob, bob_id) = connect_and_subscribe(&engine, Session::new("bob")).await;
    let (mut sibling, sibling_id) = connect_and_subscribe(&engine, Session::new("alice")).await;
    let (mut alice, _) = connect_and_subscribe(&engine, Session::new("alice")).await;
    let (foreign, mut still_open) = (bob.name().to_owned(), Vec::new());
    for name in [foreign.as_str(), "", "1", "ffffffffffffffff"] {
        let old = alice.come_back_for(Some(name)).await;
        assert_eq!(message_types(&alice.settled().await), ["snapshot"], "as if it had named no connection: {name}");
        assert_eq!(take_all(&old), Vec::<Value>::new(), "the old connection stays open");
        // If it were dropped, the next connection would find its resume point.
        still_open.push(old);
    }
    // A connection that names itself supersedes nothing.
    let own = alice.name().to_owned();
    alice
        .start_subscription(json!({"path": "/n", "resume": {"epoch": alice.epoch(), "version": 1, "connection": own}}));
    assert_eq!(message_types(&alice.settled().await), ["snapshot"]);
    change(&engine, &number).await;
    for (other, subscription) in [(&mut bob, &bob_id), (&mut sibling, &sibling_id)] {
        assert_eq!(message_types(&other.settled().await), ["patch"]);
        assert_eq!(node_at(other.tree(subscription), "n")["properties"]["n"], number.get());
    }
    alice.check_mirrors().await;
}

#[tokio::test]
async fn a_connection_name_with_another_epoch_closes_nothing() {
    let (engine, _) = app();
    let (mut alice, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let (other, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    alice.start_subscription(
        json!({"path": "/n", "resume": {"epoch": "another", "version": 1, "connection": other.name()}}),
    );
    assert_eq!(message_types(&alice.settled().await), ["snapshot"]);
    assert_eq!(other.connection().try_next_frame(), None);
}

#[tokio::test]
async fn a_connection_name_reveals_neither_other_names_nor_how_many_there_are() {
    let (engine, _) = app();
    let mut names = Vec::new();
    for _ in 0..3 {
        let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
        names.push(u64::from_str_radix(consumer.name(), 16).unwrap());
    }
    assert!(names.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1_000_000), "{names:x?}");
}

#[tokio::test]
async fn a_superseded_connection_that_takes_no_frames_is_dropped_after_a_while() {
    let (engine, clock) = engine_with_clock(|_| {});
    let number = serve(&engine);
    let log = EventLog::of(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let old = consumer.supersede().await;
    consumer.settled().await;
    clock.advance(5_000);
    old.aborted().await;
    drop(old);
    assert_eq!(superseded(&log), 1);
    change(&engine, &number).await;
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn with_resuming_disabled_the_old_connection_closes_and_a_snapshot_is_sent() {
    let engine = engine_with(|config| config.times.resume_window = Duration::from_millis(0));
    serve(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let old = consumer.supersede().await;
    assert_eq!(message_types(&consumer.settled().await), ["snapshot"]);
    assert_eq!(message_types(&take_all(&old)), ["event", "closed"]);
}

#[tokio::test]
async fn no_patch_overtakes_the_resumed_message() {
    // After a certain number of replies patches have their turn, so several numbers are tried.
    for queries in [0, 15, 16, 17, 40] {
        let (engine, number) = app();
        let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
        let version = consumer.query_with(json!({"path": "/n"})).await["version"].clone();
        change(&engine, &number).await;
        let new = engine.connect(&Session::new("s")).unwrap();
        for id in 0..queries {
            new.receive(&json!({"type": "query", "id": id, "path": "/n", "depth": 0}).to_string());
        }
        let subscribe = json!({"type": "subscribe", "id": "s", "path": "/", "depth": -1,
            "resume": {"epoch": consumer.epoch(), "version": version, "connection": consumer.name()}});
        new.receive(&subscribe.to_string());
        assert_eq!(message_types(&take_all(&new))[queries + 1..], ["resumed", "patch"], "after {queries} replies");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_continuous_changes_nothing_is_lost_or_duplicated() {
    let (engine, number) = app();
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.subscribe_with(json!({"path": "/n"})).await;
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let changes = tokio::spawn({
        let (engine, number, done) = (engine.clone(), number.clone(), Arc::clone(&done));
        async move {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                change(&engine, &number).await;
            }
        }
    });
    let (mut resumed, mut snapshots) = (0, 0);
    for round in 0..300 {
        // The mirrors check every message: its number, its version, and that each operation applies.
        for _ in 0..round % 4 {
            consumer.next().await;
        }
        let old = consumer.supersede().await;
        for _ in 0..2 {
            let kind = loop {
                let message = consumer.next().await;
                if message["type"] == "resumed" || message["type"] == "snapshot" {
                    break message["type"].clone();
                }
            };
            if kind == "resumed" { resumed += 1 } else { snapshots += 1 }
        }
        assert_eq!(take_all(&old).last().map(|last| last["type"].clone()), Some("closed".into()));
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    changes.await.unwrap();
    assert!(resumed > 0, "{snapshots} snapshots and no resumption");
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn resume_points_of_a_session_are_limited_and_the_oldest_is_evicted_first() {
    let engine = engine_with(|config| config.limits.resume_points_per_session = 2);
    serve(&engine);
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for path in ["/", "/n", "/todos"] {
        consumer.subscribe_with(json!({"path": path, "depth": -1})).await;
    }
    consumer.reconnect().await;
    assert_eq!(message_types(&consumer.settled().await), ["snapshot", "resumed", "resumed"]);
    assert_eq!(log.count(|event| matches!(event, Event::ResumePointsEvicted { subscriptions: 1, .. })), 1);
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn a_tab_is_never_superseded_even_by_its_name() {
    let (engine, _) = app();
    let tab = engine.connect_tab(&Session::new("s")).unwrap();
    assert_eq!(take_all(&tab).len(), 1, "`connect`");
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let other = engine.connect(&Session::new("s")).unwrap();
    let resume = json!({"epoch": consumer.epoch(), "version": 1, "connection": engine.connection_name(&tab)});
    other.receive(&json!({"type": "subscribe", "id": "s", "resume": resume}).to_string());
    engine.settle().await;
    assert_eq!(take_all(&tab), Vec::<Value>::new());
    assert_eq!(message_types(&take_all(&other)), ["hello", "snapshot"]);
}
