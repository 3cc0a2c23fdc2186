//! Driver actions: what each does to the tree, with patches before the result.

use serde_json::{Value, json};

use crate::mirror::{at, ids};
use crate::running::Running;

#[tokio::test]
async fn every_change_is_in_all_mirrors_when_its_result_arrives() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    alice.subscribe("/todos", -1).await;
    alice.subscribe("/", 1).await;
    alice.subscribe("/tree", 2).await;
    alice.subscribe("/todos/t1", 0).await;
    let long = "x".repeat(600);
    for (action, params, node, wanted) in [
        (
            "set",
            json!({"node": "/todos/t1", "key": "n", "value": 1.5}),
            "/todos/t1",
            json!({"title": "milk", "done": false, "n": 1.5}),
        ),
        (
            "set",
            json!({"node": "/todos/t1", "key": "n", "value": null}),
            "/todos/t1",
            json!({"title": "milk", "done": false, "n": null}),
        ),
        (
            "set",
            json!({"node": "/todos/t1", "key": "n", "value": [{"a": null}, long]}),
            "/todos/t1",
            json!({"title": "milk", "done": false, "n": [{"a": null}, long]}),
        ),
        ("unset", json!({"node": "/todos/t1", "key": "n"}), "/todos/t1", json!({"title": "milk", "done": false})),
        (
            "set",
            json!({"node": "/todos/t1", "key": "a/b~c", "value": 1}),
            "/todos/t1",
            json!({"title": "milk", "done": false, "a/b~c": 1}),
        ),
        ("unset", json!({"node": "/todos/t1", "key": "a/b~c"}), "/todos/t1", json!({"title": "milk", "done": false})),
        ("set", json!({"node": "/prio/hi", "key": "first", "value": true}), "/prio/hi", json!({"first": true})),
        ("unset", json!({"node": "/prio/hi", "key": "first"}), "/prio/hi", json!({})),
        ("set", json!({"node": "/todos/t2/sub", "key": "x", "value": 2}), "/todos/t2/sub", json!({"x": 2})),
        ("set", json!({"node": "mix/c1", "key": "n", "value": 20}), "/mix/c1", json!({"n": 20})),
        ("set", json!({"node": "/mix/a1", "key": "n", "value": 30}), "/mix/a1", json!({"n": 30})),
        (
            "set",
            json!({"node": "/tree/tasks/t1/p2/p21", "key": "n", "value": 1}),
            "/tree/tasks/t1/p2/p21",
            json!({"n": 1}),
        ),
        ("set", json!({"node": "/ctl", "key": "label", "value": "C"}), "/ctl", json!({"label": "C"})),
        ("set", json!({"node": "/todos", "key": "label", "value": "L"}), "/todos", json!({"count": 2, "label": "L"})),
    ] {
        let done = alice.drive_ok(action, params.clone()).await;
        assert!(!done.before.is_empty(), "{action} {params} changes something");
        assert!(done.before.iter().all(|message| message["type"] == "patch" || message["type"] == "snapshot"));
        assert_eq!(alice.at(node)["properties"], wanted, "{action} {params}");
    }
}

#[tokio::test]
async fn an_action_that_changes_nothing_sends_and_commits_nothing() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    let commits = app.commits().await;
    for (action, params) in [
        ("set", json!({"node": "/todos/t1", "key": "title", "value": "milk"})),
        ("unset", json!({"node": "/todos/t1", "key": "nothing"})),
        ("order", json!({"ids": ["t1", "t2"]})),
        ("unmeta", json!({"node": "/todos/t1"})),
        ("acts", json!({"node": "/tree/inbox/m1", "names": ["open"]})),
        ("retype", json!({"node": "/todos/t1", "type": "item"})),
        ("cref", json!({"node": "/todos/t1", "ref": null})),
        ("gone", json!({"path": "/prio", "gone": false})),
        ("late", json!({"on": false})),
        ("break", json!({"path": "/prio", "broken": true})),
        ("break", json!({"path": "/prio", "broken": false})),
        ("burst", json!({"n": 0})),
        ("grow", json!({"n": 0})),
        ("many", json!({"steps": []})),
        ("nothing", json!({})),
        ("sleep", json!({"ms": 1})),
    ] {
        let before = alice.drive_ok(action, params).await.before;
        assert!(before.is_empty(), "{action} sent {before:?}");
    }
    assert_eq!(app.commits().await, commits);
}

