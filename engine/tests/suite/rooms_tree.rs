//! What sessions see of rooms in their trees, and what is computed for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, Action, Config, Descriptor, Engine, Event, Invocation, Item, Mode, NewRoom, Presence, RoomOptions,
    RoomRole, RoomSource, Scope, Session, Source,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, action_names, child_ids, error_code, evaluations, node_at, user_session};

fn engine() -> Engine {
    Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new()).build()
}

fn create(engine: &Engine, user: &str, room: &NewRoom) -> String {
    let creator = user_session(&format!("creator-{user}"), user);
    engine.rooms().create(&creator, room).unwrap().room.id().to_string()
}

/// A room `m` of alice's, in which every user is a member.
fn open_room(engine: &Engine) -> String {
    create(engine, "alice", &NewRoom::new("Board").id("m").access(Access::Project))
}

async fn connect(engine: &Engine, user: &str) -> TestConsumer {
    TestConsumer::connect(engine, user_session(&format!("s-{user}"), user)).await
}

/// The whole tree, by a query, which joins nothing.
async fn tree(consumer: &mut TestConsumer) -> Value {
    consumer.query("/").await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rooms_there_is_no_node_for_them() {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    let mut alice = connect(&engine, "alice").await;
    assert_eq!(child_ids(&tree(&mut alice).await), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_stand_in_the_order_of_their_creation_and_those_without_a_role_are_not_there() {
    let engine = engine();
    for id in ["z", "b", "m", "a"] {
        create(&engine, "alice", &NewRoom::new(id).id(id));
    }
    create(&engine, "bob", &NewRoom::new("his").id("0"));
    let mut alice = connect(&engine, "alice").await;
    let tree = tree(&mut alice).await;
    let rooms = node_at(&tree, "rooms");
    assert_eq!(rooms["properties"], json!({"label": "Rooms", "count": 4}));
    assert_eq!((child_ids(rooms), action_names(rooms)), (vec!["z", "b", "m", "a"], vec!["create"]));
    let mut nobody = TestConsumer::connect(&engine, Session::new("nobody")).await;
    let tree = nobody.query("/").await;
    assert_eq!((child_ids(node_at(&tree, "rooms")), action_names(node_at(&tree, "rooms"))), (vec![], vec![]));
    assert_eq!(alice.query("/rooms/0").await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_was_not_joined_is_a_stub_and_a_subscription_above_does_not_join_it() {
    let engine = engine();
    open_room(&engine);
    engine.register_room("board", |_: &grove_engine::Room, _: &Session| Descriptor::collection());
    let mut bob = connect(&engine, "bob").await;
    let (subscription, _) = bob.subscribe("/").await;
    bob.subscribe("/rooms").await;
    let room = node_at(bob.tree(&subscription), "rooms/m").clone();
    assert_eq!(room["type"], "room");
    let created_at = room["properties"]["created_at"].clone();
    let expected = json!({"title": "Board", "state": "active", "owner": "alice", "online": 0, "created_at": created_at,
        "trust": "verified", "mode": "production", "replayable": false, "role": "member", "joined": false});
    assert_eq!(room["properties"], expected);
    assert_eq!((child_ids(&room), action_names(&room)), (vec![], vec!["join"]));
    assert_eq!(room["meta"]["summary"], "0 online");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_at_a_room_or_below_it_joins_before_its_path_is_resolved() {
    let engine = engine();
    open_room(&engine);
    engine.register_room("board", |_: &grove_engine::Room, _: &Session| Descriptor::collection().prop("n", 1));
    let mut bob = connect(&engine, "bob").await;
    let (_, board) = bob.subscribe("/rooms/m/board").await;
    assert_eq!(board["properties"], json!({"n": 1}));
    let mut carol = connect(&engine, "carol").await;
    // The root's own id may stand in front.
    let (_, room) = carol.subscribe("/app/rooms/m").await;
    assert_eq!(child_ids(&room), ["participants", "runs", "memory", "board"]);
    assert_eq!(action_names(&room), ["leave", "say"]);
    assert_eq!(room["meta"]["summary"], Value::Null);
    assert_eq!((&room["properties"]["joined"], &room["properties"]["online"]), (&json!(true), &json!(2)));
    let participants = node_at(&room, "participants");
    assert_eq!((&participants["type"], &participants["properties"]), (&json!("collection"), &json!({"online": 2})));
    let first = &participants["children"][0];
    assert_eq!(first["type"], "participant");
    let since = first["properties"]["since"].clone();
    let expected =
        json!({"user": "bob", "name": "bob", "kind": "person", "role": "member", "status": "online", "since": since});
    assert_eq!(first["properties"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_subscription_that_is_ended_leaves_the_room_and_one_that_is_replaced_does_not() {
    let engine = engine();
    open_room(&engine);
    let alice = user_session("s-alice", "alice");
    let users = |engine: &Engine| engine.rooms().participants(&alice, "m").unwrap().len();
    let mut bob = connect(&engine, "bob").await;
    let mut second = TestConsumer::connect(&engine, user_session("s-bob", "bob")).await;
    let (first, _) = bob.subscribe("/rooms/m").await;
    let (below, _) = second.subscribe("/rooms/m/participants").await;
    assert_eq!(users(&engine), 1, "two connections of one session are one participant");
    bob.unsubscribe(&first);
    assert_eq!(users(&engine), 1, "the other connection shows it");
    second.unsubscribe(&below);
    assert_eq!(users(&engine), 0);
    let (again, _) = bob.subscribe("/rooms/m").await;
    // The same id at another path.
    bob.send(&json!({"type": "subscribe", "id": again, "path": "/"}));
    assert_eq!(users(&engine), 1);
    drop(bob);
    assert_eq!(users(&engine), 1, "a connection of the session exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_and_leaving_by_action_change_the_callers_tree_before_the_result() {
    let engine = engine();
    open_room(&engine);
    let mut bob = connect(&engine, "bob").await;
    let (subscription, _) = bob.subscribe("/").await;
    let joined = bob.invoke("/rooms/m", "join", json!({})).await;
    let participant = joined["data"]["participant"].as_str().unwrap().to_owned();
    let room = node_at(bob.tree(&subscription), "rooms/m");
    assert_eq!(child_ids(node_at(room, "participants")), [participant.as_str()]);
    assert_eq!(error_code(&bob.invoke("/rooms/m", "join", json!({})).await), "not_found", "it is not offered");
    assert_eq!(bob.invoke("/rooms/m", "leave", json!({})).await["status"], "ok");
    assert_eq!(action_names(node_at(bob.tree(&subscription), "rooms/m")), ["join"]);
    bob.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comer_costs_one_evaluation_of_the_participants_and_one_of_the_room_for_each_role() {
    let engine = engine();
    open_room(&engine);
    engine.register("other", |_: &Session| Descriptor::status());
    engine.register_room("board", |_: &grove_engine::Room, _: &Session| Descriptor::status());
    let mut members = Vec::new();
    for number in 0..20 {
        let mut member = connect(&engine, &format!("u{number}")).await;
        let (subscription, _) = member.subscribe("/rooms/m").await;
        members.push((member, subscription));
    }
    let mut outsider = connect(&engine, "outsider").await;
    let (stub, _) = outsider.subscribe("/rooms").await;
    for (member, _) in &mut members {
        member.settled().await;
    }
    outsider.settled().await;
    let count = |path: &str| evaluations(&engine, path);
    let paths = ["/rooms/{id}/participants", "/rooms/{id}", "/rooms/{id}/board", "/other", "/rooms"];
    let before = paths.map(count);
    let comer = user_session("s-alice", "alice");
    engine.open_session(&comer).unwrap();
    engine.rooms().admit(&comer, "m", "x", RoomRole::Member).unwrap();
    let idle = engine.client(&comer).unwrap();
    engine.rooms().join(&comer, "m").unwrap();
    engine.settle().await;
    let after = paths.map(count);
    let costs: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    // Member who has joined, and member who has not. The comer shows no tree yet.
    assert_eq!(costs, [1, 2, 0, 0, 0], "{paths:?}");
    for (member, subscription) in &mut members {
        let patches = member.settled().await;
        assert_eq!(patches.iter().filter(|message| message["type"] == "patch").count(), 1);
        assert!(patches.iter().all(|message| message.to_string().len() < 700), "one row and two numbers: {patches:?}");
        assert_eq!(node_at(member.tree(subscription), "participants")["properties"]["online"], 21);
    }
    outsider.settled().await;
    assert_eq!(node_at(outsider.tree(&stub), "m")["meta"]["summary"], "21 online");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_descriptor_for_rooms_runs_once_for_all_or_once_for_each_role_and_each_room_is_counted_as_one_path() {
    let engine = engine();
    open_room(&engine);
    create(&engine, "alice", &NewRoom::new("Other").id("n").access(Access::Observe));
    engine.register_room("same", |room: &grove_engine::Room, _: &Session| Descriptor::status().prop("t", room.title()));
    engine.register_room("by-role", |room: &grove_engine::Room, session: &Session| {
        Descriptor::status().prop("r", session.role_in(room).map(|role| role.as_str().to_owned()))
    });
    engine.register_room_async("late", |room: grove_engine::Room, _: Session| async move {
        Descriptor::status().prop("t", room.title().to_owned())
    });
    let mut consumers = Vec::new();
    for user in ["alice", "bob", "carol", "dave"] {
        let mut consumer = connect(&engine, user).await;
        for path in ["/rooms/m", "/rooms/n"] {
            let (_, room) = consumer.subscribe(path).await;
            assert_eq!(child_ids(&room), ["participants", "runs", "memory", "by-role", "late", "same"]);
            assert_eq!(node_at(&room, "same")["properties"], node_at(&room, "late")["properties"]);
            assert_eq!(node_at(&room, "by-role")["properties"]["r"], room["properties"]["role"]);
        }
        consumers.push(consumer);
    }
    engine.settle().await;
    let before = engine.stats().evaluations;
    assert!(before.keys().all(|path| !path.contains("/rooms/m")), "{before:?}");
    engine.refresh_now(Scope::all()).await;
    let after = engine.stats().evaluations;
    let count = |path: &str| after[path] - before[path];
    // Two rooms; in each there are two roles.
    assert_eq!(["/rooms/{id}/same", "/rooms/{id}/by-role", "/rooms/{id}/late"].map(count), [2, 4, 2]);
    assert_eq!(engine.refresh(Scope::room("m")), 4);
    assert_eq!(engine.refresh(Scope::room("unknown")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_for_rooms_later_is_shown_in_those_that_are_there_until_it_is_removed() {
    let engine = engine();
    open_room(&engine);
    let mut bob = connect(&engine, "bob").await;
    let (subscription, _) = bob.subscribe("/rooms/m").await;
    engine.register_room("b", |_: &grove_engine::Room, _: &Session| Descriptor::status().prop("n", 1));
    engine.register_room_source("a/deep", RoomSource::new(|_, _| Descriptor::status()));
    bob.settled().await;
    assert_eq!(child_ids(bob.tree(&subscription)), ["participants", "runs", "memory", "a", "b"]);
    engine.register_room("b", |_: &grove_engine::Room, _: &Session| Descriptor::status().prop("n", 2));
    bob.settled().await;
    assert_eq!(node_at(bob.tree(&subscription), "b")["properties"]["n"], 2);
    assert!(engine.unregister_room("b") && !engine.unregister_room("b"));
    bob.settled().await;
    assert_eq!(child_ids(bob.tree(&subscription)), ["participants", "runs", "memory", "a"]);
    for taken in ["", "participants", "runs/x", "memory"] {
        let refused = engine.try_register_room(taken, RoomSource::new(|_, _| Descriptor::status()));
        assert!(refused.is_err(), "`{taken}`");
        assert!(!engine.unregister_room(taken));
    }
    assert!(engine.try_register("rooms", Source::new(|_| Descriptor::status())).is_err());
    assert!(!engine.unregister("rooms"));
    assert_eq!(child_ids(bob.tree(&subscription)), ["participants", "runs", "memory", "a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_descriptor_for_rooms_affects_its_path_alone() {
    let engine = engine();
    open_room(&engine);
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    engine.register_room("board", move |room: &grove_engine::Room, session: &Session| {
        let is_owner = session.role_in(room) == Some(RoomRole::Owner);
        assert!(!(is_owner && is_broken.load(Ordering::SeqCst)), "broken for owners");
        Descriptor::status().prop("ok", true)
    });
    let mut alice = connect(&engine, "alice").await;
    let mut bob = connect(&engine, "bob").await;
    let (of_alice, room) = alice.subscribe("/rooms/m").await;
    assert_eq!(node_at(&room, "board")["properties"]["error"], "unavailable");
    assert_eq!(child_ids(&room), ["participants", "runs", "memory", "board"]);
    let (_, room) = bob.subscribe("/rooms/m").await;
    assert_eq!(node_at(&room, "board")["properties"]["ok"], true);
    broken.store(false, Ordering::SeqCst);
    engine.refresh_now(Scope::room("m")).await;
    alice.settled().await;
    assert_eq!(node_at(alice.tree(&of_alice), "board")["properties"]["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_beside_rooms_changes_neither_their_order_nor_what_stands_in_them() {
    let engine = engine();
    for id in ["z", "a"] {
        create(&engine, "alice", &NewRoom::new(id).id(id));
    }
    let mut alice = connect(&engine, "alice").await;
    let (subscription, _) = alice.subscribe("/").await;
    alice.subscribe("/rooms/z").await;
    let own = Source::new(|_: &Session| Descriptor::status());
    engine.register_for("s-alice", "mine", own).unwrap();
    alice.settled().await;
    let tree = alice.tree(&subscription);
    assert_eq!((child_ids(tree), child_ids(node_at(tree, "rooms"))), (vec!["mine", "rooms"], vec!["z", "a"]));
    assert_eq!(child_ids(node_at(tree, "rooms/z")), ["participants", "runs", "memory"]);
    create(&engine, "alice", &NewRoom::new("later").id("0"));
    alice.settled().await;
    assert_eq!(child_ids(node_at(alice.tree(&subscription), "rooms")), ["z", "a", "0"]);
    alice.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_below_a_room_are_told_which_it_is() {
    let engine = engine();
    open_room(&engine);
    let rename = Action::new("rename", |call: Invocation<()>| {
        let room = call.room.map(|room| room.id().to_string());
        json!({"room": room, "trace": call.trace_id})
    });
    let elsewhere = rename.clone();
    engine.register("other", move |_: &Session| Descriptor::status().action(&elsewhere));
    engine.register_room("board", move |_: &grove_engine::Room, _: &Session| {
        Descriptor::collection().item(Item::new("i").action(&rename))
    });
    let mut bob = connect(&engine, "bob").await;
    bob.subscribe("/rooms/m").await;
    let outcome = bob.invoke("/rooms/m/board/i", "rename", json!({})).await;
    assert_eq!(outcome["data"], json!({"room": "m", "trace": null}));
    assert_eq!(bob.invoke("/other", "rename", json!({})).await["data"]["room"], Value::Null);
    let invoke =
        json!({"type": "invoke", "id": "i", "path": "/rooms/m/board/i", "action": "rename", "trace_id": "tx-1"});
    bob.send(&invoke);
    assert_eq!(bob.answer("i").await["data"]["trace"], "tx-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn dangerous_actions_are_refused_in_a_sandbox_and_stay_in_the_tree() {
    let engine = engine();
    let log = EventLog::of(&engine);
    create(&engine, "alice", &NewRoom::new("Box").id("m").mode(Mode::Sandbox));
    let [wipe, look] = ["wipe", "look"].map(|name| Action::new(name, |_: Invocation<()>| {}));
    let wipe = wipe.dangerous(true);
    engine.register_room("board", move |_: &grove_engine::Room, _: &Session| {
        Descriptor::status().actions([&wipe, &look])
    });
    let mut alice = connect(&engine, "alice").await;
    let (_, room) = alice.subscribe("/rooms/m").await;
    assert_eq!(action_names(node_at(&room, "board")), ["wipe", "look"]);
    assert_eq!(error_code(&alice.invoke("/rooms/m/board", "wipe", json!({})).await), "unauthorized");
    assert_eq!(log.count(|event| matches!(event, Event::RoomRefused { what: "call", .. })), 1, "SEC35");
    assert_eq!(alice.invoke("/rooms/m/board", "look", json!({})).await["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_is_rendered_once_for_a_project_and_what_is_a_users_own_is_shown_to_that_user_alone() {
    let options = RoomOptions::new().presence();
    let engine = Engine::builder("app", "App").config(Config::immediate()).rooms(options).build();
    let session = |id: &str, user: &str, project: &str, card: Presence| {
        user_session(id, user).with_project(project).with_presence(card)
    };
    let mut watchers = Vec::new();
    for number in 0..5 {
        let (id, user) = (format!("w{number}"), format!("u{number}"));
        let mut watcher = TestConsumer::connect(&engine, user_session(&id, &user).with_project("p")).await;
        let (subscription, tree) = watcher.subscribe("/presence").await;
        assert_eq!(child_ids(&tree), Vec::<&str>::new());
        watchers.push((watcher, subscription));
    }
    let before = evaluations(&engine, "/presence");
    let ann = TestConsumer::connect(&engine, session("ann", "ann", "p", Presence::new("Ann").role("lead"))).await;
    engine.settle().await;
    assert_eq!(evaluations(&engine, "/presence") - before, 1);
    let other = TestConsumer::connect(&engine, session("o", "u0", "q", Presence::new("Other").host("secret"))).await;
    let own = TestConsumer::connect(&engine, session("u", "u0", "p", Presence::new("U").host("laptop").pid(7))).await;
    for (at, (watcher, subscription)) in watchers.iter_mut().enumerate() {
        watcher.settled().await;
        let rows = watcher.tree(subscription)["children"].as_array().unwrap().clone();
        let names: Vec<_> = rows.iter().map(|row| row["properties"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Ann", "U"]);
        let details = ["host", "pid", "cwd"].map(|key| rows[1]["properties"][key].clone());
        let is_own = at == 0;
        assert_eq!(details, [json!(is_own.then_some("laptop")), json!(is_own.then_some(7)), Value::Null]);
    }
    assert!(!engine.unregister("presence"));
    drop((ann, other, own));
    engine.close_session("u");
    let (watcher, subscription) = &mut watchers[0];
    watcher.settled().await;
    assert_eq!(watcher.tree(subscription)["children"].as_array().unwrap().len(), 1, "Ann may come back");
}
