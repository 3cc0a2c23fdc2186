//! Rooms that nobody uses are put away, and come back when somebody does (rooms 8).

use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Access, EndReason, Engine, Event, Message, NewRoom, NewRun, OnEnd, Revocation, RoomQuery, RoomRole, RunStatus,
    Session,
};
use serde_json::{Value, json};

use crate::fixtures::user_session;
use crate::run_fixtures::{ask, echo};
use crate::storage_fixtures::{Failing, code, start};

/// How long a room may be idle.
const IDLE: Duration = Duration::from_secs(600);

async fn yield_often() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Time passes until rooms that nobody uses are put away.
async fn pass(engine: &Engine, clock: &ManualClock) {
    engine.rooms().durable("board").await.unwrap();
    for _ in 0..6 {
        clock.advance(IDLE.as_millis() as u64 / 4);
        yield_often().await;
    }
    // What was durable may be known to others only later.
    for _ in 0..10_000 {
        engine.rooms().durable("board").await.unwrap();
        yield_often().await;
        if engine.rooms().stats().put_away > 0 {
            return;
        }
    }
}

fn board(engine: &Engine, ann: &Session) {
    engine.register_agent(echo("echo"));
    let new = NewRoom::new("Board").id("board").replayable(true).agent("echo").memory("goal", json!("launch"));
    engine.rooms().create(ann, &new.attribute("b", "7").ttl_s(86_400)).unwrap();
    engine.rooms().admit(ann, "board", "bob", RoomRole::Observer).unwrap();
    engine.rooms().say(ann, "board", &Message::text("one")).unwrap();
    engine.rooms().memory(ann, "board").unwrap().put("plan", &json!({"step": 1})).unwrap();
}

/// All that can be seen of the room.
async fn look(engine: &Engine, ann: &Session) -> Value {
    let rooms = engine.rooms();
    let room = rooms.get(ann, "board").unwrap();
    let log = rooms.replay(ann, "board", 0, Some(1_000)).await.unwrap().events;
    let memory = rooms.memory(ann, "board").unwrap().get("plan").unwrap();
    let runs = serde_json::to_value(rooms.runs(ann, "board").unwrap()).unwrap();
    let history = serde_json::to_value(rooms.history(ann, "board").unwrap()).unwrap();
    json!([
        [room.title(), room.epoch(), room.created_at(), room.ends_at(), room.attribute("b"), room.seq()],
        rooms.describe(ann, "board").unwrap(),
        log,
        [memory.value, memory.version],
        runs,
        history,
    ])
}

#[tokio::test]
async fn a_room_that_nobody_uses_is_put_away_and_nothing_changes_for_those_who_look() {
    let store = Failing::after(i64::MAX);
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| user_session(user, user));
    let (engine, clock) = start(&store, |_| {});
    board(&engine, &ann);
    let run = engine.rooms().run(&ann, "board", &NewRun::new(json!("x"))).unwrap();
    while engine.rooms().run_of(&ann, "board", &run).unwrap().status != RunStatus::Done {
        tokio::task::yield_now().await;
    }
    let before = look(&engine, &ann).await;
    for _ in 0..2 {
        pass(&engine, &clock).await;
        let stats = engine.rooms().stats();
        assert_eq!((stats.rooms, stats.put_away, stats.memory_bytes), (1, 1, 0));
        assert_eq!(look(&engine, &ann).await, before);
        let stats = engine.rooms().stats();
        assert!((stats.rooms, stats.put_away) == (1, 0) && stats.memory_bytes > 0);
    }
    pass(&engine, &clock).await;
    assert_eq!(code(engine.rooms().get(&cid, "board")), "not_found");
    assert_eq!(engine.rooms().role(&bob, "board"), Ok(RoomRole::Observer));
    assert_eq!(
        engine.rooms().say(&ann, "board", &Message::text("two")).unwrap().seq,
        Some(before[0][5].as_u64().unwrap() + 1)
    );
}

