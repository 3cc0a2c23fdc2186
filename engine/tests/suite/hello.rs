//! The first message of a connection, and who gets one.

use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{CAPABILITIES, Config, ConnectError, Descriptor, Engine, Frame, Revocation, Session};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, engine, engine_with, engine_with_clock, message_types, user_session};

#[tokio::test]
async fn hello_comes_first_then_the_snapshot_then_patches() {
    let engine = engine();
    let number = crate::fixtures::SharedNumber::serve(&engine, "n");
    let mut consumer = TestConsumer::silent(&engine, Session::new("s"));
    // Subscribed before hello was taken: hello still comes first.
    consumer.start_subscription(json!({"path": "/"}));
    let mut messages = consumer.settled().await;
    number.set(1);
    engine.refresh_now(grove_engine::Scope::all()).await;
    messages.extend(consumer.settled().await);
    number.set(2);
    engine.refresh_now(grove_engine::Scope::all()).await;
    messages.extend(consumer.settled().await);
    assert_eq!(message_types(&messages), ["hello", "snapshot", "patch", "patch"]);
}

#[tokio::test]
async fn hello_describes_the_provider_and_is_sent_once() {
    let engine = engine();
    let mut consumer = TestConsumer::silent(&engine, Session::new("s"));
    let mut messages = consumer.settled().await;
    assert_eq!(message_types(&messages), ["hello"]);
    // Besides the fields of the protocol there are those with which a copy can be resumed.
    for name in ["epoch", "connection"] {
        let provider = messages[0]["provider"].as_object_mut().unwrap();
        assert!(provider.shift_remove(name).is_some_and(|value| value.is_string()), "{name}");
    }
    let expected = json!({
        "type": "hello",
        "provider": {"id": "app", "name": "App", "slop_version": "0.1", "capabilities": CAPABILITIES},
    });
    assert_eq!(messages, [expected]);
    let all = ["state", "patches", "affordances", "attention", "windowing", "async", "content_refs"];
    assert_eq!(CAPABILITIES[..all.len()], all);
    consumer.subscribe("/").await;
    consumer.query("/").await;
    assert_eq!(consumer.settled().await, Vec::<Value>::new(), "there is no second hello");
}

#[tokio::test]
async fn a_consumer_that_sends_connect_gets_hello_again() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.send(&json!({"type": "connect"}));
    assert_eq!(message_types(&consumer.settled().await), ["hello"]);
}

#[tokio::test]
async fn hello_is_delayed_briefly_and_everything_else_waits_for_it() {
    let (engine, clock) = engine_with_clock(|config| config.times.hello_delay = Duration::from_millis(15));
    let mut consumer = TestConsumer::silent(&engine, Session::new("s"));
    consumer.start_subscription(json!({"path": "/"}));
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    clock.advance(14);
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    clock.advance(1);
    assert_eq!(message_types(&consumer.settled().await), ["hello", "snapshot"]);
    assert_eq!(Config::default().times.hello_delay, Duration::from_millis(15));
}

#[tokio::test]
async fn hello_reveals_nothing_about_the_session_by_default() {
    let engine = engine();
    let session = user_session("secret-id", "alice").with_attribute("role", "editor");
    let mut consumer = TestConsumer::silent(&engine, session);
    let hello = consumer.next().await;
    assert_eq!(hello["provider"].get("session"), None);
    assert!(!hello.to_string().contains("alice") && !hello.to_string().contains("secret-id"), "{hello}");
}

#[tokio::test]
async fn hello_contains_only_the_session_fields_that_the_application_allows() {
    let engine =
        Engine::builder("app", "App").config(Config::immediate()).hello_session(["user", "role", "absent"]).build();
    let session = user_session("secret-id", "alice").with_attribute("role", "editor").with_attribute("token", "secret");
    let mut consumer = TestConsumer::silent(&engine, session);
    let hello = consumer.next().await;
    assert_eq!(hello["provider"]["session"], json!({"user": "alice", "role": "editor"}));
    assert!(!hello.to_string().contains("secret"), "{hello}");
}

