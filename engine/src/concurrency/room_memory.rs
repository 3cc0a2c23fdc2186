//! Writes to the memory of one room, against each other and against its end.

use serde_json::json;
use shuttle::future::block_on;

use super::{App, alice, check, join};
use crate::model::room::handle::Room;
use crate::model::room::memory::{Expected, Memory};
use crate::model::room::policy::NewRoom;

fn room(app: &App) -> Room {
    app.engine.rooms().create(&alice(), &NewRoom::new("t").memory("sum", 0)).unwrap().room
}

/// What is kept is counted, whatever the order.
fn check_bytes(app: &App, room: &Room) {
    let kept = room.with(|record| record.memory().map_or(0, Memory::bytes));
    assert_eq!(app.engine.rooms().stats().memory_bytes, kept);
}

#[test]
fn of_writers_that_expect_the_same_entry_one_writes() {
    check(|| {
        let app = App::with_rooms();
        let room = room(&app);
        let write = |value: u64| {
            let room = room.clone();
            app.spawn(move |app| {
                let memory = app.engine.rooms().memory(&alice(), room.id()).unwrap();
                let written = memory.put_if("sum", &json!(value), Expected::Version(1)).is_ok();
                memory.put(&format!("{written}"), &json!(value)).unwrap();
            })
        };
        join([write(1), write(2)]);
        let memory = app.engine.rooms().memory(&alice(), room.id()).unwrap();
        assert_eq!(memory.get("sum").unwrap().value, memory.get("true").unwrap().value);
        assert!(memory.get("false").is_ok(), "the other one was told");
        assert_eq!(room.seq(), 1 + 3);
        check_bytes(&app, &room);
        block_on(app.engine.settle());
    });
}

#[test]
fn nothing_is_kept_in_a_room_that_ends_meanwhile() {
    check(|| {
        let app = App::with_rooms();
        let room = room(&app);
        let (written, cleared, ended) = (room.clone(), room.clone(), room.clone());
        // Each may come too late.
        let writing = app.spawn(move |app| {
            let memory = app.engine.rooms().memory(&alice(), written.id());
            let _ = memory.and_then(|memory| memory.put("k", &json!("value")));
        });
        let clearing = app.spawn(move |app| {
            let memory = app.engine.rooms().memory(&alice(), cleared.id());
            let _ = memory.and_then(|memory| memory.clear());
        });
        let ending = app.spawn(move |app| {
            // Nothing runs in it, so it has ended when this returns.
            drop(app.engine.rooms().complete(ended.id()));
        });
        join([writing, clearing, ending]);
        assert_eq!(app.engine.rooms().stats().memory_bytes, 0);
        check_bytes(&app, &room);
        block_on(app.engine.settle());
    });
}