#[tokio::test]
async fn whoever_asks_for_a_room_that_is_put_away_finds_it() {
    type Use = fn(&Engine, &Session, &Session);
    let uses: [(&str, Use); 7] = [
        ("a listing", |engine, ann, _| {
            let page = engine.rooms().list(ann, &RoomQuery::default()).unwrap();
            assert_eq!(page.rooms.len(), 1);
        }),
        ("a listing of who was admitted", |engine, _, bob| {
            let page = engine.rooms().list(bob, &RoomQuery::default()).unwrap();
            assert_eq!(page.rooms.len(), 1);
        }),
        ("a reader", |engine, ann, _| drop(engine.rooms().events(ann, "board").unwrap())),
        ("an admission", |engine, ann, _| engine.rooms().admit(ann, "board", "dan", RoomRole::Member).unwrap()),
        ("a dismissal", |engine, ann, _| engine.rooms().dismiss(ann, "board", "bob").unwrap()),
        ("a run", |engine, ann, _| drop(engine.rooms().run(ann, "board", &NewRun::new(json!(1))).unwrap())),
        ("a child", |engine, ann, _| {
            drop(engine.rooms().create(ann, &NewRoom::new("t").parent("board", [])).unwrap());
        }),
    ];
    for (name, look) in uses {
        let store = Failing::after(i64::MAX);
        let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
        let (engine, clock) = start(&store, |_| {});
        board(&engine, &ann);
        pass(&engine, &clock).await;
        assert_eq!(engine.rooms().stats().put_away, 1, "{name}");
        look(&engine, &ann, &bob);
        assert_eq!(engine.rooms().stats().put_away, 0, "{name}");
    }
}

#[tokio::test]
async fn a_session_that_comes_shows_its_rooms_and_they_stay_as_long_as_it_does() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |config| config.times.idle_session = IDLE * 100);
    board(&engine, &ann);
    pass(&engine, &clock).await;
    let mut consumer = TestConsumer::connect(&engine, ann.clone()).await;
    let (_, tree) = consumer.subscribe("/rooms").await;
    assert_eq!(tree["children"][0]["properties"]["title"], "Board", "{tree}");
    for _ in 0..12 {
        clock.advance(IDLE.as_millis() as u64 / 4);
        yield_often().await;
    }
    assert_eq!(engine.rooms().stats().put_away, 0);
}

#[tokio::test]
async fn a_room_that_is_put_away_ends_when_its_time_has_come_or_its_owner_is_revoked() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    board(&engine, &ann);
    let archived = NewRoom::new("t").id("archived").on_end(OnEnd::Archive).ttl_s(3_600).sliding(false);
    engine.rooms().create(&ann, &archived).unwrap();
    pass(&engine, &clock).await;
    assert_eq!(engine.rooms().stats().put_away, 2);
    clock.advance(3_600_000 - IDLE.as_millis() as u64 * 6 / 4);
    yield_often().await;
    let room = engine.rooms().get(&ann, "archived").unwrap();
    assert_eq!(room.end_reason().map(|reason| reason.to_string()).as_deref(), Some("timeout"));
    let id = room.cold_context_id().unwrap();
    engine.rooms().durable("archived").await.unwrap();
    let mut events = engine.rooms().archive(&ann, &id).await.unwrap();
    let ended = std::iter::from_fn(|| futures_util::FutureExt::now_or_never(events.next())?.ok()?).count();
    assert!(ended <= 2);
    assert_eq!(engine.rooms().stats().put_away, 1);
    engine.revoke(Revocation::user("ann"));
    yield_often().await;
    assert_eq!((engine.rooms().stats().put_away, engine.rooms().stats().ended), (0, 2));
}

#[tokio::test]
async fn a_room_that_is_used_or_cannot_be_read_again_stays() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    board(&engine, &ann);
    engine.register_agent(ask("ask"));
    let kept = |id: &str| NewRoom::new("t").id(id).replayable(true).access(Access::Project).agent("ask");
    let held = engine.rooms().create(&ann, &kept("held")).unwrap().room;
    for id in ["joined", "running"] {
        engine.rooms().create(&ann, &kept(id)).unwrap();
    }
    engine.rooms().create(&ann, &NewRoom::new("t").id("not kept")).unwrap();
    let events = engine.rooms().events(&user_session("cid", "cid"), "joined").unwrap();
    engine.rooms().run(&ann, "running", &NewRun::new(json!(1))).unwrap();
    pass(&engine, &clock).await;
    assert_eq!((engine.rooms().stats().rooms, engine.rooms().stats().put_away), (5, 1));
    drop((held, events));
    engine.rooms().get(&ann, "board").unwrap();
    pass(&engine, &clock).await;
    pass(&engine, &clock).await;
    assert_eq!(engine.rooms().stats().put_away, 3);
}

