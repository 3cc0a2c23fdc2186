//! What breaks in application code stays where it broke, and the rest goes on.

use std::sync::Arc;

use grove_engine::testing::TestConsumer;
use grove_engine::{Descriptor, Engine, Event, PanicSite, Scope, Session};
use parking_lot::Mutex;
use serde_json::json;

use crate::apps::{Log, Number, at, engine, ids, person, watching};

/// How the source at `/frail` behaves for sessions that have the permission `frail`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well(i64),
    Panics,
    Fails,
}

#[derive(Clone)]
struct Frail(Arc<Mutex<Mood>>);

impl Frail {
    fn serve(engine: &Engine) -> Self {
        let frail = Self(Arc::new(Mutex::new(Mood::Well(0))));
        let mood = Arc::clone(&frail.0);
        engine.register("frail", move |session: &Session| -> Result<Descriptor, String> {
            let mood = *mood.lock();
            let mood = if session.can("frail") { mood } else { Mood::Well(0) };
            match mood {
                Mood::Well(n) => Ok(Descriptor::status().prop("n", n)),
                Mood::Panics => panic!("postgres://user:secret@10.0.0.1"),
                Mood::Fails => Err("postgres://user:secret@10.0.0.1 is away".to_owned()),
            }
        });
        engine.register("sound", |_: &Session| Descriptor::status());
        frail
    }

    async fn turn(&self, engine: &Engine, mood: Mood) {
        *self.0.lock() = mood;
        engine.refresh_now(Scope::all()).await;
    }
}

fn failures(log: &Log) -> usize {
    log.count(
        |event| matches!(event, Event::SourceFailed { path, why, .. } if path == "frail" && why.contains("secret")),
    )
}

#[tokio::test]
async fn a_failing_descriptor_keeps_its_last_good_content_and_affects_nothing_else() {
    for broken in [Mood::Panics, Mood::Fails] {
        let engine = engine();
        let frail = Frail::serve(&engine);
        let number = Number::at(&engine, "n");
        let log = Log::of(&engine);
        let (mut alice, hers) = watching(&engine, person("a", "alice").with_permission("frail")).await;
        let (mut bob, his) = watching(&engine, person("b", "bob")).await;
        frail.turn(&engine, Mood::Well(1)).await;
        number.set(1);
        frail.turn(&engine, broken).await;
        alice.check_mirrors().await;
        bob.check_mirrors().await;
        assert_eq!(at(alice.tree(&hers), "frail")["properties"], json!({"n": 1}), "the last good content");
        assert_eq!(at(alice.tree(&hers), "n")["properties"]["n"], 1, "the rest of the tree goes on");
        assert_eq!(at(bob.tree(&his), "n")["properties"]["n"], 1, "and so do other sessions");
        assert_eq!(failures(&log), 1);
        frail.turn(&engine, Mood::Well(2)).await;
        alice.check_mirrors().await;
        assert_eq!(at(alice.tree(&hers), "frail")["properties"], json!({"n": 2}), "it recovers");
    }
}

#[tokio::test]
async fn a_descriptor_that_has_never_succeeded_shows_only_that_it_is_unavailable() {
    for broken in [Mood::Panics, Mood::Fails] {
        let engine = engine();
        let frail = Frail::serve(&engine);
        frail.turn(&engine, broken).await;
        let log = Log::of(&engine);
        let (mut alice, hers) = watching(&engine, person("a", "alice").with_permission("frail")).await;
        let (bob, his) = watching(&engine, person("b", "bob")).await;
        let expected = json!({"id": "frail", "type": "status", "properties": {"error": "unavailable"}});
        assert_eq!(*at(alice.tree(&hers), "frail"), expected);
        assert_eq!(ids(alice.tree(&hers)), ["frail", "sound"]);
        assert_eq!(at(bob.tree(&his), "frail")["properties"], json!({"n": 0}));
        assert_eq!(failures(&log), 1);
        frail.turn(&engine, Mood::Well(5)).await;
        alice.check_mirrors().await;
        assert_eq!(at(alice.tree(&hers), "frail")["properties"], json!({"n": 5}));
    }
}

