//! A consumer that comes back before the engine noticed that its socket was lost takes its old connection's place.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use grove_engine::CloseCode;
use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, CloseReason, Connection, Descriptor, Engine, Event, Frame, Invocation, Item, Scope, Session,
};
use serde_json::{Value, json};

use crate::apps::{Gate, Log, Number, at, clocked, engine, engine_with, kinds, watching};

/// An engine with one number that changes, beside much that does not.
fn app() -> (Engine, Number) {
    let engine = engine();
    let number = on(&engine);
    (engine, number)
}

fn on(engine: &Engine) -> Number {
    let item = |n: u64| Item::new(format!("t{n}")).prop("title", format!("todo {n}"));
    engine.register("todos", move |_: &Session| Descriptor::collection().items((0..50).map(item)));
    Number::at(engine, "n")
}

async fn change(engine: &Engine, number: &Number) {
    number.set(number.get() + 1);
    engine.refresh_now(Scope::all()).await;
}

/// All that a connection has to write now.
fn taken(connection: &Connection) -> Vec<Value> {
    let frames = std::iter::from_fn(|| connection.try_next_frame());
    let message = |frame| match frame {
        Frame::Text(text) => serde_json::from_str(&text).unwrap(),
        Frame::Ping => json!({"type": "ping"}),
        Frame::Close { code, .. } => json!({"type": "closed", "code": code.as_u16()}),
    };
    frames.map(message).collect()
}

fn superseded(log: &Log) -> usize {
    log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::Superseded, .. }))
}

#[tokio::test]
async fn a_superseding_connection_resumes_with_one_patch_and_the_old_one_is_notified() {
    let (engine, number) = app();
    let log = Log::of(&engine);
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    change(&engine, &number).await;
    consumer.settled().await;
    // What changes after the loss waits in the old connection's outbox, and nobody will ever take it there.
    change(&engine, &number).await;
    change(&engine, &number).await;
    let old = consumer.supersede().await;
    assert_eq!(kinds(&consumer.settled().await), ["resumed", "patch"]);
    change(&engine, &number).await;
    assert_eq!(kinds(&consumer.settled().await), ["patch"]);
    consumer.check_mirrors().await;
    let last_words = taken(&old);
    assert_eq!(kinds(&last_words), ["event", "closed"]);
    assert_eq!(last_words[0]["name"], "session_replaced");
    assert_eq!(last_words[1]["code"], CloseCode::Replaced.as_u16());
    drop(old);
    assert_eq!(superseded(&log), 1);
    assert_eq!(log.count(|event| matches!(event, Event::Resumed { .. })), 1);
    assert_eq!(engine.stats().connections, 1);
}

