//! What is kept in a room (rooms 6), by calls of the application and by actions of consumers.

use std::collections::BTreeMap;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, ActionError, Config, Engine, Event, Expected, Limit, MemoryQuery, NewRoom, Room, RoomMemory, RoomOptions,
    RoomRole, Session,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, action_names, cases, child_ids, error_code, evaluations, in_project, node_at, room_engine,
    room_engine_with, user_session,
};

fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

fn create(engine: &Engine, owner: &Session, new: &NewRoom) -> Room {
    engine.rooms().create(owner, new).expect("a user may create a room").room
}

fn memory(engine: &Engine, session: &Session, room: &Room) -> RoomMemory {
    engine.rooms().memory(session, room.id()).expect("the session has a role")
}

/// The keys that begin with a prefix, as a session reads them.
fn keys(memory: &RoomMemory, prefix: &str) -> Vec<String> {
    let query = MemoryQuery { prefix: prefix.into(), ..MemoryQuery::default() };
    memory.list(&query).unwrap().entries.into_iter().map(|entry| entry.key.into()).collect()
}

/// Bodies of the events about memory that wait for a consumer, with their numbers.
async fn changes(consumer: &mut TestConsumer) -> Vec<(u64, Value)> {
    let messages = consumer.settled().await;
    let events = messages.iter().filter(|message| message["name"] == "memory.changed").map(|message| &message["data"]);
    events.map(|event| (event["seq"].as_u64().unwrap(), event["body"].clone())).collect()
}

#[tokio::test]
async fn what_is_kept_is_read_by_all_with_a_role_and_written_by_members() {
    let (engine, _clock) = room_engine();
    let [ann, bob, vic] = ["ann", "bob", "vic"].map(|user| user_session(user, user));
    let room = create(&engine, &ann, &NewRoom::new("t").memory("goal", "launch"));
    engine.rooms().admit(&ann, room.id(), "bob", RoomRole::Member).unwrap();
    engine.rooms().admit(&ann, room.id(), "vic", RoomRole::Observer).unwrap();
    for session in [&ann, &bob, &vic] {
        let entry = memory(&engine, session, &room).get("goal").unwrap();
        assert_eq!((entry.key.as_str(), entry.value, entry.version), ("goal", json!("launch"), 1));
    }
    assert_eq!(memory(&engine, &bob, &room).put("goal", &json!({"by": "bob"})), Ok(2));
    let of_vic = memory(&engine, &vic, &room);
    assert_eq!(of_vic.get("goal").unwrap().value, json!({"by": "bob"}));
    let refused = [code(of_vic.put("goal", &json!(1))), code(of_vic.delete("goal")), code(of_vic.clear().map(|_| ()))];
    assert_eq!(refused, ["unauthorized"; 3]);
    assert_eq!((code(of_vic.get("other")), code(of_vic.get("a/b"))), ("not_found".into(), "invalid_params".into()));
    let unknown = engine.rooms().memory(&ann, "m_unknown").unwrap_err();
    for session in [&user_session("eve", "eve"), &in_project("ann2", "ann", "other"), &Session::new("nobody")] {
        assert_eq!(engine.rooms().memory(session, room.id()).unwrap_err(), unknown, "in the same words (SEC30)");
    }
    engine.rooms().dismiss(&ann, room.id(), "vic").unwrap();
    assert_eq!(of_vic.get("goal").unwrap_err(), unknown, "the role counts that the session has now");
}

#[tokio::test]
async fn a_session_without_a_user_reads_where_the_application_says_so_and_writes_nothing() {
    let (engine, _clock) = room_engine_with(RoomOptions::new().access(|_, _| Some(RoomRole::Member)), |_| {});
    let room = create(&engine, &user_session("ann", "ann"), &NewRoom::new("t").memory("k", 1));
    let of_visitor = memory(&engine, &Session::new("visitor"), &room);
    assert_eq!(of_visitor.get("k").unwrap().value, 1);
    assert_eq!(
        (code(of_visitor.put("k", &json!(2))), code(of_visitor.delete("k"))),
        ("unauthorized".into(), "unauthorized".into())
    );
}

