//! What is the same for several sessions: the board, the org, the stamp.

use serde_json::json;

use crate::running::Running;

#[tokio::test]
async fn a_new_board_text_reaches_everyone_and_the_caller_before_the_result() {
    let app = Running::start().await;
    let (mut alice, mut bob) = (app.subscribed("alice").await, app.subscribed("zoe").await);
    let rev = alice.at("/board")["properties"]["rev"].as_u64().unwrap();
    let call = alice.drive_ok("board", json!({"text": "hello all"})).await;
    assert_eq!(call.before.len(), 1);
    assert_eq!(alice.at("/board/b1")["properties"]["text"], "hello all");
    assert_eq!(alice.at("/board")["properties"]["rev"], rev + 1);
    let board = alice.at("/board");
    bob.until(|tree| tree["children"][0] == board).await;
    assert_eq!(app.subscribed("new-one").await.at("/board"), board);
}

#[tokio::test]
async fn sources_that_read_nothing_or_only_the_org_are_evaluated_once_per_read_class() {
    let app = Running::start().await;
    let mut consumers = Vec::new();
    for token in ["alice-1", "alice-2", "bob", "mia", "nora", "zoe"] {
        consumers.push(app.subscribed(token).await);
    }
    let before = app.stats().await;
    assert_eq!(app.refresh(&json!({"all": true})).await, 6);
    // The pass evaluates `/todos` for each of the six.
    let count = |stats: &serde_json::Value, path: &str| stats["evaluations"][path].as_u64().unwrap();
    app.until("a pass over six sessions", |stats| {
        ["/todos", "/tree", "/me"].iter().all(|path| count(stats, path) == count(&before, path) + 6)
    })
    .await;
    let after = app.stats().await;
    for (path, runs) in [("/board", 1), ("/stamp", 1), ("/org", 2), ("/me", 6)] {
        assert_eq!(count(&after, path) - count(&before, path), runs, "{path}");
    }
    assert_eq!(after["commits"], before["commits"], "a refresh that changes nothing commits nothing");
}

#[tokio::test]
async fn a_new_stamp_is_seen_only_by_sessions_that_a_refresh_reaches() {
    let app = Running::start().await;
    let (mut one, mut other, mut third) =
        (app.subscribed("alice-1").await, app.subscribed("alice-2").await, app.subscribed("zoe").await);
    let set = app.post("/control/stamp", r#"{"n": 41}"#).await;
    assert_eq!(set.status, 200);
    assert_eq!(one.query_tree("/stamp").await["properties"]["n"], 0, "setting it refreshes no session");

    let stamp = |n: u64| move |tree: &serde_json::Value| crate::mirror::at(tree, "/stamp")["properties"]["n"] == n;
    assert_eq!(app.refresh(&json!({"session": "alice-1"})).await, 1);
    one.until(stamp(41)).await;
    assert_eq!(other.query_tree("/stamp").await["properties"]["n"], 0);
    assert_eq!(app.refresh(&json!({"user": "alice"})).await, 2);
    other.until(stamp(41)).await;
    assert_eq!(third.query_tree("/stamp").await["properties"]["n"], 0);
    assert_eq!(app.refresh(&json!({"org": "globex"})).await, 1);
    third.until(stamp(41)).await;
    app.post("/control/stamp", r#"{"n": 42}"#).await;
    assert_eq!(app.refresh(&json!({"where_prefix": "alice-"})).await, 2);
    one.until(stamp(42)).await;
    other.until(stamp(42)).await;
    assert_eq!(third.query_tree("/stamp").await["properties"]["n"], 41);
}

#[tokio::test]
async fn the_org_node_shows_the_org_of_the_session() {
    let app = Running::start().await;
    for (token, org) in [("alice", "acme"), ("mia-2", "acme"), ("nora", "globex"), ("0-9", "globex")] {
        assert_eq!(app.subscribed(token).await.at("/org")["properties"]["org"], org, "{token}");
    }
}
