//! A fault in application code affects only what depends on it.

use std::sync::Arc;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Descriptor, Engine, Event, PanicSite, Scope, Session};
use parking_lot::Mutex;
use serde_json::json;

use crate::fixtures::{
    EventLog, SharedNumber, child_ids, connect_and_subscribe, engine, engine_with_clock, node_at, user_session,
};

/// How the source at `/fragile` behaves for sessions that have the permission `fragile`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Works(i64),
    Panics,
    Fails,
}

#[derive(Clone)]
struct Fragile(Arc<Mutex<Behaviour>>);

impl Fragile {
    fn serve(engine: &Engine) -> Self {
        let fragile = Self(Arc::new(Mutex::new(Behaviour::Works(0))));
        let behaviour = Arc::clone(&fragile.0);
        engine.register("fragile", move |session: &Session| -> Result<Descriptor, String> {
            let behaviour = *behaviour.lock();
            let behaviour = if session.can("fragile") { behaviour } else { Behaviour::Works(0) };
            match behaviour {
                Behaviour::Works(n) => Ok(Descriptor::status().prop("n", n)),
                Behaviour::Panics => panic!("postgres://user:secret@10.0.0.1"),
                Behaviour::Fails => Err("postgres://user:secret@10.0.0.1 is unreachable".to_owned()),
            }
        });
        engine.register("stable", |_: &Session| Descriptor::status());
        fragile
    }

    async fn switch_to(&self, engine: &Engine, behaviour: Behaviour) {
        *self.0.lock() = behaviour;
        engine.refresh_now(Scope::all()).await;
    }
}

fn failures(log: &EventLog) -> usize {
    log.count(
        |event| matches!(event, Event::SourceFailed { path, why, .. } if path == "fragile" && why.contains("secret")),
    )
}

#[tokio::test]
async fn a_failing_descriptor_keeps_its_last_good_content_and_affects_nothing_else() {
    for broken in [Behaviour::Panics, Behaviour::Fails] {
        let engine = engine();
        let fragile = Fragile::serve(&engine);
        let number = SharedNumber::serve(&engine, "n");
        let log = EventLog::of(&engine);
        let (mut alice, alice_id) =
            connect_and_subscribe(&engine, user_session("a", "alice").with_permission("fragile")).await;
        let (mut bob, bob_id) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
        fragile.switch_to(&engine, Behaviour::Works(1)).await;
        number.set(1);
        fragile.switch_to(&engine, broken).await;
        alice.check_mirrors().await;
        bob.check_mirrors().await;
        assert_eq!(
            node_at(alice.tree(&alice_id), "fragile")["properties"],
            json!({"n": 1}),
            "the last good content is kept"
        );
        assert_eq!(node_at(alice.tree(&alice_id), "n")["properties"]["n"], 1, "the rest of the tree is updated");
        assert_eq!(node_at(bob.tree(&bob_id), "n")["properties"]["n"], 1, "other sessions are updated");
        assert_eq!(failures(&log), 1);
        fragile.switch_to(&engine, Behaviour::Works(2)).await;
        alice.check_mirrors().await;
        assert_eq!(node_at(alice.tree(&alice_id), "fragile")["properties"], json!({"n": 2}), "it recovers");
    }
}

#[tokio::test]
async fn a_descriptor_that_has_never_succeeded_shows_only_that_it_is_unavailable() {
    for broken in [Behaviour::Panics, Behaviour::Fails] {
        let engine = engine();
        let fragile = Fragile::serve(&engine);
        fragile.switch_to(&engine, broken).await;
        let log = EventLog::of(&engine);
        let (mut alice, alice_id) =
            connect_and_subscribe(&engine, user_session("a", "alice").with_permission("fragile")).await;
        let (bob, bob_id) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
        let expected = json!({"id": "fragile", "type": "status", "properties": {"error": "unavailable"}});
        assert_eq!(*node_at(alice.tree(&alice_id), "fragile"), expected);
        assert_eq!(child_ids(alice.tree(&alice_id)), ["fragile", "stable"]);
        assert_eq!(node_at(bob.tree(&bob_id), "fragile")["properties"], json!({"n": 0}));
        assert_eq!(failures(&log), 1);
        fragile.switch_to(&engine, Behaviour::Works(5)).await;
        alice.check_mirrors().await;
        assert_eq!(node_at(alice.tree(&alice_id), "fragile")["properties"], json!({"n": 5}));
    }
}