#[tokio::test]
async fn no_message_contains_a_credential() {
    let engine = engine();
    crate::fixtures::Todos::serve(&engine).push("alice", "water the plants");
    let session =
        user_session("session-of-alice", "alice").with_attribute("token", "s3cr3t-bytes").with_permission("write");
    let mut consumer = TestConsumer::silent(&engine, session);
    for message in [
        json!({"type": "subscribe", "id": "s", "path": "/", "depth": -1}),
        json!({"type": "query", "id": "q", "path": "/", "depth": -1}),
        json!({"type": "invoke", "id": "i", "path": "/todos/t1", "action": "toggle"}),
        json!({"type": "invoke", "id": "j", "path": "/todos/t1", "action": "s3cr3t-bytes-not"}),
        json!({"type": "nonsense", "id": "n"}),
    ] {
        consumer.send(&message);
    }
    engine.settle().await;
    let mut frames = 0;
    while let Some(frame) = consumer.connection().try_next_frame() {
        let Frame::Text(text) = frame else { continue };
        assert!(!text.contains("s3cr3t-bytes") && !text.contains("session-of-alice"), "{text}");
        frames += 1;
    }
    assert!(frames >= 6, "hello, snapshot, query reply, patch, results, error: {frames}");
}

#[tokio::test]
async fn no_event_contains_a_credential() {
    let engine = engine();
    engine.register("me", |session: &Session| Descriptor::context().prop("token", session.attribute("token")));
    let log = EventLog::of(&engine);
    let mut consumer =
        TestConsumer::connect(&engine, user_session("s", "alice").with_attribute("token", "s3cr3t-bytes")).await;
    consumer.subscribe("/").await;
    drop(consumer);
    engine.settle().await;
    assert!(log.all().len() > 4);
    assert!(!format!("{:?}", log.all()).contains("s3cr3t-bytes"), "{:?}", log.all());
}

#[tokio::test]
async fn a_refused_session_gets_no_connection_and_no_hello() {
    let (engine, clock) = engine_with_clock(|config| config.limits.connections_per_session = 1);
    let expiry = grove_engine::Clock::wall(&*clock) + std::time::Duration::from_secs(60);
    let connect = |session: Session| engine.connect(&session.with_expiry(expiry)).map(drop);
    assert_eq!(connect(Session::new("a")), Ok(()));
    clock.advance(60_000);
    assert_eq!(connect(Session::new("a")), Err(ConnectError::Expired));
    assert_eq!(engine.revoke(Revocation::session("b")), 0, "it was not open, and is refused from now on");
    assert_eq!(engine.connect(&Session::new("b")).map(drop), Err(ConnectError::Revoked));
    let _first = engine.connect(&Session::new("c")).unwrap();
    assert!(matches!(engine.connect(&Session::new("c")), Err(ConnectError::LimitReached(_))));
    assert_eq!(engine.stats().connections, 1, "refused connections are not counted");
}

#[test]
fn an_engine_id_must_be_a_valid_node_id() {
    for id in ["", "a/b", "a~b", "meta", "properties"] {
        assert!(std::panic::catch_unwind(|| Engine::builder(id, "App")).is_err(), "{id}");
    }
}

#[tokio::test]
async fn a_revocation_closes_the_connections_and_refuses_new_ones() {
    let engine = engine_with(|_| {});
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.subscribe("/").await;
    assert_eq!(engine.revoke(Revocation::session("s")), 1);
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), consumer.closed()), (vec!["closed"], Some(1008)));
    assert_eq!(engine.connect(&Session::new("s")).map(drop), Err(ConnectError::Revoked));
    assert_eq!(engine.open_session(&Session::new("s")), Err(ConnectError::Revoked));
}
