//! The memory of participants, beyond their sessions and connections.

use grove_engine::{NewRoom, Room, RoomRole};

use crate::consumer::{Consumer, SUBSCRIBE, check_all, take_all};
use crate::failure::Failure;
use crate::plan::cell::Cell;
use crate::plan::room_case::RoomCase;
use crate::result::row::Row;
use crate::subject::house::House;
use crate::workload::population::user;

pub(super) async fn measure(cell: &Cell, case: RoomCase, row: &mut Row) -> Result<(), Failure> {
    let per_room = case.per_room(cell.sessions);
    let count = cell.sessions / per_room * per_room;
    let joining = f64::from(count - count / per_room);
    let house = House::with_manual_clock(cell.sessions);
    let mut consumers = house.connect(0, count, 0)?;
    let rooms = furnish(&house, count, per_room)?;
    let before = house.settled_heap(&mut consumers).await?;
    let others = (0..count).filter(|u| u % per_room > 0);
    house.join_each(others.map(|u| (u, &rooms[(u / per_room) as usize])), &mut consumers)?;
    let joined = house.settled_heap(&mut consumers).await?;
    row.heap_bytes_per_participant = Some((joined - before) / joining);
    check(&house, &rooms, count, per_room, row);
    consumers.iter().step_by(per_room as usize).for_each(|owner| owner.say(SUBSCRIBE));
    let shown = house.settled_heap(&mut consumers).await?;
    // In small rooms, most of it is what the owner needs for its subscription.
    row.heap_bytes_per_shown = Some((shown - joined) / joining).filter(|_| case == RoomCase::Crowd);
    check_mirrors(&house, &rooms, consumers, per_room, row).await
}

/// The owners see who leaves and who comes back. What they record is not among the bytes that were counted.
async fn check_mirrors(
    house: &House,
    rooms: &[Room],
    mut consumers: Vec<Consumer>,
    per_room: u32,
    row: &mut Row,
) -> Result<(), Failure> {
    for owner in consumers.iter_mut().step_by(per_room as usize).take(RECORDED) {
        owner.record_from_now();
        owner.say(SUBSCRIBE);
    }
    house.settled_heap(&mut consumers).await?;
    for (at, room) in (0..).zip(rooms).take(RECORDED) {
        let guest = at * per_room + 1;
        house.leave(guest, room)?;
        house.refresh().await;
        take_all(&mut consumers);
        house.join(guest, room)?;
    }
    house.settled_heap(&mut consumers).await?;
    row.add_verdict(check_all(&mut consumers).await?);
    Ok(())
}

/// Everybody is in a room.
fn check(house: &House, rooms: &[Room], count: u32, per_room: u32, row: &mut Row) {
    let participants = house.engine.rooms().stats().participants;
    row.expect(participants == count as usize, || format!("{participants} of {count} have joined"));
    let full = rooms.iter().filter(|room| room.online() == per_room as usize).count();
    row.expect(full == rooms.len(), || format!("{full} of {} rooms are full", rooms.len()));
}

/// Creates the rooms. Their owners have joined, and admitted the others.
fn furnish(house: &House, count: u32, per_room: u32) -> Result<Vec<Room>, Failure> {
    let mut rooms = Vec::with_capacity((count / per_room) as usize);
    for owner in (0..count).step_by(per_room as usize) {
        let room = house.create(owner, &NewRoom::new(format!("Room {owner}")))?;
        for u in owner + 1..owner + per_room {
            let admitted = house.engine.rooms().admit(&House::member(owner), room.id(), user(u), RoomRole::Member);
            admitted.map_err(|error| error.to_string())?;
        }
        house.join(owner, &room)?;
        rooms.push(room);
    }
    Ok(rooms)
}

/// How many owners record their frames at the end.
const RECORDED: usize = 32;