#[tokio::test]
async fn async_descriptors_fail_the_same_way() {
    let engine = engine();
    let log = EventLog::of(&engine);
    engine.register_async("early", |_: Session| -> std::future::Ready<Descriptor> { panic!("boom") });
    engine.register_async("late", |_: Session| async {
        tokio::task::yield_now().await;
        panic!("boom") as Descriptor
    });
    engine.register_async("err", |_: Session| async { Err::<Descriptor, _>("no") });
    engine.register_async("working", |_: Session| async { Ok::<_, String>(Descriptor::group()) });
    let (consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    for path in ["early", "late", "err"] {
        assert_eq!(node_at(consumer.tree(&id), path)["properties"], json!({"error": "unavailable"}), "{path}");
    }
    assert_eq!(node_at(consumer.tree(&id), "working")["type"], "group");
    assert_eq!(log.count(|event| matches!(event, Event::SourceFailed { .. })), 3);
}

#[tokio::test]
async fn a_failing_root_is_still_a_root() {
    let engine = engine();
    engine.register("/", |_: &Session| -> Descriptor { panic!("boom") });
    engine.register("n", |_: &Session| Descriptor::status());
    let (consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let root = consumer.tree(&id);
    assert_eq!((root["id"].as_str(), root["type"].as_str(), child_ids(root)), (Some("app"), Some("root"), vec!["n"]));
    assert_eq!(root["properties"], json!({"label": "App", "error": "unavailable"}));
}

#[tokio::test]
async fn a_failing_source_runs_once_per_read_class_and_blocks_nobody() {
    let engine = engine();
    let log = EventLog::of(&engine);
    engine.register("n", |_: &Session| -> Descriptor { panic!("boom") });
    let mut consumers = Vec::new();
    for id in 0..100 {
        consumers.push(connect_and_subscribe(&engine, Session::new(format!("s{id}"))).await);
    }
    log.clear();
    engine.refresh_now(Scope::all()).await;
    assert_eq!(log.count(|event| matches!(event, Event::Evaluated { path, .. } if path == "n")), 1);
}

/// What a source that always fails reports when it is evaluated for this many sessions: what is reported one by one, and
/// the numbers.
async fn reported(clock: &ManualClock, engine: &Engine, log: &EventLog, passes: usize) -> (usize, Vec<u64>) {
    log.clear();
    for _ in 0..passes {
        engine.refresh_now(Scope::all()).await;
    }
    clock.advance(1);
    let (mut single, mut numbers) = (0, Vec::new());
    for event in log.all() {
        match event {
            Event::SourceFailed { path, session, why, failures } if path == "n" => {
                if session.is_empty() {
                    assert!(why.contains(&format!("{failures} more failures")), "{why}");
                    numbers.push(failures);
                } else {
                    assert!(why.contains("no database") && why.len() < 300, "{why}");
                    single += 1;
                }
            }
            _ => {}
        }
    }
    (single, numbers)
}

#[tokio::test]
async fn of_a_source_that_goes_on_failing_32_failures_a_minute_are_reported_and_the_rest_is_counted() {
    let (engine, clock) = engine_with_clock(|_| {});
    engine.register("n", |session: &Session| {
        Err::<Descriptor, _>(format!("no database for {}: {}", session.id(), "x".repeat(10_000)))
    });
    engine.register("other", |_: &Session| Err::<Descriptor, _>("broken as well"));
    let log = EventLog::of(&engine);
    let mut consumers = Vec::new();
    for id in 0..10 {
        consumers.push(connect_and_subscribe(&engine, Session::new(format!("s{id}"))).await);
    }
    assert_eq!(reported(&clock, &engine, &log, 1).await, (10, vec![]));
    assert_eq!(reported(&clock, &engine, &log, 3).await, (12, vec![1]), "ten were reported before");
    assert_eq!(reported(&clock, &engine, &log, 20).await, (0, vec![]));
    clock.advance(60_000);
    assert_eq!(reported(&clock, &engine, &log, 1).await, (10, vec![217]), "none is lost");
    assert!(log.count(|event| matches!(event, Event::SourceFailed { path, .. } if path == "other")) > 0);
}

#[tokio::test]
async fn a_predicate_that_panics_for_one_session_skips_only_that_session() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let log = EventLog::of(&engine);
    let (mut alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    number.set(1);
    let scope = Scope::matching(|session| if session.user() == Some("alice") { panic!("boom") } else { true });
    assert_eq!(engine.refresh_now(scope).await, 1);
    assert_eq!((alice.settled().await.len(), bob.settled().await.len()), (0, 1));
    assert_eq!(log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Predicate, .. })), 1);
}

#[tokio::test]
async fn a_panic_in_an_observer_is_reported_to_the_others_and_has_no_other_effect() {
    let engine = engine();
    engine.observe(|event| {
        if matches!(event, Event::Committed { .. }) {
            panic!("boom");
        }
    });
    let log = EventLog::of(&engine);
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    consumer.check_mirrors().await;
    assert_eq!(node_at(consumer.tree(&id), "n")["properties"]["n"], 1);
    assert_eq!(
        log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Observer, why } if why.contains("boom"))),
        2
    );
    assert_eq!(
        log.count(|event| matches!(event, Event::Committed { .. })),
        2,
        "the other observers are still notified"
    );
}

#[tokio::test]
async fn an_observer_may_call_the_engine() {
    let engine = engine();
    let handle = engine.clone();
    let seen = Arc::new(Mutex::new(0));
    let record = Arc::clone(&seen);
    engine.observe(move |_| {
        let stats = handle.stats();
        *record.lock() = stats.connections;
    });
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.query("/").await;
    assert_eq!(*seen.lock(), 1);
    let mut second = TestConsumer::connect(&engine, Session::new("s")).await;
    second.query("/").await;
}

#[tokio::test]
async fn last_good_content_is_not_kept_across_a_change_of_claims() {
    let engine = engine();
    let fragile = Fragile::serve(&engine);
    let session = |org: &str| user_session("s", "alice").with_permission("fragile").with_attribute("org", org);
    let (mut consumer, id) = connect_and_subscribe(&engine, session("acme")).await;
    fragile.switch_to(&engine, Behaviour::Works(7)).await;
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "fragile")["properties"]["n"], 7);
    *fragile.0.lock() = Behaviour::Fails;
    assert!(engine.update_session(&session("globex")));
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "fragile")["properties"], json!({"error": "unavailable"}));
    consumer.check_mirrors().await;
}
