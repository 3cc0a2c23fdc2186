//! What several people do in a room together, from its creation to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, Action, ActionError, Config, Descriptor, Engine, Invocation, Message, NewRoom, Room, RoomOptions, Scope,
    Session,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixtures::{action_names, child_ids, error_code, node_at, user_session};

/// The data of the application: who proposed what, and how often anything was written.
#[derive(Default)]
struct Board {
    version: AtomicU64,
}

#[derive(Deserialize, JsonSchema)]
struct Change {
    note: String,
    /// The version that the caller has seen.
    #[serde(default)]
    expect_version: Option<u64>,
}

/// An engine with a board in every room; a change of it is told to all in the room, and shown to them.
fn engine(board: &Arc<Board>) -> Engine {
    let engine = Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new()).build();
    let (data, of_action) = (Arc::clone(board), engine.clone());
    let change = Action::new("change", move |call: Invocation<Change>| {
        let seen = call.params.expect_version.unwrap_or_else(|| data.version.load(Ordering::SeqCst));
        let exchanged = data.version.compare_exchange(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst);
        exchanged.map_err(|_| ActionError::conflict("the board has changed"))?;
        let user = call.session.user().unwrap_or_default();
        if let Some(room) = &call.room {
            let told = Message::data(json!({"by": user, "note": call.params.note}));
            of_action.rooms().say(&call.session, room.id(), &told)?;
            of_action.refresh(Scope::room(room.id().clone()));
        }
        Ok::<_, ActionError>(json!({"by": user, "in_room": call.room.is_some()}))
    });
    let (shown, solo) = (Arc::clone(board), change.clone());
    engine.register_room("board", move |_: &Room, _: &Session| {
        Descriptor::status().prop("version", shown.version.load(Ordering::SeqCst)).action(&change)
    });
    engine.register("board", move |_: &Session| Descriptor::status().action(&solo));
    engine
}

/// A room `m` of ann's with this access.
fn open_room(engine: &Engine, access: Access) {
    engine.rooms().create(&user_session("creator", "ann"), &NewRoom::new("Board").id("m").access(access)).unwrap();
}

/// A consumer that shows the room, with its subscription.
async fn joined(engine: &Engine, id: &str, user: &str) -> (TestConsumer, String) {
    let mut consumer = TestConsumer::connect(engine, user_session(id, user)).await;
    let (subscription, _) = consumer.subscribe("/rooms/m").await;
    (consumer, subscription)
}

