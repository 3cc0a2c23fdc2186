//! Rooms that outlive the engine, and what happens while they cannot be written (rooms 8, 10).

use std::sync::Arc;

use grove_engine::testing::ManualClock;
use grove_engine::{
    Access, Agent, EndReason, Engine, Event, Expected, Limit, Message, NewRoom, NewRun, OnEnd, Part, PartKind, Queue,
    RoomPosition, RoomRole, RoomStore, RunContext, Store, Text, Write,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, user_session};
use crate::run_fixtures::echo;
use crate::storage_fixtures::{Failing, code, log, next_of, replayable, say, seqs, start, start_at};

#[tokio::test]
async fn a_room_is_there_again_with_its_past_and_its_numbers_go_on() {
    let store = Failing::after(i64::MAX);
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| user_session(user, user));
    let (engine, _clock) = start(&store, |_| {});
    let room = replayable(&engine, &ann);
    let private = NewRoom::new("t").id("private").replayable(true);
    engine.rooms().create(&ann, &private).unwrap();
    engine.rooms().admit(&ann, "private", "bob", RoomRole::Observer).unwrap();
    engine.rooms().create(&ann, &NewRoom::new("t").id("not kept")).unwrap();
    let events = engine.rooms().events(&bob, "board").unwrap();
    say(&engine, &ann, "one");
    engine.rooms().durable("board").await.unwrap();
    let (before, epoch) = (log(&engine, &ann).await, room.epoch().clone());
    // As if the process were killed: nobody leaves.
    std::mem::forget(events);
    store.allow(0);
    drop((engine, room));
    store.allow(i64::MAX);
    let (engine, _clock) = start(&store, |_| {});
    let room = engine.rooms().get(&ann, "board").unwrap();
    assert_eq!((room.title(), room.owner().as_str(), room.attribute("b")), ("Board", "ann", Some("7")));
    assert_eq!((room.epoch(), room.participants().len()), (&epoch, 0));
    let after = log(&engine, &ann).await;
    assert_eq!(after[..before.len()], before);
    let left = &after[before.len()];
    assert_eq!(
        (&left["kind"], &left["seq"], &left["body"]["reason"]),
        (&json!("participant.left"), &json!(4), &json!("lost"))
    );
    assert_eq!(say(&engine, &ann, "two"), 5);
    assert_eq!(engine.rooms().role(&bob, "private"), Ok(RoomRole::Observer));
    assert_eq!(code(engine.rooms().role(&cid, "private")), "not_found");
    assert_eq!(code(engine.rooms().get(&ann, "not kept")), "not_found");
    let after = RoomPosition { epoch: Some(epoch), seq: 3 };
    let mut events = engine.rooms().events_after(&bob, "board", Some(&after)).unwrap();
    assert_eq!(events.next().await.unwrap().seq, Some(4));
}

#[tokio::test]
async fn wherever_the_process_is_killed_what_was_acknowledged_is_there_and_nothing_twice() {
    let ann = user_session("ann", "ann");
    for commits in 0..25 {
        let store = Failing::after(commits);
        let (engine, clock) = start(&store, |_| {});
        let (mut acknowledged, mut is_created) = (Vec::new(), false);
        replayable(&engine, &ann);
        for number in 0..12 {
            let said = say(&engine, &ann, &number.to_string());
            let rooms = engine.rooms();
            let mut durable = std::pin::pin!(rooms.durable("board"));
            let is_durable = loop {
                tokio::select! {
                    biased;
                    done = &mut durable => break done.is_ok(),
                    () = tokio::task::yield_now() => clock.advance(10),
                }
            };
            is_created |= is_durable;
            acknowledged.extend(is_durable.then_some(said));
        }
        drop(engine);
        store.allow(i64::MAX);
        let (engine, _clock) = start(&store, |_| {});
        if engine.rooms().get(&ann, "board").is_err() {
            assert!(!is_created, "after {commits} commits");
            continue;
        }
        let seqs = seqs(&log(&engine, &ann).await);
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "after {commits} commits: {seqs:?}");
        assert!(acknowledged.iter().all(|seq| seqs.contains(seq)), "after {commits}: {acknowledged:?} in {seqs:?}");
    }
}