#[tokio::test]
async fn nothing_is_put_away_before_it_is_durable() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    board(&engine, &ann);
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    engine.rooms().say(&ann, "board", &Message::text("two")).unwrap();
    for _ in 0..12 {
        clock.advance(IDLE.as_millis() as u64 / 4);
        yield_often().await;
    }
    assert_eq!(engine.rooms().stats().put_away, 0);
    store.allow(i64::MAX);
    while engine.rooms().stats().put_away == 0 {
        clock.advance(500);
        yield_often().await;
    }
    let log = engine.rooms().replay(&ann, "board", 0, None).await.unwrap().events;
    assert_eq!(log.last().unwrap()["body"]["text"], "two");
}

#[tokio::test]
async fn while_the_storage_fails_one_task_waits_to_put_rooms_away() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    board(&engine, &ann);
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    engine.rooms().say(&ann, "board", &Message::text("two")).unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    yield_often().await;
    let before = tasks();
    for _ in 0..40 {
        clock.advance(IDLE.as_millis() as u64 / 4);
        yield_often().await;
    }
    assert!(tasks() <= before + 1, "{} tasks, and {before} before", tasks());
    assert_eq!(engine.rooms().stats().put_away, 0);
    store.allow(i64::MAX);
    for _ in 0..10_000 {
        clock.advance(IDLE.as_millis() as u64 / 4);
        yield_often().await;
        if engine.rooms().stats().put_away > 0 {
            return;
        }
    }
    panic!("the room is not put away when the storage is well again");
}

#[tokio::test]
async fn after_a_restart_only_rooms_in_which_something_goes_on_are_read() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, _clock) = start(&store, |config| config.rooms.rooms_per_user = 2_000);
    engine.register_agent(ask("ask"));
    for number in 0..1_000 {
        let new = NewRoom::new("t").id(format!("room{number}")).replayable(true).agent("ask");
        engine.rooms().create(&ann, &new).unwrap();
    }
    engine.rooms().run(&ann, "room7", &NewRun::new(json!(1))).unwrap();
    engine.rooms().run(&ann, "room8", &NewRun::new(json!(1))).unwrap();
    engine.rooms().durable("room8").await.unwrap();
    store.allow(0);
    drop(engine);
    store.allow(i64::MAX);
    let reads = store.reads();
    let (engine, _clock) = start(&store, |config| config.rooms.rooms_per_user = 2_000);
    assert_eq!((engine.rooms().stats().rooms, engine.rooms().stats().put_away), (1_000, 998));
    assert_eq!(store.reads() - reads, 2);
    assert_eq!(engine.rooms().get(&ann, "room500").unwrap().seq(), 1);
    assert_eq!(engine.rooms().stats().put_away, 997);
    assert_eq!(code(engine.rooms().create(&ann, &NewRoom::new("t").id("room9"))), "conflict");
}

#[tokio::test]
async fn a_room_that_cannot_be_read_is_an_error_for_who_asks_for_it_and_for_nobody_else() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    let observed = crate::fixtures::EventLog::of(&engine);
    board(&engine, &ann);
    engine.rooms().create(&ann, &NewRoom::new("t").id("fine").replayable(true)).unwrap();
    pass(&engine, &clock).await;
    store.damage("board", true);
    for _ in 0..3 {
        assert_eq!(code(engine.rooms().get(&ann, "board")), "internal");
        assert_eq!(code(engine.rooms().say(&ann, "board", &Message::text("x"))), "internal");
        let listed = engine.rooms().list(&ann, &RoomQuery::default()).unwrap();
        assert_eq!(listed.rooms.len(), 1, "the others are listed");
        engine.rooms().say(&ann, "fine", &Message::text("x")).unwrap();
    }
    let unreadable = |event: &grove_engine::Event| matches!(event, grove_engine::Event::RoomUnreadable { .. });
    assert_eq!(observed.count(unreadable), 1, "it is told once");
    store.damage("board", false);
    assert_eq!(engine.rooms().get(&ann, "board").unwrap().title(), "Board");
}

