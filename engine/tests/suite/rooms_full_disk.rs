//! A disk that is full: what was acknowledged stays, rooms go on, and the rest is kept when there is space again (rooms 8, 10).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use grove_engine::testing::{DiskSpace, ManualClock};
use grove_engine::{Access, Config, Engine, Event, Message, NewRoom, OnEnd, RoomOptions, Session, Storage};

use crate::fixtures::{EventLog, user_session};
use crate::storage_fixtures::{code, log, next_of, say, seqs};

/// A directory that is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("grove-full-{name}-{}", std::process::id())))
    }

    /// What it has when the process is killed now.
    fn killed(&self, name: &str) -> Self {
        let copy = Self::new(name);
        std::fs::create_dir_all(&copy.0).unwrap();
        for file in ["rooms.db", "rooms.db-wal"] {
            std::fs::copy(self.0.join(file), copy.0.join(file)).unwrap();
        }
        copy
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn engine(storage: Storage) -> (Engine, Arc<ManualClock>, EventLog) {
    let clock = ManualClock::new();
    let builder = Engine::builder("app", "App").config(Config::immediate()).clock(Arc::clone(&clock) as _);
    let engine = builder.rooms(RoomOptions::new().storage(storage)).build();
    let observed = EventLog::of(&engine);
    (engine, clock, observed)
}

fn reopened(directory: &Path) -> Engine {
    engine(Storage::open(directory).unwrap()).0
}

fn has_failed(observed: &EventLog) -> bool {
    observed.count(|event| matches!(event, Event::StorageFailed { .. })) > 0
}

/// Says something again and again until that cannot be kept. Returns the number of the last message that was acknowledged.
async fn say_until_full(engine: &Engine, observed: &EventLog, ann: &Session) -> u64 {
    let (rooms, mut acknowledged) = (engine.rooms(), 0);
    for _ in 0..10_000 {
        let seq = say(engine, ann, &"x".repeat(3_000));
        let mut durable = Box::pin(rooms.durable("board"));
        loop {
            match durable.as_mut().now_or_never() {
                Some(Ok(())) => break acknowledged = seq,
                Some(Err(why)) => panic!("{why}"),
                None if has_failed(observed) => return acknowledged,
                None => tokio::task::yield_now().await,
            }
        }
    }
    panic!("the disk is not full")
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged_and_what_waited_is_kept_when_there_is_space() {
    let directory = Directory::new("disk");
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let (storage, disk) = DiskSpace::open(&directory.0).unwrap();
    let (engine, clock, observed) = engine(storage);
    let rooms = engine.rooms();
    rooms.create(&ann, &NewRoom::new("t").id("board").access(Access::Project).replayable(true)).unwrap();
    rooms.create(&ann, &NewRoom::new("t").id("plain")).unwrap();
    rooms.durable("board").await.unwrap();
    let mut events = rooms.events(&bob, "board").unwrap();
    disk.fill(20).unwrap();
    let acknowledged = say_until_full(&engine, &observed, &ann).await;
    assert!(acknowledged > 5, "{acknowledged}");
    next_of(&mut events, "room.degraded").await;
    // Rooms go on, and nothing more is acknowledged.
    let last = say(&engine, &ann, "not kept yet");
    while next_of(&mut events, "message").await["seq"] != last {}
    let mut durable = Box::pin(rooms.durable("board"));
    assert!(durable.as_mut().now_or_never().is_none());
    clock.advance(10_000);
    assert_eq!(code(durable.await), "busy");
    rooms.say(&ann, "plain", &Message::text("x")).unwrap();
    rooms.durable("plain").await.unwrap();
    rooms.create(&ann, &NewRoom::new("t").id("late").on_end(OnEnd::Archive)).unwrap();

    // Killed now: everything that was acknowledged is there, in order.
    let killed = directory.killed("disk-killed");
    let after = reopened(&killed.0);
    let there = seqs(&log(&after, &ann).await);
    assert!(there.iter().copied().eq(1..=there.len() as u64) && there.len() as u64 >= acknowledged, "{there:?}");
    assert!(say(&after, &ann, "goes on") > acknowledged);
    after.rooms().durable("board").await.unwrap();
    drop(after);

    // Space again: all of it is kept.
    disk.free().unwrap();
    let mut durable = Box::pin(rooms.durable("late"));
    while durable.as_mut().now_or_never().is_none() {
        clock.advance(100);
        tokio::task::yield_now().await;
    }
    next_of(&mut events, "room.recovered").await;
    let before = log(&engine, &ann).await;
    let killed = directory.killed("disk-recovered");
    let after = reopened(&killed.0);
    let kept = log(&after, &ann).await;
    assert_eq!(kept[..before.len()], before);
    assert_eq!(before.last().unwrap()["seq"], last);
    assert!(after.rooms().get(&ann, "late").is_ok());
}
