//! How long does the peer take to turn a change into frames?

use super::rounds;
use crate::failure::Failure;
use crate::measure::latencies::median;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::plan::change::Change;
use crate::process::cpu_us;
use crate::result::row::Row;
use crate::subject::slop_ai::SlopAi;

pub(crate) fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let peer = SlopAi::start(cell);
    let (mut totals, mut cpus) = (Vec::new(), Vec::new());
    let rounds = rounds::count(cell.sessions);
    for round in 0..rounds {
        let (frames_before, cpu_before, start) = (peer.frames(), cpu_us(), Stopwatch::start());
        let refreshed = change(cell, &peer, round * peer.len() as u32 / rounds);
        totals.push(start.elapsed_us() / refreshed as f64);
        cpus.push((cpu_us() - cpu_before) / refreshed as f64);
        row.expect_one_frame_each(refreshed, peer.frames() - frames_before);
    }
    row.us_per_session = Some(median(totals));
    row.cpu_us_per_session = Some(median(cpus));
    row.add_verdict(peer.verify());
    Ok(row)
}

/// Makes a change, in a scoped one that of member `u`, and refreshes. Returns how many servers were refreshed.
fn change(cell: &Cell, peer: &SlopAi, u: u32) -> usize {
    match cell.change {
        Some(Change::Scoped) => {
            peer.population.change_private(u);
            peer.refresh_one(u);
            return 1;
        }
        Some(Change::Shared) => drop(peer.population.change_shared()),
        Some(Change::Private) | None => peer.population.change_all_private(),
    }
    peer.refresh_all();
    peer.len()
}
