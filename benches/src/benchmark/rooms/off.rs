//! Sessions of an engine without rooms, and of one with rooms of which none was created.

use crate::consumer::{check_all, take_all, tape_bytes};
use crate::failure::Failure;
use crate::measure::memory_usage::MemoryUsage;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::grove::Grove;

/// The fastest of so many changes counts.
const CHANGES: u32 = 5;

/// What a session takes.
struct PerSession {
    idle: f64,
    active: f64,
    shared_us: f64,
}

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    // The first engine of a process finds nothing prepared; it does not count.
    per_session(&Cell { sessions: 100, ..cell.clone() }, Grove::with_rooms(cell), row).await?;
    let without = per_session(cell, Grove::with_manual_clock(cell), row).await?;
    let with = per_session(cell, Grove::with_rooms(cell), row).await?;
    row.heap_bytes_per_idle = Some(without.idle);
    row.heap_bytes_per_active = Some(without.active);
    row.us_per_session = Some(without.shared_us);
    row.heap_bytes_per_idle_with_rooms = Some(with.idle);
    row.heap_bytes_per_active_with_rooms = Some(with.active);
    row.us_per_session_with_rooms = Some(with.shared_us);
    Ok(())
}

async fn per_session(cell: &Cell, grove: Grove, row: &mut Row) -> Result<PerSession, Failure> {
    let sessions = f64::from(cell.sessions);
    let empty = MemoryUsage::settled().await?.heap;
    for u in 0..cell.sessions {
        grove.engine.open_session(&grove.population.session(u)).map_err(|error| error.to_string())?;
    }
    let idle = MemoryUsage::settled().await?.heap;
    let mut consumers = grove.connect(cell)?;
    grove.subscribe(&mut consumers).await?;
    grove.change_all_private(cell).await;
    row.expect_one_frame_each(consumers.len(), take_all(&mut consumers).frames);
    grove.rest().await;
    let active = MemoryUsage::settled().await?.without(tape_bytes(&consumers)).heap;
    let mut shared_us = f64::MAX;
    for _ in 0..CHANGES {
        let watch = Stopwatch::start();
        grove.change_shared(cell).await;
        let taken = take_all(&mut consumers);
        shared_us = shared_us.min(watch.elapsed_us());
        row.expect_one_frame_each(consumers.len(), taken.frames);
    }
    row.add_verdict(check_all(&mut consumers).await?);
    let (idle, active) = ((idle - empty) / sessions, (active - empty) / sessions);
    Ok(PerSession { idle, active, shared_us: shared_us / sessions })
}
