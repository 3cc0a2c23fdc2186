//! Provider-per-session mode: each session has a registry of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Config, ConnectError, Descriptor, Engine, Instance, Scope, Session, Source};
use serde_json::Value;

fn session(user: &str) -> Session {
    Session::new(format!("session-of-{user}")).with_user(user)
}

fn notes(user: &str) -> Descriptor {
    Descriptor::collection().prop("owner", user)
}

fn engine() -> Engine {
    let factory = |session: &Session| {
        let user = session.user().unwrap_or_default().to_owned();
        Instance::new().register("notes", move || notes(&user))
    };
    Engine::builder("app", "App").config(Config::immediate()).per_session(factory).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_that_take_nothing_close_over_their_session() {
    let engine = engine();
    for user in ["alice", "bob"] {
        let mut consumer = TestConsumer::connect(&engine, session(user)).await;
        assert_eq!(consumer.query("/notes").await["properties"]["owner"], user);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_registers_is_in_no_other() {
    let engine = engine();
    let mut alice = TestConsumer::connect(&engine, session("alice")).await;
    let mut bob = TestConsumer::connect(&engine, session("bob")).await;
    alice.subscribe("/").await;
    bob.subscribe("/").await;
    engine.register_for("session-of-alice", "extra", Source::new(|_: &Session| Descriptor::status())).unwrap();
    alice.settled().await;
    assert_eq!(alice.query("/extra").await["type"], "status");
    assert!(bob.settled().await.is_empty());
    assert_eq!(bob.query("/extra").await, Value::Null);
    alice.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_factory_runs_once_for_two_sockets_of_one_session() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let engine = Engine::builder("app", "App")
        .config(Config::immediate())
        .per_session(move |_: &Session| {
            count.fetch_add(1, Ordering::SeqCst);
            Instance::new().register("notes", Descriptor::collection)
        })
        .build();
    let mut first = TestConsumer::connect(&engine, session("alice")).await;
    let mut second = TestConsumer::connect(&engine, session("alice")).await;
    assert_eq!(first.subscribe("/").await.1, second.subscribe("/").await.1);
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_one_instance_touches_no_other() {
    let engine = Engine::builder("app", "App")
        .config(Config::immediate())
        .per_session(|session: &Session| {
            let user = session.user().unwrap_or_default().to_owned();
            assert_ne!(user, "mallory", "no provider for mallory");
            Instance::new().register("notes", move || {
                assert_ne!(user, "alice", "alice's notes are broken");
                notes(&user)
            })
        })
        .build();
    let refused = engine.connect(&session("mallory")).unwrap_err();
    assert_eq!(refused, ConnectError::Broken);
    let mut alice = TestConsumer::connect(&engine, session("alice")).await;
    let mut bob = TestConsumer::connect(&engine, session("bob")).await;
    assert_eq!(alice.query("/notes").await["properties"]["error"], "unavailable");
    assert_eq!(bob.query("/notes").await["properties"]["owner"], "bob");
    assert_eq!(engine.stats().sessions, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_change_reaches_exactly_the_sessions_of_the_users_it_means() {
    let engine = engine();
    let mut alice = TestConsumer::connect(&engine, session("alice")).await;
    let mut bob = TestConsumer::connect(&engine, session("bob")).await;
    alice.subscribe("/").await;
    bob.subscribe("/").await;
    let before = engine.stats().evaluations["/notes"];
    assert_eq!(engine.refresh_now(Scope::user("alice")).await, 1);
    assert_eq!(engine.stats().evaluations["/notes"], before + 1);
    assert_eq!(engine.refresh_now(Scope::all()).await, 2);
    assert_eq!(engine.stats().evaluations["/notes"], before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_ends_an_instance_and_idleness_does_too() {
    let clock = ManualClock::new();
    let held = Arc::new(());
    let data = Arc::clone(&held);
    let mut config = Config::immediate();
    (config.idle_tree_ms, config.idle_session_ms) = (1_000, 5_000);
    let engine = Engine::builder("app", "App")
        .config(config)
        .clock(clock.clone())
        .per_session(move |_: &Session| {
            let data = Arc::clone(&data);
            Instance::new().register("notes", move || Descriptor::collection().prop("count", Arc::strong_count(&data)))
        })
        .build();
    let mut consumer = TestConsumer::connect(&engine, session("alice")).await;
    consumer.subscribe("/").await;
    assert_eq!(Arc::strong_count(&held), 3);
    engine.close_session("session-of-alice");
    assert_eq!(consumer.next().await["type"], "closed");
    drop(consumer);
    engine.settle().await;
    assert_eq!(Arc::strong_count(&held), 2, "the instance and all it held are gone");
    let mut consumer = TestConsumer::connect(&engine, session("alice")).await;
    consumer.query("/").await;
    assert_eq!(Arc::strong_count(&held), 3);
    drop(consumer);
    for _ in 0..2 {
        clock.advance(5_000);
        engine.settle().await;
    }
    assert_eq!(Arc::strong_count(&held), 2);
    assert_eq!(engine.stats().sessions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_claims_make_a_new_instance() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, session("alice")).await;
    consumer.subscribe("/").await;
    assert!(engine.update_session(&Session::new("session-of-alice").with_user("alina")));
    consumer.settled().await;
    assert_eq!(consumer.query("/notes").await["properties"]["owner"], "alina");
    consumer.check_mirrors().await;
}
