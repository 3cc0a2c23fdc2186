//! Rooms where each session has a provider of its own.

use serde_json::json;

use crate::mirror;
use crate::rooms::{at, create_open, is_about, join, refused, say, start};

#[tokio::test]
async fn rooms_join_sessions_that_have_providers_of_their_own() {
    let app = start(&["--per-session"]).await;
    let mut alice = app.subscribed("alice").await;
    let room = create_open(&mut alice).await;
    alice.invoke(&at(&room), "join", json!({})).await;
    let mut bob = join(&app, "bob", &room).await;
    assert_eq!(mirror::ids(bob.tree()), ["participants", "runs", "memory", "board", "mine"]);
    alice.event(is_about("participant.joined", "bob")).await;
    say(&mut bob, &room, "hello").await;
    assert_eq!(alice.event(|event| event["body"]["text"] == "hello").await["actor"]["user"], "bob");
    bob.leave().await;
    alice.event(is_about("participant.left", "bob")).await;
    alice.drive_ok("gone", json!({"path": "/board", "gone": true})).await;
    assert_eq!(refused(&mut alice, &at(&room), "close", json!({})).await, "none");
    assert_eq!(alice.at(&at(&room))["properties"]["state"], "ended");
    alice.check().await;
}