#[tokio::test]
async fn each_write_is_one_event_with_its_actor_for_all_who_are_there() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = create(&engine, &ann, &NewRoom::new("t").access(Access::Project).memory("a", 1));
    let mut of_bob = TestConsumer::connect(&engine, bob.clone()).await;
    engine.rooms().join(&bob, room.id()).unwrap();
    let of_ann = memory(&engine, &ann, &room).trace_id("tx-123e4567-e89b-12d3-a456-426614174000");
    of_ann.put("b", &json!("x")).unwrap();
    of_ann.delete("a").unwrap();
    let messages = of_bob.settled().await;
    let events: Vec<_> = messages.iter().filter(|message| message["name"] == "memory.changed").collect();
    let bodies: Vec<_> = events.iter().map(|event| event["data"]["body"].clone()).collect();
    assert_eq!(bodies, [json!({"key": "b"}), json!({"key": "a", "deleted": true})]);
    assert_eq!(events[0]["data"]["actor"], json!({"user": "ann", "name": "ann", "kind": "person"}), "not joined");
    assert_eq!(events[0]["data"]["trace_id"], "tx-123e4567-e89b-12d3-a456-426614174000");
    assert_eq!(events.iter().map(|event| event["data"]["seq"].clone()).collect::<Vec<_>>(), [json!(3), json!(4)]);
    // What is not done is no event.
    assert_eq!(code(of_ann.delete("a")), "not_found");
    assert_eq!(code(of_ann.put_if("b", &json!(1), Expected::Nothing)), "conflict");
    let all = memory(&engine, &ann, &room);
    (1..4).for_each(|number| assert!(all.put(&format!("k{number}"), &json!(number)).is_ok()));
    assert_eq!(changes(&mut of_bob).await.len(), 3);
    assert_eq!((all.clear(), all.clear()), (Ok(4), Ok(0)));
    let cleared: Vec<_> = ["b", "k1", "k2", "k3"].map(|key| json!({"key": key, "deleted": true})).into();
    assert_eq!(changes(&mut of_bob).await.into_iter().map(|(_, body)| body).collect::<Vec<_>>(), cleared);
    assert_eq!(room.seq(), 11, "no number is left out");
}

#[tokio::test]
async fn a_write_takes_place_only_if_the_entry_is_the_expected_one() {
    let (engine, _clock) = room_engine();
    let ann = user_session("ann", "ann");
    let memory = memory(&engine, &ann, &create(&engine, &ann, &NewRoom::new("t")));
    let put = |expected: Expected| memory.put_if("k", &json!(1), expected).map_err(|error| error.code().to_owned());
    let conflict = || Err("conflict".to_owned());
    assert_eq!((put(Expected::Something), put(Expected::Version(1))), (conflict(), conflict()));
    assert_eq!(put(Expected::Nothing), Ok(1));
    assert_eq!((put(Expected::Nothing), put(Expected::Version(0))), (conflict(), conflict()));
    assert_eq!((put(Expected::Version(1)), put(Expected::Version(1))), (Ok(2), conflict()));
    assert_eq!(code(memory.delete_if("k", Expected::Version(1))), "conflict");
    memory.delete_if("k", Expected::Version(2)).unwrap();
    assert_eq!(code(memory.delete("k")), "not_found");
    // A version is not given again, so what was read before the removal is outdated for good.
    let again = put(Expected::Version(0)).unwrap();
    assert!(again > 2);
    assert_eq!((put(Expected::Version(2)), put(Expected::Something)), (conflict(), Ok(again + 1)));
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    const WRITERS: u64 = 8;
    const WRITES: u64 = 50;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let engine = Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new()).build();
    let ann = user_session("ann", "ann");
    let room = create(&engine, &ann, &NewRoom::new("t").memory("sum", 0));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let memory = memory(&engine, &ann, &room);
            scope.spawn(move || {
                for number in 0..WRITES {
                    memory.put(&format!("own-{writer}"), &json!(number)).unwrap();
                    loop {
                        let seen = memory.get("sum").unwrap();
                        let sum = seen.value.as_u64().unwrap() + 1;
                        if memory.put_if("sum", &json!(sum), Expected::Version(seen.version)).is_ok() {
                            break;
                        }
                    }
                }
            });
        }
    });
    let memory = memory(&engine, &ann, &room);
    assert_eq!(memory.get("sum").unwrap().value, WRITERS * WRITES);
    assert_eq!(room.seq(), 1 + 2 * WRITERS * WRITES, "each write was one event");
    for writer in 0..WRITERS {
        assert_eq!(memory.get(&format!("own-{writer}")).unwrap().value, WRITES - 1);
    }
}

