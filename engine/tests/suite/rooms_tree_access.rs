//! What rooms refuse, to whom, and what those without a role learn.

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, Action, Config, Descriptor, Engine, Event, Invocation, NewRoom, Room, RoomOptions, RoomRole, Session,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, action_names, child_ids, error_code, node_at, user_session};

fn engine() -> Engine {
    let engine = Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new()).build();
    let act = Action::new("act", |_: Invocation<()>| {});
    engine.register_room("board", move |_: &Room, _: &Session| Descriptor::status().action(&act));
    let creator = user_session("creator", "alice");
    engine.rooms().create(&creator, &NewRoom::new("Board").id("m")).unwrap();
    engine.rooms().admit(&creator, "m", "mel", RoomRole::Member).unwrap();
    engine.rooms().admit(&creator, "m", "otto", RoomRole::Observer).unwrap();
    engine
}

async fn connect(engine: &Engine, user: &str) -> TestConsumer {
    TestConsumer::connect(engine, user_session(&format!("s-{user}"), user)).await
}

/// The code of the error, or `ok`.
async fn outcome(consumer: &mut TestConsumer, path: &str, action: &str, params: Value) -> String {
    let result = consumer.invoke(path, action, params).await;
    if result["status"] == "error" { error_code(&result).to_owned() } else { "ok".to_owned() }
}

fn valid(action: &str) -> Value {
    match action {
        "say" => json!({"text": "hi"}),
        "admit" => json!({"user": "zoe", "role": "member"}),
        "dismiss" => json!({"user": "zoe"}),
        _ => json!({}),
    }
}

const BUILT_IN: [&str; 7] = ["say", "run", "admit", "dismiss", "leave", "join", "close"];

