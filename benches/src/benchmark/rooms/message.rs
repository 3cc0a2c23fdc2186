//! A message to all sessions, which are in one room.

use grove_engine::{Access, Message, NewRoom, Room};
use serde_json::json;

use super::events::{Sequence, is_message};
use crate::consumer::{Consumer, take_all};
use crate::failure::Failure;
use crate::measure::allocator;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::house::House;

/// The fastest of so many messages counts: everything else is the machine's other load.
const ROUNDS: u32 = 300;

/// How long a message is whose copies are looked for.
const LONG_BYTES: usize = 15_000;

pub(super) fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let house = House::with_manual_clock(cell.sessions);
    let mut consumers = house.connect(0, cell.sessions, 0)?;
    let room = house.create(0, &NewRoom::new("Room").access(Access::Project))?;
    house.join_each((0..cell.sessions).map(|u| (u, &room)), &mut consumers)?;
    take_all(&mut consumers);
    time_messages(cell, &house, &room, &mut consumers, row)?;
    count_copies(cell, &house, &room, &mut consumers, row)
}

fn say(house: &House, room: &Room, message: &Message) -> Result<(), Failure> {
    house.engine.rooms().say(&House::member(0), room.id(), message).map_err(|error| error.to_string())?;
    Ok(())
}

fn time_messages(
    cell: &Cell,
    house: &House,
    room: &Room,
    consumers: &mut [Consumer],
    row: &mut Row,
) -> Result<(), Failure> {
    let (mut queued_us, mut taken_us) = (f64::MAX, f64::MAX);
    let mut sequences = vec![Sequence::default(); consumers.len()];
    for round in 0..ROUNDS {
        let message = Message::data(json!({"round": round, "text": "Has anybody looked at the quarterly report?"}));
        let watch = Stopwatch::start();
        say(house, room, &message)?;
        queued_us = queued_us.min(watch.elapsed_us());
        let mut all_us = 0.0;
        for (consumer, sequence) in consumers.iter_mut().zip(&mut sequences) {
            let watch = Stopwatch::start();
            let mut frames = Vec::new();
            consumer.take_each(|frame| frames.push(frame.to_owned()));
            all_us += watch.elapsed_us();
            frames.iter().filter(|frame| is_message(frame)).for_each(|frame| sequence.take(frame));
        }
        taken_us = taken_us.min(all_us);
    }
    let connections = f64::from(cell.sessions);
    row.us_per_connection = Some(queued_us / connections);
    row.take_us_per_connection = Some(taken_us / connections);
    let complete = sequences.iter().filter(|all| all.count == u64::from(ROUNDS) && all.holes == 0).count();
    row.expect(complete == consumers.len(), || format!("{complete} of {} received all messages", consumers.len()));
    Ok(())
}

/// A message that was encoded once takes its bytes once, whatever the number of connections for which it waits.
fn count_copies(
    cell: &Cell,
    house: &House,
    room: &Room,
    consumers: &mut [Consumer],
    row: &mut Row,
) -> Result<(), Failure> {
    let message = Message::text("x".repeat(LONG_BYTES));
    let before = allocator::live_bytes()?;
    say(house, room, &message)?;
    let more = allocator::live_bytes()?.saturating_sub(before) as f64 / f64::from(cell.sessions);
    row.heap_bytes_per_waiting = Some(more);
    let most = LONG_BYTES as f64 / 4.0 + LONG_BYTES as f64 * 4.0 / f64::from(cell.sessions);
    row.expect(more < most, || format!("{more} bytes per connection wait: the message was copied"));
    let taken = take_all(consumers);
    row.expect(taken.bytes > LONG_BYTES as u64 * u64::from(cell.sessions), || format!("{taken:?} were taken"));
    Ok(())
}