#[tokio::test]
async fn every_bound_on_memory_is_refused_and_reported() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| {
        config.rooms.memory_keys = 3;
        config.rooms.memory_bytes = 20;
        config.rooms.all_memory_bytes = 30;
    });
    let log = EventLog::of(&engine);
    let ann = user_session("ann", "ann");
    let room = create(&engine, &ann, &NewRoom::new("t"));
    let first = memory(&engine, &ann, &room);
    let refused = |limit: Limit, expected: &str, done: Result<u64, ActionError>| {
        assert_eq!((code(done).as_str(), log.limit_count(limit)), (expected, 1), "{limit}");
        log.clear();
    };
    assert!(first.fits("k", &json!("x".repeat(17))) && !first.fits("k", &json!("x".repeat(18))));
    refused(Limit::RoomMemoryBytes, "invalid_params", first.put("k", &json!("x".repeat(18))));
    (0..3).for_each(|key| assert!(first.put(&key.to_string(), &json!(key)).is_ok()));
    refused(Limit::RoomMemoryKeys, "busy", first.put("3", &json!(3)));
    assert!(first.put("2", &json!(12)).is_ok(), "one that is there may be replaced");
    refused(Limit::RoomMemoryBytes, "busy", first.put("1", &json!("x".repeat(14))));
    assert_eq!(engine.rooms().stats().memory_bytes, 7);
    let second = memory(&engine, &ann, &create(&engine, &ann, &NewRoom::new("t").memory("k", "x".repeat(15))));
    assert_eq!(engine.rooms().stats().memory_bytes, 25);
    assert!(first.put("1", &json!("abcd")).is_ok());
    refused(Limit::AllRoomMemoryBytes, "busy", second.put("l", &json!(1)));
    assert_eq!(second.put("k", &json!(1)), Ok(2), "less is always possible");
    assert_eq!((second.clear(), engine.rooms().stats().memory_bytes), (Ok(1), 12));
    let create = |new: NewRoom| engine.rooms().create(&ann, &new).map(|_| 0);
    refused(
        Limit::RoomMemoryBytes,
        "invalid_params",
        create(NewRoom::new("t").memory("a", "x".repeat(9)).memory("b", "x".repeat(9))),
    );
    let many = (0..4).fold(NewRoom::new("t"), |new, key| new.memory(key.to_string(), key));
    refused(Limit::RoomMemoryKeys, "invalid_params", create(many));
    refused(Limit::AllRoomMemoryBytes, "busy", create(NewRoom::new("t").memory("a", "x".repeat(17))));
    assert_eq!(code(create(NewRoom::new("t").memory("meta", 1))), "invalid_params");
    assert_eq!(engine.rooms().stats().rooms, 2);
}

#[tokio::test]
async fn entries_are_listed_in_the_order_of_their_bytes_by_prefix_and_page() {
    let (engine, _clock) = room_engine();
    let ann = user_session("ann", "ann");
    let room = create(&engine, &ann, &NewRoom::new("t"));
    let memory = memory(&engine, &ann, &room);
    for key in ["b", "ä", "a2", "a", "B", "a10"] {
        memory.put(key, &json!(key)).unwrap();
    }
    assert_eq!(keys(&memory, ""), ["B", "a", "a10", "a2", "b", "ä"]);
    assert_eq!((keys(&memory, "a"), keys(&memory, "c")), (vec!["a".into(), "a10".into(), "a2".into()], Vec::new()));
    let page = |after: Option<&str>| {
        let query = MemoryQuery { prefix: "a".into(), limit: Some(2), after: after.map(Into::into) };
        let page = memory.list(&query).unwrap();
        (page.entries.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>().join(" "), page.next)
    };
    assert_eq!(page(None), ("a a10".into(), Some("a10".into())));
    assert_eq!(page(Some("a10")), ("a2".into(), None));
}

