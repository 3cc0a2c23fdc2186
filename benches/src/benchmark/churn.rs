//! Is anything left when consumers have connected and disconnected?

use std::ops::Range;
use std::time::Duration;

use grove_engine::{Provider as _, Stats};

use crate::cli::conditions::Conditions;
use crate::consumer::{Consumer, SUBSCRIBE, Verdict, check_all};
use crate::failure::Failure;
use crate::measure::allocator;
use crate::measure::memory_usage::MemoryUsage;
use crate::measure::stopwatch::Stopwatch;
use crate::output::plot::{self, Bar};
use crate::output::plot_label;
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::defaults::{Defaults, cells_of};
use crate::result::row::Row;
use crate::subject::grove::{DEBOUNCE_MS, Grove};
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// How many consumers are in one wave.
const WAVE: u32 = 500;

/// The warm-up has one session for this many, and gives maps and pools the size that they have in a busy engine.
const WARM_UP_ONE_IN: u32 = 5;

/// After this many sessions no map of the engine grows any more.
const WARM_UP_AT_LEAST: u32 = 4_000;

/// A higher ratio of live heap is a leak, and not a map that grew by one step. (The goal is lower.)
const LEAK_RATIO: f64 = 1.05;

/// How long the engine may take to evict what has expired, in ms.
const EVICTION_TIMEOUT_MS: u64 = 20_000;

pub(crate) fn cells(conditions: &Conditions) -> Vec<Cell> {
    cells_of(Benchmark::Churn, conditions, |workload| match workload {
        Workload::Inbox => Defaults { likenesses: &[Likeness::Distinct], sizes: &[(100_000, 100)] },
        Workload::Mail => Defaults { likenesses: &[Likeness::Distinct], sizes: &[(10_000, 100)] },
    })
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    row.allocator = Some(allocator::name());
    let count = cell.active_sessions();
    let warm_up = (count / WARM_UP_ONE_IN).max(WARM_UP_AT_LEAST);
    // The sessions of the warm-up are others.
    let population = Cell { sessions: cell.sessions + warm_up, ..cell.clone() };
    let grove = Grove::with_manual_clock(&population);
    run_waves(cell, &grove, 0..warm_up, &mut row).await?;
    let before = MemoryUsage::settled().await?;
    let start = Stopwatch::start();
    run_waves(cell, &grove, warm_up..warm_up + count, &mut row).await?;
    row.us_per_session = Some(start.elapsed_us() / f64::from(count));
    let after = MemoryUsage::settled().await?;
    row.symbol_bytes = Some(grove.engine.stats().dictionary_bytes as u64);
    fill_heap(before.heap, after.heap, &mut row);
    Ok(row)
}

fn fill_heap(before: f64, after: f64, row: &mut Row) {
    row.heap_bytes_before = Some(before);
    row.heap_bytes_after = Some(after);
    row.heap_ratio = Some(after / before);
    row.expect(after <= before * LEAK_RATIO, || format!("live heap grew from {before:.0} to {after:.0} bytes"));
}

/// Runs these members, wave by wave.
async fn run_waves(cell: &Cell, grove: &Grove, members: Range<u32>, row: &mut Row) -> Result<(), Failure> {
    for start in members.clone().step_by(WAVE as usize) {
        let wave = start..members.end.min(start.saturating_add(WAVE));
        row.add_verdict(run_wave(cell, grove, wave).await?);
        expire_all(grove, row).await;
    }
    Ok(())
}

async fn run_wave(cell: &Cell, grove: &Grove, members: Range<u32>) -> Result<Verdict, Failure> {
    let (mut staying, mut leaving) = (Vec::new(), Vec::new());
    for u in members {
        // One of those that stay longest records its frames, to verify that it was served correctly.
        let consumer = Consumer::connect(&grove.engine, &grove.population.session(u), u % WAVE == 2)?;
        if u % 3 != 0 {
            consumer.say(SUBSCRIBE);
        }
        if u % 3 == 2 { staying.push(consumer) } else { leaving.push(consumer) }
    }
    // Half of those that leave early do so now, and half while their trees are rendered.
    leaving.truncate(leaving.len() / 2);
    grove.clock.advance(DEBOUNCE_MS);
    drop(leaving);
    for consumer in &mut staying {
        consumer.wait_for("snapshot").await?;
    }
    grove.change_all_private(cell).await;
    for consumer in &mut staying {
        consumer.wait_for("patch").await?;
    }
    check_all(&mut staying).await
}

/// Lets trees and sessions expire until the engine is empty, and records what it still holds.
async fn expire_all(grove: &Grove, row: &mut Row) {
    let times = &grove.engine.config().times;
    let expiry = times.ping_interval + times.idle_tree + times.idle_session + times.resume_window;
    grove.clock.advance(expiry.as_millis() as u64);
    let mut waited_ms = 0;
    while !is_empty(&grove.engine.stats()) && waited_ms < EVICTION_TIMEOUT_MS {
        tokio::time::sleep(Duration::from_millis(1)).await;
        waited_ms += 1;
        // What was in use when it expired is evicted a little later.
        grove.clock.advance(1_000);
    }
    let stats = grove.engine.stats();
    row.expect(is_empty(&stats), || format!("the engine is not empty after everything expired: {stats:?}"));
}

/// Whether the engine is empty. The dictionary of repeated texts does not count, since its texts have no owner.
fn is_empty(stats: &Stats) -> bool {
    let counts = [stats.sessions, stats.trees, stats.connections, stats.subscriptions, stats.tabs];
    counts.iter().sum::<usize>() + stats.tree_bytes + stats.outbox_bytes == 0
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let bars = rows.iter().flat_map(|row| {
        let bar = |moment: &str, bytes: Option<f64>| Bar {
            label: format!("{} {moment}", plot_label::conditions(row)),
            value: bytes.unwrap_or_default() / 1e3,
        };
        [bar("before", row.heap_bytes_before), bar("after", row.heap_bytes_after)]
    });
    let title = "KB of live heap before and after all consumers connected and disconnected (jemalloc)";
    plot::bars(title, &bars.collect::<Vec<_>>())
}
