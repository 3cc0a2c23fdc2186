//! What participants may do: by their role, by the room's mode, and by their session's trust.

use serde_json::{Value, json};

use crate::consumer::Consumer;
use crate::rooms::{actions, at, create, create_open, is, join, own_id, refused, start};

/// How many notes the board of a room shows.
fn notes(room: &Value) -> Value {
    let children = room["children"].as_array().into_iter().flatten();
    let board = children.into_iter().find(|child| child["id"] == "board");
    board.map(|board| board["properties"]["notes"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn the_owner_manages_members_act_and_observers_see() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe(&at(&room), -1).await;
    let (mut bob, mut oba) = (join(&app, "bob", &room).await, join(&app, "oba", &room).await);
    assert_eq!(actions(alice.tree()), ["leave", "say", "admit", "dismiss", "close"]);
    assert_eq!(actions(bob.tree()), ["leave", "say"]);
    assert_eq!(actions(oba.tree()), ["leave"]);
    let mine = |consumer: &Consumer| consumer.at("/mine")["properties"].clone();
    assert_eq!(mine(&alice), json!({"user": "alice", "role": "owner"}));
    assert_eq!(mine(&bob), json!({"user": "bob", "role": "member"}));
    assert_eq!(mine(&oba), json!({"user": "oba", "role": "observer"}));
    let (board, mine) = (format!("{}/board", at(&room)), format!("{}/mine", at(&room)));
    assert_eq!(refused(&mut oba, &at(&room), "say", json!({"text": "x"})).await, "unauthorized");
    assert_eq!(refused(&mut oba, &board, "note", json!({"text": "x"})).await, "unauthorized");
    assert_eq!(refused(&mut oba, &mine, "secure", json!({})).await, "unauthorized");
    for member in [&mut bob, &mut oba] {
        for (action, params) in [
            ("close", json!({})),
            ("admit", json!({"user": "x", "role": "member"})),
            ("dismiss", json!({"user": "alice"})),
        ] {
            assert_eq!(refused(member, &at(&room), action, params).await, "unauthorized", "{action}");
        }
    }
    assert_eq!(refused(&mut bob, &board, "note", json!({"text": "x"})).await, "none");
    let mut other = app.consumer("other").await;
    assert_eq!(refused(&mut other, &at(&room), "say", json!({"text": "x"})).await, "unauthorized", "it has not joined");
    // Whoever observes the rooms of others owns those of its own.
    let own = create(&mut oba, json!({"title": "Own"})).await;
    assert_eq!(refused(&mut oba, &at(&own), "close", json!({})).await, "none");
}

#[tokio::test]
async fn the_notes_of_several_people_are_one_board() {
    for mode in [&[][..], &["--per-session"]] {
        let app = start(mode).await;
        let mut alice = app.consumer("alice").await;
        let room = create_open(&mut alice).await;
        let board = format!("{}/board", at(&room));
        alice.subscribe(&at(&room), -1).await;
        let (mut bob, mut oba) = (join(&app, "bob", &room).await, join(&app, "oba", &room).await);
        for (consumer, text) in [(&mut alice, "milk"), (&mut bob, "bread")] {
            assert_eq!(refused(consumer, &board, "note", json!({"text": text})).await, "none");
            assert_eq!(consumer.at("/board")["properties"]["notes"], if text == "milk" { 1 } else { 2 });
        }
        for consumer in [&mut alice, &mut bob, &mut oba] {
            consumer.until(|tree| notes(tree) == 2).await;
            assert_eq!(consumer.at("/board/n1")["properties"], json!({"text": "milk", "by": "alice"}));
            assert_eq!(consumer.at("/board/n2")["properties"], json!({"text": "bread", "by": "bob"}));
            consumer.check().await;
        }
        for bad in [json!({}), json!({"text": 1})] {
            assert_eq!(refused(&mut bob, &board, "note", bad).await, "invalid_params");
        }
        let mut other = app.consumer("zoe").await;
        let room = create_open(&mut other).await;
        let dave = join(&app, "dave", &room).await;
        assert_eq!(dave.at("/board")["properties"]["notes"], 0, "another room has its own");
    }
}

#[tokio::test]
async fn nothing_dangerous_is_done_in_a_sandbox() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    for (mode, code) in [("production", "none"), ("sandbox", "unauthorized")] {
        let room = create(&mut alice, json!({"mode": mode})).await;
        let mut here = join(&app, "alice", &room).await;
        assert_eq!(here.tree()["properties"]["mode"], mode);
        assert_eq!(actions(&here.at("/mine")), ["danger", "secure"]);
        let mine = format!("{}/mine", at(&room));
        let call = here.invoke(&mine, "danger", json!({})).await;
        assert_eq!(call.code(), code, "{mode}");
        if mode == "production" {
            assert_eq!(call.result["data"], json!({"done": true}));
        } else {
            let (_, log) = crate::rooms::audit(&app, 0).await;
            let refusal = json!({"what": "call", "code": "unauthorized", "user": "alice", "room": room});
            assert_eq!(log.last(), Some(&refusal));
        }
        assert_eq!(refused(&mut here, &mine, "secure", json!({})).await, "none");
    }
}

#[tokio::test]
async fn what_needs_a_verified_session_is_refused_to_a_provisional_one() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    let mine = format!("{}/mine", at(&room));
    let (mut bob, mut una) = (join(&app, "bob", &room).await, join(&app, "una", &room).await);
    assert_eq!(refused(&mut una, &mine, "secure", json!({})).await, "unauthorized");
    assert_eq!(bob.invoke(&mine, "secure", json!({})).await.result["data"], json!({"secure": true}));
}