#[tokio::test]
async fn while_nothing_can_be_written_those_who_are_there_are_told_and_acknowledgements_wait() {
    let store = Failing::after(i64::MAX);
    let (engine, clock) = start(&store, |_| {});
    let observed = EventLog::of(&engine);
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| user_session(user, user));
    replayable(&engine, &ann);
    engine.rooms().create(&ann, &NewRoom::new("t").id("plain")).unwrap();
    let mut events = engine.rooms().events(&bob, "board").unwrap();
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    say(&engine, &ann, "is this kept?");
    let degraded = next_of(&mut events, "room.degraded").await;
    assert_eq!(degraded["body"], json!({"since": "2026-01-01T00:00:00.000Z"}));
    assert!(degraded.get("seq").is_none() && degraded.get("trace_id").is_none() && degraded.get("actor").is_none());
    let mut later = engine.rooms().events(&cid, "board").unwrap();
    assert_eq!(next_of(&mut later, "room.degraded").await["body"], degraded["body"]);
    engine.rooms().durable("plain").await.unwrap();
    let rooms = engine.rooms();
    let waiting = tokio::spawn(async move { rooms.durable("board").await });
    tokio::task::yield_now().await;
    clock.advance(10_000);
    assert_eq!(code(waiting.await.unwrap()), "busy");
    store.allow(i64::MAX);
    clock.advance(500);
    assert_eq!(next_of(&mut events, "room.recovered").await["body"], degraded["body"]);
    engine.rooms().durable("board").await.unwrap();
    assert_eq!(seqs(&log(&engine, &ann).await), [1, 2, 3, 4]);
    assert_eq!(observed.count(|event| matches!(event, Event::StorageFailed { .. })), 1);
    assert_eq!(observed.count(|event| matches!(event, Event::StorageRecovered { .. })), 1);
}

#[tokio::test]
async fn what_waits_to_be_written_is_bounded() {
    let store = Failing::after(i64::MAX);
    let (engine, _clock) = start(&store, |config| config.rooms.unwritten_bytes = 5_000);
    let observed = EventLog::of(&engine);
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    replayable(&engine, &ann);
    engine.rooms().create(&ann, &NewRoom::new("t").id("plain")).unwrap();
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    let text = Message::text("x".repeat(500));
    let refused = (0..50).find_map(|_| engine.rooms().say(&ann, "board", &text).err()).unwrap();
    assert_eq!(refused.code(), "busy");
    assert!(observed.limit_count(Limit::UnwrittenBytes) > 0);
    assert_eq!(code(engine.rooms().events(&bob, "board").map(drop)), "busy");
    engine.rooms().say(&ann, "plain", &text).unwrap();
}

/// The process is killed, and started again at the same time.
fn killed(store: &Arc<Failing>, engine: Engine, clock: &Arc<ManualClock>) -> Engine {
    store.allow(0);
    drop(engine);
    store.allow(i64::MAX);
    start_at(store, Arc::clone(clock), |_| {}).0
}

