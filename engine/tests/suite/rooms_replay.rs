//! The past of replayable rooms (rooms 7, 8, 10).

use futures_util::FutureExt;
use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, ActionError, Engine, Limit, Message, NewRoom, OnEnd, ReceivedEvent, Replay, Room, RoomEvents, RoomOptions,
    RoomPosition, Session,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, action_names, error_code, node_at, room_engine, room_engine_with, user_session};

fn replayable(engine: &Engine, owner: &Session) -> Room {
    let new = NewRoom::new("Board").access(Access::Project).replayable(true);
    engine.rooms().create(owner, &new).unwrap().room
}

fn say(engine: &Engine, session: &Session, room: &Room, text: &str) -> u64 {
    engine.rooms().say(session, room.id(), &Message::text(text)).unwrap().seq.unwrap()
}

fn say_often(engine: &Engine, session: &Session, room: &Room, (count, text): (u64, &str)) {
    for _ in 0..count {
        say(engine, session, room, text);
    }
}

fn seqs(replay: &Replay) -> Vec<u64> {
    replay.events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

/// What there is now for a reader in this process.
fn waiting(events: &mut RoomEvents) -> Vec<ReceivedEvent> {
    std::iter::from_fn(|| events.next().now_or_never().flatten()).collect()
}

fn numbers(events: &[ReceivedEvent]) -> Vec<Option<u64>> {
    events.iter().map(|event| event.seq).collect()
}

fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

#[tokio::test]
async fn a_late_reader_gets_every_event_from_the_start_as_those_did_who_were_there() {
    let (engine, clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = replayable(&engine, &ann);
    let mut early = engine.rooms().events(&bob, room.id()).unwrap();
    for text in ["one", "two"] {
        clock.advance(5);
        say(&engine, &ann, &room, text);
    }
    let replay = engine.rooms().replay(&ann, room.id(), 0, None).await.unwrap();
    assert_eq!((seqs(&replay), replay.next), (vec![1, 2, 3, 4], None));
    let live: Vec<Value> = waiting(&mut early).into_iter().map(|event| event.data).collect();
    assert_eq!(replay.events[1..], live, "the copies are equal");
    let started = &replay.events[0];
    assert_eq!((&started["kind"], &started["at"]), (&json!("room.started"), &json!("2026-01-01T00:00:00.000Z")));
    let body = json!({"title": "Board", "owner": "ann", "trust": "verified", "mode": "production"});
    assert_eq!(started["body"], body);
    assert_eq!(started["actor"], json!({"user": "ann", "name": "ann", "kind": "person"}));
}

#[tokio::test]
async fn a_replay_is_read_in_pages_without_direct_messages() {
    let (engine, _clock) = room_engine();
    let ann = user_session("ann", "ann");
    let room = replayable(&engine, &ann);
    let mut consumer = TestConsumer::connect(&engine, ann.clone()).await;
    let me = engine.rooms().join(&ann, room.id()).unwrap();
    engine.rooms().say(&ann, room.id(), &Message::text("to myself").to(me)).unwrap();
    (0..5).for_each(|number| assert_eq!(say(&engine, &ann, &room, "x"), 3 + number));
    let page = engine.rooms().replay(&ann, room.id(), 2, Some(3)).await.unwrap();
    assert_eq!((seqs(&page), page.next), (vec![3, 4, 5], Some(5)));
    let page = engine.rooms().replay(&ann, room.id(), 5, Some(3)).await.unwrap();
    assert_eq!((seqs(&page), page.next), (vec![6, 7], None));
    let page = engine.rooms().replay(&ann, room.id(), 99, None).await.unwrap();
    assert_eq!((seqs(&page), page.next), (vec![], None));
    assert!(!consumer.settled().await.is_empty());
}

#[tokio::test]
async fn a_replay_fits_a_frame_and_says_where_to_go_on() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| {
        config.sizes.frame_bytes = 64 << 10;
        (config.runs.value_bytes, config.runs.chunk_bytes) = (16 << 10, 4 << 10);
    });
    let ann = user_session("ann", "ann");
    let room = replayable(&engine, &ann);
    let mut consumer = TestConsumer::connect(&engine, ann.clone()).await;
    engine.rooms().join(&ann, room.id()).unwrap();
    say_often(&engine, &ann, &room, (20, &"x".repeat(8_000)));
    consumer.settled().await;
    let (mut since, mut read) = (0, Vec::new());
    loop {
        let path = format!("/rooms/{}", room.id());
        let result = consumer.invoke(&path, "replay", json!({"since": since, "limit": 1_000})).await;
        assert_eq!(result["status"], "ok", "{result}");
        read.extend(result["data"]["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()));
        let Some(next) = result["data"]["next"].as_u64() else { break };
        since = next;
    }
    assert_eq!(read, (1..=22).collect::<Vec<_>>());
}

#[tokio::test]
async fn whoever_is_in_a_replayable_room_may_replay_it_and_nobody_else() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let observed = NewRoom::new("t").access(Access::Observe).replayable(true);
    let room = engine.rooms().create(&ann, &observed).unwrap().room;
    let plain = engine.rooms().create(&ann, &NewRoom::new("t").access(Access::Observe)).unwrap().room;
    let mut consumer = TestConsumer::connect(&engine, bob.clone()).await;
    let path = |room: &Room| format!("/rooms/{}", room.id());
    let refused = consumer.invoke(&path(&room), "replay", json!({})).await;
    assert_eq!(error_code(&refused), "unauthorized", "bob has not joined");
    for room in [&room, &plain] {
        engine.rooms().join(&bob, room.id()).unwrap();
    }
    let result = consumer.invoke(&path(&room), "replay", json!({})).await;
    assert_eq!(result["data"]["events"].as_array().unwrap().len(), 2);
    let refused = consumer.invoke(&path(&plain), "replay", json!({})).await;
    assert_eq!(error_code(&refused), "conflict");
    assert_eq!(code(engine.rooms().replay(&ann, plain.id(), 0, None).await), "conflict");
    let cid = user_session("cid", "cid");
    let closed = engine.rooms().create(&ann, &NewRoom::new("t").replayable(true)).unwrap().room;
    assert_eq!(code(engine.rooms().replay(&cid, closed.id(), 0, None).await), "not_found");
    engine.rooms().close(&ann, closed.id(), None).await.unwrap();
    assert_eq!(code(engine.rooms().replay(&ann, closed.id(), 0, None).await), "conflict");
    let tree = consumer.query("/").await;
    let offered = |room: &Room| action_names(node_at(&tree, &path(room))).contains(&"replay");
    assert_eq!((offered(&room), offered(&plain)), (true, false));
}

#[tokio::test]
async fn a_reader_that_comes_back_goes_on_from_the_log_without_a_gap() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = replayable(&engine, &ann);
    say_often(&engine, &ann, &room, (600, "while bob was away"));
    let after = RoomPosition { epoch: Some(room.epoch().clone()), seq: 3 };
    let mut events = engine.rooms().events_after(&bob, room.id(), Some(&after)).unwrap();
    say(&engine, &ann, &room, "now");
    assert_eq!(numbers(&waiting(&mut events)), (4..=603).map(Some).collect::<Vec<_>>());
    let unknown = RoomPosition { epoch: Some("another".into()), seq: 3 };
    let mut events = engine.rooms().events_after(&bob, room.id(), Some(&unknown)).unwrap();
    assert_eq!(numbers(&waiting(&mut events))[..3], [Some(1), Some(2), Some(3)]);
}

