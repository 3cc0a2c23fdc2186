//! What stays of a room that was archived (rooms 2, 7; S3.24 to S3.26, S3.40).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grove_engine::{
    Access, ActionError, Agent, ArchiveFor, EndReason, Engine, Message, NewRoom, NewRun, OnEnd, Queue, Room,
    RoomOptions, RoomRole, RunContext, RunStatus, Session,
};
use serde_json::{Value, json};

use crate::fixtures::{in_project, room_engine, room_engine_with, user_session};
use crate::run_fixtures::echo;
use crate::storage_fixtures::{Failing, start, start_at};

fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

fn archived(engine: &Engine, owner: &Session, change: impl FnOnce(NewRoom) -> NewRoom) -> Room {
    let new = change(NewRoom::new("Board").access(Access::Project).on_end(OnEnd::Archive));
    engine.rooms().create(owner, &new).unwrap().room
}

pub(crate) async fn lines(engine: &Engine, session: &Session, id: &str) -> Vec<Value> {
    let mut events = engine.rooms().archive(session, id).await.unwrap();
    let mut lines = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        assert!(!event.contains('\n'));
        lines.push(serde_json::from_str(&event).unwrap());
    }
    lines
}

#[tokio::test]
async fn an_archive_has_every_event_from_the_first_to_the_last() {
    let (engine, clock) = room_engine();
    let ann = user_session("ann", "ann");
    let room = archived(&engine, &ann, |new| new);
    for number in 0..1_500 {
        engine.rooms().say(&ann, room.id(), &Message::text(format!("{number}\nsecond line"))).unwrap();
    }
    clock.advance(1_234);
    engine.rooms().close(&ann, room.id(), None).await.unwrap();
    let id = room.cold_context_id().unwrap();
    assert!(id.starts_with("c_"));
    let events = lines(&engine, &ann, &id).await;
    assert!(events.iter().map(|event| event["seq"].as_u64().unwrap()).eq(1..=1_502));
    let last = events.last().unwrap();
    assert_eq!((&last["kind"], last["body"]["cold_context_id"].as_str()), (&"room.ended".into(), Some(id.as_str())));
    assert_eq!(last["body"]["duration_ms"], 1_234);
    assert_eq!(engine.rooms().describe(&ann, room.id()).unwrap()["cold_context_id"], id.as_str());
}

#[tokio::test]
async fn an_archive_is_for_those_who_took_part() {
    let (engine, _clock) = room_engine();
    let [ann, bob, cid, dan] = ["ann", "bob", "cid", "dan"].map(|user| in_project(user, user, "acme"));
    let room = archived(&engine, &ann, |new| new);
    drop(engine.rooms().events(&bob, room.id()).unwrap());
    engine.rooms().say(&cid, room.id(), &Message::text("hello")).unwrap();
    engine.rooms().complete(room.id()).await.unwrap();
    assert_eq!(room.end_reason(), Some(EndReason::Completed));
    let id = room.cold_context_id().unwrap();
    for session in [&ann, &bob, &cid] {
        assert_eq!(lines(&engine, session, &id).await.len(), 5);
    }
    assert_eq!(code(engine.rooms().archive(&dan, &id).await), "not_found", "dan was not there");
    assert_eq!(code(engine.rooms().archive(&in_project("a", "ann", "other"), &id).await), "not_found");
    assert_eq!(code(engine.rooms().archive(&Session::new("x").with_project("acme"), &id).await), "not_found");
    assert_eq!(code(engine.rooms().archive(&ann, "c_unknown").await), "not_found");
}

#[tokio::test]
async fn who_was_dismissed_does_not_read_the_archive_and_who_was_admitted_again_does() {
    let (engine, _clock) = room_engine();
    let [ann, bob, cid, dan, eli] = ["ann", "bob", "cid", "dan", "eli"].map(|user| in_project(user, user, "acme"));
    let room = archived(&engine, &ann, |new| new);
    let rooms = engine.rooms();
    let of_bob = rooms.events(&bob, room.id()).unwrap();
    for session in [&cid, &dan, &eli] {
        // Without a session that is open.
        rooms.say(session, room.id(), &Message::text("hello")).unwrap();
    }
    for user in ["bob", "cid", "dan"] {
        rooms.dismiss(&ann, room.id(), user).unwrap();
    }
    rooms.admit(&ann, room.id(), "dan", RoomRole::Member).unwrap();
    rooms.say(&dan, room.id(), &Message::text("again")).unwrap();
    drop(of_bob);
    rooms.complete(room.id()).await.unwrap();
    let id = room.cold_context_id().unwrap();
    for session in [&bob, &cid] {
        assert_eq!(code(rooms.archive(session, &id).await), "not_found");
    }
    for session in [&ann, &dan, &eli] {
        assert_eq!(lines(&engine, session, &id).await.len(), 8);
    }
}

#[tokio::test]
async fn who_lost_the_role_that_the_application_gave_does_not_read_the_archive() {
    let lost = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&lost);
    let access = move |session: &Session, room: &Room| {
        let is_lost = asked.load(Ordering::SeqCst) && session.user() == Some("bob");
        room.role_of(session.user()?).filter(|_| !is_lost)
    };
    let (engine, _clock) = room_engine_with(RoomOptions::new().access(access), |_| {});
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| in_project(user, user, "acme"));
    let room = archived(&engine, &ann, |new| new);
    let _there = [&bob, &cid].map(|session| engine.rooms().events(session, room.id()).unwrap());
    lost.store(true, Ordering::SeqCst);
    engine.rooms().review(room.id()).unwrap();
    engine.rooms().complete(room.id()).await.unwrap();
    let id = room.cold_context_id().unwrap();
    assert_eq!(code(engine.rooms().archive(&bob, &id).await), "not_found");
    assert_eq!(lines(&engine, &cid, &id).await.len(), 5);
}

