//! Authentication, and what belongs to which session.

use serde_json::json;

use crate::running::Running;

#[tokio::test]
async fn a_token_can_be_sent_in_the_query_a_header_or_a_cookie() {
    let app = Running::start().await;
    assert_eq!(app.upgrade("?token=alice-1", &[]).await, 101);
    assert_eq!(app.upgrade("", &[("authorization", "Bearer alice-1")]).await, 101);
    assert_eq!(app.upgrade("", &[("cookie", "other=1; session=alice-1")]).await, 101);
}

#[tokio::test]
async fn a_connection_without_a_valid_token_is_refused() {
    let app = Running::start().await;
    for query in [
        "",
        "?token=",
        "?token=bad",
        "?token=bad-1",
        "?token=badger",
        "?token=Alice",
        "?token=a--b",
        "?token=-a",
        "?token=a-",
        "?token=a_b",
        "?token=a%20b",
        "?token=%C3%A9",
    ] {
        assert_eq!(app.upgrade(query, &[]).await, 401, "{query}");
    }
    assert_eq!(app.upgrade("", &[("authorization", "Bearer bad")]).await, 401);
    assert_eq!(app.upgrade("", &[("cookie", "session=A")]).await, 401);
    assert_eq!(app.stats().await["sessions"], 0);
}

#[tokio::test]
async fn a_page_of_another_origin_must_be_allowed() {
    let app = Running::with(&["--allow-origin", "https://a.example", "--allow-origin", "https://b.example"]).await;
    for (origin, status) in [("https://a.example", 101), ("https://b.example", 101), ("https://c.example", 403)] {
        assert_eq!(app.upgrade("?token=alice", &[("origin", origin)]).await, status, "{origin}");
    }
    let own = format!("http://{}", app.address);
    assert_eq!(app.upgrade("?token=alice", &[("origin", &own)]).await, 101);
}

#[tokio::test]
async fn two_tokens_of_the_same_user_share_nothing() {
    let app = Running::start().await;
    let (mut one, mut two) = (app.subscribed("alice-1").await, app.subscribed("alice-2").await);
    let untouched = two.tree().clone();
    for (action, params) in [
        ("set", json!({"node": "/todos/t1", "key": "title", "value": "secret"})),
        ("set", json!({"node": "/inbox/m1", "key": "subject", "value": "secret"})),
        ("set", json!({"node": "/doc", "key": "title", "value": "secret"})),
        ("set", json!({"node": "/deep/a/leaf", "key": "v", "value": "secret"})),
        ("set", json!({"node": "/mix/a1", "key": "n", "value": "secret"})),
        ("set", json!({"node": "/prio/plain", "key": "n", "value": "secret"})),
        ("set", json!({"node": "/tree/clock", "key": "t", "value": "secret"})),
        ("set", json!({"node": "/ctl", "key": "label", "value": "secret"})),
        ("grow", json!({"n": 3})),
        ("gone", json!({"path": "/prio", "gone": true})),
        ("emit", json!({"name": "secret"})),
    ] {
        one.drive_ok(action, params).await;
    }
    assert_eq!(app.refresh(&json!({"all": true})).await, 2);
    let done = two.drive_ok("nothing", json!({})).await;
    assert!(done.before.is_empty(), "{:?}", done.before);
    assert_eq!(two.tree(), &untouched);
}

#[tokio::test]
async fn two_connections_of_one_session_see_the_same_tree() {
    let app = Running::start().await;
    let (mut one, mut two) = (app.subscribed("alice").await, app.subscribed("alice").await);
    one.drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": "both"})).await;
    two.until(|tree| crate::mirror::at(tree, "/todos/t1")["properties"]["title"] == "both").await;
    assert_eq!(one.tree(), two.tree());
}

#[tokio::test]
async fn a_session_keeps_its_data_when_its_tree_is_evicted() {
    let app = Running::with(&["--idle-ms", "1"]).await;
    let mut alice = app.subscribed("alice").await;
    alice.drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": "kept"})).await;
    alice.drive_ok("gone", json!({"path": "/prio", "gone": true})).await;
    let tree = alice.tree().clone();
    alice.leave().await;
    app.until("no tree", |stats| stats["trees"] == 0).await;
    assert_eq!(app.stats().await["sessions"], 1);
    assert_eq!(app.subscribed("alice").await.tree(), &tree);
}

#[tokio::test]
async fn idle_trees_are_kept_up_to_the_limit() {
    let app = Running::with(&["--max-trees", "1"]).await;
    for token in ["a", "b", "c"] {
        app.subscribed(token).await.leave().await;
        app.until("no connection", |stats| stats["connections"] == 0).await;
    }
    app.until("one tree", |stats| stats["trees"] == 1).await;
}

#[tokio::test]
async fn an_expired_session_is_closed_and_cannot_be_opened_again() {
    let app = Running::with(&["--session-ttl-ms", "300"]).await;
    let mut alice = app.subscribed("alice").await;
    let second = app.consumer("alice").await;
    second.leave().await;
    assert_eq!(alice.closed().await, 4401);
    assert_eq!(app.upgrade("?token=alice", &[]).await, 401);
    assert_eq!(app.upgrade("?token=bob", &[]).await, 101, "another session has its own time");
}

#[tokio::test]
async fn an_oversized_message_closes_the_connection() {
    let app = Running::with(&["--max-message-bytes", "1000"]).await;
    let mut alice = app.consumer("alice").await;
    alice.send(&json!({"type": "query", "id": "q", "path": "x".repeat(2000)})).await;
    assert_eq!(alice.closed().await, 1009);
}

#[tokio::test]
async fn messages_above_the_rate_limit_get_busy() {
    let app = Running::with(&["--rate", "1"]).await;
    let mut alice = app.consumer("alice").await;
    for at in 0..5 {
        alice.send(&json!({"type": "query", "id": format!("q{at}"), "path": "/me"})).await;
    }
    alice.receive_until(|message| message["error"]["code"] == "busy").await;
}
