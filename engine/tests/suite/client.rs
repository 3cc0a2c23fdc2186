//! The consumer in the engine's own process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grove_engine::client::{Change, Client, Message, Mirror, Query};
use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Action, CloseReason, Config, ConnectError, Descriptor, Engine, Invocation, Item, Limit, Revocation, Scope, Session,
    Shutdown, Source, WindowRequest,
};
use serde_json::{Value, json};

fn alice() -> Session {
    Session::new("s").with_user("alice")
}

/// An engine with a list of numbers, to which `add` adds one.
fn counting() -> (Engine, Arc<AtomicU64>) {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    let count = Arc::new(AtomicU64::new(1));
    let (shown, added) = (Arc::clone(&count), Arc::clone(&count));
    let add = Action::new("add", move |_: Invocation<()>| json!(added.fetch_add(1, Ordering::SeqCst) + 1));
    engine.register("numbers", move |_: &Session| {
        let items = (0..shown.load(Ordering::SeqCst)).map(|at| Item::new(format!("n{at}")).prop("at", at));
        Descriptor::collection().items(items).action(&add)
    });
    (engine, count)
}

async fn within_a_moment<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it should have happened by now")
}

#[tokio::test]
async fn it_sees_what_a_consumer_with_a_socket_sees() {
    let (engine, _) = counting();
    let client = engine.client(&alice()).unwrap();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    for (query, options) in [
        (Query::at("/"), json!({"path": "/"})),
        (Query::at("/numbers"), json!({"path": "/numbers"})),
        (Query::at("/").depth(1), json!({"path": "/", "depth": 1})),
        (Query::at("/").depth(0), json!({"path": "/", "depth": 0})),
        (Query::at("/numbers").types(["none"]), json!({"path": "/numbers", "filter": {"types": ["none"]}})),
        (Query::at("/").min_salience(0.7), json!({"path": "/", "filter": {"min_salience": 0.7}})),
        (Query::at("/").max_nodes(1), json!({"path": "/", "max_nodes": 1})),
        (Query::at("/numbers").window(0, 1), json!({"path": "/numbers", "window": [0, 1]})),
    ] {
        let answer = consumer.query_with(options.clone()).await;
        let view = client.query(&query).await.unwrap();
        assert_eq!(view.root().to_json(), answer["tree"], "{options}");
        assert_eq!(json!(view.version()), answer["version"], "{options}");
    }
}

#[tokio::test]
async fn a_call_returns_when_the_tree_shows_what_it_changed() {
    let (engine, _) = counting();
    let client = engine.client(&alice()).unwrap();
    let names: Vec<_> =
        client.actions("/numbers").await.unwrap().iter().map(|action| action.name().to_owned()).collect();
    assert_eq!(names, ["add"]);
    let outcome = client.invoke("/numbers", "add", Value::Null).await.unwrap();
    assert_eq!((outcome.value(), outcome.is_accepted()), (Some(&json!(2)), false));
    assert_eq!(client.query(&Query::at("/numbers")).await.unwrap().root().children().len(), 2);
    for (path, action, code) in [("/numbers", "remove", "not_found"), ("/nowhere", "add", "not_found")] {
        assert_eq!(client.invoke(path, action, Value::Null).await.unwrap_err().code(), code);
    }
    assert_eq!(client.invoke("/numbers", "add", json!([1])).await.unwrap_err().code(), "invalid_params");
}

/// Applies changes to a mirror as if they had come over a socket.
fn apply(mirror: &mut Mirror, seq: &mut u64, change: &Change) {
    let message = match change {
        Change::Snapshot(view) => {
            *seq = 0;
            json!({"type": "snapshot", "id": "w", "version": view.version(), "seq": 0, "tree": view.root().to_json()})
        }
        Change::Patch { version, operations } => {
            *seq += 1;
            json!({"type": "patch", "subscription": "w", "version": version, "seq": *seq, "ops": operations})
        }
        other => panic!("not a step: {other:?}"),
    };
    mirror.take(Message::parse(&message.to_string()).unwrap()).unwrap();
}