#[tokio::test]
async fn inserting_removing_and_moving_an_item_is_one_operation_each() {
    let app = Running::start().await;
    let mut alice = app.consumer("alice").await;
    let sub = alice.subscribe("/todos", -1).await;
    let done = alice.drive_ok("insert", json!({"id": "x1", "index": 1})).await;
    let x1 = json!({"id": "x1", "type": "item", "properties": {"title": "x1"}});
    assert_eq!(done.ops(&sub), [json!({"op": "add", "path": "/x1", "value": x1, "index": 1})]);
    alice.drive_ok("insert", json!({"id": "x2", "index": 99})).await;
    assert_eq!(ids(alice.tree()), ["t1", "x1", "t2", "x2"]);
    let done = alice.drive_ok("order", json!({"ids": ["x2", "t1", "x1", "t2"]})).await;
    assert_eq!(done.ops(&sub), [json!({"op": "move", "path": "/x2", "index": 0})]);
    alice.drive_ok("order", json!({"ids": ["t2"]})).await;
    assert_eq!(ids(alice.tree()), ["t2", "x2", "t1", "x1"]);
    let done = alice.drive_ok("remove", json!({"id": "x1"})).await;
    assert_eq!(done.ops(&sub), [json!({"op": "remove", "path": "/x1"})]);
    assert_eq!(alice.tree()["properties"], json!({"count": 2}), "other properties are unchanged");
}

#[tokio::test]
async fn invalid_actions_are_refused_and_change_nothing() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    let before = alice.tree().clone();
    for (action, params, code) in [
        ("set", json!({"node": "/nowhere", "key": "k", "value": 1}), "not_found"),
        ("set", json!({"node": "/todos/t9", "key": "k", "value": 1}), "not_found"),
        ("set", json!({"node": "/deep/a", "key": "k", "value": 1}), "not_found"),
        ("set", json!({"node": "/", "key": "k", "value": 1}), "not_found"),
        ("set", json!({"node": "/board/b1", "key": "k", "value": 1}), "conflict"),
        ("set", json!({"node": "/todos/t1", "key": "k"}), "invalid_params"),
        ("insert", json!({"id": "t1", "index": 0}), "conflict"),
        ("insert", json!({"id": "meta", "index": 0}), "invalid_params"),
        ("insert", json!({"id": "x", "index": -1}), "invalid_params"),
        ("remove", json!({"id": "x"}), "not_found"),
        ("order", json!({"ids": ["t1", "x"]}), "not_found"),
        ("order", json!({"ids": ["t1", "t1"]}), "invalid_params"),
        ("acts", json!({"node": "/todos/t1", "names": ["a/b"]}), "invalid_params"),
        ("acts", json!({"node": "/todos/t1", "names": [""]}), "invalid_params"),
        ("retype", json!({"node": "/todos/t1", "type": ""}), "invalid_params"),
        ("cref", json!({"node": "/todos/t1", "ref": {}}), "invalid_params"),
        ("cref", json!({"node": "/todos/t1", "ref": {"type": "odd", "mime": "a/b", "summary": "s"}}), "invalid_params"),
        ("meta", json!({"node": "/todos/t1", "meta": []}), "invalid_params"),
        ("late", json!({"on": 1}), "invalid_params"),
        ("many", json!({"steps": [{"action": "set"}]}), "invalid_params"),
    ] {
        assert_eq!(alice.drive(action, params.clone()).await.code(), code, "{action} {params}");
    }
    assert_eq!(alice.tree(), &before);
}

#[tokio::test]
async fn meta_is_replaced_and_removed_as_a_whole() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    alice.subscribe("/todos", 1).await;
    for meta in [
        json!({"summary": "one", "salience": 0.5, "pinned": true, "urgency": "high", "reason": "r", "focus": false, "changed": true}),
        json!({"summary": "two"}),
        json!({"custom": {"a": [1]}}),
    ] {
        alice.drive_ok("meta", json!({"node": "/todos/t1", "meta": meta})).await;
        assert_eq!(alice.at("/todos/t1")["meta"], meta);
    }
    alice.drive_ok("unmeta", json!({"node": "/todos/t1"})).await;
    assert_eq!(alice.at("/todos/t1").get("meta"), None);
    alice.drive_ok("unmeta", json!({"node": "/inbox"})).await;
    assert_eq!(alice.at("/inbox")["meta"], json!({"total_children": 10, "window": [0, 3]}), "the window is kept");
}

#[tokio::test]
async fn a_node_offers_exactly_the_actions_it_was_given() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    alice.drive_ok("acts", json!({"node": "/todos/t1", "names": ["open", "toggle", "open"]})).await;
    assert_eq!(alice.at("/todos/t1")["affordances"], json!([{"action": "open"}, {"action": "toggle"}]));
    assert_eq!(alice.invoke("/todos/t1", "open", json!({})).await.result["status"], "ok");
    alice.invoke("/todos/t1", "toggle", json!({})).await;
    assert_eq!(alice.at("/todos/t1")["properties"]["done"], true);
    assert_eq!(alice.invoke("/todos/t1", "delete", json!({})).await.code(), "not_found");
    alice.drive_ok("acts", json!({"node": "/todos/t1", "names": []})).await;
    assert_eq!(alice.at("/todos/t1").get("affordances"), None);
}

