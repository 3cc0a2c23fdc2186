//! What does a storm of connections cost?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Question;
use super::plan::{EVERY_LIKENESS, InStore, cells_of};
use super::rounds::Latencies;
use crate::Failure;
use crate::cell::Cell;
use crate::consumer::{Consumer, SUBSCRIBE, check_all, size_of_tree};
use crate::options::Asked;
use crate::plot::{self, Bar};
use crate::process::cpu_us;
use crate::row::Row;
use crate::stopwatch::Moment;
use crate::subject::Subject;
use crate::workload::{Likeness, Workload};

pub(crate) const PROSE: &str = "\
Everybody comes at once: each consumer connects, subscribes to the whole tree and waits for its first snapshot, as a
task of its own and on the machine's clock. Time per session is the whole storm divided by them; the percentiles are
from one consumer's connect to its snapshot. Baseline: a source that reads nothing of the session runs once per pass,
and with one view every source does; passes are counted.";

/// How many consumers keep their frames.
const RECORDED: u32 = 32;

/// A pass says that it has ended shortly after the last consumer could take its frame.
const LAST_PASS: Duration = Duration::from_millis(200);

pub(crate) fn cells(asked: &Asked) -> Vec<Cell> {
    cells_of(Question::Connect, asked, |workload| match workload {
        Workload::Inbox => InStore { likenesses: EVERY_LIKENESS, sizes: &[(10_000, 100)] },
        Workload::Mail => InStore { likenesses: &[Likeness::Distinct], sizes: &[(1_000, 100)] },
    })
}

/// One consumer that has its snapshot.
struct Arrived {
    consumer: Consumer,
    took_us: f64,
    snapshot_bytes: u64,
}

pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let subject = Arc::new(Subject::on_real_clock(cell));
    let count = cell.active_sessions();
    let (before, cpu_before, start) = (subject.work_so_far(), cpu_us(), Moment::now());
    let mut storm = JoinSet::new();
    for at in 0..count {
        let subject = Arc::clone(&subject);
        let u = cell.member(at);
        let recorded = at.is_multiple_of(count.div_ceil(RECORDED));
        storm.spawn(async move { arrive(&subject, u, recorded).await });
    }
    let mut arrived = Vec::with_capacity(count as usize);
    while let Some(one) = storm.join_next().await {
        arrived.push(one??);
    }
    row.us_per_session = Some(start.elapsed_us() / f64::from(count));
    row.cpu_us_per_session = Some((cpu_us() - cpu_before) / f64::from(count));
    tokio::time::sleep(LAST_PASS).await;
    let (work, passes) = (subject.work_so_far().since(&before), subject.passes());
    expect_sharing(cell, &work.evaluations, passes, &mut row);
    row.set_work(work);
    row.passes = Some(passes);
    row.frames = Some(arrived.len() as u64);
    row.snapshot_bytes = arrived.last().map(|last| last.snapshot_bytes);
    let mut latencies = Latencies::new()?;
    for one in &arrived {
        latencies.record_us(one.took_us);
    }
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    row.max_ms = Some(latencies.max_ms());
    let mut consumers: Vec<Consumer> = arrived.into_iter().map(|one| one.consumer).collect();
    row.set_size(size_of_tree(&consumers[0].query().await?));
    row.set_verdict(check_all(&mut consumers).await?);
    Ok(row)
}

async fn arrive(subject: &Subject, u: u32, recorded: bool) -> Result<Arrived, Failure> {
    let start = Moment::now();
    let mut consumer = Consumer::connect(&subject.engine, &subject.population.session(u), recorded)?;
    consumer.say(SUBSCRIBE);
    let snapshot_bytes = consumer.wait_for("snapshot").await?;
    Ok(Arrived { consumer, took_us: start.elapsed_us(), snapshot_bytes })
}

/// What cannot tell sessions apart ran at most once per pass.
fn expect_sharing(cell: &Cell, runs: &BTreeMap<String, u64>, passes: u64, row: &mut Row) {
    let shared = |path: &str| cell.likeness == Likeness::One || path == format!("/{}", cell.workload.shared_path());
    for (path, runs) in runs.iter().filter(|(path, _)| shared(path)) {
        row.expect(*runs <= passes, || format!("`{path}` ran {runs} times in {passes} passes"));
    }
}

pub(crate) fn draw(rows: &[Row]) -> Result<String, Failure> {
    let bars =
        rows.iter().map(|row| Bar { label: plot::conditions(row), value: row.us_per_session.unwrap_or_default() });
    plot::bars("us per session, from connect to first snapshot, in a storm", &bars.collect::<Vec<_>>())
}
