//! What is evicted and when, and that no data is lost by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Clock, ConnectError, Descriptor, Engine, Event, Limit, Scope, Session};
use serde_json::Value;

use crate::fixtures::{
    EventLog, Gate, SharedNumber, Todos, child_ids, connect_and_subscribe, engine_with_clock, error_code, evaluations,
    message_types, node_at, user_session,
};

/// An engine with the default timeouts: trees are evicted after 60 s, sessions after 30 minutes.
fn engine_with_log() -> (Engine, Arc<ManualClock>, EventLog) {
    let (engine, clock) = engine_with_clock(|_| {});
    let log = EventLog::of(&engine);
    (engine, clock, log)
}

async fn advance(engine: &Engine, clock: &ManualClock, ms: u64) {
    clock.advance(ms);
    engine.settle().await;
}

fn evictions(log: &EventLog) -> Vec<(String, &'static str)> {
    let eviction = |event: &Event| match event {
        Event::TreeEvicted { session, reason } => Some((session.to_string(), reason.as_str())),
        _ => None,
    };
    log.all().iter().filter_map(eviction).collect()
}

fn closings(log: &EventLog) -> Vec<(String, &'static str)> {
    let closing = |event: &Event| match event {
        Event::SessionClosed { session, reason } => Some((session.to_string(), reason.as_str())),
        _ => None,
    };
    log.all().iter().filter_map(closing).collect()
}

#[tokio::test]
async fn without_consumers_the_tree_is_evicted_first_and_the_session_later() {
    let (engine, clock, log) = engine_with_log();
    SharedNumber::serve(&engine, "n");
    let bare = engine.stats().tree_bytes;
    let (consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    advance(&engine, &clock, 10 * 60_000).await;
    assert_eq!((engine.stats().trees, evictions(&log).len()), (1, 0), "a connected consumer keeps it");
    drop(consumer);
    advance(&engine, &clock, 59_999).await;
    assert_eq!(engine.stats().trees, 1);
    advance(&engine, &clock, 1).await;
    let stats = engine.stats();
    assert_eq!((stats.trees, stats.sessions, stats.tree_bytes), (0, 1, bare));
    assert_eq!(evictions(&log), [("s".to_owned(), "idle")]);
    advance(&engine, &clock, 29 * 60_000 - 1).await;
    assert_eq!(engine.stats().sessions, 1);
    assert_eq!(engine.refresh(Scope::user("alice")), 1, "the session is still open");
    advance(&engine, &clock, 1).await;
    assert_eq!(engine.stats().sessions, 0);
    assert_eq!(closings(&log), [("s".to_owned(), "idle")]);
    assert_eq!(engine.refresh(Scope::user("alice")), 0);
}

#[tokio::test]
async fn after_a_second_connection_the_tree_is_evicted_as_soon_as_after_the_first() {
    let (engine, clock, log) = engine_with_log();
    drop(connect_and_subscribe(&engine, Session::new("s")).await);
    advance(&engine, &clock, 120_000).await;
    assert_eq!(evictions(&log).len(), 1);
    drop(connect_and_subscribe(&engine, Session::new("s")).await);
    advance(&engine, &clock, 60_000).await;
    assert_eq!((engine.stats().trees, evictions(&log).len()), (0, 2));
    // The session is closed half an hour after the last connection, not the first.
    advance(&engine, &clock, 29 * 60_000 - 1).await;
    assert_eq!(engine.stats().sessions, 1);
    advance(&engine, &clock, 1).await;
    assert_eq!(engine.stats().sessions, 0);
}

#[tokio::test]
async fn reconnecting_before_the_eviction_finds_the_tree_unchanged() {
    let (engine, clock, log) = engine_with_log();
    SharedNumber::serve(&engine, "n");
    let (consumer, id) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let before = consumer.tree(&id).clone();
    drop(consumer);
    advance(&engine, &clock, 59_000).await;
    let (consumer, id) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    assert_eq!((consumer.tree(&id), evaluations(&engine, "/n")), (&before, 1));
    advance(&engine, &clock, 59_000).await;
    assert_eq!(evictions(&log), [], "the idle time restarts with each connection");
}

#[tokio::test]
async fn reconnecting_after_an_eviction_renders_the_same_tree_again() {
    let (engine, clock, _log) = engine_with_log();
    let todos = Todos::serve(&engine);
    todos.push("alice", "one");
    let (consumer, id) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let before = consumer.tree(&id).clone();
    drop(consumer);
    advance(&engine, &clock, 60_000).await;
    let (consumer, id) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    assert_eq!((consumer.tree(&id), evaluations(&engine, "/todos")), (&before, 2));
}

#[tokio::test]
async fn a_session_outlives_its_connections_and_takes_the_claims_of_new_ones() {
    let (engine, clock, log) = engine_with_log();
    let todos = Todos::serve(&engine);
    todos.push("alice", "one");
    drop(connect_and_subscribe(&engine, user_session("s", "alice")).await);
    advance(&engine, &clock, 20 * 60_000).await;
    let (mut consumer, id) = connect_and_subscribe(&engine, user_session("s", "alice").with_permission("write")).await;
    assert_eq!(log.count(|event| matches!(event, Event::SessionOpened { .. })), 1, "the session was not opened again");
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "context")["properties"]["permissions"], serde_json::json!(["write"]));
    assert_eq!(consumer.invoke("/todos/t1", "toggle", Value::Null).await["status"], "ok");
}

