//! The events of rooms as server-sent events (rooms 7).

use std::time::Duration;

use grove_engine::{Message, Revocation, Shutdown};
use serde_json::{Value, json};

use crate::rooms_server::{EventStream, GUEST_MS, Received, serving, session_of};
use crate::server::{Server, within_deadline};

/// Who is in a room.
async fn users(server: &Server, room: &str) -> Vec<String> {
    let (_, shown) = server.gets("ann", &format!("{room}/participants")).await;
    let users = shown["participants"].as_array().unwrap().iter();
    users.map(|participant| participant["user"].as_str().unwrap().to_owned()).collect()
}

async fn until_empty(server: &Server, room: &str) {
    let empty = async {
        while !users(server, room).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within_deadline(empty).await;
}

/// What a stream has told before its end.
async fn rest(mut stream: EventStream) -> Vec<String> {
    let mut kinds = Vec::new();
    while let Some(received) = stream.next().await {
        kinds.push(received.kind);
    }
    kinds
}

#[tokio::test]
async fn events_have_the_form_of_the_contract_and_the_stream_ends_with_the_room() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let mut stream = server.events("bob", &room, "", "").await;
    for header in ["content-type: text/event-stream\r\n", "cache-control: no-store\r\n", "x-accel-buffering: no\r\n"] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    let joined = stream.next().await.unwrap();
    assert_eq!((joined.kind.as_str(), &joined.data["kind"]), ("participant.joined", &json!("participant.joined")));
    assert_eq!(joined.id, Some(format!("{}-2", joined.data["epoch"].as_str().unwrap())));
    assert_eq!(users(&server, &room).await, ["bob"]);
    server.say("ann", &room, "a\nb").await;
    assert_eq!(stream.next().await.unwrap().data["body"]["text"], "a\nb");
    let to = &joined.data["body"]["participant"];
    server.asks("ann", "POST", &format!("{room}/messages"), &json!({"text": "psst", "to": to})).await;
    let direct = stream.next().await.unwrap();
    assert_eq!((direct.id, direct.kind.as_str(), &direct.data["seq"]), (None, "message", &Value::Null));
    server.asks("ann", "DELETE", &room, &Value::Null).await;
    assert_eq!(rest(stream).await, ["room.ended"]);
    let (status, refused) = server.gets("bob", &format!("{room}/events")).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("conflict")));
}

#[tokio::test]
async fn a_client_that_closes_its_last_stream_leaves_at_once() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let mut watching = server.events("ann", &room, "", "").await;
    watching.next().await.unwrap();
    let [first, second] = [server.events("bob", &room, "", "").await, server.events("bob", &room, "", "").await];
    assert_eq!(watching.summary().await, ("participant.joined".to_owned(), 3));
    drop(first);
    server.until_connections_are(2).await;
    assert_eq!(users(&server, &room).await, ["ann", "bob"]);
    drop(second);
    let left = watching.next().await.unwrap();
    assert_eq!((left.kind.as_str(), &left.data["body"]["reason"]), ("participant.left", &json!("closed")));
    drop(watching);
    until_empty(&server, &room).await;
}

#[tokio::test]
async fn a_client_that_returns_is_first_told_what_it_has_missed() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let mut stream = server.events("bob", &room, "", "").await;
    let seen = stream.next().await.unwrap().id.unwrap();
    drop(stream);
    until_empty(&server, &room).await;
    server.say("ann", &room, "4").await;
    let known = format!("last-event-id: {seen}\r\n");
    for (query, headers, missed, joined) in [
        ("", known.as_str(), (3, 4), 5),
        ("?since=5", known.as_str(), (3, 6), 7),
        ("?since=5", "", (6, 8), 9),
        ("", "last-event-id: other-7\r\n", (1, 10), 11),
        ("", "last-event-id: nonsense\r\n", (1, 12), 13),
    ] {
        let mut stream = server.events("bob", &room, query, headers).await;
        let gap = stream.next().await.unwrap();
        assert_eq!((gap.id, gap.kind.as_str()), (None, "room.gap"));
        assert_eq!(gap.data["body"], json!({"from_seq": missed.0, "to_seq": missed.1}), "{query} {headers}");
        assert_eq!(stream.summary().await, ("participant.joined".to_owned(), joined));
        drop(stream);
        until_empty(&server, &room).await;
    }
    let mut stream = server.events("bob", &room, "?since=14", "last-event-id: \r\n").await;
    assert_eq!(stream.summary().await, ("participant.joined".to_owned(), 15), "nothing is missing");
    assert_eq!(server.gets("bob", &format!("{room}/events?since=x")).await.0, 400);
}