#[tokio::test]
async fn what_is_due_in_a_room_that_cannot_be_read_is_done_as_soon_as_it_can_be() {
    for (reason, is_revoked) in [(EndReason::Timeout, false), (EndReason::Revoked, true)] {
        let store = Failing::after(i64::MAX);
        let ann = user_session("ann", "ann");
        let (engine, clock) = start(&store, |_| {});
        let observed = crate::fixtures::EventLog::of(&engine);
        board(&engine, &ann);
        pass(&engine, &clock).await;
        store.damage("board", true);
        if is_revoked {
            engine.revoke(Revocation::user("ann"));
        }
        let reads = store.reads();
        // Its time to live is a day.
        for _ in 0..24 * 60 {
            clock.advance(60_000);
            engine.settle().await;
        }
        let tried = store.reads() - reads;
        assert!(tried > 0 && tried < 24 * 12 + 20, "it is tried again, and less and less often: {tried}");
        assert_eq!(engine.rooms().stats().put_away, 1);
        store.damage("board", false);
        clock.advance(300_000);
        engine.settle().await;
        assert_eq!((engine.rooms().stats().put_away, engine.rooms().stats().ended), (0, 1));
        let closed = |event: &Event| matches!(event, Event::RoomClosed { reason: why, .. } if *why == reason);
        assert_eq!(observed.count(closed), 1);
        let reads = store.reads();
        clock.advance(3_600_000);
        engine.settle().await;
        assert_eq!(store.reads(), reads, "nothing is tried any more");
    }
}

#[tokio::test]
async fn runs_in_a_room_that_cannot_be_read_after_a_restart_go_on_as_soon_as_it_can_be() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, _clock) = start(&store, |_| {});
    engine.register_agent(ask("ask"));
    engine.rooms().create(&ann, &NewRoom::new("t").id("board").replayable(true).agent("ask")).unwrap();
    let run = engine.rooms().run(&ann, "board", &NewRun::new(json!(1))).unwrap();
    let waits = engine.rooms().run(&ann, "board", &NewRun::new(json!(2))).unwrap();
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    drop(engine);
    store.allow(i64::MAX);
    store.damage("board", true);
    let (engine, clock) = start(&store, |_| {});
    engine.register_agent(echo("ask"));
    clock.advance(2_000);
    engine.settle().await;
    assert_eq!(code(engine.rooms().run_of(&ann, "board", &run)), "internal");
    store.damage("board", false);
    assert_eq!(code(engine.rooms().run(&ann, "board", &NewRun::new(json!(3)))), "busy", "these runs come first");
    clock.advance(1);
    engine.settle().await;
    let status = |run: &str| engine.rooms().run_of(&ann, "board", run).unwrap().status;
    assert_eq!(status(&run), RunStatus::Failed, "it was interrupted");
    while status(&waits) != RunStatus::Done {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn two_who_ask_at_the_same_time_find_the_same_room() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, clock) = start(&store, |_| {});
    board(&engine, &ann);
    for _ in 0..20 {
        pass(&engine, &clock).await;
        let barrier = Arc::new(std::sync::Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (engine, ann, barrier) = (engine.clone(), ann.clone(), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    barrier.wait();
                    engine.rooms().get(&ann, "board").unwrap()
                })
            })
            .collect();
        let rooms: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(rooms.iter().all(|room| *room == rooms[0]));
    }
}

#[tokio::test]
async fn runs_of_which_it_cannot_be_read_at_the_start_whether_there_are_any_go_on() {
    let store = Failing::after(i64::MAX);
    let ann = user_session("ann", "ann");
    let (engine, _clock) = start(&store, |_| {});
    engine.register_agent(ask("ask"));
    engine.rooms().create(&ann, &NewRoom::new("t").id("board").replayable(true).agent("ask")).unwrap();
    let run = engine.rooms().run(&ann, "board", &NewRun::new(json!(1))).unwrap();
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    drop(engine);
    store.allow(i64::MAX);
    store.interrupt();
    let (engine, _clock) = start(&store, |_| {});
    assert_eq!(engine.rooms().run_of(&ann, "board", &run).unwrap().status, RunStatus::Failed);
}

#[tokio::test]
async fn what_was_to_be_done_in_a_room_that_was_removed_is_not_done_in_another_one_with_its_id() {
    let store = Failing::after(i64::MAX);
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let (engine, _clock) = start(&store, |_| {});
    board(&engine, &ann);
    engine.rooms().close(&ann, "board", None).await.unwrap();
    engine.rooms().durable("board").await.unwrap();
    drop(engine);
    let (engine, clock) = start(&store, |_| {});
    store.damage("board", true);
    engine.revoke(Revocation::user("ann"));
    for _ in 0..120 {
        clock.advance(1_000);
        engine.settle().await;
    }
    assert_eq!(engine.rooms().stats().rooms, 0);
    store.damage("board", false);
    let new = NewRoom::new("t").id("board").replayable(true).ttl_s(30);
    let room = engine.rooms().create(&bob, &new).unwrap().room;
    clock.advance(31_000);
    engine.settle().await;
    assert_eq!(room.end_reason(), Some(EndReason::Timeout));
}
