//! Damage in what is kept of one room, which is found only when it is read (rooms 8).

use std::path::{Path, PathBuf};

use grove_engine::testing::ManualClock;
use grove_engine::{Config, Engine, Event, Facet, Message, NewRoom, RoomOptions, Session, Storage};
use serde_json::json;

use crate::fixtures::{EventLog, user_session};
use crate::storage_fixtures::code;

/// A directory that is removed in the end.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const PAGE: usize = 4_096;

/// Where a long text goes on over the page on which it begins: each page of it says which is the next.
fn damage(directory: &Path, letter: u8) -> usize {
    let path = directory.join("rooms.db");
    let mut file = std::fs::read(&path).unwrap();
    let mut damaged = 0;
    for page in file.chunks_exact_mut(PAGE).skip(1) {
        if page[4..].iter().filter(|byte| **byte == letter).count() > PAGE - 5 {
            page[..4].fill(0xff);
            damaged += 1;
        }
    }
    std::fs::write(&path, file).unwrap();
    damaged
}

fn start(directory: &Path, keep_events: usize) -> (Engine, EventLog, bool) {
    let mut config = Config::immediate();
    config.rooms.keep_events = keep_events;
    let storage = Storage::open(directory).unwrap();
    let is_whole = !format!("{storage:?}").contains("is_history_lost: true");
    let builder = Engine::builder("app", "App").config(config).clock(ManualClock::new());
    let engine = builder.rooms(RoomOptions::new().storage(storage)).build();
    let observed = EventLog::of(&engine);
    (engine, observed, is_whole)
}

/// A room with a long message among many short ones, and another room.
async fn fill(engine: &Engine, ann: &Session) {
    for (id, count) in [("fine", 50), ("log", 400)] {
        engine.rooms().create(ann, &NewRoom::new("t").id(id).replayable(true)).unwrap();
        (0..count).for_each(|number| say(engine, ann, id, &number.to_string()));
    }
    say(engine, ann, "log", &"x".repeat(15_000));
    (0..400).for_each(|number| say(engine, ann, "log", &number.to_string()));
    engine.rooms().durable("log").await.unwrap();
}

fn say(engine: &Engine, ann: &Session, id: &str, text: &str) {
    engine.rooms().say(ann, id, &Message::text(text)).unwrap();
}

/// What `fill` has written, with a damaged page.
async fn damaged(name: &str) -> Directory {
    let directory = Directory(std::env::temp_dir().join(format!("grove-{name}-{}", std::process::id())));
    let (engine, _, _) = start(&directory.0, 10_000);
    fill(&engine, &user_session("ann", "ann")).await;
    drop(engine);
    assert!(damage(&directory.0, b'x') > 1);
    directory
}

#[tokio::test]
async fn damage_in_one_log_is_an_error_for_its_readers_and_nothing_for_other_rooms() {
    let (directory, ann) = (damaged("damaged-read").await, user_session("ann", "ann"));
    let (engine, observed, is_whole) = start(&directory.0, 10_000);
    assert!(is_whole, "that is found only when it is read");
    let rooms = engine.rooms();
    for _ in 0..2 {
        assert_eq!(code(rooms.replay(&ann, "log", 300, Some(1_000)).await), "internal");
    }
    assert_eq!(rooms.replay(&ann, "log", 600, Some(1_000)).await.unwrap().events.len(), 202);
    assert_eq!(observed.count(|event| matches!(event, Event::RoomUnreadable { room, .. } if room == "log")), 1);
    say(&engine, &ann, "log", "more");
    say(&engine, &ann, "fine", "more");
    rooms.durable("log").await.unwrap();
    assert_eq!(rooms.replay(&ann, "log", 802, None).await.unwrap().events.len(), 1);
    assert_eq!(rooms.replay(&ann, "fine", 0, None).await.unwrap().events.len(), 52);
}

