//! One provider, many users: each sees its own tree and nothing of the others.

use std::sync::Arc;

use grove_engine::testing::TestConsumer;
use grove_engine::{Connection, Descriptor, Engine, Frame, Scope, Session};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, Todos, action_names, child_ids, connect_and_subscribe, engine, evaluations, message_types, node_at,
    user_session,
};

#[tokio::test]
async fn two_users_with_different_views_open_get_different_trees() {
    let engine = engine();
    for view in ["inbox", "settings"] {
        engine.register(view, move |session: &Session| {
            let open = session.attribute("view") == Some(view);
            let descriptor = Descriptor::view().summary(format!("the {view}"));
            if open { descriptor.prop("owner", session.user()).prop("open", true) } else { descriptor }
        });
    }
    engine.register("context", |session: &Session| Descriptor::context_of(session));
    let mut alice = TestConsumer::connect(&engine, user_session("a", "alice").with_attribute("view", "inbox")).await;
    let mut bob = TestConsumer::connect(&engine, user_session("b", "bob").with_attribute("view", "settings")).await;
    let (_, alice_tree) = alice.subscribe("/").await;
    let (_, bob_tree) = bob.subscribe("/").await;
    assert_eq!(node_at(&alice_tree, "inbox")["properties"], json!({"owner": "alice", "open": true}));
    assert_eq!(node_at(&alice_tree, "settings").get("properties"), None);
    assert_eq!(node_at(&bob_tree, "settings")["properties"], json!({"owner": "bob", "open": true}));
    assert_eq!(node_at(&bob_tree, "inbox").get("properties"), None);
    assert_eq!(node_at(&alice_tree, "context")["properties"]["user"], "alice");
    assert_eq!(node_at(&bob_tree, "context")["properties"]["user"], "bob");
}

#[tokio::test]
async fn a_hundred_changes_for_one_user_cause_no_work_for_another() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    let (mut alice, alice_id) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    let log = EventLog::of(&engine);
    for number in 0..100 {
        todos.push("alice", &format!("entry {number}"));
        engine.refresh_now(Scope::session("a")).await;
        alice.settled().await;
    }
    assert_eq!(child_ids(node_at(alice.tree(&alice_id), "todos")).len(), 100);
    assert_eq!(log.work_for("b"), 0);
    assert!(log.work_for("a") >= 300, "the log records alice's work");
    assert_eq!(bob.settled().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_descriptor_function_receives_the_session_it_renders_for() {
    let engine = engine();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    engine.register("todos", move |session: &Session| {
        record.lock().push((session.id().to_owned(), session.user().map(str::to_owned)));
        Descriptor::group()
    });
    connect_and_subscribe(&engine, user_session("a", "alice")).await;
    connect_and_subscribe(&engine, user_session("b", "bob")).await;
    let expected = [("a".to_owned(), Some("alice".to_owned())), ("b".to_owned(), Some("bob".to_owned()))];
    assert_eq!(*seen.lock(), expected);
}

#[tokio::test]
async fn a_server_without_users_needs_no_session_handling() {
    let engine = engine();
    engine.register("clock", |_: &Session| Descriptor::status().prop("time", "noon"));
    let mut consumer = TestConsumer::connect(&engine, Session::new("local")).await;
    let (_, tree) = consumer.subscribe("/").await;
    let expected = json!({
        "id": "app", "type": "root", "properties": {"label": "App"},
        "children": [{"id": "clock", "type": "status", "properties": {"time": "noon"}}],
    });
    assert_eq!(tree, expected);
}

#[tokio::test]
async fn a_read_only_session_is_offered_no_actions() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    todos.push("alice", "water the plants");
    let (writer, w) = connect_and_subscribe(&engine, user_session("w", "alice").with_permission("write")).await;
    let (reader, r) = connect_and_subscribe(&engine, user_session("r", "alice")).await;
    assert_eq!(action_names(node_at(writer.tree(&w), "todos")), ["add"]);
    assert_eq!(action_names(node_at(writer.tree(&w), "todos/t1")), ["toggle"]);
    assert_eq!(action_names(node_at(reader.tree(&r), "todos")), Vec::<&str>::new());
    assert_eq!(node_at(reader.tree(&r), "todos/t1").get("affordances"), None);
    assert_eq!(node_at(reader.tree(&r), "todos/t1")["properties"], node_at(writer.tree(&w), "todos/t1")["properties"]);
}

