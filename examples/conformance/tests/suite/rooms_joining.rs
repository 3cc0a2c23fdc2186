//! How sessions come into rooms and go.

use serde_json::{Value, json};

use crate::mirror;
use crate::rooms::{actions, at, create, create_open, is, is_about, join, kinds, participants, refused, start};

#[tokio::test]
async fn a_subscription_at_a_room_or_below_it_joins_and_one_above_does_not() {
    let app = start(&[]).await;
    let mut alice = app.subscribed("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe("/rooms", -1).await;
    assert_eq!(alice.at(&at(&room))["meta"]["summary"], "0 online");
    assert_eq!(app.get("/control/rooms").await.json["participants"], 0);
    // The node is there, although it is only shown to who has joined.
    let mut bob = app.consumer("bob").await;
    bob.subscribe(&format!("{}/board", at(&room)), -1).await;
    assert_eq!(bob.tree()["properties"], json!({"notes": 0}));
    let carol = join(&app, "carol", &room).await;
    assert_eq!(mirror::ids(carol.tree()), ["participants", "runs", "memory", "board", "mine"]);
    assert_eq!(actions(carol.tree()), ["leave", "say"]);
    let shown = participants(&carol);
    let expected = |user: &str, name: &str, since: &Value| json!({"user": user, "name": name, "kind": "person", "role": "member", "status": "online", "since": since});
    assert_eq!(shown[0], expected("bob", "Bob", &shown[0]["since"]));
    assert_eq!(shown[1], expected("carol", "Carol", &shown[1]["since"]));
    alice.until(|tree| mirror::at(tree, &at(&room))["meta"]["summary"] == "2 online").await;
}

#[tokio::test]
async fn who_joins_is_first_told_of_itself() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    let joined = alice.invoke(&at(&room), "join", json!({})).await;
    let participant = joined.result["data"]["participant"].clone();
    assert!(participant.as_str().unwrap().starts_with("p_"));
    // The event precedes the result.
    assert_eq!(kinds(alice.events()), ["participant.joined"]);
    let first = &alice.events()[0];
    let body = json!({"participant": participant, "user": "alice", "name": "Alice", "kind": "person", "role": "owner"});
    assert_eq!(first["body"], body);
    assert_eq!((&first["room"], &first["project"]), (&json!(room), &json!("main")));
    let mut bob = join(&app, "bob", &room).await;
    assert!(is_about("participant.joined", "bob")(&bob.event(|_| true).await));
    assert_eq!(alice.event(is_about("participant.joined", "bob")).await["id"], bob.events()[0]["id"]);
}

#[tokio::test]
async fn everybody_who_leaves_is_gone_at_once_and_the_others_are_told_why() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create(&mut alice, json!({"title": "Board"})).await;
    alice.subscribe(&at(&room), -1).await;
    for user in ["bob", "carol", "dave", "erin", "frank"] {
        let admitted = refused(&mut alice, &at(&room), "admit", json!({"user": user, "role": "member"})).await;
        assert_eq!(admitted, "none");
    }
    let mut bob = join(&app, "bob", &room).await;
    assert_eq!(refused(&mut bob, &at(&room), "leave", json!({})).await, "none");
    let mut carol = app.consumer("carol").await;
    let subscription = carol.subscribe(&at(&room), 1).await;
    carol.unsubscribe(&subscription).await;
    let dave = join(&app, "dave", &room).await;
    dave.leave().await;
    let _erin = join(&app, "erin", &room).await;
    assert_eq!(refused(&mut alice, &at(&room), "dismiss", json!({"user": "erin"})).await, "none");
    let mut frank = join(&app, "frank", &room).await;
    assert_eq!(app.post("/control/revoke", r#"{"session": "frank"}"#).await.status, 200);
    assert_eq!(frank.closed().await, 1008);
    for (user, reason) in
        [("bob", "left"), ("carol", "left"), ("dave", "closed"), ("erin", "dismissed"), ("frank", "revoked")]
    {
        assert_eq!(alice.event(is_about("participant.left", user)).await["body"]["reason"], reason, "{user}");
    }
    alice.until(|tree| tree["properties"]["online"] == 1).await;
    assert_eq!(participants(&alice).len(), 1);
    assert!(!kinds(bob.events()).contains(&"participant.left"), "nobody is told of its own leaving");
    assert_eq!(app.get("/control/rooms").await.json["participants"], 1);
}

#[tokio::test]
async fn two_connections_of_a_session_are_one_participant_until_both_have_gone() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe(&at(&room), -1).await;
    let (first, mut second) = (join(&app, "bob", &room).await, join(&app, "bob", &room).await);
    let third = join(&app, "bob-2", &room).await;
    alice.until(|tree| tree["properties"]["online"] == 3).await;
    first.leave().await;
    third.leave().await;
    alice.event(is("participant.left")).await;
    crate::rooms::say(&mut second, &room, "still here").await;
    second.leave().await;
    alice.until(|tree| tree["properties"]["online"] == 1).await;
    let left = alice.events().iter().filter(|event| is("participant.left")(event)).count();
    assert_eq!(left, 2, "of `bob` and of `bob-2`");
}

#[tokio::test]
async fn the_room_of_a_user_who_is_dismissed_disappears_from_the_users_tree() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    let mut bob = app.subscribed("bob").await;
    bob.invoke(&at(&room), "join", json!({})).await;
    assert_eq!(refused(&mut alice, &at(&room), "dismiss", json!({"user": "bob"})).await, "none");
    bob.until(|tree| mirror::at(tree, &at(&room)).is_null()).await;
    assert_eq!(refused(&mut bob, &at(&room), "say", json!({"text": "x"})).await, "not_found");
    // By the access function, which takes the owner's word.
    assert_eq!(refused(&mut alice, &at(&room), "admit", json!({"user": "bob", "role": "observer"})).await, "none");
    bob.until(|tree| mirror::at(tree, &at(&room))["properties"]["role"] == "observer").await;
    bob.check().await;
}

#[tokio::test]
async fn a_session_whose_login_expires_leaves_and_the_others_are_told_why() {
    let app = start(&["--session-ttl-ms", "1500"]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe(&at(&room), -1).await;
    // Bob's login has to be younger, or it would expire with hers.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let mut bob = join(&app, "bob", &room).await;
    let left = bob.event(is_about("participant.left", "alice")).await;
    assert_eq!(left["body"]["reason"], "expired");
    assert_eq!(alice.closed().await, 4401);
    bob.until(|room| room["properties"]["online"] == 1).await;
}