#[tokio::test]
async fn who_started_a_run_took_part() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| in_project(user, user, "acme"));
    engine.register_agent(echo("echo"));
    let room = archived(&engine, &ann, |new| new.agent("echo"));
    let mut events = engine.rooms().events(&ann, room.id()).unwrap();
    engine.rooms().run(&bob, room.id(), &NewRun::new(Value::Null)).unwrap();
    while events.next().await.is_some_and(|event| event.kind != "run.done") {}
    engine.rooms().complete(room.id()).await.unwrap();
    let id = room.cold_context_id().unwrap();
    assert_eq!(lines(&engine, &bob, &id).await.last().unwrap()["kind"], "room.ended");
}

#[tokio::test]
async fn an_archive_may_be_for_the_whole_project() {
    let (engine, _clock) = room_engine();
    let [ann, dan] = ["ann", "dan"].map(|user| in_project(user, user, "acme"));
    let room = archived(&engine, &ann, |new| new.archive_for(ArchiveFor::Project).access(Access::Invited));
    engine.rooms().admit(&ann, room.id(), "bob", RoomRole::Member).unwrap();
    engine.rooms().close(&ann, room.id(), None).await.unwrap();
    let id = room.cold_context_id().unwrap();
    assert_eq!(lines(&engine, &dan, &id).await.len(), 2);
    assert_eq!(code(engine.rooms().archive(&in_project("d", "dan", "other"), &id).await), "not_found");
}

#[tokio::test]
async fn a_room_that_is_only_archived_cannot_be_replayed_while_it_lives() {
    let (engine, _clock) = room_engine();
    let ann = user_session("ann", "ann");
    let room = archived(&engine, &ann, |new| new);
    assert_eq!(code(engine.rooms().replay(&ann, room.id(), 0, None).await), "conflict");
    let dropped = engine.rooms().create(&ann, &NewRoom::new("t").replayable(true)).unwrap().room;
    engine.rooms().close(&ann, dropped.id(), None).await.unwrap();
    assert_eq!(dropped.cold_context_id(), None);
}

#[tokio::test]
async fn an_archive_outlives_its_room_until_its_time_has_come() {
    let (engine, clock) = room_engine_with(RoomOptions::new(), |config| {
        config.rooms.archive_retention = std::time::Duration::from_secs(7_200);
    });
    let ann = user_session("ann", "ann");
    let room = archived(&engine, &ann, |new| new.id("board"));
    engine.rooms().close(&ann, room.id(), None).await.unwrap();
    let id = room.cold_context_id().unwrap();
    clock.advance(3_600_000);
    engine.settle().await;
    assert_eq!(code(engine.rooms().get(&ann, "board")), "not_found");
    assert_eq!(lines(&engine, &ann, &id).await.len(), 2);
    let again = archived(&engine, &ann, |new| new.id("board"));
    assert_eq!(again.seq(), 1, "another room may have its id");
    for _ in 0..3 {
        clock.advance(3_600_000);
        engine.settle().await;
    }
    assert_eq!(code(engine.rooms().archive(&ann, &id).await), "not_found");
}

/// An agent that streams, and then waits until it is cancelled.
fn streams(name: &'static str) -> Agent {
    Agent::new(name, |run: RunContext, input: Value| async move {
        for number in 0..3 {
            run.chunk(format!("{number} "));
        }
        if input == "wait" {
            run.cancelled().await;
        }
        Ok(json!({"answer": input}))
    })
}

#[tokio::test]
async fn an_archive_has_the_outputs_and_results_of_all_runs_also_of_those_that_the_end_cancelled() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    engine.register_agent(streams("a"));
    let room = archived(&engine, &ann, |new| new.agent("a").queue(Queue::Parallel));
    let run = |input: &str| engine.rooms().run(&ann, room.id(), &NewRun::new(json!(input))).unwrap();
    let (done, waits) = (run("now"), run("wait"));
    while engine.rooms().run_of(&ann, room.id(), &done).unwrap().status != RunStatus::Done
        || engine.rooms().output(&ann, room.id(), &waits, 0, 100).unwrap().text != "0 1 2 "
    {
        tokio::task::yield_now().await;
    }
    engine.rooms().close(&ann, room.id(), None).await.unwrap();
    let id = room.cold_context_id().unwrap();
    engine.rooms().durable(room.id()).await.unwrap();
    let before = lines(&engine, &ann, &id).await;
    store.allow(0);
    drop((engine, room));
    store.allow(i64::MAX);
    let (engine, _clock) = start_at(&store, clock, |_| {});
    let events = lines(&engine, &ann, &id).await;
    assert_eq!(events, before);
    assert!(events.iter().map(|event| event["seq"].as_u64().unwrap()).eq(1..=events.len() as u64));
    let of = |run: &str, kind: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["kind"] == kind && event["body"]["run"] == run).collect()
    };
    for run in [&done, &waits] {
        let text: String = of(run, "run.chunk").iter().filter_map(|event| event["body"]["text"].as_str()).collect();
        assert_eq!(text, "0 1 2 ");
    }
    assert_eq!(of(&done, "run.done")[0]["body"]["result"], json!({"answer": "now"}));
    assert_eq!((of(&waits, "run.cancelled").len(), of(&waits, "run.done").len()), (1, 0));
    assert_eq!(events.last().unwrap()["kind"], "room.ended");
}