#[tokio::test]
async fn the_type_and_content_of_nodes_and_items_can_change() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    alice.subscribe("/todos", -1).await;
    for (node, kind) in
        [("/todos/t2", "note"), ("/todos", "group"), ("/inbox/m1", "note"), ("/mix/a1", "item"), ("/tree", "view")]
    {
        alice.drive_ok("retype", json!({"node": node, "type": kind})).await;
        assert_eq!(alice.at(node)["type"], kind, "{node}");
    }
    let full = json!({
        "type": "binary", "mime": "image/png", "size": 3, "uri": "https://a.example/x", "summary": "s", "preview": "p",
        "encoding": "base64", "hash": "h",
    });
    alice.drive_ok("cref", json!({"node": "/todos/t1", "ref": full})).await;
    assert_eq!(alice.at("/todos/t1")["content_ref"], full);
    alice
        .drive_ok("cref", json!({"node": "/todos/t1", "ref": {"type": "stream", "mime": "a/b", "summary": "s"}}))
        .await;
    assert_eq!(alice.at("/todos/t1")["content_ref"]["uri"], "slop://content/todos/t1");
    alice.drive_ok("cref", json!({"node": "/todos/t1", "ref": null})).await;
    assert_eq!(alice.at("/todos/t1").get("content_ref"), None);
}

#[tokio::test]
async fn failures_carry_their_code_and_earlier_changes_are_kept() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    let failed = alice.drive("fail", json!({"message": "no"})).await;
    assert_eq!((failed.code(), &failed.result["error"]["message"]), ("internal", &json!("no")));
    assert_eq!(
        alice.drive("fail", json!({"code": "approval_required", "message": "no"})).await.code(),
        "approval_required"
    );
    let failed = alice.drive("mutate_fail", json!({})).await;
    assert_eq!((failed.code(), failed.before.len()), ("conflict", 1));
    assert_eq!(alice.at("/todos/t1")["properties"]["title"], "changed");
    assert_eq!(alice.drive("panic", json!({})).await.code(), "internal");
    alice.drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": "after the panic"})).await;
}

#[tokio::test]
async fn a_result_can_be_a_number_nothing_or_the_parameters() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    assert_eq!(alice.drive_ok("scalar", json!({})).await.result["data"], 7);
    assert_eq!(alice.drive_ok("nothing", json!({})).await.result.get("data"), None);
    for params in [json!({"n": 3}), json!({"n": -1, "s": "b", "tags": ["x"]})] {
        assert_eq!(alice.drive_ok("typed", params.clone()).await.result["data"], params);
    }
    for params in
        [json!({}), json!({"n": "3"}), json!({"n": 1.5}), json!({"n": 1, "s": "c"}), json!({"n": 1, "tags": [1]})]
    {
        assert_eq!(alice.drive("typed", params.clone()).await.code(), "invalid_params", "{params}");
    }
}

#[tokio::test]
async fn many_steps_are_one_commit_and_one_patch_per_subscription() {
    for debounce in ["50", "0"] {
        many_steps(Running::with(&["--debounce-ms", debounce]).await).await;
    }
}

async fn many_steps(app: Running) {
    let mut alice = app.consumer("alice").await;
    let subs = [alice.subscribe("/", -1).await, alice.subscribe("/todos", -1).await, alice.subscribe("/", 1).await];
    let (commits, version) = (app.commits().await, alice.query(&json!({"path": "/"})).await["version"].clone());
    let done = alice
        .drive_ok(
            "many",
            json!({"steps": [
                {"action": "set", "params": {"node": "/todos/t1", "key": "title", "value": "a"}},
                {"action": "insert", "params": {"id": "x", "index": 0}},
                {"action": "remove", "params": {"id": "t2"}},
                {"action": "gone", "params": {"path": "/prio", "gone": true}},
                {"action": "gone", "params": {"path": "/doc", "gone": true}},
                {"action": "late", "params": {"on": true}},
                {"action": "board", "params": {"text": "many"}},
                {"action": "burst", "params": {"n": 3}},
                {"action": "sleep", "params": {"ms": 1}},
                {"action": "nothing"},
            ]}),
        )
        .await;
    for sub in &subs {
        assert_eq!(done.messages(sub), 1, "{sub}");
    }
    assert_eq!(app.commits().await, commits + 1);
    assert_eq!(ids(alice.mirror(&subs[1])), ["x", "t1"]);
    assert_eq!(at(alice.mirror(&subs[0]), "/todos/t1")["properties"]["title"], "burst-3");
    assert_ne!(alice.query(&json!({"path": "/"})).await["version"], version);
}

