//! What a call causes has the trace id of the call (rooms 4).

use futures_util::FutureExt;
use grove_engine::testing::TestConsumer;
use grove_engine::{Access, Engine, NewRoom, OnEnd, RoomEvents, RoomRole, Session};
use serde_json::{Value, json};

use crate::fixtures::{room_engine, user_session};

fn trace(number: u32) -> String {
    format!("tx-123e4567-e89b-42d3-a456-{number:012}")
}

/// What has come: the kind of each event, and its trace id.
fn traces(events: &mut RoomEvents) -> Vec<(String, String)> {
    let waiting = std::iter::from_fn(|| events.next().now_or_never().flatten());
    let traced = |event: Value| (event["kind"].clone(), event["trace_id"].clone());
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    waiting.map(|event| traced(event.data)).map(|(kind, trace)| (text(kind), text(trace))).collect()
}

fn expected(events: &[(&str, u32)]) -> Vec<(String, String)> {
    events.iter().map(|(kind, number)| ((*kind).to_owned(), trace(*number))).collect()
}

fn new_room() -> NewRoom {
    NewRoom::new("Board").id("m").access(Access::Project).replayable(true).on_end(OnEnd::Archive)
}

/// The trace id with which the log of the room begins.
async fn first_trace(engine: &Engine, session: &Session, room: &str) -> Value {
    engine.rooms().replay(session, room, 0, None).await.unwrap().events[0]["trace_id"].clone()
}

#[tokio::test]
async fn what_is_called_on_traced_rooms_causes_events_with_that_trace_id() {
    let (engine, _clock) = room_engine();
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| user_session(user, user));
    let traced = |number| engine.rooms().traced(trace(number));
    let _connected = TestConsumer::connect(&engine, bob.clone()).await;
    let _too = TestConsumer::connect(&engine, cid.clone()).await;
    traced(1).create(&ann, &new_room()).unwrap();
    assert_eq!(first_trace(&engine, &ann, "m").await, trace(1));
    let mut seen = traced(2).events(&ann, "m").unwrap();
    traced(3).join(&bob, "m").unwrap();
    traced(4).leave(&bob, "m").unwrap();
    traced(5).join(&cid, "m").unwrap();
    traced(6).memory(&ann, "m").unwrap().put("k", &json!(1)).unwrap();
    traced(7).dismiss(&ann, "m", "cid").unwrap();
    traced(8).close(&ann, "m", None).await.unwrap();
    let events = [
        ("participant.joined", 2),
        ("participant.joined", 3),
        ("participant.left", 4),
        ("participant.joined", 5),
        ("memory.changed", 6),
        ("participant.left", 7),
        ("room.ended", 8),
    ];
    assert_eq!(traces(&mut seen), expected(&events));
}

#[tokio::test]
async fn what_has_no_trace_id_or_one_of_another_form_gets_a_new_one_for_each_call() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let _connected = TestConsumer::connect(&engine, bob.clone()).await;
    engine.rooms().traced("tx-1").create(&ann, &new_room()).unwrap();
    let mut all = vec![first_trace(&engine, &ann, "m").await.as_str().unwrap().to_owned()];
    let mut seen = engine.rooms().events(&ann, "m").unwrap();
    engine.rooms().traced("").join(&bob, "m").unwrap();
    engine.rooms().traced("x".repeat(100_000)).leave(&bob, "m").unwrap();
    engine.rooms().close(&ann, "m", None).await.unwrap();
    all.extend(traces(&mut seen).into_iter().map(|(_, trace)| trace));
    assert!(all.iter().all(|trace| trace.starts_with("tx-") && trace.len() == 39), "{all:?}");
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!((count, all.len()), (5, 5));
}

#[tokio::test]
async fn an_action_of_a_room_causes_events_with_the_trace_id_of_its_call() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let mut of_ann = TestConsumer::connect(&engine, ann.clone()).await;
    let mut of_bob = TestConsumer::connect(&engine, bob.clone()).await;
    let mut number = 0;
    let mut call = async |consumer: &mut TestConsumer, path: &str, action: &str, params: Value| {
        number += 1;
        let id = format!("i-{number}");
        consumer.send(&json!({
            "type": "invoke", "id": id, "path": path, "action": action, "params": params, "trace_id": trace(number),
        }));
        let answer = consumer.answer(&id).await;
        assert_eq!(answer["status"], "ok", "{action}: {answer}");
        answer["data"]["room"].as_str().map(str::to_owned)
    };
    let new = json!({"title": "Board", "access": "project", "replayable": true});
    let id = call(&mut of_ann, "/rooms", "create", new).await.unwrap();
    let room = format!("/rooms/{id}");
    assert_eq!(first_trace(&engine, &ann, &id).await, trace(1));
    let mut seen = engine.rooms().traced(trace(0)).events(&ann, &id).unwrap();
    call(&mut of_bob, &room, "join", json!({})).await;
    call(&mut of_bob, &room, "leave", json!({})).await;
    call(&mut of_bob, &room, "join", json!({})).await;
    call(&mut of_ann, &room, "dismiss", json!({"user": "bob"})).await;
    call(&mut of_ann, &room, "admit", json!({"user": "bob", "role": "member"})).await;
    assert_eq!(engine.rooms().role(&bob, &id), Ok(RoomRole::Member));
    call(&mut of_ann, &room, "close", json!({"reason": "done"})).await;
    let events = [
        ("participant.joined", 0),
        ("participant.joined", 2),
        ("participant.left", 3),
        ("participant.joined", 4),
        ("participant.left", 5),
        ("room.ended", 7),
    ];
    assert_eq!(traces(&mut seen), expected(&events));
}