/// The events among what waits for a consumer.
async fn events(consumer: &mut TestConsumer) -> Vec<Value> {
    let messages = consumer.settled().await;
    messages.into_iter().filter(|message| message["type"] == "event").map(|mut event| event["data"].take()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

const BOARD: &str = "/rooms/m/board";

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_created_joined_worked_in_watched_and_closed() {
    let engine = engine(&Arc::default());
    let mut ann = TestConsumer::connect(&engine, user_session("a", "ann")).await;
    let created = ann.invoke("/rooms", "create", json!({"title": "Board", "access": "project"})).await;
    let path = format!("/rooms/{}", created["data"]["room"].as_str().unwrap());
    ann.subscribe(&path).await;
    let mut bob = TestConsumer::connect(&engine, user_session("b", "bob")).await;
    let (shown, room) = bob.subscribe(&path).await;
    assert_eq!(node_at(&room, "participants")["properties"]["online"], 2);
    assert_eq!(bob.invoke(&format!("{path}/board"), "change", json!({"note": "x"})).await["status"], "ok");
    assert_eq!(bob.invoke(&path, "close", json!({})).await["error"]["code"], "unauthorized", "bob did not create it");
    assert_eq!(ann.invoke(&path, "close", json!({"reason": "done"})).await["status"], "ok");
    let seen = events(&mut bob).await;
    assert_eq!(seen.last().unwrap()["body"]["note"], "done");
    let of_ann = events(&mut ann).await;
    assert_eq!(kinds(&of_ann), ["participant.joined", "participant.joined", "message", "room.ended"]);
    assert_eq!(of_ann[1..], seen);
    assert_eq!((child_ids(bob.tree(&shown)), action_names(bob.tree(&shown))), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_and_its_review_are_seen_by_both() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let (mut ann, of_ann) = joined(&engine, "a", "ann").await;
    let (mut bob, of_bob) = joined(&engine, "b", "bob").await;
    ann.invoke(BOARD, "change", json!({"note": "proposal"})).await;
    bob.invoke(BOARD, "change", json!({"note": "review"})).await;
    let (seen_by_ann, seen_by_bob) = (events(&mut ann).await, events(&mut bob).await);
    assert_eq!(seen_by_ann[1..], seen_by_bob, "the same events, ids included");
    let said: Vec<_> = seen_by_bob[1..].iter().map(|event| &event["body"]["data"]).collect();
    assert_eq!(said, [&json!({"by": "ann", "note": "proposal"}), &json!({"by": "bob", "note": "review"})]);
    for (consumer, subscription) in [(&ann, &of_ann), (&bob, &of_bob)] {
        assert_eq!(node_at(consumer.tree(subscription), "board")["properties"]["version"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_does_is_seen_by_all_once_however_often_they_subscribed() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let mut all = Vec::new();
    for user in ["ann", "bob", "cid"] {
        let (mut consumer, subscription) = joined(&engine, user, user).await;
        consumer.subscribe("/rooms/m/participants").await;
        consumer.subscribe("/").await;
        all.push((consumer, subscription));
    }
    for (consumer, _) in &mut all {
        events(consumer).await;
    }
    assert_eq!(all[0].0.invoke(BOARD, "change", json!({"note": "n"})).await["status"], "ok");
    let mut ids = Vec::new();
    for (consumer, subscription) in &mut all {
        let seen = events(consumer).await;
        assert_eq!((kinds(&seen), &seen[0]["actor"]["user"]), (vec!["message"], &json!("ann")));
        assert_eq!(node_at(consumer.tree(subscription), "board")["properties"]["version"], 1);
        ids.push(seen[0]["id"].clone());
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_act_at_once_see_what_both_did_in_one_order() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let (mut ann, _) = joined(&engine, "a", "ann").await;
    let (mut bob, _) = joined(&engine, "b", "bob").await;
    events(&mut ann).await;
    events(&mut bob).await;
    let mut calls = Vec::new();
    for number in 0..20 {
        let say = json!({"text": number.to_string()});
        calls.push((ann.start_invoke("/rooms/m", "say", say.clone()), bob.start_invoke("/rooms/m", "say", say)));
    }
    let (mut of_ann, mut of_bob) = (Vec::new(), Vec::new());
    while of_ann.len() < 40 || of_bob.len() < 40 {
        of_ann.extend(events(&mut ann).await);
        of_bob.extend(events(&mut bob).await);
    }
    assert_eq!(of_ann, of_bob);
    let first = of_ann[0]["seq"].as_u64().unwrap();
    assert!(of_ann.iter().zip(first..).all(|(event, seq)| event["seq"] == seq));
    assert_eq!(calls.len() * 2, of_ann.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_sees_tree_and_events_and_every_action_is_refused() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Observe);
    let (mut trainee, shown) = joined(&engine, "t", "tom").await;
    let (mut ann, _) = joined(&engine, "a", "ann").await;
    ann.invoke(BOARD, "change", json!({"note": "look"})).await;
    ann.invoke("/rooms/m", "say", json!({"text": "did you see?"})).await;
    assert_eq!(kinds(&events(&mut trainee).await)[1..], ["participant.joined", "message", "message"]);
    assert_eq!(node_at(trainee.tree(&shown), "board")["properties"]["version"], 1);
    for (path, action) in [(BOARD, "change"), ("/rooms/m", "say"), ("/rooms/m", "close"), ("/rooms/m", "admit")] {
        let params = json!({"note": "n", "text": "t", "user": "u", "role": "member"});
        assert_eq!(error_code(&trainee.invoke(path, action, params).await), "unauthorized", "{path} {action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_handler_serves_calls_inside_and_outside_of_rooms_and_is_told_which() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let (mut ann, _) = joined(&engine, "a", "ann").await;
    let inside = ann.invoke(BOARD, "change", json!({"note": "n"})).await;
    let outside = ann.invoke("/board", "change", json!({"note": "n"})).await;
    assert_eq!(inside["data"], json!({"by": "ann", "in_room": true}));
    assert_eq!(outside["data"], json!({"by": "ann", "in_room": false}), "who is in no room gets a result as well");
    let mut alone = TestConsumer::connect(&engine, user_session("z", "zoe")).await;
    assert_eq!(alone.invoke("/board", "change", json!({"note": "n"})).await["status"], "ok");
    assert_eq!(alone.settled().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_handler_writes_the_applications_data() {
    let board = Arc::new(Board::default());
    let engine = engine(&board);
    open_room(&engine, Access::Project);
    let (mut ann, _) = joined(&engine, "a", "ann").await;
    let (mut bob, _) = joined(&engine, "b", "bob").await;
    bob.invoke("/rooms/m", "say", json!({"text": "change version"})).await;
    bob.invoke("/rooms/m", "leave", json!({})).await;
    assert_eq!(board.version.load(Ordering::SeqCst), 0);
    ann.invoke(BOARD, "change", json!({"note": "n"})).await;
    assert_eq!(board.version.load(Ordering::SeqCst), 1);
    ann.invoke("/rooms/m", "close", json!({})).await;
    assert_eq!(board.version.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_names_the_version_it_saw_conflicts_if_another_came_first() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let (mut ann, _) = joined(&engine, "a", "ann").await;
    let (mut bob, _) = joined(&engine, "b", "bob").await;
    let seen = json!({"note": "n", "expect_version": 0});
    assert_eq!(ann.invoke(BOARD, "change", seen.clone()).await["status"], "ok");
    assert_eq!(error_code(&bob.invoke(BOARD, "change", seen).await), "conflict");
    assert_eq!(kinds(&events(&mut bob).await), ["participant.joined", "message"], "the one that conflicts tells nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_participant_is_not_told_of_itself_a_sibling_of_the_same_user_is() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let (mut page, _) = joined(&engine, "page", "ann").await;
    let (mut agent, _) = joined(&engine, "agent", "ann").await;
    let (mut bob, _) = joined(&engine, "b", "bob").await;
    let rows = engine.rooms().participants(&user_session("page", "ann"), "m").unwrap();
    let to_agent = json!({"text": "for the agent", "to": rows[1].id});
    assert_eq!(bob.invoke("/rooms/m", "say", to_agent).await["status"], "ok");
    agent.invoke("/rooms/m", "leave", json!({})).await;
    let seen = events(&mut page).await;
    assert_eq!(kinds(&seen)[3..], ["participant.left"], "the message was for the other one");
    assert_eq!(seen[3]["body"]["user"], "ann");
    assert_eq!(kinds(&events(&mut agent).await)[2..], ["message"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_actor_of_an_event_is_the_session_whatever_its_client_says() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let (mut ann, _) = joined(&engine, "a", "ann").await;
    let (mut bob, _) = joined(&engine, "b", "bob").await;
    events(&mut ann).await;
    let params = json!({"text": "x", "actor": {"user": "ann"}, "user": "ann", "by": "ann", "seq": 1, "id": "e_1"});
    bob.send(&json!({"type": "invoke", "id": "i", "path": "/rooms/m", "action": "say", "params": params, "user": "ann",
        "actor": {"user": "ann"}}));
    let result = bob.answer("i").await;
    let seen = events(&mut ann).await;
    assert_eq!(result["status"], "ok");
    assert_eq!((&seen[0]["id"], &seen[0]["actor"]["user"]), (&result["data"]["event"], &json!("bob")));
    assert_eq!(seen[0]["body"], json!({"text": "x"}));
}