#[tokio::test]
async fn many_stops_at_a_failing_step_and_does_nothing_if_a_step_is_malformed() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    let set = |value: &str| json!({"action": "set", "params": {"node": "/todos/t1", "key": "title", "value": value}});
    let failed = alice
        .drive(
            "many",
            json!({"steps": [set("a"), {"action": "fail", "params": {"code": "c", "message": "m"}}, set("b")]}),
        )
        .await;
    assert_eq!(failed.code(), "c");
    assert_eq!(alice.at("/todos/t1")["properties"]["title"], "a");
    for bad in [
        json!({"action": "nope"}),
        json!({"action": "many", "params": {"steps": []}}),
        json!({"action": "insert", "params": {"id": 1}}),
    ] {
        assert_eq!(alice.drive("many", json!({"steps": [set("c"), bad]})).await.code(), "invalid_params");
    }
    assert_eq!(alice.drive("many", json!({"steps": [set("d"), {"action": "panic"}]})).await.code(), "internal");
    assert_eq!(alice.at("/todos/t1")["properties"]["title"], "d");
}

#[tokio::test]
async fn a_burst_commits_each_change_separately() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    let commits = app.commits().await;
    alice.drive_ok("burst", json!({"n": 20})).await;
    assert_eq!(alice.at("/todos/t1")["properties"]["title"], "burst-20");
    assert_eq!(app.commits().await, commits + 20);
}

#[tokio::test]
async fn grown_items_have_about_300_bytes() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    alice.drive_ok("grow", json!({"n": 7})).await;
    alice.drive_ok("grow", json!({"n": 100})).await;
    let todos = alice.at("/todos");
    assert_eq!(ids(&todos).len(), 109);
    for item in &todos["children"].as_array().unwrap()[2..] {
        assert!((280..330).contains(&item.to_string().len()), "{item}");
    }
}

#[tokio::test]
async fn an_event_reaches_every_connection_of_the_session() {
    let app = Running::start().await;
    let (mut one, mut two) = (app.consumer("alice").await, app.consumer("alice").await);
    let done = one.drive_ok("emit", json!({"name": "ping", "data": {"n": 1}})).await;
    let event = json!({"type": "event", "name": "ping", "data": {"n": 1}});
    assert_eq!((done.before.as_slice(), two.receive().await), ([event.clone()].as_slice(), event));
    one.drive_ok("emit", json!({"name": "bare"})).await;
    assert_eq!(two.receive().await, json!({"type": "event", "name": "bare"}));
}

#[tokio::test]
async fn a_task_is_accepted_runs_and_completes() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    let accepted = alice.invoke("/ctl", "async", json!({"ms": 200})).await.result;
    assert_eq!(accepted["status"], "accepted");
    let node = format!("/tasks/{}", accepted["data"]["taskId"].as_str().unwrap());
    let task = alice.at(&node);
    assert_eq!((&task["type"], &task["properties"]["status"]), (&json!("status"), &json!("running")));
    assert!(task["properties"]["progress"].is_number());
    alice.until(|tree| at(tree, &node)["properties"]["status"] == "done").await;
    assert_eq!(alice.at(&node)["properties"]["progress"].as_f64(), Some(1.0));
    assert_eq!(alice.query(&json!({"path": node})).await["tree"]["properties"]["status"], "done");
}

#[tokio::test]
async fn invalid_nodes_reach_no_consumer() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    for _ in 0..2 {
        alice.drive_ok("bad_nodes", json!({})).await;
        assert_eq!(ids(&alice.at("/todos")), ["t1", "t2"]);
        assert_eq!(alice.at("/todos/t2")["properties"]["title"], "code");
        assert_eq!(alice.at("/todos/t1").pointer("/meta/urgency"), None);
        let offers = alice.at("/todos/t1")["affordances"].clone();
        assert!(offers.as_array().unwrap().iter().all(|offer| offer["estimate"] != "someday"), "{offers}");
    }
    alice.drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": "fine"})).await;
    assert_eq!(app.subscribed("alice").await.tree(), alice.tree());
}

#[tokio::test]
async fn waiting_calls_do_not_delay_others() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    alice
        .send(&json!({"type": "invoke", "id": "long", "path": "/ctl", "action": "sleep", "params": {"ms": 200}}))
        .await;
    let done = alice.drive_ok("scalar", json!({})).await;
    assert!(done.before.iter().all(|message| message["id"] != "long"));
    let received = alice.receive_until(|message| message["id"] == "long").await;
    assert_eq!(received.last().map(|result: &Value| &result["status"]), Some(&json!("ok")));
}