#[tokio::test]
async fn damage_in_one_log_is_in_no_rooms_way_also_when_it_is_purged_or_its_room_ends() {
    let (directory, ann) = (damaged("damaged-purge").await, user_session("ann", "ann"));
    let (engine, observed, _) = start(&directory.0, 100);
    let rooms = engine.rooms();
    for number in 0..500 {
        say(&engine, &ann, "log", &number.to_string());
        say(&engine, &ann, "fine", &number.to_string());
    }
    rooms.durable("log").await.unwrap();
    let fine = rooms.replay(&ann, "fine", 0, Some(1_000)).await.unwrap().events;
    assert_eq!(fine.last().unwrap()["seq"], 551);
    assert_eq!(rooms.replay(&ann, "log", 1_202, Some(1_000)).await.unwrap().events.len(), 100);
    rooms.close(&ann, "log", None).await.unwrap();
    rooms.durable("fine").await.unwrap();
    let failures = |event: &Event| matches!(event, Event::StorageFailed { .. });
    assert_eq!(observed.count(failures), 0, "nothing waits for the damaged pages");
    drop((rooms, engine));
    let (engine, _, is_whole) = start(&directory.0, 100);
    assert!(is_whole);
    assert_eq!(engine.rooms().get(&ann, "fine").unwrap().seq(), 551);
}

/// What a directory has when the process is killed and a byte of a confirmed commit, near the end, is not what it was.
fn killed_and_damaged(directory: &Path, name: &str) -> Directory {
    let copy = Directory(std::env::temp_dir().join(format!("grove-{name}-{}", std::process::id())));
    std::fs::create_dir_all(&copy.0).unwrap();
    std::fs::copy(directory.join("rooms.db"), copy.0.join("rooms.db")).unwrap();
    let mut log = std::fs::read(directory.join("rooms.db-wal")).unwrap();
    let at = log.len() * 3 / 4;
    log[at] ^= 1;
    std::fs::write(copy.0.join("rooms.db-wal"), log).unwrap();
    copy
}

#[tokio::test]
async fn a_child_still_inherits_from_its_parent_when_history_was_lost() {
    let (name, ann) = ("damaged-parent", user_session("ann", "ann"));
    let directory = Directory(std::env::temp_dir().join(format!("grove-{name}-{}", std::process::id())));
    let (engine, _, _) = start(&directory.0, 10_000);
    let kept = |id: &str| NewRoom::new("t").id(id).replayable(true);
    engine.rooms().create(&ann, &kept("parent").memory("goal", json!("launch"))).unwrap();
    engine.rooms().create(&ann, &kept("child").parent("parent", [Facet::Memory])).unwrap();
    for number in 0..40 {
        say(&engine, &ann, "parent", &number.to_string());
        engine.rooms().durable("parent").await.unwrap();
    }
    let mut directory = killed_and_damaged(&directory.0, "damaged-parent-1");
    let mut epoch = engine.rooms().get(&ann, "parent").unwrap().epoch().clone();
    for round in 2..4 {
        let (engine, _, is_whole) = start(&directory.0, 10_000);
        let lost = engine.rooms().get(&ann, "parent").unwrap().epoch().clone();
        assert!(!is_whole && lost != epoch, "history was lost");
        epoch = lost;
        let inherited = engine.rooms().memory(&ann, "child").unwrap().get("goal").unwrap();
        assert_eq!(inherited.value, json!("launch"));
        for number in 0..40 {
            say(&engine, &ann, "parent", &number.to_string());
            engine.rooms().durable("parent").await.unwrap();
        }
        directory = killed_and_damaged(&directory.0, &format!("damaged-parent-{round}"));
    }
    let (engine, _, is_whole) = start(&directory.0, 10_000);
    assert!(!is_whole);
    engine.rooms().close(&ann, "parent", None).await.unwrap();
    assert_eq!(code(engine.rooms().memory(&ann, "child").unwrap().get("goal")), "not_found");
    drop(engine);
    assert!(start(&directory.0, 10_000).2, "all rooms have been told");
}