#[tokio::test]
async fn a_connection_with_new_claims_never_sees_the_tree_of_the_old_claims() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    engine.register("board", |session: &Session| Descriptor::group().prop("org", session.attribute("org")));
    drop(connect_and_subscribe(&engine, user_session("s", "alice").with_attribute("org", "acme")).await);
    clock.advance(1_000);
    engine.settle().await;
    let mut consumer = TestConsumer::connect(&engine, user_session("s", "alice").with_attribute("org", "globex")).await;
    let id = consumer.start_subscription(serde_json::json!({"path": "/", "depth": -1}));
    consumer.send(&serde_json::json!({"type": "query", "id": "q", "path": "/board"}));
    let mut messages = consumer.settled().await;
    clock.advance(50);
    messages.extend(consumer.settled().await);
    assert!(!format!("{messages:?}").contains("acme"), "{messages:?}");
    assert_eq!(node_at(consumer.tree(&id), "board")["properties"]["org"], "globex");
}

#[tokio::test]
async fn an_evicted_session_is_opened_again_with_the_current_claims() {
    let (engine, clock, log) = engine_with_log();
    engine.register("context", |session: &Session| Descriptor::context_of(session));
    drop(connect_and_subscribe(&engine, user_session("s", "alice")).await);
    advance(&engine, &clock, 30 * 60_000).await;
    let (consumer, id) = connect_and_subscribe(&engine, user_session("s", "amir")).await;
    assert_eq!(node_at(consumer.tree(&id), "context")["properties"]["user"], "amir");
    assert_eq!(log.count(|event| matches!(event, Event::SessionOpened { .. })), 2);
}

#[tokio::test]
async fn eviction_affects_only_cached_data() {
    let (engine, clock, log) = engine_with_log();
    let todos = Todos::serve(&engine);
    todos.push("alice", "one");
    drop(connect_and_subscribe(&engine, user_session("s", "alice").with_permission("write")).await);
    let before = evaluations(&engine, "/todos");
    advance(&engine, &clock, 60_000).await;
    advance(&engine, &clock, 29 * 60_000).await;
    assert_eq!((evictions(&log).len(), closings(&log).len()), (1, 1));
    assert_eq!((evaluations(&engine, "/todos"), todos.calls()), (before, Vec::new()), "no application code ran");
    assert_eq!(todos.of("alice").len(), 1);
}

#[tokio::test]
async fn a_refresh_renders_nothing_for_a_session_without_a_tree() {
    let (engine, clock, _log) = engine_with_log();
    SharedNumber::serve(&engine, "n");
    drop(connect_and_subscribe(&engine, Session::new("s")).await);
    advance(&engine, &clock, 60_000).await;
    engine.open_session(&Session::new("never-connected")).unwrap();
    let before = evaluations(&engine, "/n");
    assert_eq!(engine.refresh_now(Scope::all()).await, 2);
    assert_eq!((evaluations(&engine, "/n"), engine.stats().trees), (before, 0));
}

#[tokio::test]
async fn an_expired_session_is_closed_together_with_its_connections() {
    let (engine, clock, log) = engine_with_log();
    let expiry = clock.wall() + Duration::from_secs(90);
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice").with_expiry(expiry)).await;
    let (mut other, _) = connect_and_subscribe(&engine, user_session("t", "alice")).await;
    advance(&engine, &clock, 89_999).await;
    assert_eq!(consumer.query("/").await["id"], "app");
    advance(&engine, &clock, 1).await;
    let last = consumer.settled().await;
    assert_eq!((message_types(&last).last(), consumer.closed()), (Some(&"closed"), Some(4401)));
    assert!(last.last().unwrap()["reason"].as_str().unwrap().contains("expired"));
    assert_eq!((engine.stats().sessions, closings(&log)), (1, vec![("s".to_owned(), "expired")]));
    assert_eq!(engine.connect(&user_session("s", "alice").with_expiry(expiry)).map(drop), Err(ConnectError::Expired));
    assert_eq!(other.query("/").await["id"], "app");
    // A connection with a later expiry is accepted.
    let later = clock.wall() + Duration::from_secs(90);
    let mut consumer = TestConsumer::connect(&engine, user_session("s", "alice").with_expiry(later)).await;
    assert_eq!(consumer.query("/").await["id"], "app");
}

