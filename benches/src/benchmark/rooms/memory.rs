//! What the memory of a room takes in the trees of its participants.

use grove_engine::{NewRoom, RoomRole};
use serde_json::json;

use crate::consumer::{SUBSCRIBE, check_all};
use crate::failure::Failure;
use crate::plan::cell::Cell;
use crate::plan::room_case::RoomCase;
use crate::result::row::Row;
use crate::subject::house::House;
use crate::workload::population::user;

/// How many of the consumers record their frames.
const RECORDED: u32 = 16;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    // The first engine of a process finds nothing prepared; it does not count.
    per_session(100, 1, row).await?;
    let empty = per_session(cell.sessions, 0, row).await?;
    let one = per_session(cell.sessions, 1, row).await?;
    let full = per_session(cell.sessions, 50, row).await?;
    row.heap_bytes_per_shown_room = Some(empty);
    row.heap_bytes_of_memory = Some(one - empty);
    row.heap_bytes_of_full_memory = Some(full - empty);
    Ok(())
}

/// What a subscription takes of a session that has joined a room with so many entries in its memory.
async fn per_session(sessions: u32, entries: u32, row: &mut Row) -> Result<f64, Failure> {
    let per_room = RoomCase::Memory.per_room(sessions);
    let house = House::with_manual_clock(sessions);
    let mut consumers = house.connect(0, sessions, 0)?;
    for owner in (0..sessions).step_by(per_room as usize) {
        let room = house.create(owner, &NewRoom::new(format!("Room {owner}")))?;
        let memory = house.engine.rooms().memory(&House::member(owner), room.id());
        let memory = memory.map_err(|error| error.to_string())?;
        for entry in 0..entries {
            let value = json!(format!("what room {owner} knows of subject {entry}"));
            memory.put(&format!("key-{entry}"), &value).map_err(|error| error.to_string())?;
        }
        for u in owner + 1..sessions.min(owner + per_room) {
            let admitted = house.engine.rooms().admit(&House::member(owner), room.id(), user(u), RoomRole::Member);
            admitted.map_err(|error| error.to_string())?;
        }
        house.join_each((owner..sessions.min(owner + per_room)).map(|u| (u, &room)), &mut consumers)?;
    }
    let before = house.settled_heap(&mut consumers).await?;
    consumers.iter().for_each(|consumer| consumer.say(SUBSCRIBE));
    let after = house.settled_heap(&mut consumers).await?;
    for consumer in consumers.iter_mut().step_by(sessions.div_ceil(RECORDED) as usize) {
        consumer.record_from_now();
        consumer.say(SUBSCRIBE);
    }
    house.settled_heap(&mut consumers).await?;
    row.add_verdict(check_all(&mut consumers).await?);
    Ok((after - before) / f64::from(sessions))
}
