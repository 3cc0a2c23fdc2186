//! How much memory does a session take?

pub(super) mod peer;
mod steps;

use std::time::Duration;

use grove_engine::Provider as _;

use self::steps::MemorySteps;
use crate::cli::conditions::Conditions;
use crate::consumer::{Consumer, check_all, size_of_tree, take_all, tape_bytes};
use crate::failure::Failure;
use crate::measure::allocator;
use crate::measure::memory_usage::MemoryUsage;
use crate::output::plot::{self, Bar};
use crate::output::plot_label;
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::defaults::{Defaults, cells_of};
use crate::result::row::Row;
use crate::subject::grove::Grove;
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// How many changes follow the first, to see whether a session grows with them.
const MORE_CHANGES: u32 = 4;

/// How long the engine may take to evict what has expired, in ms.
const EVICTION_TIMEOUT_MS: u64 = 20_000;

pub(crate) fn cells(conditions: &Conditions) -> Vec<Cell> {
    cells_of(Benchmark::Memory, conditions, |workload| Defaults {
        likenesses: &Likeness::ALL,
        // The sizes of requirements S1.30 and S1.32, and all sessions active at 1,000 and 10,000.
        sizes: match workload {
            Workload::Inbox => &[(1_000, 100), (10_000, 100), (10_000, 30), (50_000, 15), (100_000, 10), (100_000, 3)],
            Workload::Mail => &[(1_000, 100), (10_000, 10)],
        },
    })
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    row.allocator = Some(allocator::name());
    let grove = Grove::with_manual_clock(cell);
    let mut steps = MemorySteps::starting_from(MemoryUsage::settled().await?);
    open_sessions(cell, &grove)?;
    steps.idle = MemoryUsage::settled().await?;
    let mut consumers = grove.connect(cell)?;
    steps.connected = usage(&consumers).await?;
    row.snapshot_bytes = Some(grove.subscribe(&mut consumers).await?);
    steps.subscribed = usage(&consumers).await?;
    change_repeatedly(cell, &grove, &mut consumers, &mut steps, &mut row).await?;
    row.set_size(size_of_tree(&consumers[0].query().await?));
    row.add_verdict(check_all(&mut consumers).await?);
    drop(consumers);
    steps.disconnected = MemoryUsage::settled().await?;
    steps.fill(cell, &mut row);
    expire_all(&grove, &mut row).await;
    row.heap_bytes_left = Some(MemoryUsage::settled().await?.heap - steps.empty.heap);
    Ok(row)
}

fn open_sessions(cell: &Cell, grove: &Grove) -> Result<(), Failure> {
    for u in 0..cell.sessions {
        grove.engine.open_session(&grove.population.session(u)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The memory of this process without the frames that consumers record for verification.
async fn usage(consumers: &[Consumer]) -> Result<MemoryUsage, Failure> {
    Ok(MemoryUsage::settled().await?.without(tape_bytes(consumers)))
}

/// Measures after the first private change, and again after some more.
async fn change_repeatedly(
    cell: &Cell,
    grove: &Grove,
    consumers: &mut [Consumer],
    steps: &mut MemorySteps,
    row: &mut Row,
) -> Result<(), Failure> {
    change(cell, grove, consumers, row).await;
    grove.rest().await;
    steps.changed = usage(consumers).await?;
    let stats = grove.engine.stats();
    row.tree_bytes_per_active = Some(stats.tree_bytes as f64 / f64::from(cell.active_sessions()));
    row.symbol_bytes = Some(stats.dictionary_bytes as u64);
    for _ in 0..MORE_CHANGES {
        change(cell, grove, consumers, row).await;
    }
    steps.changed_again = usage(consumers).await?;
    Ok(())
}

/// A private change in every session, and its frames.
async fn change(cell: &Cell, grove: &Grove, consumers: &mut [Consumer], row: &mut Row) {
    grove.change_all_private(cell).await;
    let taken = take_all(consumers);
    row.frames = Some(row.frames.unwrap_or_default() + taken.frames);
    row.expect_one_frame_each(consumers.len(), taken.frames);
}

/// Lets trees expire, and then sessions.
async fn expire_all(grove: &Grove, row: &mut Row) {
    let times = &grove.engine.config().times;
    let trees = || grove.engine.stats().trees;
    let sessions = || grove.engine.stats().sessions;
    expire(grove, times.idle_tree, trees).await;
    row.expect(trees() == 0, || format!("{} trees were not evicted", trees()));
    expire(grove, times.idle_session, sessions).await;
    row.expect(sessions() == 0, || format!("{} sessions were not evicted", sessions()));
}

/// Advances time and waits until nothing remains, or for too long.
async fn expire(grove: &Grove, time: Duration, remaining: impl Fn() -> usize) {
    grove.clock.advance(time.as_millis() as u64);
    let mut waited_ms = 0;
    while remaining() > 0 && waited_ms < EVICTION_TIMEOUT_MS {
        tokio::time::sleep(Duration::from_millis(20)).await;
        waited_ms += 20;
    }
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let kilobytes = |row: &Row| row.rss_bytes_per_active.unwrap_or_default() / 1e3;
    let bar = |row: &Row| Bar { label: plot_label::conditions(row), value: kilobytes(row) };
    let title = "Resident KB per active session after a private change in every session (jemalloc)";
    plot::bars(title, &rows.iter().map(bar).collect::<Vec<_>>())
}
