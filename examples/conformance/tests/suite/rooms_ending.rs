//! How rooms end, and what is reported of them.

use std::time::Duration;

use serde_json::json;

use crate::mirror;
use crate::rooms::{at, audit, counted, create, create_open, is, join, kinds, refused, start};
use crate::running::soon;

/// After how long a log is looked at again that is not yet as wanted.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

#[tokio::test]
async fn a_room_that_is_closed_has_one_last_event_and_takes_nothing_more() {
    let app = start(&[]).await;
    let mut alice = app.subscribed("alice").await;
    let room = create_open(&mut alice).await;
    alice.invoke(&at(&room), "join", json!({})).await;
    let mut bob = join(&app, "bob", &room).await;
    let closed = alice.invoke(&at(&room), "close", json!({"reason": "done for today"})).await;
    let data = &closed.result["data"];
    assert_eq!(data["reason"], "close");
    for consumer in [&mut alice, &mut bob] {
        let ended = consumer.event(is("room.ended")).await;
        let body = json!({"reason": "close", "duration_ms": data["duration_ms"], "note": "done for today"});
        assert_eq!(ended["body"], body);
        assert_eq!(kinds(consumer.events()).last(), Some(&"room.ended"));
    }
    assert!(!kinds(bob.events()).contains(&"participant.left"));
    let shown = alice.at(&at(&room));
    assert_eq!(mirror::ids(&shown), Vec::<String>::new());
    for (key, value) in
        [("state", json!("ended")), ("end_reason", json!("close")), ("joined", json!(false)), ("online", json!(0))]
    {
        assert_eq!(shown["properties"][key], value, "{key}");
    }
    for (action, params) in [
        ("say", json!({"text": "x"})),
        ("close", json!({})),
        ("admit", json!({"user": "x", "role": "member"})),
        ("dismiss", json!({"user": "bob"})),
    ] {
        assert_eq!(refused(&mut alice, &at(&room), action, params).await, "conflict", "{action}");
    }
    let board = format!("{}/board", at(&room));
    assert_eq!(refused(&mut bob, &board, "note", json!({"text": "x"})).await, "conflict");
    let counts = app.get("/control/rooms").await.json;
    assert_eq!((&counts["rooms"], &counts["participants"]), (&json!(0), &json!(0)), "those that have not ended");
}

#[tokio::test]
async fn the_node_of_a_room_that_ended_is_gone_after_a_while() {
    let app = start(&["--room-keep-ms", "50"]).await;
    let mut alice = app.subscribed("alice").await;
    let room = create_open(&mut alice).await;
    alice.invoke(&at(&room), "close", json!({})).await;
    alice.until(|tree| mirror::at(tree, &at(&room)).is_null()).await;
    assert_eq!(alice.at("/rooms")["properties"]["count"], 0);
    assert_eq!(refused(&mut alice, &at(&room), "say", json!({"text": "x"})).await, "not_found");
    alice.check().await;
}

#[tokio::test]
async fn an_admin_closes_the_rooms_of_the_project_by_path_and_of_no_other() {
    let app = start(&[]).await;
    let (mut alice, mut other) = (app.consumer("alice").await, app.consumer("zoe-pblue").await);
    let (room, foreign) = (create(&mut alice, json!({})).await, create(&mut other, json!({})).await);
    let mut admin = app.subscribed("adm").await;
    assert_eq!(mirror::ids(&admin.at("/rooms")), Vec::<String>::new());
    assert_eq!(refused(&mut admin, &at(&foreign), "close", json!({})).await, "not_found");
    assert_eq!(refused(&mut admin, &at(&room), "close", json!({})).await, "none");
    counted(&app, "one room", |counts| counts["rooms"] == 1).await;
}

#[tokio::test]
async fn a_room_ends_when_its_time_has_come() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create(&mut alice, json!({"ttl_s": 1, "sliding": false})).await;
    alice.subscribe(&at(&room), -1).await;
    assert!(alice.tree()["properties"]["ends_at"].is_string());
    assert_eq!(alice.event(is("room.ended")).await["body"]["reason"], "timeout");
}

#[tokio::test]
async fn a_room_ends_when_the_last_session_of_its_owner_is_revoked() {
    let app = start(&[]).await;
    let (mut alice, _second) = (app.consumer("alice-1").await, app.consumer("alice-2").await);
    let room = create_open(&mut alice).await;
    let mut bob = join(&app, "bob", &room).await;
    app.post("/control/revoke", r#"{"session": "alice-1"}"#).await;
    crate::rooms::say(&mut bob, &room, "it goes on").await;
    app.post("/control/revoke", r#"{"session": "alice-2"}"#).await;
    assert_eq!(bob.event(is("room.ended")).await["body"]["reason"], "revoked");
}

#[tokio::test]
async fn the_audit_log_has_refusals_creations_closes_and_revocations() {
    let app = start(&[]).await;
    let (mut alice, mut oba) = (app.consumer("alice").await, app.consumer("oba").await);
    let room = create_open(&mut alice).await;
    oba.subscribe(&at(&room), -1).await;
    assert_eq!(refused(&mut oba, &at(&room), "say", json!({"text": "x"})).await, "unauthorized");
    assert_eq!(app.upgrade("?token=bad", &[]).await, 401);
    let (next, log) = audit(&app, 0).await;
    let expected = [
        json!({"what": "create", "user": "alice", "room": room}),
        json!({"what": "say", "code": "unauthorized", "user": "oba", "room": room}),
        json!({"what": "connect", "code": "unauthorized"}),
    ];
    assert_eq!((log.as_slice(), next), (&expected[..], 3));
    assert_eq!(refused(&mut alice, &at(&room), "close", json!({})).await, "none");
    app.post("/control/revoke", r#"{"session": "oba"}"#).await;
    let (_, log) = audit(&app, next).await;
    let closed = json!({"what": "close", "user": "alice", "room": room});
    assert_eq!(log, [closed, json!({"what": "revoke", "user": "oba"})]);
    assert_eq!(audit(&app, 1_000).await, (5, vec![]));
    assert_eq!(app.get("/control/audit?since=x").await.status, 400);
}

#[tokio::test]
async fn the_audit_log_has_connections_that_were_taken_over() {
    let app = start(&[]).await;
    let mut lost = app.subscribed("alice").await;
    let mut next = app.consumer("alice").await;
    next.send(&json!({"type": "subscribe", "id": "again", "path": "/", "resume": lost.resume()})).await;
    assert_eq!(lost.closed().await, 4409);
    let logged = async {
        while audit(&app, 0).await.1 != [json!({"what": "takeover", "user": "alice"})] {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    soon("the entry", logged).await;
}
