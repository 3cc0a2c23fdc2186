//! The logs of rooms, read again.

use grove_engine::Room;

use super::kept_house::{DURABLE_EVERY, durable, furnish, house, open, say};
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::results_folder::Scratch;
use crate::subject::event_log::EventLog as _;
use crate::subject::house::House;
use crate::subject::sqlite_log::SqliteLog;

/// How many events each log has, and in a short run.
const EVENTS: u64 = 10_000;
const FEW_EVENTS: u64 = 1_000;

/// How many are read at once.
const PAGE: usize = 1_000;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let scratch = Scratch::new("replay")?;
    let house = house(open(scratch.path()).await?, cell.sessions);
    let rooms = furnish(&house, cell.sessions).await?;
    let events = if cell.is_short() { FEW_EVENTS } else { EVENTS };
    fill(&house, &rooms, events).await?;
    let mut texts = Vec::new();
    let watch = Stopwatch::start();
    let mut read = 0;
    for (u, room) in (0..).zip(&rooms) {
        read += replay(&house, u, room.id(), row, |text| {
            if u == 0 {
                texts.push(text);
            }
        })
        .await?;
    }
    row.events_per_second = Some(read as f64 / watch.elapsed().as_secs_f64());
    let expected = events * u64::from(cell.sessions);
    row.expect(read == expected, || format!("{read} of {expected} events were replayed"));
    row.events = Some(read);
    drop((house, rooms));
    // When it is open again, nobody else writes to it.
    drop(open(scratch.path()).await?);
    row.disk_bytes_per_event = Some(scratch.bytes()? as f64 / read as f64);
    let bytes: usize = texts.iter().map(String::len).sum();
    row.text_bytes_per_event = Some(bytes as f64 / texts.len() as f64);
    row.alone_per_second = Some(replay_alone(&texts, cell.sessions)?);
    Ok(())
}

/// Says something in all rooms in turns, until each has so many events.
async fn fill(house: &House, rooms: &[Room], events: u64) -> Result<(), Failure> {
    let mut said = 0_u32;
    while rooms.iter().any(|room| room.seq() < events) {
        for (u, room) in (0..).zip(rooms).filter(|(_, room)| room.seq() < events) {
            say(house, u, room.id(), room.seq())?;
            said += 1;
            if said.is_multiple_of(DURABLE_EVERY) {
                durable(house, room.id()).await?;
            }
        }
    }
    durable(house, rooms[0].id()).await
}

/// Reads a log as a client would. Returns how many events it has.
async fn replay(
    house: &House,
    u: u32,
    room: &str,
    row: &mut Row,
    mut look: impl FnMut(String),
) -> Result<u64, Failure> {
    let (mut after, mut count) = (0, 0);
    loop {
        let page = house.engine.rooms().replay(&House::member(u), room, after, Some(PAGE)).await;
        let page = page.map_err(|error| error.to_string())?;
        for event in &page.events {
            count += 1;
            row.expect(event["seq"] == count, || format!("event {count} of {room} is {event}"));
        }
        // The texts of one room are enough.
        if u == 0 {
            page.events.iter().for_each(|event| look(event.to_string()));
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(count),
        }
    }
}

/// The database alone with as many logs of these texts.
fn replay_alone(texts: &[String], rooms: u32) -> Result<f64, Failure> {
    let scratch = Scratch::new("replay-alone")?;
    let mut database = SqliteLog::open(scratch.path())?;
    for (seq, text) in (1..).zip(texts) {
        let batch: Vec<_> = (0..rooms).map(|room| (room, seq, text.as_str())).collect();
        database.append(&batch)?;
    }
    let (watch, mut read) = (Stopwatch::start(), 0);
    for room in 0..rooms {
        read += database.read(room)?.events;
    }
    let expected = texts.len() as u64 * u64::from(rooms);
    if read != expected {
        return Err(format!("the database alone has {read} of {expected} events").into());
    }
    Ok(read as f64 / watch.elapsed().as_secs_f64())
}
