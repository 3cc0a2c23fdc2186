//! How rooms end, once and for all (rooms 2).

use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Access, ActionError, Clock, EndReason, Engine, Event, Message, NewRoom, Revocation, Room, RoomOptions, RoomRole,
    RoomState, Session,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, in_project, room_engine, room_engine_with, user_session};

fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

fn create(engine: &Engine, owner: &Session, new: &NewRoom) -> Room {
    engine.rooms().create(owner, new).unwrap().room
}

async fn joined(engine: &Engine, session: &Session, room: &Room) -> TestConsumer {
    let consumer = TestConsumer::connect(engine, session.clone()).await;
    engine.rooms().join(session, room.id()).unwrap();
    consumer
}

async fn last_event(consumer: &mut TestConsumer) -> Value {
    let mut events: Vec<_> = consumer.settled().await.into_iter().filter(|event| event["type"] == "event").collect();
    events.pop().map(|mut event| event["data"].take()).unwrap_or_default()
}

async fn pass(engine: &Engine, clock: &Arc<ManualClock>, ms: u64) {
    clock.advance(ms);
    engine.settle().await;
}

#[tokio::test]
async fn only_the_owner_or_an_admin_closes_a_room_and_all_are_told_once() {
    let (engine, clock) = room_engine();
    let log = EventLog::of(&engine);
    let [ann, bob] = ["ann", "bob"].map(|user| in_project(user, user, "p"));
    let room = create(&engine, &ann, &NewRoom::new("t").access(Access::Project));
    let mut of_ann = joined(&engine, &ann, &room).await;
    let mut of_bob = joined(&engine, &bob, &room).await;
    assert_eq!(code(engine.rooms().close(&bob, room.id(), None).await), "unauthorized");
    pass(&engine, &clock, 1_500).await;
    let ended = engine.rooms().close(&ann, room.id(), Some("done here")).await.unwrap();
    assert_eq!((ended.reason, ended.duration_ms), (EndReason::Close, 1_500));
    let last = last_event(&mut of_ann).await;
    assert_eq!(last["body"], json!({"reason": "close", "duration_ms": 1_500, "note": "done here"}));
    assert_eq!((&last["seq"], &last["actor"]["user"]), (&json!(4), &json!("ann")));
    assert_eq!(last_event(&mut of_bob).await, last);
    assert_eq!((room.state(), room.end_reason(), room.online()), (RoomState::Ended, Some(EndReason::Close), 0));
    assert_eq!(engine.rooms().stats().participants, 0);
    for refused in [
        code(engine.rooms().close(&ann, room.id(), None).await),
        code(engine.rooms().say(&ann, room.id(), &Message::text("x"))),
        code(engine.rooms().admit(&ann, room.id(), "x", RoomRole::Member)),
        code(engine.rooms().dismiss(&ann, room.id(), "bob")),
        code(engine.rooms().join(&bob, room.id())),
        code(engine.rooms().events(&bob, room.id())),
        code(engine.rooms().complete(room.id()).await),
    ] {
        assert_eq!(refused, "conflict");
    }
    assert_eq!(code(engine.rooms().say(&bob, room.id(), &Message::text("x"))), "conflict");
    assert_eq!(log.count(|event| matches!(event, Event::RoomClosed { reason: EndReason::Close, .. })), 1);
    assert_eq!(last_event(&mut of_ann).await, Value::Null);
}

#[tokio::test]
async fn an_admin_closes_rooms_of_the_own_project_alone() {
    let (engine, _clock) = room_engine();
    let admin = |project: &str| in_project("x", "root", project).with_permission("rooms:admin");
    let room = create(&engine, &in_project("a", "ann", "p"), &NewRoom::new("t"));
    assert_eq!(code(engine.rooms().get(&admin("p"), room.id())), "not_found", "it has no role");
    assert_eq!(code(engine.rooms().close(&admin("q"), room.id(), None).await), "not_found");
    let nobody = Session::new("y").with_project("p").with_permission("rooms:admin");
    assert_eq!(code(engine.rooms().close(&nobody, room.id(), None).await), "not_found");
    assert_eq!(code(engine.rooms().close(&admin("p"), room.id(), None).await), "");
}

