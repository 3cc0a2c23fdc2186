//! The memory of runs that say nothing, and of runs that have ended.

use super::agents::{MUTE, furnish, register, start};
use crate::consumer::{Consumer, take_all};
use crate::failure::Failure;
use crate::measure::memory_usage::MemoryUsage;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::house::House;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let count = cell.sessions;
    let house = House::with_manual_clock(count);
    register(&house.engine, count);
    let mut watchers = house.connect(0, count, 0)?;
    let rooms = furnish(&house, count, MUTE)?;
    let before = settle(&house, &mut watchers).await?;
    let mut runs = Vec::with_capacity(rooms.len());
    for (u, room) in (0..).zip(&rooms) {
        runs.push(start(&house, u, room, serde_json::json!({}))?);
    }
    let running = settle(&house, &mut watchers).await?;
    let stats = house.engine.rooms().stats();
    row.expect((stats.runs, stats.queued) == (count as usize, 0), || format!("{stats:?}"));
    for ((u, room), run) in (0..).zip(&rooms).zip(runs) {
        let cancelled = house.engine.rooms().cancel_run(&House::member(u), room.id(), run);
        cancelled.map_err(|error| error.to_string())?;
    }
    let ended = settle(&house, &mut watchers).await?;
    let stats = house.engine.rooms().stats();
    row.expect(stats.runs == 0, || format!("runs are left: {stats:?}"));
    row.heap_bytes_per_run = Some((running - before) / f64::from(count));
    row.heap_bytes_per_ended_run = Some((ended - before) / f64::from(count));
    Ok(())
}

/// The live heap when all is done and every outbox is empty.
async fn settle(house: &House, watchers: &mut [Consumer]) -> Result<f64, Failure> {
    for _ in 0..2 {
        house.refresh().await;
        take_all(watchers);
    }
    house.rest().await;
    take_all(watchers);
    Ok(MemoryUsage::settled().await?.heap)
}
