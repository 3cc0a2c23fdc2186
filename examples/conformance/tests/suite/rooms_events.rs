//! The events of a room: their order, their bounds, and heartbeats.

use serde_json::{Value, json};

use crate::rooms::{assert_contiguous, at, counted, create_open, is, join, kinds, say, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_participants_see_the_same_events_in_the_same_order_without_gaps() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe(&at(&room), -1).await;
    let mut speakers = Vec::new();
    for number in 0..4 {
        let (mut speaker, room) = (join(&app, &format!("user{number}"), &room).await, room.clone());
        speakers.push(tokio::spawn(async move {
            for message in 0..25 {
                let said = say(&mut speaker, &room, &format!("{number}/{message}")).await;
                // The event of a call precedes its result.
                assert!(
                    speaker.events().iter().any(|event| event["id"] == said["event"] && event["seq"] == said["seq"])
                );
            }
            speaker
        }));
    }
    let mut all = vec![alice];
    for speaker in speakers {
        all.push(speaker.await.unwrap());
    }
    let last = say(&mut all[0], &room, "last").await["event"].clone();
    for consumer in &mut all {
        consumer.event(|event| event["id"] == last).await;
        assert_contiguous(consumer.events());
    }
    let seen_by_all = all[0].events();
    for other in &all[1..] {
        let tail = &seen_by_all[seen_by_all.len() - other.events().len()..];
        assert_eq!(tail, other.events());
        assert_eq!(tail[0]["kind"], "participant.joined", "its own comes first");
    }
    let message = seen_by_all.iter().find(|event| is("message")(event)).unwrap();
    let keys: Vec<_> = message.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["id", "room", "project", "epoch", "seq", "kind", "actor", "trace_id", "at", "body"]);
    assert_eq!(message["actor"]["kind"], "person");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_costs_no_more_than_the_bound_and_is_told_which_events_it_missed() {
    let app = start(&["--event-bytes", "50000"]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    let mut slow = join(&app, "bob", &room).await;
    alice.subscribe(&at(&room), -1).await;
    let text = "x".repeat(15_000);
    // Until the sockets' own buffers are full, and then some more than may wait.
    let mut more = 20;
    while more > 0 {
        say(&mut alice, &room, &text).await;
        let waiting = app.get("/control/rooms").await.json["event_bytes"].as_u64().unwrap();
        assert!(waiting <= 50_000, "{waiting} bytes wait");
        more -= u64::from(waiting > 0);
    }
    let last = say(&mut alice, &room, "last").await["event"].clone();
    slow.event(|event| event["id"] == last).await;
    let gaps: Vec<_> = slow.events().iter().filter(|event| is("room.gap")(event)).collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap["seq"].is_null() && gap["actor"].is_null()));
    let mut next = slow.events()[0]["seq"].as_u64().unwrap();
    for event in slow.events() {
        let of = |key: &str, event: &Value| event[key].as_u64();
        match of("seq", event) {
            Some(seq) => {
                assert_eq!(of("from_seq", event).unwrap_or(seq), next);
                next = seq + 1;
            }
            None => {
                assert_eq!(of("from_seq", &event["body"]), Some(next));
                next = of("to_seq", &event["body"]).unwrap() + 1;
            }
        }
    }
    counted(&app, "nothing waits", |counts| counts["event_bytes"] == 0).await;
}

#[tokio::test]
async fn a_connection_that_receives_nothing_else_gets_heartbeats_of_the_room_it_joined_first() {
    let app = start(&["--heartbeat-ms", "30"]).await;
    let mut alice = app.consumer("alice").await;
    let (first, second) = (create_open(&mut alice).await, create_open(&mut alice).await);
    let mut bob = join(&app, "bob", &first).await;
    bob.subscribe(&at(&second), -1).await;
    let beat = bob.event(is("heartbeat")).await;
    assert_eq!((&beat["room"], &beat["project"]), (&json!(first), &json!("main")));
    let keys: Vec<_> = beat.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(!["seq", "actor", "trace_id"].iter().any(|key| keys.contains(key)), "{keys:?}");
    alice.check().await;
    assert!(!kinds(alice.events()).contains(&"heartbeat"), "it has joined no room");
    // They stop with the room.
    alice.invoke(&at(&first), "close", json!({})).await;
    bob.event(is("room.ended")).await;
    bob.event(|event| is("heartbeat")(event) && event["room"] == second.as_str()).await;
    let after = bob.events().iter().skip_while(|event| !is("room.ended")(event));
    assert!(after.skip(1).all(|event| event["room"] != first.as_str()), "its end is its last event");
}
