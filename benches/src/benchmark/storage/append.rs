//! Messages that are acknowledged when they are durable.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use grove_engine::Room;

use super::kept_house::{durable, furnish, house, open, say};
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::results_folder::Scratch;
use crate::subject::event_log::{EventLog as _, LogRow};
use crate::subject::house::House;
use crate::subject::sqlite_log::SqliteLog;

/// How long messages are said in each round.
const DURATION: Duration = Duration::from_millis(2_500);

/// How many events are appended one by one.
const ONE_BY_ONE: usize = 1_000;

/// How many rounds there are of Grove and of the database alone, in turns; the best of each counts.
const ROUNDS: u32 = 3;

/// The log that the database alone is given.
type Events = Vec<(u32, u64, String)>;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let (mut fastest, mut alone) = (0.0_f64, 0.0_f64);
    let rounds = if cell.is_short() { 1 } else { ROUNDS };
    for round in 0..rounds {
        let scratch = Scratch::new(&format!("append-{round}"))?;
        let (house, rooms) = {
            let house = house(open(scratch.path()).await?, cell.sessions);
            let rooms = furnish(&house, cell.sessions).await?;
            (Arc::new(house), rooms)
        };
        let (per_second, batch) = say_all(&house, &rooms, row).await?;
        let events = events(&house, &rooms).await?;
        let scratch = Scratch::new(&format!("alone-{round}"))?;
        alone = alone.max(append_alone(scratch.path(), &events, batch.round().max(1.0) as usize)?);
        if per_second > fastest {
            (fastest, row.batch_events) = (per_second, Some(batch));
        }
        let some = &events[..events.len().min(ONE_BY_ONE)];
        let scratch = Scratch::new(&format!("one-by-one-{round}"))?;
        let one_by_one = append_alone(scratch.path(), some, 1)?;
        row.alone_one_by_one_per_second = Some(one_by_one.max(row.alone_one_by_one_per_second.unwrap_or_default()));
    }
    row.events_per_second = Some(fastest);
    row.alone_per_second = Some(alone);
    row.share_of_alone = Some(fastest / alone);
    Ok(())
}

/// Each member says something as soon as what it said before is durable. Returns how many events per second were
/// acknowledged, and how many a commit had.
async fn say_all(house: &Arc<House>, rooms: &[Room], row: &mut Row) -> Result<(f64, f64), Failure> {
    let before = house.engine.rooms().stats().storage;
    let watch = Stopwatch::start();
    let speak = |(u, room): (u32, &Room)| {
        let (house, room) = (Arc::clone(house), room.id().clone());
        tokio::spawn(async move {
            let mut latencies_us = Vec::new();
            while watch.elapsed() < DURATION {
                let said = Stopwatch::start();
                let number = latencies_us.len() as u64;
                say(&house, u, &room, number).map_err(|failure| failure.to_string())?;
                durable(&house, &room).await.map_err(|failure| failure.to_string())?;
                latencies_us.push(said.elapsed_us());
            }
            Ok::<_, String>(latencies_us)
        })
    };
    let speakers: Vec<_> = (0..).zip(rooms).map(speak).collect();
    let (mut latencies, mut count) = (Latencies::new()?, 0_u64);
    for speaker in speakers {
        let latencies_us = speaker.await??;
        count += latencies_us.len() as u64;
        latencies.record_all_us(&latencies_us);
    }
    let per_second = count as f64 / watch.elapsed().as_secs_f64();
    let after = house.engine.rooms().stats().storage;
    let changes = after.changes - before.changes;
    row.expect(changes >= count && after.unwritten_bytes == 0, || format!("{changes} changes of {count}, {after:?}"));
    row.events = Some(row.events.unwrap_or_default() + count);
    (row.p50_ms, row.p99_ms) = (Some(latencies.quantile_ms(0.5)), Some(latencies.quantile_ms(0.99)));
    Ok((per_second, changes as f64 / (after.commits - before.commits).max(1) as f64))
}

/// Everything that was said, in about the order in which it was said.
async fn events(house: &House, rooms: &[Room]) -> Result<Events, Failure> {
    let mut events = Events::new();
    for (u, room) in (0..).zip(rooms) {
        let mut after = 0;
        loop {
            let page = house.engine.rooms().replay(&House::member(u), room.id(), after, Some(1_000)).await;
            let page = page.map_err(|error| error.to_string())?;
            events.extend(page.events.iter().map(|event| (u, event["seq"].as_u64().unwrap_or(0), event.to_string())));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
    }
    events.sort_by_key(|(room, seq, _)| (*seq, *room));
    Ok(events)
}

/// The database alone appends the same events, so many at once. Returns how many per second.
fn append_alone(directory: &Path, events: &[(u32, u64, String)], at_once: usize) -> Result<f64, Failure> {
    let mut database = SqliteLog::open(directory)?;
    let watch = Stopwatch::start();
    for batch in events.chunks(at_once) {
        let batch: Vec<LogRow<'_>> = batch.iter().map(|(room, seq, text)| (*room, *seq, text.as_str())).collect();
        database.append(&batch)?;
    }
    Ok(events.len() as f64 / watch.elapsed().as_secs_f64())
}