#[tokio::test]
async fn the_context_node_shows_user_role_and_permissions() {
    let engine = engine();
    engine.register("context", |session: &Session| Descriptor::context_of(session));
    let session = user_session("a", "alice").with_attribute("role", "editor").with_permissions(["write", "read"]);
    let (consumer, subscription) = connect_and_subscribe(&engine, session).await;
    let context = node_at(consumer.tree(&subscription), "context");
    assert_eq!(context["type"], "context");
    assert_eq!(context["properties"], json!({"user": "alice", "role": "editor", "permissions": ["read", "write"]}));
}

#[tokio::test]
async fn connections_of_one_session_share_one_tree() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    let (mut first, one) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let log = EventLog::of(&engine);
    let (mut second, two) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    assert_eq!(log.work_for("a"), 1, "a second connection costs one snapshot: {:?}", log.all());
    assert_eq!(first.tree(&one), second.tree(&two));
    let before = evaluations(&engine, "/todos");
    todos.push("alice", "new");
    engine.refresh_now(Scope::session("a")).await;
    let (to_first, to_second) = (first.settled().await, second.settled().await);
    assert_eq!(evaluations(&engine, "/todos") - before, 1);
    assert_eq!(message_types(&to_first), ["patch"]);
    assert_eq!(to_first, to_second, "both get the same patch");
    assert_eq!(first.tree(&one), second.tree(&two));
}

#[tokio::test]
async fn no_message_can_switch_a_connection_to_another_session() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    for user in ["alice", "bob"] {
        todos.push(user, &format!("{user}'s secret"));
    }
    let (mut alice, alice_id) =
        connect_and_subscribe(&engine, user_session("a", "alice").with_permission("write")).await;
    let (_bob, _) = connect_and_subscribe(&engine, user_session("b", "bob").with_permission("write")).await;
    // No field of a message switches the session.
    for message in [
        json!({"type": "connect", "session": "b"}),
        json!({"type": "subscribe", "id": "x", "path": "/", "session": "b", "session_id": "b", "user": "bob"}),
        json!({"type": "query", "id": "y", "path": "/", "depth": -1, "session": "b", "user": "bob"}),
        json!({"type": "invoke", "id": "z", "path": "/todos/t1", "action": "toggle", "session": "b", "user": "bob"}),
    ] {
        let mut raw = TestConsumer::connect(&engine, user_session("a", "alice").with_permission("write")).await;
        raw.send(&message);
        engine.settle().await;
        while let Some(frame) = raw.connection().try_next_frame() {
            assert!(!format!("{frame:?}").contains("bob"), "{frame:?}");
        }
    }
    assert_eq!(todos.calls(), [("alice".to_owned(), "toggle".to_owned())]);
    assert!(todos.of("alice")[0].done && !todos.of("bob")[0].done);
    alice.settled().await;
    assert_eq!(node_at(alice.tree(&alice_id), "todos/t1")["properties"]["done"], true);
}