#[tokio::test]
async fn watched_changes_lead_an_independent_copy_to_the_tree_as_it_is() {
    let (engine, count) = counting();
    let client = engine.client(&alice()).unwrap();
    let mut watch = client.watch(Query::at("/"));
    let (mut mirror, mut seq) = (Mirror::default(), 0);
    apply(&mut mirror, &mut seq, &watch.next().await.unwrap());
    for numbers in [2, 5, 40, 39, 1, 30] {
        count.store(numbers, Ordering::SeqCst);
        engine.refresh_now(Scope::all()).await;
        apply(&mut mirror, &mut seq, &within_a_moment(watch.next()).await.unwrap());
        let fresh = client.query(&Query::at("/")).await.unwrap();
        assert_eq!(mirror.tree().map(|tree| tree.to_json()), Some(fresh.root().to_json()), "{numbers} numbers");
    }
}

#[tokio::test]
async fn changes_that_nobody_takes_are_one_step_to_the_newest_state() {
    let (engine, count) = counting();
    let client = engine.client(&alice()).unwrap();
    let mut watch = client.watch(Query::at("/numbers"));
    watch.next().await;
    for numbers in 2..=50 {
        count.store(numbers, Ordering::SeqCst);
        engine.refresh_now(Scope::all()).await;
    }
    let Some(Change::Patch { operations, .. }) = within_a_moment(watch.next()).await else { panic!("not a patch") };
    assert_eq!(operations.len(), 49);
}

#[tokio::test]
async fn a_path_that_goes_and_comes_back_is_reported_once_each() {
    let (engine, _) = counting();
    let client = engine.client(&alice()).unwrap();
    let mut watch = client.watch(Query::at("/numbers"));
    assert!(matches!(watch.next().await, Some(Change::Snapshot(_))));
    engine.unregister("numbers");
    assert_eq!(within_a_moment(watch.next()).await, Some(Change::Gone));
    engine.register("other", |_: &Session| Descriptor::status());
    engine.settle().await;
    engine.register("numbers", |_: &Session| Descriptor::status());
    assert!(matches!(within_a_moment(watch.next()).await, Some(Change::Snapshot(_))));
}

#[tokio::test]
async fn it_receives_events_and_a_slow_reader_learns_how_many_were_dropped() {
    let mut config = Config::immediate();
    config.sizes.event_bytes = 200;
    let engine = Engine::builder("app", "App").config(config).build();
    let client = engine.client(&alice()).unwrap();
    engine.emit(Scope::user("alice"), "hello", Some(&json!({"n": 1}))).unwrap();
    engine.emit(Scope::user("bob"), "secret", None).unwrap();
    let event = within_a_moment(client.next_event()).await.unwrap();
    assert_eq!((event.name.as_str(), event.data), ("hello", Some(json!({"n": 1}))));
    for _ in 0..100 {
        engine.emit(Scope::all(), "tick", None).unwrap();
    }
    let event = within_a_moment(client.next_event()).await.unwrap();
    assert_eq!(event.name, "events.dropped");
    assert!(event.data.unwrap()["count"].as_u64().unwrap() > 90);
    assert_eq!(client.closed(), None, "a slow reader is not closed for it");
}

#[tokio::test]
async fn it_loads_what_the_tree_does_not_hold() {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    let describe = |_: &Session| Descriptor::collection().lazy(100);
    let load = |_: &Session, request: &WindowRequest| -> Vec<Item> {
        (request.offset..request.offset + request.count).map(|at| Item::new(format!("n{at}"))).collect()
    };
    engine.register_source("long", Source::new(describe).on_window(load));
    let client = engine.client(&alice()).unwrap();
    let view = client.query(&Query::at("/long").window(40, 2)).await.unwrap();
    assert_eq!(view.root().children().map(|child| child.id()).collect::<Vec<_>>(), ["n40", "n41"]);
}