#[tokio::test]
async fn a_room_that_has_ended_is_shown_after_a_restart_until_its_time() {
    for on_end in [OnEnd::Drop, OnEnd::Archive] {
        let store = Failing::after(i64::MAX);
        let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
        let (engine, clock) = start(&store, |_| {});
        engine.register_agent(echo("echo"));
        let kept = |id: &str| NewRoom::new("Board").id(id).replayable(true).on_end(on_end).agent("echo");
        engine.rooms().create(&ann, &kept("board").one_shot(true).ttl_s(3_600)).unwrap();
        engine.rooms().admit(&ann, "board", "bob", RoomRole::Observer).unwrap();
        engine.rooms().memory(&ann, "board").unwrap().put("plan", &json!(1)).unwrap();
        let run = engine.rooms().run(&ann, "board", &NewRun::new(json!("x"))).unwrap();
        while engine.rooms().get(&ann, "board").unwrap().end_reason().is_none() {
            tokio::task::yield_now().await;
        }
        engine.rooms().durable("board").await.unwrap();
        let look = |engine: &Engine| {
            let room = engine.rooms().get(&ann, "board").unwrap();
            let run = serde_json::to_value(engine.rooms().run_of(&ann, "board", &run).unwrap()).unwrap();
            (
                engine.rooms().describe(&ann, "board").unwrap(),
                room.seq(),
                room.cold_context_id(),
                room.end_reason(),
                run,
            )
        };
        let before = look(&engine);
        assert_eq!((before.2.is_some(), before.3), (on_end == OnEnd::Archive, Some(EndReason::Completed)));
        clock.advance(30_000);
        let engine = killed(&store, engine, &clock);
        assert_eq!((engine.rooms().stats().ended, engine.rooms().stats().put_away), (1, 1));
        assert_eq!(look(&engine), before);
        assert_eq!(engine.rooms().stats().put_away, 0);
        assert_eq!(engine.rooms().role(&bob, "board"), Ok(RoomRole::Observer));
        assert_eq!(code(engine.rooms().say(&ann, "board", &Message::text("x"))), "conflict");
        assert_eq!(code(engine.rooms().events(&ann, "board").map(drop)), "conflict");
        assert_eq!(code(engine.rooms().close(&ann, "board", None).await), "conflict");
        let again = NewRoom::new("Another").id("board").replayable(true);
        assert_eq!(code(engine.rooms().create(&ann, &again)), "conflict");
        assert_eq!(engine.rooms().get(&ann, "board").unwrap().participants().len(), 0);
        // Once more, and this time nobody looks.
        let engine = killed(&store, engine, &clock);
        clock.advance(29_999);
        engine.settle().await;
        assert_eq!(engine.rooms().stats().ended, 1);
        clock.advance(1);
        engine.settle().await;
        assert_eq!((engine.rooms().stats().ended, engine.rooms().stats().rooms), (0, 0));
        engine.rooms().create(&ann, &again).unwrap();
        engine.rooms().durable("board").await.unwrap();
        let engine = killed(&store, engine, &clock);
        assert_eq!((engine.rooms().get(&ann, "board").unwrap().seq(), engine.rooms().stats().ended), (1, 0));
        assert_eq!(store.parts_of("board", PartKind::EndedRun), 0, "nothing is left of the one before");
    }
}

#[tokio::test]
async fn a_message_that_is_repeated_after_a_restart_is_said_once() {
    let store = Failing::after(i64::MAX);
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let (engine, clock) = start(&store, |_| {});
    replayable(&engine, &ann);
    let once = |text: &str| Message::text(text).call_id("once");
    let first = engine.rooms().say(&ann, "board", &once("one")).unwrap();
    say(&engine, &ann, "two");
    let of_bob = engine.rooms().say(&bob, "board", &once("three")).unwrap();
    engine.rooms().durable("board").await.unwrap();
    clock.advance(300_000);
    let mut engine = killed(&store, engine, &clock);
    for _ in 0..2 {
        assert_eq!(engine.rooms().say(&ann, "board", &once("one")).unwrap(), first);
        assert_eq!(engine.rooms().say(&bob, "board", &once("three")).unwrap(), of_bob);
        assert_eq!(seqs(&log(&engine, &ann).await), [1, 2, 3, 4], "nothing was said again");
        engine.rooms().durable("board").await.unwrap();
        engine = killed(&store, engine, &clock);
    }
    clock.advance(300_000);
    let engine = killed(&store, engine, &clock);
    assert_eq!(engine.rooms().say(&ann, "board", &once("five")).unwrap().seq, Some(5), "10 minutes are over");
    engine.rooms().durable("board").await.unwrap();
    assert_eq!(store.parts_of("board", PartKind::Call), 1);
    engine.rooms().close(&ann, "board", None).await.unwrap();
    engine.rooms().durable("board").await.unwrap();
    assert_eq!(store.parts_of("board", PartKind::Call), 0);
}