#[tokio::test]
async fn a_frame_lost_with_the_old_socket_costs_a_snapshot() {
    let (engine, number) = app();
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    change(&engine, &number).await;
    let lost = consumer.connection().try_next_frame();
    assert!(matches!(lost, Some(Frame::Text(text)) if text.contains(r#""type":"patch""#)));
    let old = consumer.supersede().await;
    assert_eq!(kinds(&consumer.settled().await), ["snapshot"]);
    consumer.check_mirrors().await;
    assert_eq!(kinds(&taken(&old)), ["event", "closed"]);
}

#[tokio::test]
async fn a_stalled_connection_fails_its_calls_and_hands_over_its_subscriptions() {
    let engine = engine();
    let (number, gate) = (on(&engine), Gate::default());
    let stand = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| stand.pass());
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    consumer.subscribe_with(json!({"path": "/n"})).await;
    consumer.start_invoke("/m", "act", Value::Null);
    gate.arrived(1).await;
    consumer.send(&json!({"type": "query", "id": "never read", "path": "/n"}));
    change(&engine, &number).await;
    let old = consumer.supersede().await;
    let messages = consumer.ready();
    assert_eq!(kinds(&messages), ["resumed", "resumed", "patch", "patch"]);
    let left = taken(&old);
    assert_eq!(kinds(&left), ["snapshot", "result", "event", "closed"]);
    assert_eq!(left[1]["error"]["code"], "internal", "nobody waits for ever");
    gate.open();
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn only_one_of_two_connections_can_supersede_the_same_connection() {
    for _ in 0..50 {
        let (engine, number) = app();
        let log = Log::of(&engine);
        let (mut consumer, id) = watching(&engine, Session::new("s")).await;
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
        let mut answers = both.each_ref().map(|connection| kinds(&taken(connection)).join(" "));
        answers.sort_unstable();
        assert_eq!(answers, ["hello resumed", "hello snapshot"]);
        change(&engine, &number).await;
        for connection in &both {
            let patches = taken(connection);
            assert_eq!((kinds(&patches), patches[0]["seq"].as_u64()), (vec!["patch"], Some(1)));
        }
        let last_words = consumer.settled().await;
        assert_eq!(kinds(&last_words), ["event", "closed"], "it is told once");
        drop(consumer);
        assert_eq!(superseded(&log), 1);
    }
}

#[tokio::test]
async fn naming_a_connection_of_another_session_has_no_effect_and_reveals_nothing() {
    let (engine, number) = app();
    let (mut bob, bobs) = watching(&engine, Session::new("bob")).await;
    let (mut sibling, siblings) = watching(&engine, Session::new("alice")).await;
    let (mut alice, _) = watching(&engine, Session::new("alice")).await;
    let (foreign, mut still_there) = (bob.name().to_owned(), Vec::new());
    for name in [foreign.as_str(), "", "1", "ffffffffffffffff"] {
        let old = alice.come_back_for(Some(name)).await;
        assert_eq!(kinds(&alice.settled().await), ["snapshot"], "as if it had named none: {name}");
        assert_eq!(taken(&old), Vec::<Value>::new(), "and nobody is ended");
        // Were it dropped, the next would find where it stood.
        still_there.push(old);
    }
    // Its own name, by which nobody was lost.
    let own = alice.name().to_owned();
    alice
        .start_subscription(json!({"path": "/n", "resume": {"epoch": alice.epoch(), "version": 1, "connection": own}}));
    assert_eq!(kinds(&alice.settled().await), ["snapshot"]);
    change(&engine, &number).await;
    for (other, subscription) in [(&mut bob, &bobs), (&mut sibling, &siblings)] {
        assert_eq!(kinds(&other.settled().await), ["patch"]);
        assert_eq!(at(other.tree(subscription), "n")["properties"]["n"], number.get());
    }
    alice.check_mirrors().await;
}

#[tokio::test]
async fn a_connection_name_with_another_epoch_closes_nothing() {
    let (engine, _) = app();
    let (mut alice, _) = watching(&engine, Session::new("s")).await;
    let (other, _) = watching(&engine, Session::new("s")).await;
    alice.start_subscription(
        json!({"path": "/n", "resume": {"epoch": "another", "version": 1, "connection": other.name()}}),
    );
    assert_eq!(kinds(&alice.settled().await), ["snapshot"]);
    assert_eq!(other.connection().try_next_frame(), None);
}

#[tokio::test]
async fn connection_names_reveal_neither_their_number_nor_other_names() {
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
    let (engine, clock) = clocked(|_| {});
    let number = on(&engine);
    let log = Log::of(&engine);
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
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
    on(&engine);
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    let old = consumer.supersede().await;
    assert_eq!(kinds(&consumer.settled().await), ["snapshot"]);
    assert_eq!(kinds(&taken(&old)), ["event", "closed"]);
}

#[tokio::test]
async fn no_patch_overtakes_the_resumed_message() {
    // After so many answers patches have their turn, whatever else waits.
    for queries in [0, 15, 16, 17, 40] {
        let (engine, number) = app();
        let (mut consumer, _) = watching(&engine, Session::new("s")).await;
        let version = consumer.query_with(json!({"path": "/n"})).await["version"].clone();
        change(&engine, &number).await;
        let new = engine.connect(&Session::new("s")).unwrap();
        for id in 0..queries {
            new.receive(&json!({"type": "query", "id": id, "path": "/n", "depth": 0}).to_string());
        }
        let subscribe = json!({"type": "subscribe", "id": "s", "path": "/", "depth": -1,
            "resume": {"epoch": consumer.epoch(), "version": version, "connection": consumer.name()}});
        new.receive(&subscribe.to_string());
        assert_eq!(kinds(&taken(&new))[queries + 1..], ["resumed", "patch"], "after {queries} answers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_continuous_changes_nothing_is_lost_or_duplicated() {
    let (engine, number) = app();
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
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
    let (mut resumed, mut anew) = (0, 0);
    for round in 0..300 {
        // Every message is checked by the mirrors: numbering, versions, and that each operation fits.
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
            if kind == "resumed" { resumed += 1 } else { anew += 1 }
        }
        assert_eq!(taken(&old).last().map(|last| last["type"].clone()), Some("closed".into()));
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    changes.await.unwrap();
    assert!(resumed > 0, "{anew} times anew");
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn resume_points_of_a_session_are_limited_and_the_oldest_is_evicted_first() {
    let engine = engine_with(|config| config.limits.resume_points_per_session = 2);
    on(&engine);
    let log = Log::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for path in ["/", "/n", "/todos"] {
        consumer.subscribe_with(json!({"path": path, "depth": -1})).await;
    }
    consumer.reconnect().await;
    assert_eq!(kinds(&consumer.settled().await), ["snapshot", "resumed", "resumed"]);
    assert_eq!(log.count(|event| matches!(event, Event::ResumePointsEvicted { subscriptions: 1, .. })), 1);
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn a_tab_is_never_superseded_even_by_its_name() {
    let (engine, _) = app();
    let tab = engine.connect_tab(&Session::new("s")).unwrap();
    assert_eq!(taken(&tab).len(), 1, "`connect`");
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let other = engine.connect(&Session::new("s")).unwrap();
    let resume = json!({"epoch": consumer.epoch(), "version": 1, "connection": engine.connection_name(&tab)});
    other.receive(&json!({"type": "subscribe", "id": "s", "resume": resume}).to_string());
    engine.settle().await;
    assert_eq!(taken(&tab), Vec::<Value>::new());
    assert_eq!(kinds(&taken(&other)), ["hello", "snapshot"]);
}
