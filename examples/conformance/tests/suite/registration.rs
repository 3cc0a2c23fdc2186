//! Paths that are added, removed and broken for one session.

use serde_json::{Value, json};

use crate::mirror::ids;
use crate::running::Running;

#[tokio::test]
async fn every_registered_path_can_be_removed_and_restored() {
    let app = Running::start().await;
    let (mut alice, bob) = (app.subscribed("alice").await, app.subscribed("bob").await);
    let (whole, others) = (alice.tree().clone(), bob.tree().clone());
    for path in
        ["/board", "/deep/a/leaf", "doc", "/inbox/", "/me", "/mix/a1", "/org", "/prio", "/stamp", "/todos", "/tree"]
    {
        alice.drive_ok("gone", json!({"path": path, "gone": true})).await;
        assert_eq!(alice.at(path), Value::Null, "{path}");
        assert!(
            alice.drive_ok("gone", json!({"path": path, "gone": true})).await.before.is_empty(),
            "{path} is removed already"
        );
        alice.drive_ok("gone", json!({"path": path, "gone": false})).await;
        assert_eq!(alice.tree(), &whole, "{path}");
    }
    assert_eq!(app.subscribed("bob").await.tree(), &others, "other sessions are not affected");
}

#[tokio::test]
async fn what_is_registered_below_a_removed_path_stays_below_a_group() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    alice.drive_ok("gone", json!({"path": "/mix", "gone": true})).await;
    let mix = alice.at("/mix");
    assert_eq!((&mix["type"], mix.get("properties")), (&json!("group"), None));
    assert_eq!(ids(&mix), ["a1"]);
}

#[tokio::test]
async fn only_registered_paths_can_be_removed_or_broken() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    for path in ["/nowhere", "/todos/t1", "/deep", "/deep/a", "/"] {
        assert_eq!(alice.drive("gone", json!({"path": path, "gone": true})).await.code(), "not_found", "{path}");
        assert_eq!(alice.drive("break", json!({"path": path, "broken": true})).await.code(), "not_found", "{path}");
    }
}

#[tokio::test]
async fn a_subscription_gets_an_error_when_its_path_vanishes_and_a_snapshot_when_it_returns() {
    let app = Running::start().await;
    let mut alice = app.consumer("alice").await;
    let id = alice.subscribe("/prio", -1).await;
    let done = alice.invoke("/ctl", "gone", json!({"path": "/prio", "gone": true})).await;
    assert_eq!(done.before.len(), 1, "{:?}", done.before);
    assert_eq!((&done.before[0]["type"], &done.before[0]["id"]), (&json!("error"), &json!(id)));
    assert_eq!(done.before[0]["error"]["code"], "not_found");
    let done = alice.drive_ok("gone", json!({"path": "/prio", "gone": false})).await;
    assert_eq!((&done.before[0]["type"], &done.before[0]["seq"]), (&json!("snapshot"), &json!(0)));
    alice.drive_ok("set", json!({"node": "/prio/hi", "key": "again", "value": true})).await;
    assert_eq!(alice.at("/hi")["properties"], json!({"again": true}));
}

#[tokio::test]
async fn a_path_registered_late_is_placed_between_existing_ones() {
    let app = Running::start().await;
    let (mut alice, bob) = (app.subscribed("alice").await, app.subscribed("bob").await);
    let before = alice.at("/deep");
    for _ in 0..2 {
        alice.drive_ok("late", json!({"on": true})).await;
        let a = alice.at("/deep/a");
        assert_eq!((&a["type"], &a["properties"]), (&json!("group"), &json!({"late": true})));
        assert_eq!(ids(&a), ["leaf"]);
        alice.drive_ok("set", json!({"node": "/deep/a", "key": "more", "value": 1})).await;
        assert_eq!(alice.at("/deep/a")["properties"], json!({"late": true, "more": 1}));
        assert!(alice.drive_ok("late", json!({"on": true})).await.before.is_empty(), "it is registered already");
        alice.drive_ok("gone", json!({"path": "/deep/a", "gone": true})).await;
        assert_eq!(alice.at("/deep"), before);
        alice.drive_ok("gone", json!({"path": "/deep/a", "gone": false})).await;
        assert_eq!(alice.at("/deep/a")["properties"], json!({"late": true, "more": 1}));
        alice.drive_ok("late", json!({"on": false})).await;
        assert_eq!(alice.at("/deep"), before);
    }
    assert_eq!(alice.drive("set", json!({"node": "/deep/a", "key": "x", "value": 1})).await.code(), "not_found");
    assert_eq!(bob.at("/deep"), before);
}

#[tokio::test]
async fn a_broken_path_keeps_its_last_good_content_and_others_are_unaffected() {
    let app = Running::start().await;
    let (mut alice, mut bob) = (app.subscribed("alice").await, app.subscribed("bob").await);
    let todos = alice.at("/todos");
    assert!(alice.drive_ok("break", json!({"path": "/todos", "broken": true})).await.before.is_empty());
    alice.drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": "hidden"})).await;
    assert_eq!(alice.at("/todos"), todos);
    alice.drive_ok("set", json!({"node": "/doc", "key": "title", "value": "shown"})).await;
    assert_eq!(alice.at("/doc")["properties"]["title"], "shown");
    bob.drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": "bob's"})).await;
    assert_eq!(bob.at("/todos/t1")["properties"]["title"], "bob's");
    alice.drive_ok("break", json!({"path": "/todos", "broken": false})).await;
    assert_eq!(alice.at("/todos/t1")["properties"]["title"], "hidden");
}

#[tokio::test]
async fn a_shared_path_can_break_for_one_session_only() {
    let app = Running::start().await;
    let (mut alice, mut bob) = (app.subscribed("alice").await, app.subscribed("anna").await);
    alice.drive_ok("break", json!({"path": "/board", "broken": true})).await;
    bob.drive_ok("board", json!({"text": "new"})).await;
    assert_eq!(bob.at("/board/b1")["properties"]["text"], "new");
    alice.drive_ok("nothing", json!({})).await;
    assert_eq!(alice.at("/board/b1")["properties"]["text"], "welcome");
    alice.drive_ok("break", json!({"path": "/board", "broken": false})).await;
    assert_eq!(alice.at("/board/b1")["properties"]["text"], "new");
}