#[tokio::test]
async fn as_many_call_ids_are_kept_with_a_room_as_may_be() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |config| config.rooms.kept_call_ids_per_room = 3);
    replayable(&engine, &ann);
    let once = |number: u64| Message::text("x").call_id(number.to_string());
    for number in 0..10 {
        clock.advance(1_000);
        assert_eq!(engine.rooms().say(&ann, "board", &once(number)).unwrap().seq, Some(number + 2));
        engine.rooms().durable("board").await.unwrap();
        assert!(store.parts_of("board", PartKind::Call) <= 3);
    }
    let engine = killed(&store, engine, &clock);
    for number in 7..10 {
        assert_eq!(engine.rooms().say(&ann, "board", &once(number)).unwrap().seq, Some(number + 2));
    }
    assert_eq!(engine.rooms().say(&ann, "board", &once(6)).unwrap().seq, Some(12), "it was forgotten");
    clock.advance(700_000);
    engine.rooms().say(&ann, "board", &once(6)).unwrap();
    engine.rooms().durable("board").await.unwrap();
    assert_eq!(store.parts_of("board", PartKind::Call), 1, "what is over is not kept");
}

#[tokio::test]
async fn what_is_kept_while_a_commit_is_made_is_kept_by_the_next_one() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    replayable(&engine, &ann);
    engine.rooms().durable("board").await.unwrap();
    for round in 1..20 {
        let memory = engine.rooms().memory(&ann, "board").unwrap();
        let put = |key: &str, value: Value| memory.put(key, &value).unwrap();
        store.during_a_commit(
            || {
                put("early", json!(round));
                put("gone", json!(round));
            },
            || {
                put("early", json!([round, "late"]));
                put("late", json!(round));
                memory.delete("gone").unwrap();
            },
        );
        engine.rooms().durable("board").await.unwrap();
    }
    let before = engine.rooms().memory(&ann, "board").unwrap().get("early").unwrap();
    let engine = killed(&store, engine, &clock);
    let memory = engine.rooms().memory(&ann, "board").unwrap();
    assert_eq!(memory.get("early").unwrap().value, json!([19, "late"]));
    assert_eq!((memory.get("early").unwrap().version, memory.get("late").unwrap().value), (before.version, json!(19)));
    assert_eq!(code(memory.get("gone")), "not_found");
}

#[tokio::test]
async fn a_room_whose_time_was_over_before_the_restart_is_not_shown_any_more() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    replayable(&engine, &ann);
    engine.rooms().close(&ann, "board", None).await.unwrap();
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    drop(engine);
    store.allow(i64::MAX);
    clock.advance(60_000);
    let (engine, _clock) = start_at(&store, clock, |_| {});
    assert_eq!((code(engine.rooms().get(&ann, "board")).as_str(), engine.rooms().stats().rooms), ("not_found", 0));
    engine.rooms().durable("board").await.unwrap();
    assert!(store.rooms().unwrap().is_empty(), "nothing of it is kept");
}

#[tokio::test]
async fn an_archive_and_the_time_to_live_survive_a_restart() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    let new = NewRoom::new("t").id("board").on_end(OnEnd::Archive).ttl_s(60);
    let room = engine.rooms().create(&ann, &new).unwrap().room;
    clock.advance(30_000);
    let [bob, cid] = ["bob", "cid"].map(|user| user_session(user, user));
    for session in [&bob, &cid] {
        engine.rooms().admit(&ann, "board", session.user().unwrap(), RoomRole::Member).unwrap();
        say(&engine, session, "the time begins anew");
    }
    engine.rooms().dismiss(&ann, "board", "cid").unwrap();
    let ends_at = room.ends_at();
    engine.shutdown(std::time::Duration::ZERO).await;
    drop((engine, room));
    let later = ManualClock::new();
    later.advance(50_000);
    let (engine, _clock) = start_at(&store, later, |_| {});
    let room = engine.rooms().get(&ann, "board").unwrap();
    assert_eq!((room.ends_at(), ends_at.as_deref()), (ends_at.clone(), Some("2026-01-01T00:01:30.000Z")));
    let ended = engine.rooms().close(&ann, "board", None).await.unwrap();
    assert_eq!(ended.duration_ms, 50_000, "with the time before the restart");
    let id = room.cold_context_id().unwrap();
    engine.rooms().durable("board").await.unwrap();
    drop((engine, room));
    let later = ManualClock::new();
    later.advance(50_000 + 60_000);
    let (engine, _clock) = start_at(&store, later, |_| {});
    assert_eq!(code(engine.rooms().get(&ann, "board")), "not_found");
    let mut events = engine.rooms().archive(&ann, &id).await.unwrap();
    let mut count = 0;
    while events.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 4);
    assert!(engine.rooms().archive(&bob, &id).await.is_ok(), "bob took part");
    assert_eq!(code(engine.rooms().archive(&cid, &id).await), "not_found", "cid was dismissed");
}

