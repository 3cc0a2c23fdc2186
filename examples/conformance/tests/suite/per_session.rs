//! The same app with a provider for each session.

use serde_json::json;

use crate::running::Running;

#[tokio::test]
async fn a_session_sees_the_same_tree_in_both_modes() {
    let (shared, per_session) = (Running::start().await, Running::with(&["--per-session"]).await);
    for token in ["alice-1", "ro-1", "zoe"] {
        assert_eq!(shared.subscribed(token).await.tree(), per_session.subscribed(token).await.tree());
    }
}

#[tokio::test]
async fn paths_can_be_removed_and_restored_for_one_session() {
    let app = Running::with(&["--per-session"]).await;
    let (mut alice, bob) = (app.subscribed("alice").await, app.subscribed("bob").await);
    let whole = alice.tree().clone();
    for path in ["/board", "/deep/a/leaf", "/mix", "/todos"] {
        alice.drive_ok("gone", json!({"path": path, "gone": true})).await;
        assert_ne!(alice.tree(), &whole, "{path}");
        alice.drive_ok("gone", json!({"path": path, "gone": false})).await;
        assert_eq!(alice.tree(), &whole, "{path}");
    }
    alice.drive_ok("late", json!({"on": true})).await;
    assert_eq!(alice.at("/deep/a")["properties"], json!({"late": true}));
    alice.drive_ok("late", json!({"on": false})).await;
    assert_eq!(alice.tree(), &whole);
    assert_eq!(app.subscribed("bob").await.tree(), bob.tree());
}

#[tokio::test]
async fn the_board_is_shared_but_evaluated_for_each_session() {
    let app = Running::with(&["--per-session", "--debounce-ms", "5"]).await;
    let (mut alice, mut bob) = (app.subscribed("alice").await, app.subscribed("bob").await);
    assert_eq!(app.stats().await["evaluations"]["/board"], 2);
    alice.drive_ok("board", json!({"text": "hello all"})).await;
    let board = alice.at("/board");
    bob.until(|tree| tree["children"][0] == board).await;
    assert_eq!(app.stats().await["evaluations"]["/board"], 4);
}

#[tokio::test]
async fn a_refresh_matches_the_same_sessions() {
    let app = Running::with(&["--per-session"]).await;
    let _consumers = (app.subscribed("alice-1").await, app.subscribed("alice-2").await, app.subscribed("zoe").await);
    for (body, matched) in [
        (json!({"all": true}), 3),
        (json!({"user": "alice"}), 2),
        (json!({"org": "globex"}), 1),
        (json!({"where_prefix": "z"}), 1),
    ] {
        assert_eq!(app.refresh(&body).await, matched, "{body}");
    }
}