#[tokio::test]
async fn a_comment_every_15_s_shows_that_the_stream_is_alive() {
    let (server, clock) = serving().await;
    let room = server.open_room().await;
    let mut stream = server.events("bob", &room, "", "").await;
    stream.next().await.unwrap();
    for _ in 0..3 {
        clock.advance(14_999);
        server.say("ann", &room, "x").await;
        assert_eq!(stream.next().await.unwrap().kind, "message");
        clock.advance(1);
        assert_eq!(stream.next().await.unwrap(), Received::default());
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_access_of_its_session_is_revoked_or_expires() {
    let (server, clock) = serving().await;
    let room = server.open_room().await;
    let mut bob = server.events("bob", &room, "", "").await;
    assert_eq!(bob.summary().await.0, "participant.joined");
    let mut guest = server.events("guest", &room, "", "").await;
    assert_eq!(guest.summary().await.0, "participant.joined");
    server.engine.revoke(Revocation::user("bob"));
    assert_eq!(rest(bob).await, ["participant.joined"]);
    assert_eq!(guest.next().await.unwrap().data["body"]["reason"], "revoked");
    clock.advance(GUEST_MS);
    let kinds = rest(guest).await;
    let signs_of_life = |kind: &String| kind.is_empty() || kind == "heartbeat";
    assert!(kinds.iter().all(signs_of_life), "nothing but signs of life: {kinds:?}");
    assert!(users(&server, &room).await.is_empty());
}

#[tokio::test]
async fn a_shutdown_ends_the_streams() {
    let (server, clock) = serving().await;
    let room = server.open_room().await;
    let mut stream = server.events("bob", &room, "", "").await;
    stream.next().await.unwrap();
    let shutdown = Shutdown { spread: Duration::ZERO, ..Shutdown::within(Duration::from_secs(5)) };
    let engine = server.engine.clone();
    let draining = tokio::spawn(async move { engine.shutdown(shutdown).await });
    assert!(rest(stream).await.is_empty());
    within_deadline(draining).await.unwrap();
    assert_eq!(server.gets("bob", &format!("{room}/events")).await.0, 503);
    drop(clock);
}

#[tokio::test]
async fn a_user_who_is_dismissed_receives_nothing_more() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let id = room.rsplit('/').next().unwrap();
    let mut stream = server.events("bob", &room, "", "").await;
    stream.next().await.unwrap();
    server.engine.rooms().dismiss(&session_of("ann"), id, "bob").unwrap();
    server.say("ann", &room, "secret").await;
    assert!(rest(stream).await.is_empty());
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_delays_nobody_and_is_told_what_it_has_missed() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let id = room.rsplit('/').next().unwrap();
    let mut stream = server.events("bob", &room, "", "").await;
    assert_eq!(stream.summary().await, ("participant.joined".to_owned(), 2));
    // Much more than the buffers on the way hold together with what may wait.
    let (rooms, ann) = (server.engine.rooms(), session_of("ann"));
    let long = Message::text("x".repeat(16_000));
    let last = (0..1_500).fold(0, |_, _| rooms.say(&ann, id, &long).unwrap().seq.unwrap());
    let (mut next, mut gaps) = (3, 0);
    while next <= last {
        let Received { kind, data, .. } = stream.next().await.unwrap();
        if kind == "room.gap" {
            assert_eq!(data["body"]["from_seq"], next);
            next = data["body"]["to_seq"].as_u64().unwrap() + 1;
            gaps += 1;
        } else {
            assert_eq!(data["seq"], next);
            next += 1;
        }
    }
    assert!(gaps > 0);
}

#[tokio::test]
async fn a_stream_of_a_replayable_room_goes_on_from_the_last_event_without_a_gap() {
    let (server, _) = serving().await;
    let new = json!({"access": "project", "replayable": true});
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &new).await;
    let room = format!("/v1/rooms/{}", created["room"]["id"].as_str().unwrap());
    let mut stream = server.events("bob", &room, "", "").await;
    let last = stream.next().await.unwrap().id.unwrap();
    drop(stream);
    until_empty(&server, &room).await;
    for number in 0..300 {
        server.say("ann", &room, &number.to_string()).await;
    }
    for (query, header) in [("", format!("last-event-id: {last}\r\n")), ("?since=2", String::new())] {
        let mut stream = server.events("bob", &room, query, &header).await;
        for seq in 3..=303 {
            let event = stream.next().await.unwrap();
            assert_eq!(event.data["seq"], seq);
            assert!(event.id.unwrap().ends_with(&format!("-{seq}")));
        }
    }
}