#[tokio::test]
async fn a_session_ends_at_its_expiry_or_idle_timeout_whichever_comes_first() {
    let (engine, clock, log) = engine_with_log();
    let in_s = |s: u64| clock.wall() + Duration::from_secs(s);
    engine.open_session(&Session::new("expires-first").with_expiry(in_s(600))).unwrap();
    engine.open_session(&Session::new("idles-first").with_expiry(in_s(7200))).unwrap();
    advance(&engine, &clock, 600_000).await;
    assert_eq!(closings(&log), [("expires-first".to_owned(), "expired")]);
    advance(&engine, &clock, 1_200_000).await;
    assert_eq!(closings(&log)[1..], [("idles-first".to_owned(), "idle")]);
}

#[tokio::test]
async fn an_expiry_can_be_brought_forward() {
    let (engine, clock, _log) = engine_with_log();
    let in_s = |s: u64| clock.wall() + Duration::from_secs(s);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s").with_expiry(in_s(3600))).await;
    engine.update_session(&Session::new("s").with_expiry(in_s(60)));
    advance(&engine, &clock, 60_000).await;
    consumer.settled().await;
    assert_eq!(consumer.closed(), Some(4401));
}

#[tokio::test]
async fn an_expiry_can_be_postponed_or_removed() {
    let (engine, clock, _log) = engine_with_log();
    let in_s = |s: u64| clock.wall() + Duration::from_secs(s);
    let (mut first, _) = connect_and_subscribe(&engine, Session::new("a").with_expiry(in_s(60))).await;
    let (mut second, _) = connect_and_subscribe(&engine, Session::new("b").with_expiry(in_s(60))).await;
    engine.update_session(&Session::new("a").with_expiry(in_s(120)));
    engine.update_session(&Session::new("b"));
    advance(&engine, &clock, 60_000).await;
    first.settled().await;
    second.settled().await;
    assert_eq!((first.closed(), second.closed()), (None, None));
    advance(&engine, &clock, 60_000).await;
    first.settled().await;
    second.settled().await;
    assert_eq!((first.closed(), second.closed()), (Some(4401), None));
}

#[tokio::test]
async fn above_the_limit_of_idle_trees_the_least_recently_used_is_evicted() {
    let (engine, _clock) = engine_with_clock(|config| config.memory.idle_trees = 3);
    let log = EventLog::of(&engine);
    let (_connected, _) = connect_and_subscribe(&engine, Session::new("connected")).await;
    for id in ["a", "b", "c"] {
        drop(connect_and_subscribe(&engine, Session::new(id)).await);
    }
    // `a` is used again, so `b` is the oldest.
    drop(connect_and_subscribe(&engine, Session::new("a")).await);
    assert_eq!(evictions(&log), []);
    drop(connect_and_subscribe(&engine, Session::new("d")).await);
    engine.settle().await;
    assert_eq!(evictions(&log), [("b".to_owned(), "least_recent")]);
    drop(connect_and_subscribe(&engine, Session::new("e")).await);
    engine.settle().await;
    assert_eq!(evictions(&log)[1..], [("c".to_owned(), "least_recent")]);
    let stats = engine.stats();
    assert_eq!(
        (stats.trees, stats.sessions),
        (4, 6),
        "three idle trees and the connected one; every session is still open"
    );
}

/// An engine in which each session's tree contains its own text of 4,000 bytes.
fn engine_with_large_trees(max_tree_bytes: usize) -> (Engine, EventLog) {
    let (engine, _clock) = engine_with_clock(|config| config.memory.tree_bytes = max_tree_bytes);
    engine.register("own", |session: &Session| Descriptor::group().prop("text", session.id().repeat(2_000)));
    let log = EventLog::of(&engine);
    (engine, log)
}

#[tokio::test]
async fn above_the_limit_of_tree_bytes_idle_trees_are_evicted_and_trees_in_use_stay() {
    let (engine, log) = engine_with_large_trees(20_000);
    let (mut connected, _) = connect_and_subscribe(&engine, Session::new("p0")).await;
    for id in ["a1", "b2", "c3", "d4", "e5", "f6"] {
        drop(connect_and_subscribe(&engine, Session::new(id)).await);
        engine.settle().await;
    }
    let evicted = evictions(&log);
    assert_eq!(evicted.first(), Some(&("a1".to_owned(), "bytes")), "the least recently used goes first");
    assert!(evicted.iter().all(|(session, reason)| session != "p0" && *reason == "bytes"));
    let stats = engine.stats();
    assert!(stats.tree_bytes <= 20_000 && stats.sessions == 7, "{stats:?}");
    assert_eq!(connected.query("/own").await["properties"]["text"].as_str().map(str::len), Some(4_000));
}

