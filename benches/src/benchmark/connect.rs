//! What does a storm of connections cost?

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::cli::conditions::Conditions;
use crate::consumer::{Consumer, SUBSCRIBE, check_all, size_of_tree};
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::Stopwatch;
use crate::output::plot::{self, Bar};
use crate::output::plot_label;
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::defaults::{Defaults, cells_of};
use crate::process::cpu_us;
use crate::result::row::Row;
use crate::subject::grove::Grove;
use crate::subject::work::Work;
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// How many consumers record their frames.
const RECORDED: u32 = 32;

/// The event that ends a pass comes shortly after the last consumer could take its frame.
const LAST_PASS: Duration = Duration::from_millis(200);

/// A consumer that has its first snapshot.
struct Arrival {
    consumer: Consumer,
    took_us: f64,
    snapshot_bytes: u64,
}

pub(crate) fn cells(conditions: &Conditions) -> Vec<Cell> {
    cells_of(Benchmark::Connect, conditions, |workload| match workload {
        Workload::Inbox => Defaults { likenesses: &Likeness::ALL, sizes: &[(10_000, 100)] },
        Workload::Mail => Defaults { likenesses: &[Likeness::Distinct], sizes: &[(1_000, 100)] },
    })
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let grove = Arc::new(Grove::in_real_time(cell));
    let before = grove.work();
    let arrivals = storm(cell, &grove, &mut row).await?;
    tokio::time::sleep(LAST_PASS).await;
    let (work, passes) = (grove.work().since(&before), grove.passes());
    expect_sharing(cell, &work, passes, &mut row);
    row.set_work(work);
    row.passes = Some(passes);
    row.frames = Some(arrivals.len() as u64);
    fill_latencies(&arrivals, &mut row)?;
    let mut consumers: Vec<Consumer> = arrivals.into_iter().map(|arrival| arrival.consumer).collect();
    row.set_size(size_of_tree(&consumers[0].query().await?));
    row.add_verdict(check_all(&mut consumers).await?);
    Ok(row)
}

/// Connects all consumers at once and waits until each has its snapshot.
async fn storm(cell: &Cell, grove: &Arc<Grove>, row: &mut Row) -> Result<Vec<Arrival>, Failure> {
    let count = cell.active_sessions();
    let (cpu_before, start) = (cpu_us(), Stopwatch::start());
    let mut storm = JoinSet::new();
    for at in 0..count {
        let (grove, u) = (Arc::clone(grove), cell.member(at));
        let recorded = at.is_multiple_of(count.div_ceil(RECORDED));
        storm.spawn(async move { connect(&grove, u, recorded).await });
    }
    let mut arrivals = Vec::with_capacity(count as usize);
    while let Some(arrival) = storm.join_next().await {
        arrivals.push(arrival??);
    }
    row.us_per_session = Some(start.elapsed_us() / f64::from(count));
    row.cpu_us_per_session = Some((cpu_us() - cpu_before) / f64::from(count));
    Ok(arrivals)
}

async fn connect(grove: &Grove, u: u32, recorded: bool) -> Result<Arrival, Failure> {
    let start = Stopwatch::start();
    let mut consumer = Consumer::connect(&grove.engine, &grove.population.session(u), recorded)?;
    consumer.say(SUBSCRIBE);
    let snapshot_bytes = consumer.wait_for("snapshot").await?;
    Ok(Arrival { consumer, took_us: start.elapsed_us(), snapshot_bytes })
}

/// A source that cannot tell sessions apart is evaluated at most once per pass.
fn expect_sharing(cell: &Cell, work: &Work, passes: u64, row: &mut Row) {
    let shared = format!("/{}", cell.workload.shared_path());
    for (path, count) in &work.evaluations {
        let is_shared = cell.likeness == Likeness::One || *path == shared;
        row.expect(!is_shared || *count <= passes, || {
            format!("`{path}` was evaluated {count} times in {passes} passes")
        });
    }
}

fn fill_latencies(arrivals: &[Arrival], row: &mut Row) -> Result<(), Failure> {
    let mut latencies = Latencies::new()?;
    for arrival in arrivals {
        latencies.record_us(arrival.took_us);
    }
    row.snapshot_bytes = arrivals.last().map(|last| last.snapshot_bytes);
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    row.max_ms = Some(latencies.max_ms());
    Ok(())
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let us = |row: &Row| row.us_per_session.unwrap_or_default();
    let bar = |row: &Row| Bar { label: plot_label::conditions(row), value: us(row) };
    plot::bars("us per session from connect to first snapshot", &rows.iter().map(bar).collect::<Vec<_>>())
}