#[tokio::test]
async fn async_descriptors_fail_the_same_way() {
    let engine = engine();
    let log = Log::of(&engine);
    engine.register_async("early", |_: Session| -> std::future::Ready<Descriptor> { panic!("boom") });
    engine.register_async("late", |_: Session| async {
        tokio::task::yield_now().await;
        panic!("boom") as Descriptor
    });
    engine.register_async("err", |_: Session| async { Err::<Descriptor, _>("no") });
    engine.register_async("well", |_: Session| async { Ok::<_, String>(Descriptor::group()) });
    let (consumer, id) = watching(&engine, Session::new("s")).await;
    for path in ["early", "late", "err"] {
        assert_eq!(at(consumer.tree(&id), path)["properties"], json!({"error": "unavailable"}), "{path}");
    }
    assert_eq!(at(consumer.tree(&id), "well")["type"], "group");
    assert_eq!(log.count(|event| matches!(event, Event::SourceFailed { .. })), 3);
}

#[tokio::test]
async fn a_failing_root_is_still_a_root() {
    let engine = engine();
    engine.register("/", |_: &Session| -> Descriptor { panic!("boom") });
    engine.register("n", |_: &Session| Descriptor::status());
    let (consumer, id) = watching(&engine, Session::new("s")).await;
    let root = consumer.tree(&id);
    assert_eq!((root["id"].as_str(), root["type"].as_str(), ids(root)), (Some("app"), Some("root"), vec!["n"]));
    assert_eq!(root["properties"], json!({"label": "App", "error": "unavailable"}));
}

#[tokio::test]
async fn a_failing_source_runs_once_per_read_class_and_blocks_nobody() {
    let engine = engine();
    let log = Log::of(&engine);
    engine.register("n", |_: &Session| -> Descriptor { panic!("boom") });
    let mut consumers = Vec::new();
    for id in 0..100 {
        consumers.push(watching(&engine, Session::new(format!("s{id}"))).await);
    }
    log.clear();
    engine.refresh_now(Scope::all()).await;
    assert_eq!(log.count(|event| matches!(event, Event::SourceFailed { .. })), 1);
}

#[tokio::test]
async fn a_predicate_that_panics_for_one_session_skips_only_that_session() {
    let engine = engine();
    let number = Number::at(&engine, "n");
    let log = Log::of(&engine);
    let (mut alice, _) = watching(&engine, person("a", "alice")).await;
    let (mut bob, _) = watching(&engine, person("b", "bob")).await;
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
    let log = Log::of(&engine);
    let number = Number::at(&engine, "n");
    let (mut consumer, id) = watching(&engine, Session::new("s")).await;
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    consumer.check_mirrors().await;
    assert_eq!(at(consumer.tree(&id), "n")["properties"]["n"], 1);
    assert_eq!(
        log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Observer, why } if why.contains("boom"))),
        2
    );
    assert_eq!(log.count(|event| matches!(event, Event::Committed { .. })), 2, "the others are told all the same");
}

#[tokio::test]
async fn an_observer_may_call_the_engine() {
    let engine = engine();
    let weak = engine.clone();
    let seen = Arc::new(Mutex::new(0));
    let note = Arc::clone(&seen);
    engine.observe(move |_| {
        let stats = weak.stats();
        *note.lock() = stats.connections;
    });
    let (mut consumer, _) = watching(&engine, Session::new("s")).await;
    consumer.query("/").await;
    assert_eq!(*seen.lock(), 1);
    let mut second = TestConsumer::connect(&engine, Session::new("s")).await;
    second.query("/").await;
}

#[tokio::test]
async fn last_good_content_is_not_kept_across_a_change_of_claims() {
    let engine = engine();
    let frail = Frail::serve(&engine);
    let session = |org: &str| person("s", "alice").with_permission("frail").with_attribute("org", org);
    let (mut consumer, id) = watching(&engine, session("acme")).await;
    frail.turn(&engine, Mood::Well(7)).await;
    consumer.settled().await;
    assert_eq!(at(consumer.tree(&id), "frail")["properties"]["n"], 7);
    *frail.0.lock() = Mood::Fails;
    assert!(engine.update_session(&session("globex")));
    consumer.settled().await;
    assert_eq!(at(consumer.tree(&id), "frail")["properties"], json!({"error": "unavailable"}));
    consumer.check_mirrors().await;
}