#[tokio::test]
async fn it_has_the_rights_of_its_session_and_no_others() {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    let act = Action::new("act", |call: Invocation<()>| json!(call.session.user()));
    engine.register("own", move |session: &Session| {
        let node = Descriptor::status().prop("user", session.user().unwrap_or_default());
        if session.can("act") { node.action(&act) } else { node }
    });
    let alice = engine.client(&alice()).unwrap();
    let bob = engine.client(&Session::new("t").with_user("bob").with_permission("act")).unwrap();
    assert_eq!(alice.invoke("/own", "act", Value::Null).await.unwrap_err().code(), "not_found");
    assert_eq!(bob.invoke("/own", "act", Value::Null).await.unwrap().value(), Some(&json!("bob")));
    assert_eq!(alice.query(&Query::at("/own")).await.unwrap().root().property("user"), Some(&json!("alice")));
}

async fn ended(client: &Client) -> (Option<CloseReason>, bool, bool, &'static str) {
    let mut watch = client.watch(Query::at("/"));
    let watched = within_a_moment(watch.next()).await.is_none();
    let events = within_a_moment(client.next_event()).await.is_none();
    let call = client.invoke("/numbers", "add", Value::Null).await.unwrap_err();
    assert!(["internal", "unauthorized"].contains(&call.code()), "{call}");
    (client.closed(), watched, events, "ended")
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_session_ends() {
    let (engine, _) = counting();
    let client = engine.client(&alice()).unwrap();
    client.query(&Query::at("/")).await.unwrap();
    let mut watch = client.watch(Query::at("/"));
    watch.next().await;
    let waiting = tokio::spawn(async move { watch.next().await });
    let listening = client.clone();
    let events = tokio::spawn(async move { listening.next_event().await });
    assert_eq!(engine.revoke(Revocation::user("alice")), 1);
    assert_eq!(within_a_moment(waiting).await.unwrap(), None);
    assert_eq!(within_a_moment(events).await.unwrap(), None);
    assert_eq!(ended(&client).await, (Some(CloseReason::Revoked), true, true, "ended"));
}

#[tokio::test]
async fn it_counts_as_a_connection_until_the_last_handle_is_dropped() {
    let clock = ManualClock::new();
    let mut config = Config::immediate();
    config.limits.connections_per_session = 1;
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).build();
    let client = engine.client(&alice()).unwrap();
    let refused = engine.client(&alice()).map(drop);
    assert_eq!(refused, Err(ConnectError::LimitReached(Limit::ConnectionsPerSession)));
    // There is no peer that could fall silent.
    clock.advance(24 * 3_600_000);
    engine.settle().await;
    assert_eq!((client.closed(), engine.stats().sessions), (None, 1));
    let clone = client.clone();
    drop(client);
    assert_eq!(engine.stats().connections, 1);
    drop(clone);
    assert_eq!(engine.stats().connections, 0);
    assert!(engine.client(&alice()).is_ok());
}

#[tokio::test]
async fn it_is_warned_of_a_shutdown_and_then_closed() {
    let (engine, _) = counting();
    let client = engine.client(&alice()).unwrap();
    let how = Shutdown { spread: Duration::from_millis(20), ..Shutdown::within(Duration::from_millis(200)) };
    let (ending, listening) = (engine.clone(), client.clone());
    let ending = tokio::spawn(async move { ending.shutdown(how).await });
    let warning = within_a_moment(listening.next_event()).await.unwrap();
    assert_eq!(warning.name, "server.draining");
    assert!(warning.data.unwrap()["retry_in_ms"].is_u64());
    assert_eq!(within_a_moment(listening.next_event()).await, None);
    assert_eq!(client.closed(), Some(CloseReason::ShuttingDown));
    drop((client, listening));
    within_a_moment(ending).await.unwrap();
}