#[tokio::test]
async fn a_child_reads_what_it_inherits_beneath_its_own_and_writes_only_its_own() {
    let (engine, _clock) = room_engine();
    let ann = user_session("ann", "ann");
    let inherits = |parent: &Room| NewRoom::new("c").parent(parent.id().as_str(), [grove_engine::Facet::Memory]);
    let top = create(&engine, &ann, &NewRoom::new("t").memory("top", 0).memory("both", "top"));
    let parent = create(&engine, &ann, &inherits(&top).memory("both", "parent").memory("own", 1));
    let child = create(&engine, &ann, &inherits(&parent).memory("child", 2));
    let stranger = create(&engine, &ann, &NewRoom::new("c").parent(parent.id().as_str(), []));
    let [of_top, of_parent, of_child] = [&top, &parent, &child].map(|room| memory(&engine, &ann, room));
    assert_eq!(keys(&of_child, ""), ["both", "child", "own", "top"]);
    let read = |key: &str| of_child.get(key).map(|entry| (entry.value, entry.version)).unwrap();
    assert_eq!((read("both"), read("top"), read("child")), ((json!("parent"), 0), (json!(0), 0), (json!(2), 1)));
    assert_eq!(keys(&memory(&engine, &ann, &stranger), ""), Vec::<String>::new(), "only what it lists");
    // 0 is the version of what the room has not itself: so nobody shadows an entry that is there by mistake.
    assert_eq!(of_child.put_if("both", &json!("child"), Expected::Version(0)), Ok(2));
    assert_eq!(code(of_child.put_if("both", &json!("again"), Expected::Version(0))), "conflict");
    assert_eq!((read("both"), of_parent.get("both").unwrap().value), ((json!("child"), 2), json!("parent")));
    of_child.delete("both").unwrap();
    assert_eq!((read("both"), code(of_child.delete("both"))), ((json!("parent"), 0), "not_found".into()));
    of_top.put("late", &json!(true)).unwrap();
    assert_eq!(read("late"), (json!(true), 0), "as they are when they are read");
    engine.rooms().close(&ann, parent.id(), None).await.unwrap();
    assert_eq!(keys(&of_child, ""), ["child"], "with its memory ended what others read of it");
}

#[tokio::test]
async fn a_child_reads_nothing_any_more_of_a_parent_that_its_owner_may_not_see() {
    let (engine, clock) = room_engine();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|user| user_session(user, user));
    let new = || NewRoom::new("p").id("p").memory("secret", 1);
    let parent = create(&engine, &ann, &new());
    engine.rooms().admit(&ann, "p", "bob", RoomRole::Observer).unwrap();
    let inherits = NewRoom::new("c").parent("p", [grove_engine::Facet::Memory]).access(Access::Project);
    let child = create(&engine, &bob, &inherits);
    let of_eve = memory(&engine, &eve, &child);
    assert_eq!(of_eve.get("secret").unwrap().value, 1, "bob shares it");
    engine.rooms().dismiss(&ann, "p", "bob").unwrap();
    assert_eq!((code(of_eve.get("secret")), keys(&of_eve, "")), ("not_found".into(), Vec::new()));
    engine.rooms().admit(&ann, "p", "bob", RoomRole::Member).unwrap();
    assert_eq!(of_eve.get("secret").unwrap().value, 1);
    // Another room with the id of the parent is not the parent.
    engine.rooms().close(&ann, parent.id(), None).await.unwrap();
    clock.advance(60_000);
    engine.settle().await;
    create(&engine, &bob, &new());
    assert_eq!(code(of_eve.get("secret")), "not_found");
}

#[tokio::test]
async fn rooms_stand_above_one_another_up_to_a_bound() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| config.rooms.generations = 3);
    let log = EventLog::of(&engine);
    let ann = user_session("ann", "ann");
    let mut parent = create(&engine, &ann, &NewRoom::new("0"));
    for _ in 0..2 {
        parent = create(&engine, &ann, &NewRoom::new("c").parent(parent.id().as_str(), []));
    }
    let one_more = NewRoom::new("c").parent(parent.id().as_str(), []);
    assert_eq!(code(engine.rooms().create(&ann, &one_more)), "busy");
    assert_eq!(log.limit_count(Limit::RoomGenerations), 1);
}

