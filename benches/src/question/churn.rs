//! Does anything stay behind when consumers come and go?

use std::time::Duration;

use grove_engine::{Provider as _, Stats};

use super::Question;
use super::plan::{InStore, cells_of};
use crate::Failure;
use crate::cell::Cell;
use crate::consumer::{Consumer, SUBSCRIBE, check_all};
use crate::heap::Bytes;
use crate::options::Asked;
use crate::plot::{self, Bar};
use crate::row::Row;
use crate::stopwatch::Moment;
use crate::subject::{DEBOUNCE_MS, Subject};
use crate::workload::{Likeness, Workload};

pub(crate) const PROSE: &str = "\
Consumers of ever new sessions connect, subscribe and are abandoned, a wave at a time: a third before they have
subscribed, a third before their snapshot, a third after it and after a private change. After each wave the time of
trees and of sessions passes, and all counts of the engine have to be zero. Live heap is compared with what it was after
a fifth as many had come before them, who gave maps and pools their size. Baseline: nothing may be left, so the ratio ought to be 1.";

/// How many come in one wave.
const WAVE: u32 = 500;

/// Which part of all comes first, so that maps, heaps and pools have the size that they have in a busy engine.
const FIRST_ONE_IN: u32 = 5;

/// How many times as much live heap is no map that grew by a step, but a leak. (The goal is lower.)
const LEAKS: f64 = 1.05;

/// How long the engine may take to forget what is due, in ms.
const FORGETTING_MS: u64 = 20_000;

pub(crate) fn cells(asked: &Asked) -> Vec<Cell> {
    cells_of(Question::Churn, asked, |workload| match workload {
        Workload::Inbox => InStore { likenesses: &[Likeness::Distinct], sizes: &[(100_000, 100)] },
        Workload::Mail => InStore { likenesses: &[Likeness::Distinct], sizes: &[(10_000, 100)] },
    })
}

pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    // Room for those who come first.
    let known = Cell { sessions: cell.sessions + cell.sessions / FIRST_ONE_IN + 1, ..cell.clone() };
    let subject = Subject::on_held_clock(&known);
    let cycles = cell.active_sessions();
    let first = (cycles / FIRST_ONE_IN).max(1);
    let mut checked = waves(&subject, cell, 0..first, &mut row).await?;
    let before = Bytes::settled().await?;
    let start = Moment::now();
    checked += waves(&subject, cell, first..first + cycles, &mut row).await?;
    row.us_per_session = Some(start.elapsed_us() / f64::from(cycles));
    let after = Bytes::settled().await?;
    row.mirrors_checked = Some(checked);
    row.heap_bytes_before = Some(before.heap);
    row.heap_bytes_after = Some(after.heap);
    row.symbol_bytes = Some(subject.engine.stats().dictionary_bytes as u64);
    row.heap_ratio = Some(after.heap / before.heap);
    row.expect(after.heap <= before.heap * LEAKS, || {
        format!("{:.0} bytes of live heap became {:.0}", before.heap, after.heap)
    });
    Ok(row)
}

/// Sends these members through, wave by wave. Answers how many mirrors were compared with a fresh query.
async fn waves(subject: &Subject, cell: &Cell, members: std::ops::Range<u32>, row: &mut Row) -> Result<u64, Failure> {
    let mut checked = 0;
    for start in members.clone().step_by(WAVE as usize) {
        let members = start..members.end.min(start.saturating_add(WAVE));
        let verdict = wave(subject, cell, members).await?;
        checked += verdict.checked;
        row.mirrors_wrong = Some(row.mirrors_wrong.unwrap_or_default() + verdict.wrong.len() as u64);
        row.problems.extend(verdict.wrong);
        forget(subject, row).await;
    }
    Ok(checked)
}

async fn wave(
    subject: &Subject,
    cell: &Cell,
    members: std::ops::Range<u32>,
) -> Result<crate::consumer::Verdict, Failure> {
    let mut staying = Vec::new();
    let mut leaving = Vec::new();
    for u in members {
        // One of those who stay longest keeps its frames, to see that it was served rightly.
        let stays = u % 3 == 2;
        let consumer = Consumer::connect(&subject.engine, &subject.population.session(u), u % WAVE == 2)?;
        if u % 3 != 0 {
            consumer.say(SUBSCRIBE);
        }
        if stays { staying.push(consumer) } else { leaving.push(consumer) }
    }
    // Half of the impatient leave while their trees are rendered.
    leaving.truncate(leaving.len() / 2);
    subject.clock.advance(DEBOUNCE_MS);
    drop(leaving);
    for consumer in &mut staying {
        consumer.wait_for("snapshot").await?;
    }
    subject.change_everybody(cell).await;
    for consumer in &mut staying {
        consumer.wait_for("patch").await?;
    }
    check_all(&mut staying).await
}

/// Lets the time of trees and sessions pass until the engine has nothing left, and notes what it still has.
async fn forget(subject: &Subject, row: &mut Row) {
    let config = subject.engine.config();
    let passing =
        config.times.ping_interval + config.times.idle_tree + config.times.idle_session + config.times.resume_window;
    subject.clock.advance(passing.as_millis() as u64);
    let mut waited_ms = 0;
    while !is_empty(&subject.engine.stats()) && waited_ms < FORGETTING_MS {
        tokio::time::sleep(Duration::from_millis(1)).await;
        waited_ms += 1;
        // What was put off while it was in use comes due a little later.
        subject.clock.advance(1_000);
    }
    let stats = subject.engine.stats();
    row.expect(is_empty(&stats), || format!("something is left: {stats:?}"));
}

/// Whether nobody and nothing is left. The dictionary of repeated texts is not asked: its texts have no owner.
fn is_empty(stats: &Stats) -> bool {
    let left = [stats.sessions, stats.trees, stats.connections, stats.subscriptions, stats.tabs];
    left.iter().sum::<usize>() + stats.tree_bytes + stats.outbox_bytes == 0
}

pub(crate) fn draw(rows: &[Row]) -> Result<String, Failure> {
    let bars = rows.iter().flat_map(|row| {
        let bar = |what: &str, bytes: Option<f64>| Bar {
            label: format!("{} {what}", plot::conditions(row)),
            value: bytes.unwrap_or_default() / 1e3,
        };
        [bar("before", row.heap_bytes_before), bar("after", row.heap_bytes_after)]
    });
    plot::bars("KB of live heap before and after everybody came and left", &bars.collect::<Vec<_>>())
}
