//! How rooms are created, and for whom they exist.

use serde_json::json;

use crate::mirror;
use crate::rooms::{actions, at, audit, create, create_open, refused, start};
use crate::running::Running;

#[tokio::test]
async fn without_the_flag_there_are_no_rooms_and_tokens_mean_what_they_did() {
    let app = Running::start().await;
    let mut anon = app.subscribed("anon-pred").await;
    assert_eq!(anon.at("/me")["properties"], json!({"user": "anon", "org": "acme", "session": "anon-pred"}));
    for path in ["/rooms", "/presence"] {
        assert!(anon.at(path).is_null(), "{path}");
    }
    assert_eq!(refused(&mut anon, "/rooms", "create", json!({})).await, "not_found");
    for path in ["/control/rooms", "/control/audit", "/v1/rooms?token=alice", "/v1/openapi.json"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_room_of_the_tree_is_the_same_room_over_http() {
    let app = start(&[]).await;
    let mut alice = app.subscribed("alice-1").await;
    let created = app.post("/v1/rooms?token=alice-2", r#"{"title": "Plans"}"#).await;
    assert_eq!(created.status, 201);
    let id = created.json["room"]["id"].as_str().unwrap().to_owned();
    alice.until(|tree| tree.to_string().contains(&id)).await;
    assert_eq!(app.get("/v1/rooms?token=alice-1").await.json["rooms"][0]["id"], id.as_str());
    assert_eq!(app.get(&format!("/v1/rooms/{id}?token=bob")).await.status, 404);
    assert_eq!(app.get("/v1/rooms").await.status, 401);
}

#[tokio::test]
async fn a_user_creates_a_room_and_is_its_owner() {
    let app = start(&[]).await;
    let mut alice = app.subscribed("alice-1").await;
    assert_eq!(alice.at("/rooms")["properties"], json!({"label": "Rooms", "count": 0}));
    let created = alice.invoke("/rooms", "create", json!({"title": "Plans", "attributes": {"k": "v"}})).await;
    let id = created.result["data"]["room"].as_str().unwrap().to_owned();
    assert_eq!(created.result["data"], json!({"room": id, "trust": "verified"}));
    let room = alice.at(&at(&id));
    let created_at = room["properties"]["created_at"].clone();
    let expected = json!({"title": "Plans", "state": "active", "owner": "alice", "role": "owner", "joined": false,
        "online": 0, "created_at": created_at, "trust": "verified", "mode": "production", "replayable": false});
    assert_eq!((&room["type"], &room["properties"]), (&json!("room"), &expected));
    assert_eq!((mirror::ids(&room), actions(&room)), (vec![], vec!["join"]));
    assert_eq!(alice.at("/rooms")["properties"]["count"], 1);
    alice.check().await;
    let counts = app.get("/control/rooms").await.json;
    let expected = json!({"rooms": 1, "participants": 0, "runs": 0, "queued": 0, "event_bytes": 0, "memory_bytes": 0,
        "leases": 1, "presence": 1});
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn what_a_room_keeps_is_counted_until_it_ends() {
    let app = start(&[]).await;
    let mut alice = app.subscribed("alice-1").await;
    let created = alice.invoke("/rooms", "create", json!({"memory": {"goal": "launch"}})).await;
    let id = created.result["data"]["room"].as_str().unwrap().to_owned();
    alice.invoke(&at(&id), "join", json!({})).await;
    let memory = format!("{}/memory", at(&id));
    assert_eq!(alice.at(&format!("{memory}/goal"))["properties"], json!({"value": "launch"}));
    let put = alice.invoke(&memory, "put", json!({"key": "n", "value": [1, 2]})).await;
    assert_eq!(put.result["data"], json!({"version": 2}));
    assert_eq!(mirror::ids(&alice.at(&memory)), ["goal", "n"]);
    alice.check().await;
    assert_eq!(app.get("/control/rooms").await.json["memory_bytes"], 4 + 8 + 1 + 5);
    alice.invoke(&at(&id), "close", json!({})).await;
    assert_eq!(app.get("/control/rooms").await.json["memory_bytes"], 0);
}

#[tokio::test]
async fn a_creation_that_cannot_be_is_refused_with_its_code_and_creates_nothing() {
    let app = start(&[]).await;
    for (token, params, code) in [
        ("anon-1", json!({}), "unauthorized"),
        ("alice", json!({"agent": "nobody"}), "unknown_agent"),
        ("alice", json!({"contract": "nothing"}), "contract_violation"),
        ("una", json!({"trust": "verified", "strict": true}), "caps_refused"),
        ("alice", json!({"ttl_s": 0}), "invalid_params"),
        ("alice", json!({"access": "everybody"}), "invalid_params"),
        ("alice", json!({"parent": "m_unknown"}), "not_found"),
    ] {
        let mut consumer = app.consumer(token).await;
        assert_eq!(refused(&mut consumer, "/rooms", "create", params.clone()).await, code, "{token} {params}");
    }
    assert_eq!(app.get("/control/rooms").await.json["rooms"], 0);
    let (_, log) = audit(&app, 0).await;
    assert_eq!(log[0], json!({"what": "create", "code": "unauthorized"}));
    let of_una = json!({"what": "create", "code": "caps_refused", "user": "una"});
    assert!(log.contains(&of_una), "{log:?}");
}

#[tokio::test]
async fn less_trust_is_granted_than_was_asked_for_unless_that_is_not_good_enough() {
    let app = start(&[]).await;
    let mut una = app.consumer("una").await;
    let created = una.invoke("/rooms", "create", json!({"trust": "verified"})).await;
    assert_eq!(created.result["data"]["trust"], "provisional");
}

#[tokio::test]
async fn a_user_has_at_most_256_rooms() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    for number in 0..256 {
        create(&mut alice, json!({"title": format!("Room {number}")})).await;
    }
    assert_eq!(refused(&mut alice, "/rooms", "create", json!({})).await, "busy");
    let mut bob = app.consumer("bob").await;
    create(&mut bob, json!({})).await;
    assert_eq!(app.get("/control/rooms").await.json["rooms"], 257);
}

#[tokio::test]
async fn a_room_does_not_exist_for_those_without_a_role_nor_for_other_projects() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice-pred").await;
    let (open, closed) = (create_open(&mut alice).await, create(&mut alice, json!({"title": "Mine"})).await);
    for (token, room) in [("bob-pblue", &open), ("bob", &open), ("alice-pblue", &open), ("bob-pred", &closed)] {
        let mut other = app.subscribed(token).await;
        assert!(other.at(&at(room)).is_null(), "{token}");
        for (action, params) in [
            ("join", json!({})),
            ("say", json!({"text": "x"})),
            ("close", json!({})),
            ("admit", json!({"user": "bob", "role": "member"})),
            ("leave", json!({})),
        ] {
            // In the same words as for a room that never was.
            let unknown = other.invoke("/rooms/m_unknown", action, params.clone()).await.result["error"].clone();
            let known = other.invoke(&at(room), action, params).await.result["error"].clone();
            assert_eq!(
                (&known["code"], &known["message"]),
                (&json!("not_found"), &unknown["message"]),
                "{token} {action}"
            );
        }
        let reply = other.query(&json!({"path": at(room)})).await;
        assert_eq!(reply["error"]["code"], "not_found", "{token}");
    }
    let bob = app.subscribed("bob-pred").await;
    assert_eq!(mirror::ids(&bob.at("/rooms")), [open.as_str()], "{closed} is not there");
}