#[tokio::test]
async fn the_application_completes_a_room_or_fails_it() {
    let (engine, _clock) = room_engine();
    let ann = user_session("a", "ann");
    let [first, second] = [0, 1].map(|_| create(&engine, &ann, &NewRoom::new("t")));
    let mut consumer = joined(&engine, &ann, &first).await;
    assert_eq!(engine.rooms().complete(first.id()).await.unwrap().reason, EndReason::Completed);
    assert_eq!(engine.rooms().fail(second.id()).await.unwrap().reason, EndReason::Failed);
    let last = last_event(&mut consumer).await;
    assert_eq!((&last["kind"], &last["body"]["reason"]), (&json!("room.ended"), &json!("completed")));
    assert_eq!(last["actor"], json!({"name": "system", "kind": "system"}));
    assert_eq!(code(engine.rooms().fail("m_unknown").await), "not_found");
}

#[tokio::test]
async fn a_sliding_time_to_live_begins_anew_with_every_message_and_an_absolute_one_does_not() {
    let (engine, clock) = room_engine();
    let ann = user_session("a", "ann");
    let sliding = create(&engine, &ann, &NewRoom::new("t").ttl_s(10));
    let absolute = create(&engine, &ann, &NewRoom::new("t").ttl_s(10).sliding(false));
    let states = || (sliding.state(), absolute.state());
    pass(&engine, &clock, 6_000).await;
    for room in [&sliding, &absolute] {
        engine.rooms().say(&ann, room.id(), &Message::text("x")).unwrap();
    }
    assert_eq!(sliding.ends_at().as_deref(), Some("2026-01-01T00:00:16.000Z"));
    assert_eq!(absolute.ends_at().as_deref(), Some("2026-01-01T00:00:10.000Z"));
    pass(&engine, &clock, 3_999).await;
    assert_eq!(states(), (RoomState::Active, RoomState::Active));
    pass(&engine, &clock, 1).await;
    assert_eq!(states(), (RoomState::Active, RoomState::Ended));
    pass(&engine, &clock, 5_999).await;
    assert_eq!(states(), (RoomState::Active, RoomState::Ended));
    pass(&engine, &clock, 1).await;
    assert_eq!(states(), (RoomState::Ended, RoomState::Ended));
    assert_eq!(sliding.end_reason(), Some(EndReason::Timeout));
    assert_eq!(sliding.ends_at(), None);
}

#[tokio::test]
async fn a_room_whose_time_has_come_says_so_and_how_long_it_was() {
    let (engine, clock) = room_engine();
    let ann = user_session("a", "ann");
    let room = create(&engine, &ann, &NewRoom::new("t").ttl_s(3_600).sliding(false));
    let mut events = engine.rooms().events(&ann, room.id()).unwrap();
    for _ in 0..36 {
        pass(&engine, &clock, 100_000).await;
    }
    let mut last = Value::Null;
    while let Some(event) = events.next().await {
        last = event.data;
    }
    assert_eq!((&last["kind"], &last["body"]["reason"]), (&json!("room.ended"), &json!("timeout")));
    let duration_ms = last["body"]["duration_ms"].as_u64().unwrap();
    assert!((3_600_000..=3_636_000).contains(&duration_ms), "{duration_ms}");
    assert_eq!(last["actor"]["kind"], "system");
}