#[tokio::test]
async fn a_direct_message_reaches_its_receiver_and_its_sender_and_a_repeated_call_acts_once() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    alice.subscribe(&at(&room), -1).await;
    let (mut bob, mut carol) = (join(&app, "bob", &room).await, join(&app, "carol", &room).await);
    let to = own_id(&mut bob).await;
    let said = alice.invoke(&at(&room), "say", json!({"text": "psst", "to": to})).await.result["data"].clone();
    assert!(said["seq"].is_null());
    let heard = bob.event(is("message")).await;
    assert_eq!((&heard["id"], &heard["body"]), (&said["event"], &json!({"text": "psst", "to": to})));
    assert!(heard["seq"].is_null());
    let call = json!({"text": "once", "call_id": "c1"});
    let first = alice.invoke(&at(&room), "say", call.clone()).await.result["data"].clone();
    assert_eq!(alice.invoke(&at(&room), "say", call).await.result["data"], first);
    crate::rooms::say(&mut alice, &room, "last").await;
    carol.event(|event| event["body"]["text"] == "last").await;
    let texts = |consumer: &Consumer| -> Vec<_> {
        let messages = consumer.events().iter().filter(|event| is("message")(event));
        messages.map(|event| event["body"]["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (texts(&alice), texts(&carol)),
        (vec!["psst".into(), "once".into(), "last".into()], vec!["once".to_owned(), "last".into()])
    );
}

#[tokio::test]
async fn a_note_costs_one_evaluation_of_the_board_for_its_author_and_one_for_all_others() {
    let app = start(&[]).await;
    let mut alice = app.consumer("alice").await;
    let room = create_open(&mut alice).await;
    let mut people = Vec::new();
    for number in 0..8 {
        people.push(join(&app, &format!("user{number}"), &room).await);
    }
    let runs = |stats: &Value| stats["evaluations"]["/rooms/{id}/board"].as_u64().unwrap();
    let before = runs(&app.stats().await);
    let noted = refused(&mut people[0], &format!("{}/board", at(&room)), "note", json!({"text": "milk"})).await;
    assert_eq!(noted, "none");
    for person in &mut people {
        person.until(|tree| notes(tree) == 1).await;
    }
    let costs = runs(&app.stats().await) - before;
    assert!(costs <= 2, "{costs} evaluations for eight people");
}