#[tokio::test]
async fn a_new_session_is_refused_when_trees_in_use_exceed_the_byte_limit() {
    let (engine, log) = engine_with_large_trees(10_000);
    let mut consumers = Vec::new();
    for id in ["a1", "b2", "c3"] {
        consumers.push(connect_and_subscribe(&engine, Session::new(id)).await);
    }
    assert!(engine.stats().tree_bytes > 10_000);
    assert_eq!(engine.connect(&Session::new("d4")).map(drop), Err(ConnectError::LimitReached(Limit::TreeBytes)));
    let reached = |event: &Event| matches!(event, Event::LimitReached { limit: Limit::TreeBytes, .. });
    assert!(log.all().iter().any(reached));
    assert!(engine.connect(&Session::new("a1")).is_ok(), "an open session may connect again");
    consumers.clear();
    assert!(engine.connect(&Session::new("d4")).is_ok(), "it is below the limit again");
}

#[tokio::test]
async fn at_the_session_limit_the_least_recently_used_idle_session_is_closed() {
    let (engine, clock) = engine_with_clock(|config| config.limits.sessions = 3);
    let log = EventLog::of(&engine);
    let (_connected, _) = connect_and_subscribe(&engine, Session::new("connected")).await;
    for id in ["a", "b"] {
        drop(connect_and_subscribe(&engine, Session::new(id)).await);
        clock.advance(1_000);
    }
    drop(connect_and_subscribe(&engine, Session::new("a")).await);
    clock.advance(1_000);
    let (_new, _) = connect_and_subscribe(&engine, Session::new("c")).await;
    assert_eq!(closings(&log), [("b".to_owned(), "least_recent")]);
    let (_newer, _) = connect_and_subscribe(&engine, Session::new("d")).await;
    assert_eq!(closings(&log)[1..], [("a".to_owned(), "least_recent")]);
    // All sessions are connected now, so none is closed for a new one.
    assert_eq!(engine.connect(&Session::new("e")).map(drop), Err(ConnectError::LimitReached(Limit::Sessions)));
    assert_eq!((engine.stats().sessions, log.limit_count(Limit::Sessions)), (3, 1));
}

#[tokio::test]
async fn a_closed_session_can_be_opened_again() {
    let (engine, _clock, log) = engine_with_log();
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert!(engine.close_session("s"));
    assert!(!engine.close_session("s"));
    consumer.settled().await;
    assert_eq!((consumer.closed(), engine.stats().sessions), (Some(1000), 0));
    assert_eq!(closings(&log), [("s".to_owned(), "closed")]);
    // A late message on the old connection has no effect.
    consumer.send(&serde_json::json!({"type": "query", "id": "late"}));
    let (mut again, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    drop(consumer);
    engine.settle().await;
    assert_eq!((engine.stats().sessions, child_ids(again.tree(&id)).len()), (1, 0));
    assert_eq!(error_code(&again.invoke("/x", "y", Value::Null).await), "not_found");
}

#[tokio::test]
async fn a_tree_rendered_after_its_consumer_left_is_evicted_like_any_other() {
    let (engine, clock, log) = engine_with_log();
    let mut leaver = TestConsumer::silent(&engine, Session::new("s"));
    leaver.start_subscription(serde_json::json!({"path": "/"}));
    drop(leaver);
    engine.settle().await;
    assert_eq!(engine.stats().trees, 1, "it was being rendered");
    advance(&engine, &clock, 60_000).await;
    assert_eq!((engine.stats().trees, evictions(&log)), (0, vec![("s".to_owned(), "idle")]));
}

#[tokio::test]
async fn a_tree_in_use_by_a_pass_is_evicted_later() {
    let (engine, clock) = engine_with_clock(|config| config.memory.idle_trees = 1);
    let (gate, blocked) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let (source_gate, blocks) = (gate.clone(), Arc::clone(&blocked));
    engine.register("n", move |session: &Session| {
        if session.id() == "a" && blocks.load(Ordering::SeqCst) {
            source_gate.wait();
        }
        Descriptor::group()
    });
    drop(connect_and_subscribe(&engine, Session::new("a")).await);
    let (other, _) = connect_and_subscribe(&engine, Session::new("b")).await;
    blocked.store(true, Ordering::SeqCst);
    engine.refresh(Scope::session("a"));
    gate.wait_for_arrivals(1).await;
    // There is one tree above the limit now, and the one of `a` is the oldest.
    drop(other);
    gate.open();
    engine.settle().await;
    advance(&engine, &clock, 60_000).await;
    assert_eq!(engine.stats().trees, 0, "no tree was left behind");
}
