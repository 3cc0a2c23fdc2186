//! Events for consumers; they change no state (contract 1.7).

use grove_engine::Scope;
use serde_json::{Value, json};

use crate::fixtures::{EventLog, connect_and_subscribe, engine, user_session};

#[tokio::test]
async fn an_event_reaches_exactly_the_connections_in_its_scope() {
    let engine = engine();
    let (mut first, _) = connect_and_subscribe(&engine, user_session("a1", "alice")).await;
    let (mut second, _) = connect_and_subscribe(&engine, user_session("a1", "alice")).await;
    let (mut third, _) = connect_and_subscribe(&engine, user_session("a2", "alice")).await;
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    assert_eq!(engine.emit(Scope::user("alice"), "ding", Some(&json!({"n": 1}))), Ok(3));
    let event = json!({"type": "event", "name": "ding", "data": {"n": 1}});
    for consumer in [&mut first, &mut second, &mut third] {
        assert_eq!(consumer.settled().await, std::slice::from_ref(&event));
    }
    assert_eq!(bob.settled().await, Vec::<Value>::new());
    assert_eq!(engine.emit(Scope::session("nobody"), "ding", None), Ok(0));
}

#[tokio::test]
async fn an_event_without_data_omits_the_field_and_renders_nothing() {
    let engine = engine();
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let log = EventLog::of(&engine);
    engine.emit(Scope::all(), "dong", None).unwrap();
    assert_eq!(consumer.settled().await, [json!({"type": "event", "name": "dong"})]);
    assert_eq!(log.work_for("a"), 0);
}

#[tokio::test]
async fn events_keep_their_order() {
    let engine = engine();
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    for number in 0..50 {
        engine.emit(Scope::all(), "tick", Some(&json!(number))).unwrap();
    }
    let numbers: Vec<_> = consumer.settled().await.iter().map(|event| event["data"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
}