#[tokio::test]
async fn a_room_that_ended_stays_for_a_while_and_is_gone_then() {
    let (engine, clock) = room_engine_with(RoomOptions::new(), |config| {
        config.rooms.ended_room_retention = Duration::from_secs(5);
        config.rooms.rooms_per_user = 1;
    });
    let ann = user_session("a", "ann");
    let room = create(&engine, &ann, &NewRoom::new("t").id("board"));
    engine.open_session(&ann).unwrap();
    engine.rooms().close(&ann, "board", None).await.unwrap();
    pass(&engine, &clock, 4_999).await;
    let about = engine.rooms().describe(&ann, "board").unwrap();
    assert_eq!(
        (&about["state"], &about["joined"], &about["end_reason"]),
        (&json!("ended"), &json!(false), &json!("close"))
    );
    assert_eq!(code(engine.rooms().create(&ann, &NewRoom::new("u"))), "busy", "it counts as long as it is shown");
    assert_eq!((engine.rooms().stats().rooms, engine.rooms().stats().ended), (1, 1));
    pass(&engine, &clock, 1).await;
    assert_eq!(code(engine.rooms().get(&ann, "board")), "not_found");
    assert_eq!((engine.rooms().stats().rooms, room.state()), (0, RoomState::Ended));
    assert_eq!(engine.rooms().stats().ended, 0);
    let again = create(&engine, &ann, &NewRoom::new("t").id("board").ttl_s(1));
    pass(&engine, &clock, 1_000).await;
    assert_eq!(again.end_reason(), Some(EndReason::Timeout), "what was due for the old one is not due for it");
}

#[tokio::test]
async fn a_room_ends_when_the_last_session_of_its_owner_was_revoked() {
    let (engine, _clock) = room_engine();
    let [first, second] = ["a1", "a2"].map(|id| user_session(id, "ann"));
    let bob = user_session("b", "bob");
    let room = create(&engine, &first, &NewRoom::new("t").access(Access::Project));
    let elsewhere = create(&engine, &in_project("a3", "ann", "q"), &NewRoom::new("t"));
    let _sessions = [joined(&engine, &first, &room).await, joined(&engine, &second, &room).await];
    let mut of_bob = joined(&engine, &bob, &room).await;
    engine.revoke(Revocation::session("a1"));
    assert_eq!(room.state(), RoomState::Active);
    engine.revoke(Revocation::session("a2"));
    assert_eq!(room.end_reason(), Some(EndReason::Revoked));
    assert_eq!(last_event(&mut of_bob).await["body"]["reason"], "revoked");
    assert_eq!(elsewhere.state(), RoomState::Active);
    engine.revoke(Revocation::user("ann"));
    assert_eq!(elsewhere.end_reason(), Some(EndReason::Revoked), "whether the user has a session or not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_end_a_room_at_once_there_is_one_last_event() {
    for _ in 0..50 {
        let (engine, clock) = room_engine();
        let ann = user_session("ann", "ann");
        let room = create(&engine, &ann, &NewRoom::new("t").access(Access::Project).ttl_s(1));
        let mut consumer = joined(&engine, &user_session("bob", "bob"), &room).await;
        let act = |act: fn(&Engine, &Session, &Room)| {
            let (engine, ann, room) = (engine.clone(), ann.clone(), room.clone());
            tokio::task::spawn_blocking(move || act(&engine, &ann, &room))
        };
        let tasks = [
            act(|engine, ann, room| drop(engine.rooms().close(ann, room.id(), None))),
            act(|engine, _, room| drop(engine.rooms().complete(room.id()))),
            act(|engine, _, _| {
                engine.revoke(Revocation::user("ann"));
            }),
            act(|engine, ann, room| {
                for _ in 0..20 {
                    drop(engine.rooms().say(ann, room.id(), &Message::text("x")));
                }
            }),
        ];
        clock.advance(1_000);
        for task in tasks {
            task.await.unwrap();
        }
        engine.settle().await;
        let events = consumer.settled().await;
        let events: Vec<_> = events.iter().filter(|event| event["type"] == "event").collect();
        let numbers: Vec<_> = events.iter().map(|event| event["data"]["seq"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
        assert_eq!(events.iter().filter(|event| event["name"] == "room.ended").count(), 1);
        assert_eq!(events.last().unwrap()["name"], "room.ended");
        assert_eq!(room.state(), RoomState::Ended);
    }
}

#[tokio::test]
async fn the_time_of_day_is_that_of_the_clock() {
    let (engine, clock) = room_engine();
    clock.advance(61_001);
    let room = create(&engine, &user_session("a", "ann"), &NewRoom::new("t"));
    assert_eq!(room.created_at(), "2026-01-01T00:01:01.001Z");
    assert!(clock.wall() > std::time::UNIX_EPOCH);
}