#[tokio::test]
async fn what_is_remembered_is_there_again_and_no_version_is_given_twice() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, _clock) = start(&store, |_| {});
    let new = NewRoom::new("Board").id("board").replayable(true).memory("goal", json!("launch"));
    engine.rooms().create(&ann, &new).unwrap();
    let memory = engine.rooms().memory(&ann, "board").unwrap();
    memory.put("plan", &json!({"step": 1})).unwrap();
    let latest = memory.put("gone", &json!(true)).unwrap();
    memory.delete("gone").unwrap();
    let (goal, plan) = (memory.get("goal").unwrap(), memory.get("plan").unwrap());
    engine.rooms().durable("board").await.unwrap();
    let bytes = engine.rooms().stats().memory_bytes;
    drop((engine, memory));
    let (engine, _clock) = start(&store, |_| {});
    let memory = engine.rooms().memory(&ann, "board").unwrap();
    assert_eq!(engine.rooms().stats().memory_bytes, bytes);
    assert_eq!((memory.get("goal").unwrap(), memory.get("plan").unwrap()), (goal, plan));
    assert_eq!(code(memory.get("gone")), "not_found");
    assert_eq!(code(memory.put_if("gone", &json!(1), Expected::Version(latest))), "conflict");
    assert!(memory.put("gone", &json!(1)).unwrap() > latest + 1, "its removal had a number as well");
    let kinds: Vec<_> = log(&engine, &ann).await.iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "memory.changed").count(), 4);
}

#[tokio::test]
async fn what_an_agent_keeps_is_durable_before_it_is_told_so() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    engine.register_agent(Agent::new("clerk", |run: RunContext, key: Value| async move {
        let put = run.memory().put(key.as_str().unwrap(), &json!(1)).await;
        run.chunk(put.err().map_or_else(|| "kept".to_owned(), |error| error.code().to_owned()));
        run.next_input().await;
        Ok(json!(null))
    }));
    for (id, replayable) in [("board", true), ("plain", false)] {
        let new = NewRoom::new("Board").id(id).access(Access::Project).replayable(replayable).agent("clerk");
        engine.rooms().create(&ann, &new.queue(Queue::Parallel)).unwrap();
    }
    engine.rooms().durable("board").await.unwrap();
    let mut events = engine.rooms().events(&ann, "board").unwrap();
    let mut in_plain = engine.rooms().events(&ann, "plain").unwrap();
    let mut of_bob = engine.rooms().events(&user_session("bob", "bob"), "board").unwrap();
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    let run = |room, key: &str| engine.rooms().run(&ann, room, &NewRun::new(json!(key))).unwrap();
    run("plain", "k");
    assert_eq!(next_of(&mut in_plain, "run.chunk").await["body"]["text"], "kept", "there is nothing to wait for");
    run("board", "late");
    next_of(&mut events, "memory.changed").await;
    next_of(&mut of_bob, "room.degraded").await;
    clock.advance(9_999);
    engine.settle().await;
    clock.advance(1);
    assert_eq!(next_of(&mut events, "run.chunk").await["body"]["text"], "busy");
    run("board", "in time");
    next_of(&mut events, "memory.changed").await;
    store.allow(i64::MAX);
    for _ in 0..19 {
        // The thread that writes says when it tries again.
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        clock.advance(500);
    }
    assert_eq!(next_of(&mut events, "run.chunk").await["body"]["text"], "kept");
    drop((events, in_plain, of_bob));
    let kept = store.parts("board").unwrap();
    let keys: Vec<_> = kept.iter().filter(|part| part.kind == PartKind::Memory).map(|part| part.key.as_str()).collect();
    assert_eq!(keys, ["in time", "late"], "what was not confirmed in time was done all the same");
}