#[tokio::test]
async fn what_a_slow_reader_did_not_take_comes_from_the_log() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| config.sizes.event_bytes = 4_096);
    let ann = user_session("ann", "ann");
    let room = replayable(&engine, &ann);
    let mut events = engine.rooms().events(&ann, room.id()).unwrap();
    say_often(&engine, &ann, &room, (300, "more than waits for one connection"));
    assert_eq!(numbers(&waiting(&mut events)), (2..=302).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_was_dismissed_reads_nothing_more_of_the_past() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = replayable(&engine, &ann);
    say_often(&engine, &ann, &room, (50, "secret"));
    let after = RoomPosition { epoch: None, seq: 0 };
    let mut events = engine.rooms().events_after(&bob, room.id(), Some(&after)).unwrap();
    assert_eq!(events.next().await.unwrap().seq, Some(1));
    engine.rooms().dismiss(&ann, room.id(), "bob").unwrap();
    assert_eq!(numbers(&waiting(&mut events)), [Some(52)], "its own joining waited already");
}

#[tokio::test]
async fn only_the_latest_events_are_kept_and_what_is_missing_is_said() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| config.rooms.keep_events = 10);
    let ann = user_session("ann", "ann");
    let room = replayable(&engine, &ann);
    say_often(&engine, &ann, &room, (99, "x"));
    let replay = engine.rooms().replay(&ann, room.id(), 0, None).await.unwrap();
    assert_eq!(seqs(&replay), (91..=100).collect::<Vec<_>>());
    let after = RoomPosition { epoch: None, seq: 20 };
    let mut events = engine.rooms().events_after(&ann, room.id(), Some(&after)).unwrap();
    let events = waiting(&mut events);
    assert_eq!(
        (&events[0].kind, &events[0].data["body"]),
        (&"room.gap".into(), &json!({"from_seq": 21, "to_seq": 91}))
    );
    assert_eq!(numbers(&events)[1..], (92..=101).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn events_that_are_too_old_go_but_never_the_latest() {
    let (engine, clock) = room_engine();
    let ann = user_session("ann", "ann");
    let room = replayable(&engine, &ann);
    let day = 86_400_000;
    (0..40).for_each(|_| {
        say(&engine, &ann, &room, "daily");
        clock.advance(day);
    });
    engine.settle().await;
    clock.advance(3_600_000);
    engine.settle().await;
    let replay = engine.rooms().replay(&ann, room.id(), 0, None).await.unwrap();
    assert!((10..=12).contains(&seqs(&replay)[0]), "{:?}", seqs(&replay));
    clock.advance(100 * day);
    engine.settle().await;
    let replay = engine.rooms().replay(&ann, room.id(), 0, None).await.unwrap();
    assert_eq!(seqs(&replay), [41]);
}

#[tokio::test]
async fn logs_in_memory_have_a_bound_in_all() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| config.rooms.stored_bytes = 100_000);
    let log = EventLog::of(&engine);
    let ann = user_session("ann", "ann");
    let rooms = [replayable(&engine, &ann), replayable(&engine, &ann)];
    for _ in 0..1_000 {
        rooms.iter().for_each(|room| say_often(&engine, &ann, room, (1, "x")));
    }
    assert!(log.limit_count(Limit::StoredBytes) > 0);
    for room in &rooms {
        let replay = engine.rooms().replay(&ann, room.id(), 0, Some(1_000)).await.unwrap();
        let seqs = seqs(&replay);
        assert_eq!(seqs.last(), Some(&1_001));
        assert!(seqs[0] > 700 && seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
    }
}

#[tokio::test]
async fn nothing_is_kept_of_a_room_that_ended() {
    let (engine, _clock) = room_engine();
    let ann = user_session("ann", "ann");
    let new = NewRoom::new("t").id("board").replayable(true).on_end(OnEnd::Drop);
    engine.rooms().create(&ann, &new).unwrap();
    engine.rooms().close(&ann, "board", None).await.unwrap();
    engine.rooms().durable("board").await.unwrap();
    assert_eq!(code(engine.rooms().replay(&ann, "board", 0, None).await), "conflict");
}
