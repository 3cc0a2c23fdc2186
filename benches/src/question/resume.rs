//! What does it cost to come back after a lost socket?

use serde::Deserialize;
use serde_json::{Value, json};

use super::Question;
use super::plan::{InStore, cells_of};
use crate::Failure;
use crate::cell::Cell;
use crate::consumer::{Consumer, SUBSCRIBE, check_all, size_of_tree};
use crate::options::Asked;
use crate::plot::{self, Bar};
use crate::row::Row;
use crate::stopwatch::Moment;
use crate::subject::{DEBOUNCE_MS, Subject};
use crate::workload::{Likeness, Workload};

pub(crate) const PROSE: &str = "\
Everybody is subscribed to the whole tree and loses the socket; then everybody's data changes, once or 20 times, each
time with a refresh, and every second time together with something that all share; then everybody comes back with the
position of the copy. Every second loss is one that the engine has not noticed: the new connection names the old one and
takes its place. Bytes are those of all messages after `hello` until the copy is right again, on average, beside those
of the snapshot that it would be otherwise. Time per session is from connect to the last of them, one after another.
Every copy must go on, by one patch.";

/// How many consumers have their mirrors checked.
const RECORDED: u32 = 32;

/// How many changes are missed.
const GAPS: [u32; 2] = [1, 20];

pub(crate) fn cells(asked: &Asked, gap: Option<u32>) -> Vec<Cell> {
    let cells = cells_of(Question::Resume, asked, |workload| match workload {
        Workload::Inbox => InStore { likenesses: &[Likeness::Distinct], sizes: &[(1_000, 100), (10_000, 100)] },
        Workload::Mail => InStore { likenesses: &[Likeness::Distinct], sizes: &[(1_000, 100)] },
    });
    let gaps = gap.map_or_else(|| GAPS.to_vec(), |gap| vec![gap]);
    let with_gaps = |cell: Cell| gaps.clone().into_iter().map(move |gap| Cell { gap: Some(gap), ..cell.clone() });
    cells.into_iter().flat_map(with_gaps).collect()
}

/// What a consumer says of where its copy stands.
#[derive(Debug)]
struct Position {
    epoch: Value,
    connection: Value,
    version: u64,
}

impl Position {
    /// Takes the greeting and the first snapshot.
    async fn of(consumer: &mut Consumer, hello: &str) -> Result<(Self, u64), Failure> {
        #[derive(Deserialize)]
        struct Snapshot {
            version: u64,
        }
        let mut hello: Value = serde_json::from_str(hello)?;
        let snapshot = consumer.hear("snapshot").await?;
        let Snapshot { version } = serde_json::from_str(&snapshot)?;
        let provider = &mut hello["provider"];
        let (epoch, connection) = (provider["epoch"].take(), provider["connection"].take());
        Ok((Self { epoch, connection, version }, snapshot.len() as u64))
    }

    fn subscribe(&self) -> String {
        let Self { epoch, connection, version } = self;
        let resume = json!({"epoch": epoch, "connection": connection, "version": version});
        json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1, "resume": resume}).to_string()
    }
}

pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let subject = Subject::on_held_clock(cell);
    let count = cell.active_sessions();
    let (consumers, positions) = subscribed(cell, &subject, &mut row).await?;
    // The engine takes these connections for alive.
    let mut unnoticed = Vec::new();
    let mut lost = Vec::with_capacity(consumers.len());
    for (at, consumer) in consumers.into_iter().enumerate() {
        let (consumer, connection) = consumer.lose(at.is_multiple_of(2));
        unnoticed.extend(connection);
        lost.push(consumer);
    }
    for change in 1..=cell.gap.unwrap_or(1) {
        subject.change_everybody(cell).await;
        if change % 2 == 0 {
            subject.change_shared(cell).await;
        }
    }
    let (mut bytes, mut resumed, mut patches) = (0, 0_u32, 0_u32);
    let mut consumers = Vec::with_capacity(lost.len());
    let start = Moment::now();
    for ((at, lost), position) in (0..).zip(lost).zip(&positions) {
        let mut consumer = lost.come_back(&subject.engine, &subject.population.session(cell.member(at)))?;
        consumer.wait_for("hello").await?;
        consumer.say(&position.subscribe());
        bytes += consumer
            .take_each(|message| {
                resumed += u32::from(message.starts_with(r#"{"type":"resumed""#));
                patches += u32::from(message.starts_with(r#"{"type":"patch""#));
            })
            .bytes;
        consumers.push(consumer);
    }
    row.us_per_session = Some(start.elapsed_us() / f64::from(count));
    row.expect((resumed, patches) == (count, count), || {
        format!("of {count} consumers {resumed} went on from their copies, with {patches} patches")
    });
    let resume_bytes = bytes as f64 / f64::from(count);
    row.resume_bytes = Some(resume_bytes);
    row.resume_percent = row.snapshot_bytes.map(|snapshot| resume_bytes * 100.0 / snapshot as f64);
    row.resumed_percent = Some(f64::from(resumed) * 100.0 / f64::from(count));
    row.set_size(size_of_tree(&consumers[0].query().await?));
    row.set_verdict(check_all(&mut consumers).await?);
    drop(unnoticed);
    Ok(row)
}

/// Everybody's consumer with its first snapshot, and where its copy stands.
async fn subscribed(cell: &Cell, subject: &Subject, row: &mut Row) -> Result<(Vec<Consumer>, Vec<Position>), Failure> {
    let count = cell.active_sessions();
    let (mut consumers, mut greetings) = (Vec::new(), Vec::new());
    for at in 0..count {
        let recorded = at.is_multiple_of(count.div_ceil(RECORDED));
        let mut consumer = Consumer::connect(&subject.engine, &subject.population.session(cell.member(at)), recorded)?;
        greetings.push(consumer.hear("hello").await?);
        consumer.say(SUBSCRIBE);
        consumers.push(consumer);
    }
    subject.clock.advance(DEBOUNCE_MS);
    let (mut positions, mut bytes) = (Vec::new(), 0);
    for (consumer, hello) in consumers.iter_mut().zip(&greetings) {
        let (position, snapshot) = Position::of(consumer, hello).await?;
        positions.push(position);
        bytes += snapshot;
    }
    row.snapshot_bytes = Some(bytes / u64::from(count));
    Ok((consumers, positions))
}

pub(crate) fn draw(rows: &[Row]) -> Result<String, Failure> {
    let bars =
        rows.iter().map(|row| Bar { label: plot::conditions(row), value: row.resume_percent.unwrap_or_default() });
    plot::bars("percent of a snapshot's bytes, for a consumer that comes back", &bars.collect::<Vec<_>>())
}