#[tokio::test]
async fn nothing_of_a_room_that_is_not_replayable_is_written_or_can_be_read_afterwards() {
    let (store, ann) = (Failing::after(i64::MAX), user_session("ann", "ann"));
    let (engine, _) = start(&store, |_| {});
    let room = engine.rooms().create(&ann, &NewRoom::new("t").id("m").access(Access::Project)).unwrap().room;
    let mut there = engine.rooms().events(&ann, "m").unwrap();
    for number in 0..10 {
        engine.rooms().say(&ann, "m", &Message::text(format!("{number}"))).unwrap();
    }
    assert_eq!(next_of(&mut there, "message").await["body"]["text"], "0");
    engine.rooms().durable("m").await.unwrap();
    assert_eq!((store.written(), engine.rooms().stats().storage.changes), (0, 0));
    assert_eq!(code(engine.rooms().replay(&ann, "m", 0, None).await), "conflict");
    // Whoever comes later, and asks for what was, is told that it is missing.
    let bob = user_session("bob", "bob");
    let mut late = engine.rooms().events(&bob, "m").unwrap();
    assert_eq!(late.next().await.unwrap().data["actor"]["user"], "bob");
    assert!(futures_util::FutureExt::now_or_never(late.next()).is_none());
    engine.rooms().close(&ann, "m", None).await.unwrap();
    assert_eq!(room.cold_context_id(), None);
    assert_eq!(code(engine.rooms().replay(&ann, "m", 0, None).await), "conflict");
}

#[tokio::test]
async fn a_new_room_has_nothing_of_one_with_its_id_that_could_not_be_recovered() {
    let store = Failing::after(i64::MAX);
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let (engine, _clock) = start(&store, |_| {});
    replayable(&engine, &ann);
    for number in 0..10 {
        say(&engine, &ann, &number.to_string());
    }
    engine.rooms().durable("board").await.unwrap();
    drop(engine);
    let part = Part { kind: PartKind::Record, key: Text::default(), value: "of another version".into() };
    store.commit(&[Write::Put { room: "board".into(), part }]).unwrap();
    let (engine, _clock) = start(&store, |_| {});
    assert_eq!(code(engine.rooms().get(&ann, "board")), "not_found");
    replayable(&engine, &bob);
    let said = say(&engine, &bob, "new");
    engine.rooms().durable("board").await.unwrap();
    drop(engine);
    let (engine, _clock) = start(&store, |_| {});
    let events = log(&engine, &bob).await;
    assert_eq!(seqs(&events), Vec::from_iter(1..=said));
    assert!(events.iter().all(|event| event["actor"]["user"] == "bob"), "{events:?}");
}

#[tokio::test]
async fn a_room_for_which_there_was_no_place_at_the_start_keeps_its_id() {
    let store = Failing::after(i64::MAX);
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let (engine, _clock) = start(&store, |_| {});
    engine.rooms().create(&bob, &NewRoom::new("t").id("first").replayable(true)).unwrap();
    replayable(&engine, &ann);
    engine.rooms().durable("board").await.unwrap();
    drop(engine);
    let (engine, clock) = start(&store, |config| config.rooms.rooms = 1);
    assert_eq!(code(engine.rooms().get(&ann, "board")), "not_found");
    engine.rooms().close(&bob, "first", None).await.unwrap();
    clock.advance(60_000);
    engine.settle().await;
    let new = |id: &str| NewRoom::new("t").id(id).replayable(true);
    assert_eq!(code(engine.rooms().create(&bob, &new("board"))), "conflict");
    engine.rooms().create(&bob, &new("another")).unwrap();
    drop(engine);
    let (engine, _clock) = start(&store, |_| {});
    assert_eq!(engine.rooms().get(&ann, "board").unwrap().owner(), "ann");
}