#[tokio::test]
async fn a_room_that_has_ended_keeps_nothing() {
    let (engine, _clock) = room_engine();
    let ann = user_session("ann", "ann");
    let room = create(&engine, &ann, &NewRoom::new("t").memory("k", "value"));
    let memory = memory(&engine, &ann, &room);
    assert_eq!(engine.rooms().stats().memory_bytes, 8);
    engine.rooms().close(&ann, room.id(), None).await.unwrap();
    assert_eq!(engine.rooms().stats().memory_bytes, 0);
    let refused = [code(memory.get("k")), code(memory.put("k", &json!(1))), code(memory.clear())];
    assert_eq!(refused, ["conflict"; 3]);
    assert_eq!(code(engine.rooms().memory(&ann, room.id())), "conflict");
}

// In the tree.

fn immediate() -> Engine {
    Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new()).build()
}

async fn connect(engine: &Engine, user: &str) -> TestConsumer {
    TestConsumer::connect(engine, user_session(&format!("s-{user}"), user)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_keep_look_up_and_remove_entries_by_actions() {
    let engine = immediate();
    create(&engine, &user_session("ann", "ann"), &NewRoom::new("t").id("m").access(Access::Project));
    let [mut ann, mut bob] = [connect(&engine, "ann").await, connect(&engine, "bob").await];
    let (of_ann, node) = ann.subscribe("/rooms/m/memory").await;
    assert_eq!((&node["type"], action_names(&node)), (&json!("collection"), vec!["put", "delete", "clear", "get"]));
    let (of_bob, room) = bob.subscribe("/rooms/m").await;
    assert_eq!(child_ids(&room), ["participants", "runs", "memory"]);
    ann.settled().await;

    let put = json!({"key": "goal", "value": {"by": "may"}});
    let result = ann.invoke("/rooms/m/memory", "put", put).await;
    assert_eq!((&result["status"], &result["data"]), (&json!("ok"), &json!({"version": 1})));
    let item = &ann.tree(&of_ann)["children"][0];
    assert_eq!((&item["id"], &item["type"]), (&json!("goal"), &json!("item")), "in the tree with the result");
    assert_eq!(item["properties"], json!({"value": {"by": "may"}}));
    assert_eq!(changes(&mut bob).await, [(4, json!({"key": "goal"}))]);
    assert_eq!(child_ids(node_at(bob.tree(&of_bob), "memory")), ["goal"]);

    let got = bob.invoke("/rooms/m/memory", "get", json!({"key": "goal"})).await;
    assert_eq!(got["data"], json!({"key": "goal", "value": {"by": "may"}, "version": 1}));
    for (action, params, expected) in [
        ("get", json!({"key": "none"}), "not_found"),
        ("get", json!({"key": "a~b"}), "invalid_params"),
        ("put", json!({"key": "meta", "value": 1}), "invalid_params"),
        ("put", json!({"key": "x".repeat(257), "value": 1}), "invalid_params"),
        ("put", json!({"key": "goal"}), "invalid_params"),
        ("put", json!({"key": "goal", "value": 1, "version": 7}), "conflict"),
        ("delete", json!({"key": "goal", "version": 7}), "conflict"),
        ("delete", json!({"key": "none"}), "not_found"),
        ("rename", json!({}), "not_found"),
    ] {
        assert_eq!(
            error_code(&bob.invoke("/rooms/m/memory", action, params.clone()).await),
            expected,
            "{action} {params}"
        );
    }
    assert_eq!(bob.invoke("/rooms/m/memory", "put", json!({"key": "null", "value": null})).await["data"]["version"], 2);
    assert_eq!(bob.invoke("/rooms/m/memory", "delete", json!({"key": "goal", "version": 1})).await["status"], "ok");
    assert_eq!(child_ids(node_at(bob.tree(&of_bob), "memory")), ["null"]);
    assert_eq!(ann.invoke("/rooms/m/memory", "clear", json!({})).await["data"], json!({"deleted": 1}));
    assert_eq!(child_ids(ann.tree(&of_ann)), Vec::<&str>::new());
    ann.check_mirrors().await;
    bob.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observers_see_the_entries_and_are_refused_what_members_do() {
    let engine = immediate();
    let log = EventLog::of(&engine);
    let new = NewRoom::new("t").id("m").access(Access::Observe).memory("k", 1);
    create(&engine, &user_session("ann", "ann"), &new);
    let mut vic = connect(&engine, "vic").await;
    let member_elsewhere = vic.invoke("/rooms/m/memory", "put", json!({"key": "k", "value": 2})).await;
    assert_eq!(error_code(&member_elsewhere), "unauthorized");
    let (_, node) = vic.subscribe("/rooms/m/memory").await;
    assert_eq!((child_ids(&node), action_names(&node)), (vec!["k"], vec![]));
    for action in ["put", "delete", "clear", "get"] {
        let refused = vic.invoke("/rooms/m/memory", action, json!({"key": "k", "value": 2})).await;
        assert_eq!(error_code(&refused), "unauthorized", "{action}");
    }
    assert_eq!(log.count(|event| matches!(event, Event::RoomRefused { what: "call", .. })), 5, "SEC35");
    // Who has not joined sees nothing and does nothing.
    let mut ann = connect(&engine, "ann").await;
    let unjoined = ann.invoke("/rooms/m/memory", "get", json!({"key": "k"})).await;
    assert_eq!(error_code(&unjoined), "unauthorized");
    assert_eq!(ann.query("/rooms/m/memory").await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_fifty_entries_are_inline_and_the_others_are_loaded_when_they_are_asked_for() {
    let engine = immediate();
    let key = |number: usize| format!("k{number:03}");
    let new = (0..120).fold(NewRoom::new("t").id("m"), |new, number| new.memory(key(number), number));
    create(&engine, &user_session("ann", "ann"), &new);
    let mut ann = connect(&engine, "ann").await;
    let (_, node) = ann.subscribe("/rooms/m/memory").await;
    let expected = |range: std::ops::Range<usize>| range.map(key).collect::<Vec<_>>();
    assert_eq!((&node["meta"]["total_children"], &node["meta"]["window"]), (&json!(120), &json!([0, 50])));
    assert_eq!(child_ids(&node), expected(0..50));
    for (offset, count, shown) in [(40, 5, 40..45), (45, 10, 45..55), (110, 50, 110..120), (120, 10, 120..120)] {
        let query = json!({"path": "/rooms/m/memory", "window": [offset, count]});
        let tree = ann.query_with(query).await["tree"].clone();
        assert_eq!(child_ids(&tree), expected(shown), "{offset} {count}");
        assert_eq!(tree["meta"]["total_children"], 120);
    }
    assert_eq!(ann.query("/rooms/m/memory/k100").await["properties"], json!({"value": 100}));
    assert_eq!(ann.query("/rooms/m/memory/k999").await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_value_is_shown_shortened_and_looked_up_whole() {
    let engine = immediate();
    let long = "ä".repeat(5_000);
    let nested = |levels: usize| (0..levels).fold(json!(1), |below, _| json!([below]));
    let new = NewRoom::new("t").id("m").memory("long", long.clone()).memory("list", json!([1, 2]));
    let new = new.memory("deep", nested(32)).memory("deeper", nested(33)).memory("deepest", nested(115));
    let log = EventLog::of(&engine);
    create(&engine, &user_session("ann", "ann"), &new);
    let mut ann = connect(&engine, "ann").await;
    let (_, node) = ann.subscribe("/rooms/m/memory").await;
    assert_eq!(node_at(&node, "list")["properties"], json!({"value": [1, 2]}));
    assert_eq!(node_at(&node, "long")["properties"], json!({"value": "ä".repeat(512)}));
    assert_eq!(node_at(&node, "long")["meta"]["summary"], "shortened: 10002 bytes in all");
    assert_eq!(node_at(&node, "deep")["properties"], json!({"value": nested(32)}));
    assert_eq!(node_at(&node, "deeper")["properties"], json!({"value": nested(33).to_string()}), "as its text");
    for (key, value) in [("long", json!(long)), ("deeper", nested(33)), ("deepest", nested(115))] {
        assert_eq!(ann.invoke("/rooms/m/memory", "get", json!({"key": key})).await["data"]["value"], value);
    }
    assert_eq!(log.sanitised(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_renders_the_memory_once_for_members_and_once_for_observers_and_nothing_else() {
    let engine = immediate();
    engine.register("other", |_: &Session| grove_engine::Descriptor::status());
    engine.register_room("board", |_: &Room, _: &Session| grove_engine::Descriptor::status());
    let ann = user_session("ann", "ann");
    let room = create(&engine, &ann, &NewRoom::new("t").id("m").access(Access::Project));
    engine.rooms().admit(&ann, "m", "u0", RoomRole::Observer).unwrap();
    let mut consumers = Vec::new();
    for number in 0..10 {
        let mut consumer = connect(&engine, &format!("u{number}")).await;
        let (subscription, _) = consumer.subscribe("/rooms/m").await;
        consumers.push((consumer, subscription));
    }
    for (consumer, _) in &mut consumers {
        consumer.settled().await;
    }
    let paths = ["/rooms/{id}/memory", "/rooms/{id}", "/rooms/{id}/participants", "/rooms/{id}/board", "/other"];
    let before = paths.map(|path| evaluations(&engine, path));
    memory(&engine, &ann, &room).put("k", &json!(1)).unwrap();
    engine.settle().await;
    let after = paths.map(|path| evaluations(&engine, path));
    let costs: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(costs, [2, 0, 0, 0, 0], "{paths:?}");
    for (consumer, subscription) in &mut consumers {
        consumer.settled().await;
        assert_eq!(node_at(consumer.tree(subscription), "memory/k")["properties"]["value"], 1);
        consumer.check_mirrors().await;
    }
}

/// What may happen to a room's memory.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..80_u8, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => (0..80_u8).prop_map(Step::Delete),
        1 => Just(Step::Clear),
    ]
}

/// Checks that trees, lists and events agree with what was written, for a room with these entries from the start.
async fn check_writes(entries: usize, steps: Vec<Step>) {
    let engine = immediate();
    let ann = user_session("ann", "ann");
    let key = |number: usize| format!("k{number:02}");
    let mut known: BTreeMap<String, u8> = (0..entries).map(|number| (key(number), 0)).collect();
    let new = NewRoom::new("t").id("m").access(Access::Project);
    let new = known.iter().fold(new, |new, (key, value)| new.memory(key, *value));
    let memory = memory(&engine, &ann, &create(&engine, &ann, &new));
    let mut bob = connect(&engine, "bob").await;
    let (shown, _) = bob.subscribe("/rooms/m/memory").await;
    bob.settled().await;
    for step in steps {
        let deleted = |key: &str| json!({"key": key, "deleted": true});
        let mut expected = Vec::new();
        match step {
            Step::Put(number, value) => {
                let key = key(number.into());
                memory.put(&key, &json!(value)).unwrap();
                expected.push(json!({"key": key}));
                known.insert(key, value);
            }
            Step::Delete(number) => {
                let key = key(number.into());
                let was_there = known.remove(&key).is_some();
                assert_eq!(memory.delete(&key).is_ok(), was_there);
                expected.extend(was_there.then(|| deleted(&key)));
            }
            Step::Clear => {
                assert_eq!(memory.clear(), Ok(known.len()));
                expected.extend(std::mem::take(&mut known).into_keys().map(|key| deleted(&key)));
            }
        }
        let told: Vec<_> = changes(&mut bob).await.into_iter().map(|(_, body)| body).collect();
        assert_eq!(told, expected);
        let inline: Vec<_> = known.iter().take(50).map(|(key, value)| (key.clone(), json!(value))).collect();
        let node = bob.tree(&shown);
        let items = node["children"].as_array().into_iter().flatten();
        let items: Vec<_> =
            items.map(|item| (item["id"].as_str().unwrap().to_owned(), item["properties"]["value"].clone())).collect();
        assert_eq!(items, inline);
        assert_eq!(node["meta"]["total_children"], known.len());
        assert_eq!(keys(&memory, ""), known.keys().cloned().collect::<Vec<_>>());
    }
    bob.check_mirrors().await;
}

proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn trees_events_and_lists_agree_with_what_was_written(
        entries in 0..80_usize, steps in prop::collection::vec(step(), 0..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_writes(entries, steps));
    }
}
