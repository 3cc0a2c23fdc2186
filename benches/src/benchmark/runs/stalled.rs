//! Watchers that read nothing while a run streams.

use std::time::Duration;

use grove_engine::{Config, RoomOptions};
use serde_json::json;

use super::agents::{TORRENT, furnish, register, start};
use super::chunks::Watched;
use crate::consumer::take_all;
use crate::failure::Failure;
use crate::measure::memory_usage::MemoryUsage;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::house::House;

/// How much each run streams, in chunks of 1,000 bytes.
const CHUNKS: u64 = 100_000;

const TEXT_BYTES: usize = 1_000;

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs may stream all of it, and outputs of runs that have ended are dropped.
fn config(sessions: u32) -> Config {
    let mut config = House::config(sessions);
    config.runs.output_bytes = 2 * CHUNKS as usize * TEXT_BYTES;
    config.runs.ended_output_bytes = 0;
    config
}

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let count = cell.sessions.min(MOST);
    row.sessions = Some(count);
    let house = House::in_real_time_with(config(count), RoomOptions::new());
    register(&house.engine, 1);
    let mut watchers = house.connect(0, count, 0)?;
    let rooms = furnish(&house, count, TORRENT)?;
    take_all(&mut watchers);
    let text = "x".repeat(TEXT_BYTES);
    for (u, room) in (0..).zip(&rooms) {
        start(&house, u, room, json!({"count": CHUNKS, "text": text}))?;
    }
    wait_for_ends(&house).await?;
    let stalled = MemoryUsage::settled().await?.heap;
    let watched = watchers.iter_mut().map(|watcher| {
        let mut watched = Watched::default();
        watcher.take_each(|frame| watched.take(frame, 0));
        watched
    });
    let watched: Vec<_> = watched.collect();
    watched.iter().for_each(|watched| check(watched, row));
    drop(watchers);
    let without = MemoryUsage::settled().await?.heap;
    row.heap_bytes_per_stalled = Some((stalled - without) / f64::from(count));
    row.streamed_bytes = Some(CHUNKS * TEXT_BYTES as u64);
    Ok(())
}

/// One after the other, so more would only take longer.
const MOST: u32 = 8;

async fn wait_for_ends(house: &House) -> Result<(), Failure> {
    let ended = async {
        while house.engine.rooms().stats().runs > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.map_err(|_| "a run has not ended")?;
    Ok(())
}

/// A watcher ends with the exact text, or with one gap.
fn check(watched: &Watched, row: &mut Row) {
    let Watched { chars, gaps, has_ended, problem, .. } = watched;
    let is_exact = (*chars, *gaps) == (CHUNKS * TEXT_BYTES as u64, 0) && problem.is_none() && *has_ended;
    row.expect(is_exact || *gaps == 1, || format!("a watcher has {chars} characters and {gaps} gaps: {problem:?}"));
}
