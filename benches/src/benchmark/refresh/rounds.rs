//! A change that is due to all sessions at once, in several rounds.

use crate::consumer::{Consumer, take_all};
use crate::measure::latencies::median;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::plan::change::Change;
use crate::process::cpu_us;
use crate::result::row::Row;
use crate::subject::grove::Grove;
use crate::subject::work::Work;
use crate::workload::likeness::Likeness;

/// The figures of each round, in us per session.
#[derive(Default)]
struct Rounds {
    total: Vec<f64>,
    render: Vec<f64>,
    deliver: Vec<f64>,
    cpu: Vec<f64>,
}

/// The number of rounds, of which the median counts. Large rounds are long enough to be few.
pub(super) const fn count(sessions: u32) -> u32 {
    if sessions > 20_000 { 3 } else { 5 }
}

pub(super) async fn measure(cell: &Cell, grove: &Grove, consumers: &mut [Consumer], row: &mut Row) {
    let mut rounds = Rounds::default();
    for _ in 0..count(cell.sessions) {
        let before = grove.work();
        rounds.run(cell, grove, consumers, row).await;
        let work = grove.work().since(&before);
        expect_work(cell, consumers.len() as u64, &work, row);
        row.set_work(work);
    }
    row.us_per_session = Some(median(rounds.total));
    row.render_us_per_session = Some(median(rounds.render));
    row.deliver_us_per_session = Some(median(rounds.deliver));
    row.cpu_us_per_session = Some(median(rounds.cpu));
}

impl Rounds {
    async fn run(&mut self, cell: &Cell, grove: &Grove, consumers: &mut [Consumer], row: &mut Row) {
        let sessions = consumers.len() as f64;
        let (cpu_before, start) = (cpu_us(), Stopwatch::start());
        if cell.change == Some(Change::Shared) {
            grove.change_shared(cell).await;
        } else {
            grove.change_all_private(cell).await;
        }
        let render_us = start.elapsed_us();
        let taken = take_all(consumers);
        let total_us = start.elapsed_us();
        self.total.push(total_us / sessions);
        self.render.push(render_us / sessions);
        self.deliver.push((total_us - render_us) / sessions);
        self.cpu.push((cpu_us() - cpu_before) / sessions);
        row.frames = Some(taken.frames);
        row.frame_bytes = Some(taken.bytes as f64 / taken.frames.max(1) as f64);
        row.expect_one_frame_each(consumers.len(), taken.frames);
    }
}

/// A source is evaluated once for all sessions that it cannot tell apart, and no other source is evaluated.
fn expect_work(cell: &Cell, sessions: u64, work: &Work, row: &mut Row) {
    let (path, expected) = match (cell.change, cell.likeness) {
        (Some(Change::Shared), _) => (cell.workload.shared_path(), 1),
        (_, Likeness::One) => (cell.workload.private_path(), 1),
        (_, Likeness::Distinct | Likeness::Tenth) => (cell.workload.private_path(), sessions),
    };
    row.expect(work.evaluations_of(path) == expected && work.all_evaluations() == expected, || {
        format!("expected {expected} evaluations of `{path}` and no others, but counted {:?}", work.evaluations)
    });
    row.expect(work.commits == sessions, || format!("{} of {sessions} trees changed", work.commits));
}