/// What becomes of each built-in action.
async fn outcomes(consumer: &mut TestConsumer) -> Vec<String> {
    let mut all = Vec::new();
    for action in BUILT_IN {
        all.push(outcome(consumer, "/rooms/m", action, valid(action)).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_the_contract_says_joined_or_not() {
    let engine = engine();
    let [denied, missing, ok] = ["unauthorized", "not_found", "ok"];
    let mut mel = connect(&engine, "mel").await;
    assert_eq!(outcomes(&mut mel).await, [denied, denied, denied, denied, missing, ok, denied], "a member, not joined");
    assert_eq!(outcomes(&mut mel).await, [ok, missing, denied, denied, ok, ok, denied], "a member, joined");
    let mut otto = connect(&engine, "otto").await;
    otto.subscribe("/rooms/m").await;
    assert_eq!(outcomes(&mut otto).await, [denied, denied, denied, denied, ok, ok, denied], "an observer");
    let mut alice = connect(&engine, "alice").await;
    assert_eq!(outcomes(&mut alice).await, [denied, denied, ok, ok, missing, ok, ok], "the owner, not joined");
    let conflict = "conflict";
    assert_eq!(outcomes(&mut alice).await, [conflict, conflict, conflict, conflict, missing, missing, conflict]);
    assert_eq!(outcomes(&mut otto).await, [denied, denied, denied, denied, missing, missing, denied]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_role_is_told_the_same_as_of_a_room_that_does_not_exist() {
    let engine = engine();
    let mut eve = connect(&engine, "eve").await;
    let mut nobody = TestConsumer::connect(&engine, Session::new("nobody")).await;
    for consumer in [&mut eve, &mut nobody] {
        for action in BUILT_IN.into_iter().chain(["act"]) {
            for below in ["", "/board", "/participants"] {
                let mut answers = Vec::new();
                for room in ["m", "x"] {
                    let path = format!("/rooms/{room}{below}");
                    let mut answer = consumer.invoke(&path, action, valid(action)).await;
                    assert_eq!(error_code(&answer), "not_found", "{path} {action}");
                    answer["id"] = Value::Null;
                    answers.push(answer);
                }
                assert_eq!(answers[0], answers[1]);
            }
        }
        for options in ["/rooms/m", "/rooms/x"] {
            let id = consumer.start_subscription(json!({"path": options}));
            assert_eq!(error_code(&consumer.answer(&id).await), "not_found");
            assert_eq!(consumer.query(options).await, Value::Null);
        }
    }
    assert_eq!(engine.rooms().stats().participants, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_closes_a_foreign_room_by_its_path_and_does_not_see_it() {
    let engine = engine();
    let admin = user_session("admin", "root").with_permission("rooms:admin");
    let mut admin = TestConsumer::connect(&engine, admin).await;
    assert_eq!(admin.query("/rooms").await["properties"]["count"], 0);
    let other = user_session("other", "root").with_permission("rooms:admin").with_project("p");
    let mut other = TestConsumer::connect(&engine, other).await;
    assert_eq!(outcome(&mut other, "/rooms/m", "close", json!({})).await, "not_found", "another project");
    assert_eq!(outcome(&mut admin, "/rooms/m", "say", json!({"text": "x"})).await, "not_found");
    let closed = admin.invoke("/rooms/m", "close", json!({"reason": "abuse"})).await;
    assert_eq!(closed["data"]["reason"], "close");
    assert!(closed["data"]["duration_ms"].is_u64(), "{closed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_application_shows_in_a_room_is_for_members_who_have_joined() {
    let engine = engine();
    let mut mel = connect(&engine, "mel").await;
    let mut otto = connect(&engine, "otto").await;
    let act = async |consumer: &mut TestConsumer| outcome(consumer, "/rooms/m/board", "act", json!({})).await;
    assert_eq!(act(&mut mel).await, "unauthorized", "not joined");
    let (_, room) = otto.subscribe("/rooms/m").await;
    assert_eq!(action_names(node_at(&room, "board")), ["act"]);
    assert_eq!(act(&mut otto).await, "unauthorized", "an observer");
    mel.subscribe("/rooms/m").await;
    assert_eq!(act(&mut mel).await, "ok");
    engine.rooms().complete("m").await.unwrap();
    assert_eq!(act(&mut mel).await, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn creation_by_action_names_the_room_and_is_shown_before_the_result() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let mut zoe = connect(&engine, "zoe").await;
    let (subscription, _) = zoe.subscribe("/rooms").await;
    let created = zoe.invoke("/rooms", "create", json!({"title": "Mine", "access": "project"})).await;
    let id = created["data"]["room"].as_str().unwrap().to_owned();
    assert_eq!(created["data"], json!({"room": id, "trust": "verified"}));
    assert!(id.starts_with("m_"));
    let room = node_at(zoe.tree(&subscription), &id);
    assert_eq!((&room["properties"]["title"], &room["properties"]["role"]), (&json!("Mine"), &json!("owner")));
    let mut nobody = TestConsumer::connect(&engine, Session::new("nobody")).await;
    assert_eq!(outcome(&mut nobody, "/rooms", "create", json!({})).await, "unauthorized");
    assert_eq!(outcome(&mut zoe, "/rooms", "create", json!({"agent": "a"})).await, "unknown_agent");
    assert_eq!(outcome(&mut zoe, "/rooms", "create", json!({"access": "everybody"})).await, "invalid_params");
    assert_eq!(outcome(&mut zoe, "/rooms", "create", json!({"owner": "alice"})).await, "invalid_params");
    let refused = log.count(|event| matches!(event, Event::RoomRefused { what: "create", .. }));
    assert_eq!(refused, 2, "by the one who is nobody, and for the agent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_ended_is_shown_without_children_until_it_is_removed() {
    let engine = engine();
    let mut mel = connect(&engine, "mel").await;
    let (subscription, _) = mel.subscribe("/rooms").await;
    mel.subscribe("/rooms/m").await;
    engine.rooms().complete("m").await.unwrap();
    mel.settled().await;
    let room = node_at(mel.tree(&subscription), "m").clone();
    let shown = ["state", "joined", "online", "end_reason"].map(|key| room["properties"][key].clone());
    assert_eq!(shown, [json!("ended"), json!(false), json!(0), json!("completed")]);
    assert_eq!((child_ids(&room), action_names(&room)), (vec![], vec![]));
    assert_eq!(room["meta"]["summary"], "ended");
    let id = mel.start_subscription(json!({"path": "/rooms/m/participants"}));
    assert_eq!(error_code(&mel.answer(&id).await), "not_found", "it cannot be joined any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_role_loses_the_room_and_a_change_of_role_changes_what_is_offered() {
    let engine = engine();
    let creator = user_session("creator", "alice");
    let mut mel = connect(&engine, "mel").await;
    let (subscription, _) = mel.subscribe("/").await;
    mel.subscribe("/rooms/m").await;
    mel.settled().await;
    assert_eq!(action_names(node_at(mel.tree(&subscription), "rooms/m")), ["leave", "say"]);
    engine.rooms().admit(&creator, "m", "mel", RoomRole::Observer).unwrap();
    mel.settled().await;
    assert_eq!(action_names(node_at(mel.tree(&subscription), "rooms/m")), ["leave"]);
    assert_eq!(outcome(&mut mel, "/rooms/m", "say", json!({"text": "x"})).await, "unauthorized");
    engine.rooms().dismiss(&creator, "m", "mel").unwrap();
    assert_eq!(outcome(&mut mel, "/rooms/m", "say", json!({"text": "x"})).await, "not_found");
    mel.settled().await;
    assert_eq!(child_ids(node_at(mel.tree(&subscription), "rooms")), Vec::<&str>::new());
    mel.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_claims_of_the_same_user_keep_what_was_joined_and_those_of_another_user_do_not() {
    let engine = engine();
    let mut mel = connect(&engine, "mel").await;
    mel.subscribe("/rooms/m").await;
    let session = user_session("s-mel", "mel").with_attribute("theme", "dark");
    assert!(engine.update_session(&session));
    assert_eq!(engine.rooms().stats().participants, 1);
    assert_eq!(mel.query("/rooms/m").await["properties"]["joined"], true);
    assert!(engine.update_session(&user_session("s-mel", "eve")));
    assert_eq!(engine.rooms().stats().participants, 0);
    assert_eq!(mel.query("/rooms/m").await, Value::Null);
    assert_eq!(mel.query("/rooms").await["properties"]["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_handler_was_given_brings_no_part_in_rooms_when_it_is_used_to_connect() {
    let engine = engine();
    engine.rooms().create(&user_session("c", "alice"), &NewRoom::new("o").id("o").access(Access::Observe)).unwrap();
    let mut mel = connect(&engine, "mel").await;
    mel.subscribe("/rooms/m").await;
    let held = engine.client(&user_session("s-mel", "mel")).unwrap().session();
    drop(mel);
    engine.close_session("s-mel");
    engine.rooms().dismiss(&user_session("creator", "alice"), "m", "mel").unwrap();
    let mut again = TestConsumer::connect(&engine, held).await;
    assert_eq!(child_ids(&again.query("/rooms").await), ["o"]);
    assert_eq!(engine.rooms().stats().participants, 0);
}
