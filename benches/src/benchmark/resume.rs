//! What does it cost to resume after a lost socket?

mod resume_point;

use grove_engine::Connection;

use self::resume_point::ResumePoint;
use crate::cli::conditions::Conditions;
use crate::consumer::{Consumer, Lost, SUBSCRIBE, check_all, size_of_tree};
use crate::failure::Failure;
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

/// How many consumers record their frames.
const RECORDED: u32 = 32;

/// How many private changes are missed, by default.
const GAPS: [u32; 2] = [1, 20];

/// What all consumers together received when they resumed.
#[derive(Default)]
struct Received {
    bytes: u64,
    resumed: u32,
    patches: u32,
}

pub(crate) fn cells(conditions: &Conditions, gap: Option<u32>) -> Vec<Cell> {
    let cells = cells_of(Benchmark::Resume, conditions, |workload| match workload {
        Workload::Inbox => Defaults { likenesses: &[Likeness::Distinct], sizes: &[(1_000, 100), (10_000, 100)] },
        Workload::Mail => Defaults { likenesses: &[Likeness::Distinct], sizes: &[(1_000, 100)] },
    });
    let gaps = gap.map_or_else(|| GAPS.to_vec(), |gap| vec![gap]);
    let with_gaps = |cell: Cell| gaps.clone().into_iter().map(move |gap| Cell { gap: Some(gap), ..cell.clone() });
    cells.into_iter().flat_map(with_gaps).collect()
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let grove = Grove::with_manual_clock(cell);
    let (consumers, resume_points) = subscribe(cell, &grove, &mut row).await?;
    let (lost, unnoticed) = lose_sockets(consumers);
    change_meanwhile(cell, &grove).await;
    let (start, mut received) = (Stopwatch::start(), Received::default());
    let mut consumers = Vec::with_capacity(lost.len());
    for ((at, lost), resume_point) in (0..).zip(lost).zip(&resume_points) {
        let mut consumer = lost.come_back(&grove.engine, &grove.population.session(cell.member(at)))?;
        received.resume(&mut consumer, resume_point).await?;
        consumers.push(consumer);
    }
    row.us_per_session = Some(start.elapsed_us() / f64::from(cell.active_sessions()));
    received.fill(cell, &mut row);
    row.set_size(size_of_tree(&consumers[0].query().await?));
    row.add_verdict(check_all(&mut consumers).await?);
    drop(unnoticed);
    Ok(row)
}

/// The consumers of all active sessions with their first snapshots, and their resume points.
async fn subscribe(cell: &Cell, grove: &Grove, row: &mut Row) -> Result<(Vec<Consumer>, Vec<ResumePoint>), Failure> {
    let count = cell.active_sessions();
    let (mut consumers, mut hellos) = (Vec::new(), Vec::new());
    for at in 0..count {
        let recorded = at.is_multiple_of(count.div_ceil(RECORDED));
        let mut consumer = Consumer::connect(&grove.engine, &grove.population.session(cell.member(at)), recorded)?;
        hellos.push(consumer.hear("hello").await?);
        consumer.say(SUBSCRIBE);
        consumers.push(consumer);
    }
    grove.clock.advance(DEBOUNCE_MS);
    let (mut resume_points, mut bytes) = (Vec::new(), 0);
    for (consumer, hello) in consumers.iter_mut().zip(&hellos) {
        let (resume_point, snapshot_bytes) = ResumePoint::of(consumer, hello).await?;
        resume_points.push(resume_point);
        bytes += snapshot_bytes;
    }
    row.snapshot_bytes = Some(bytes / u64::from(count));
    Ok((consumers, resume_points))
}

/// All consumers lose their sockets. Returns also the connections that the engine takes for alive, every second one.
fn lose_sockets(consumers: Vec<Consumer>) -> (Vec<Lost>, Vec<Connection>) {
    let mut unnoticed = Vec::new();
    let mut lost = Vec::with_capacity(consumers.len());
    for (at, consumer) in consumers.into_iter().enumerate() {
        let (consumer, connection) = consumer.lose(at.is_multiple_of(2));
        unnoticed.extend(connection);
        lost.push(consumer);
    }
    (lost, unnoticed)
}

async fn change_meanwhile(cell: &Cell, grove: &Grove) {
    for change in 1..=cell.gap.unwrap_or(1) {
        grove.change_all_private(cell).await;
        if change % 2 == 0 {
            grove.change_shared(cell).await;
        }
    }
}

impl Received {
    async fn resume(&mut self, consumer: &mut Consumer, resume_point: &ResumePoint) -> Result<(), Failure> {
        consumer.wait_for("hello").await?;
        consumer.say(&resume_point.subscribe());
        let taken = consumer.take_each(|message| {
            self.resumed += u32::from(message.starts_with(r#"{"type":"resumed""#));
            self.patches += u32::from(message.starts_with(r#"{"type":"patch""#));
        });
        self.bytes += taken.bytes;
        Ok(())
    }

    fn fill(&self, cell: &Cell, row: &mut Row) {
        let Self { bytes, resumed, patches } = *self;
        let count = cell.active_sessions();
        row.expect((resumed, patches) == (count, count), || {
            format!("{resumed} of {count} consumers resumed, with {patches} patches")
        });
        let resume_bytes = bytes as f64 / f64::from(count);
        row.resume_bytes = Some(resume_bytes);
        row.resume_percent = row.snapshot_bytes.map(|snapshot| resume_bytes * 100.0 / snapshot as f64);
        row.resumed_percent = Some(f64::from(resumed) * 100.0 / f64::from(count));
    }
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let percent = |row: &Row| row.resume_percent.unwrap_or_default();
    let bar = |row: &Row| Bar { label: plot_label::conditions(row), value: percent(row) };
    let title = "Bytes that a resuming consumer receives, as a percentage of a snapshot";
    plot::bars(title, &rows.iter().map(bar).collect::<Vec<_>>())
}