#[tokio::test]
async fn a_session_carries_the_claims_that_the_application_defines() {
    #[derive(Debug)]
    struct Cart(Vec<&'static str>);
    let engine = engine();
    engine.register("me", |session: &Session| {
        let cart = session.data::<Cart>().map(|cart| cart.0.clone()).unwrap_or_default();
        Descriptor::context()
            .prop("id", session.id())
            .prop("user", session.user())
            .prop("project", session.project())
            .prop("parent", session.parent())
            .prop("org", session.attribute("org"))
            .prop("claims", session.attributes().len())
            .prop("writes", session.can("write"))
            .prop("expires", session.expires_at().is_some())
            .prop("cart", cart)
    });
    let session = user_session("s", "alice")
        .with_project("garden")
        .with_parent("p")
        .with_attribute("org", "globex")
        .with_attribute("org", "acme")
        .with_permission("write")
        .with_data(Cart(vec!["spade"]));
    let (consumer, subscription) = connect_and_subscribe(&engine, session).await;
    let expected = json!({
        "id": "s", "user": "alice", "project": "garden", "parent": "p", "org": "acme", "claims": 1, "writes": true,
        "expires": false, "cart": ["spade"],
    });
    assert_eq!(node_at(consumer.tree(&subscription), "me")["properties"], expected);
}

#[tokio::test]
async fn a_session_without_consumers_has_no_tree() {
    let engine = engine();
    Todos::serve(&engine);
    let before = engine.stats();
    for number in 0..10_000 {
        engine.open_session(&user_session(&format!("s{number}"), &format!("u{number}"))).unwrap();
    }
    engine.refresh_now(Scope::all()).await;
    let after = engine.stats();
    assert_eq!((after.sessions, after.trees, after.tree_bytes), (10_000, 0, before.tree_bytes));
    assert_eq!(evaluations(&engine, "/todos"), 0, "no descriptor function ran");
    assert!(size_of::<Session>() <= 16, "a session is only a handle");
}

#[tokio::test]
async fn two_logins_of_one_user_are_two_sessions() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    let (mut phone, _) = connect_and_subscribe(&engine, user_session("phone", "alice")).await;
    let (mut desk, _) = connect_and_subscribe(&engine, user_session("desk", "alice")).await;
    assert_eq!(engine.stats().sessions, 2);
    todos.push("alice", "one");
    assert_eq!(engine.refresh_now(Scope::session("phone")).await, 1);
    assert_eq!((phone.settled().await.len(), desk.settled().await.len()), (1, 0));
    todos.push("alice", "two");
    assert_eq!(engine.refresh_now(Scope::user("alice")).await, 2);
    assert_eq!((phone.settled().await.len(), desk.settled().await.len()), (1, 1));
}

/// Connects a browser tab that provides its route.
async fn connect_tab(engine: &Engine, session: &Session, route: &str) -> Connection {
    let tab = engine.connect_tab(session).unwrap();
    let next = async || match tab.next_frame().await {
        Frame::Text(text) => serde_json::from_str::<Value>(&text).unwrap(),
        other => panic!("not a message: {other:?}"),
    };
    assert_eq!(next().await["type"], "connect");
    let hello =
        json!({"type": "hello", "provider": {"id": "ui", "name": "UI", "slop_version": "0.1", "capabilities": []}});
    tab.receive(&hello.to_string());
    let id = next().await["id"].clone();
    let route = json!({"id": "route", "type": "status", "properties": {"path": route}});
    let tree = json!({"id": "ui", "type": "root", "children": [route]});
    tab.receive(&json!({"type": "snapshot", "id": id, "version": 1, "tree": tree}).to_string());
    engine.settle().await;
    tab
}

#[tokio::test]
async fn a_user_can_have_several_tabs_and_consumers_at_once() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    let (mut first, one) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut second, two) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let mut querier = TestConsumer::connect(&engine, user_session("a", "alice")).await;
    let _home = connect_tab(&engine, &user_session("a", "alice"), "/home").await;
    let _away = connect_tab(&engine, &user_session("a", "alice"), "/away").await;
    todos.push("alice", "new");
    engine.refresh_now(Scope::user("alice")).await;
    first.settled().await;
    second.settled().await;
    let routes: Vec<_> = ["tab-1", "tab-2"]
        .map(|tab| node_at(first.tree(&one), &format!("ui/{tab}/route"))["properties"]["path"].clone())
        .into();
    assert_eq!(routes, ["/home", "/away"]);
    assert_eq!(child_ids(node_at(first.tree(&one), "todos")), ["t1"]);
    assert_eq!(child_ids(node_at(second.tree(&two), "todos")), ["t1"]);
    assert_eq!(querier.settled().await, Vec::<Value>::new(), "nothing is pushed to a consumer without subscriptions");
    assert_eq!(child_ids(&querier.query("/todos").await), ["t1"]);
}
