//! The initial tree of a session.

use serde_json::{Value, json};

use crate::mirror::ids;
use crate::running::Running;

fn actions(node: &Value) -> Vec<&str> {
    let affordances = node.get("affordances").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    affordances.iter().map(|affordance| affordance["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_root_is_the_app_with_its_paths_in_order() {
    let app = Running::start().await;
    let consumer = app.subscribed("alice-1").await;
    let root = consumer.tree();
    assert_eq!(
        (&root["id"], &root["type"], &root["properties"]),
        (&json!("app"), &json!("root"), &json!({"label": "Conf App"}))
    );
    assert_eq!(
        ids(root),
        ["board", "ctl", "deep", "doc", "inbox", "me", "mix", "org", "prio", "stamp", "todos", "tree"]
    );
}

#[tokio::test]
async fn the_small_nodes_are_as_specified() {
    let app = Running::start().await;
    let consumer = app.subscribed("alice-1").await;
    let board = consumer.at("/board");
    assert_eq!((&board["type"], &board["properties"]["label"]), (&json!("collection"), &json!("Board")));
    assert!(board["properties"]["rev"].is_u64());
    assert_eq!((&board["children"][0]["id"], &board["children"][0]["type"]), (&json!("b1"), &json!("item")));
    assert!(board["children"][0]["properties"]["text"].is_string());
    assert_eq!(
        consumer.at("/deep"),
        json!({"id": "deep", "type": "group", "children": [{"id": "a", "type": "group", "children": [
            {"id": "leaf", "type": "item", "properties": {"v": 1}},
        ]}]})
    );
    assert_eq!(
        consumer.at("/doc"),
        json!({
            "id": "doc", "type": "document", "properties": {"title": "Doc"}, "affordances": [{"action": "read_content"}],
            "content_ref": {"type": "text", "mime": "text/plain", "size": 5, "uri": "slop://content/doc", "summary": "five"},
        })
    );
    assert_eq!(
        consumer.at("/me"),
        json!({"id": "me", "type": "context", "properties": {"user": "alice", "org": "acme", "session": "alice-1"}})
    );
    assert_eq!(
        consumer.at("/mix"),
        json!({"id": "mix", "type": "collection", "properties": {"label": "Mix"}, "children": [
            {"id": "i1", "type": "item", "properties": {"n": 1}},
            {"id": "c1", "type": "note", "properties": {"n": 2}},
            {"id": "a1", "type": "status", "properties": {"n": 3}},
        ]})
    );
    let org = consumer.at("/org");
    assert_eq!((&org["type"], &org["properties"]["org"]), (&json!("status"), &json!("acme")));
    assert!(org["properties"]["members"].is_string());
    assert_eq!(consumer.at("/stamp"), json!({"id": "stamp", "type": "status", "properties": {"n": 0}}));
    assert_eq!(
        consumer.at("/prio"),
        json!({"id": "prio", "type": "group", "children": [
            {"id": "hi", "type": "item", "meta": {"salience": 0.9}},
            {"id": "lo", "type": "item", "meta": {"salience": 0.1}, "children": [
                {"id": "lo1", "type": "item", "meta": {"salience": 0.9}},
            ]},
            {"id": "plain", "type": "note"},
        ]})
    );
}

#[tokio::test]
async fn todos_and_the_tree_are_as_specified() {
    let app = Running::start().await;
    let consumer = app.subscribed("alice-1").await;
    let todo = json!([{"action": "toggle"}, {"action": "delete", "dangerous": true}]);
    let title = json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]});
    assert_eq!(
        consumer.at("/todos"),
        json!({
            "id": "todos", "type": "collection", "properties": {"count": 2},
            "affordances": [{"action": "add", "params": title}, {"action": "clear", "dangerous": true, "idempotent": true}],
            "children": [
                {"id": "t1", "type": "item", "properties": {"title": "milk", "done": false}, "affordances": todo},
                {"id": "t2", "type": "item", "properties": {"title": "code", "done": true}, "affordances": todo, "children": [
                    {"id": "sub", "type": "item", "properties": {"x": 1}},
                ]},
            ],
        })
    );
    let item = |id: &str| json!({"id": id, "type": "item"});
    assert_eq!(
        consumer.at("/tree/inbox"),
        json!({
            "id": "inbox", "type": "collection", "properties": {"n": 3}, "affordances": [{"action": "clear"}],
            "meta": {"salience": 0.8},
            "children": [
                {"id": "m1", "type": "item", "properties": {"s": "x"}, "affordances": [{"action": "open"}],
                    "children": [item("a1"), item("a2")]},
                {"id": "m2", "type": "item", "properties": {"s": "y"}, "meta": {"salience": 0.2}, "children": [
                    item("b1"), item("b2"), {"id": "b3", "type": "group", "children": [item("b31")]},
                ]},
                {"id": "m3", "type": "item", "properties": {"s": "z"}, "affordances": [{"action": "open"}]},
            ],
        })
    );
    let tasks = consumer.at("/tree/tasks");
    assert_eq!((&tasks["type"], &tasks["children"][0]["type"]), (&json!("group"), &json!("status")));
    assert_eq!(tasks["children"][0]["meta"]["pinned"], true);
    assert_eq!(tasks["children"][0]["meta"]["salience"].as_f64(), Some(0.0));
    assert_eq!(
        tasks["children"][0]["children"],
        json!([item("p1"), {"id": "p2", "type": "group", "children": [item("p21")]}])
    );
    assert_eq!(consumer.at("/tree/clock"), json!({"id": "clock", "type": "status", "properties": {"t": 1}}));
    assert_eq!(ids(&consumer.at("/tree")), ["inbox", "tasks", "clock"]);
}

#[tokio::test]
async fn ctl_offers_every_driver_action() {
    let app = Running::start().await;
    let consumer = app.subscribed("alice-1").await;
    let ctl = consumer.at("/ctl");
    assert_eq!((&ctl["type"], &ctl["properties"]), (&json!("status"), &json!({"label": "Control"})));
    assert_eq!(
        actions(&ctl),
        [
            "set",
            "unset",
            "insert",
            "remove",
            "order",
            "meta",
            "unmeta",
            "acts",
            "retype",
            "cref",
            "gone",
            "fail",
            "mutate_fail",
            "panic",
            "break",
            "async",
            "scalar",
            "nothing",
            "typed",
            "emit",
            "burst",
            "sleep",
            "grow",
            "board",
            "many",
            "late",
            "bad_nodes"
        ]
    );
}

#[tokio::test]
async fn a_read_only_user_is_offered_no_actions_on_todos() {
    let app = Running::start().await;
    let mut consumer = app.subscribed("ro1-x").await;
    for path in ["/todos", "/todos/t1", "/todos/t2"] {
        assert_eq!(actions(&consumer.at(path)), [""; 0], "{path}");
    }
    assert_eq!(consumer.invoke("/todos", "add", json!({"title": "x"})).await.code(), "not_found");
    assert_eq!(consumer.invoke("/todos/t1", "toggle", json!({})).await.code(), "not_found");
    consumer.drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": "by the driver"})).await;
}
