//! Runs that stream in real time, each to one watcher.

use std::time::Duration;

use grove_engine::Room;

use super::agents::{CLOCKWORK, INTERVAL_US, Pace, furnish, register, start};
use super::chunks::{Watched, stamped};
use super::others::Others;
use crate::consumer::Consumer;
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::{Stopwatch, time_of_day_us};
use crate::plan::cell::Cell;
use crate::process;
use crate::result::row::Row;
use crate::subject::house::House;

/// How much happens in a phase.
#[derive(Debug, Clone, Copy)]
struct Length {
    /// How many chunks each run streams, 50 per second.
    chunks: u64,
    /// How many changes the others see, which fit the time of the chunks.
    changes: u32,
}

const LENGTH: Length = Length { chunks: 250, changes: 40 };

/// Of a short run.
const SHORT: Length = Length { chunks: 75, changes: 10 };

/// How many sessions have nothing to do with the runs.
const OTHERS: u32 = 100;

/// Runs are started so long before the first chunk is due.
const LEAD_US: u64 = 500_000;

/// How long after its last chunk a run may end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one phase gave.
struct Phase {
    watchers: Vec<Consumer>,
    watched: Vec<Watched>,
    /// Without what this benchmark does itself with what the watchers hear.
    cpu_us: f64,
    others: Latencies,
}

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let count = cell.sessions;
    let house = House::in_real_time(count + OTHERS);
    register(&house.engine, count);
    let watchers = house.connect(0, count, 0)?;
    let rooms = furnish(&house, count, CLOCKWORK)?;
    let mut others = Others::connect(&house, count, OTHERS).await?;
    // The first changes cost more, since everything runs for the first time. They do not count.
    let length = if cell.is_short() { SHORT } else { LENGTH };
    others.time_changes(&house, length.changes / 4).await?;
    let alone = others.time_changes(&house, length.changes).await?;
    let silent = phase(&house, &rooms, watchers, &mut others, (length, false)).await?;
    check(&silent, 0, row);
    let streamed = phase(&house, &rooms, silent.watchers, &mut others, (length, true)).await?;
    check(&streamed, length.chunks, row);
    let chunks = length.chunks as f64 * f64::from(count);
    row.cpu_us_per_chunk = Some((streamed.cpu_us - silent.cpu_us) / chunks);
    fill(row, count, &alone, &streamed)?;
    others.check(row).await
}

/// Lets every room have a run, and waits until every watcher has heard its end.
async fn phase(
    house: &House,
    rooms: &[Room],
    watchers: Vec<Consumer>,
    others: &mut Others,
    (length, streams): (Length, bool),
) -> Result<Phase, Failure> {
    let watching: Vec<_> = watchers.into_iter().map(|watcher| tokio::spawn(watch(watcher))).collect();
    let cpu_us = process::cpu_us();
    let first_us = time_of_day_us() + LEAD_US;
    for (u, room) in (0..).zip(rooms) {
        let start_us = first_us + u64::from(u) * INTERVAL_US / rooms.len() as u64;
        let pace = Pace { start_us, chunks: length.chunks, streams };
        start(house, u, room, serde_json::to_value(pace)?)?;
    }
    tokio::time::sleep(Duration::from_micros(first_us.saturating_sub(time_of_day_us()))).await;
    let others = others.time_changes(house, length.changes).await?;
    let mut phase = Phase { watchers: Vec::new(), watched: Vec::new(), cpu_us: -cpu_us, others };
    for watching in watching {
        let ended = tokio::time::timeout(PATIENCE, watching).await;
        let (watcher, watched, own_us) = ended.map_err(|_| "the end of a run was lost")???;
        phase.cpu_us -= own_us;
        phase.watchers.push(watcher);
        phase.watched.push(watched);
    }
    phase.cpu_us += process::cpu_us();
    Ok(phase)
}

/// Watches until a run has ended. Returns as well how long the look at what was heard took, in us.
async fn watch(mut watcher: Consumer) -> Result<(Consumer, Watched, f64), String> {
    let (mut watched, mut own_us) = (Watched::default(), 0.0);
    while !watched.has_ended {
        let frame = watcher.hear("event").await.map_err(|failure| failure.to_string())?;
        let watch = Stopwatch::start();
        watched.take(&frame, time_of_day_us());
        own_us += watch.elapsed_us();
    }
    Ok((watcher, watched, own_us))
}

/// Every watcher has the exact text.
fn check(phase: &Phase, chunks: u64, row: &mut Row) {
    let chars = chunks * stamped(time_of_day_us()).len() as u64;
    for watched in &phase.watched {
        let Watched { latencies_us, chars: heard, gaps, problem, .. } = watched;
        let is_exact = (latencies_us.len() as u64, *heard, *gaps) == (chunks, chars, 0) && problem.is_none();
        row.expect(is_exact, || {
            let received = latencies_us.len();
            format!("{received} of {chunks} chunks, {heard} of {chars} characters, {gaps} gaps: {problem:?}")
        });
    }
}

fn fill(row: &mut Row, count: u32, alone: &Latencies, streamed: &Phase) -> Result<(), Failure> {
    let mut latencies = Latencies::new()?;
    streamed.watched.iter().for_each(|watched| latencies.record_all_us(&watched.latencies_us));
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    row.max_ms = Some(latencies.max_ms());
    row.chunks_per_second = Some(1e6 / INTERVAL_US as f64 * f64::from(count));
    row.others_p99_ms = Some(alone.quantile_ms(0.99));
    row.others_p99_ms_beside = Some(streamed.others.quantile_ms(0.99));
    row.others_p99_ratio = Some(streamed.others.quantile_ms(0.99) / alone.quantile_ms(0.99));
    Ok(())
}
