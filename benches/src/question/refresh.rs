//! How long does a change take to become frames?

mod calls;

use std::collections::BTreeMap;

use grove_engine::Scope;

use super::Question;
use super::plan::{EVERY_LIKENESS, InStore, cells_of};
use super::rounds::{Latencies, median};
use crate::Failure;
use crate::cell::Cell;
use crate::consumer::{Consumer, check_all, size_of_tree, take_all};
use crate::options::{Asked, Change};
use crate::peer::Peers;
use crate::plot::{self, Line};
use crate::process::cpu_us;
use crate::row::Row;
use crate::stopwatch::Moment;
use crate::subject::{Subject, Work};
use crate::workload::population::user;
use crate::workload::{Likeness, Workload};

pub(crate) const PROSE: &str = "\
Time per session from a change until every subscribed consumer has taken its encoded frame: evaluation, comparison and
JSON text included, sockets not. `private`: something of every session's own changes and one refresh names the path.
`shared`: something that all show alike changes. `scoped`: one user among all changes, one at a time; this must not
depend on how many there are. Evaluations, commits, diffs and encodes are counted, and the frames. Baseline: one
`slop-ai` 0.2.0 server per session on as many threads; it knows no paths and refreshes everything it has. After the
private changes, one consumer calls an action again and again while passes over everybody run: how long does a call
take then?";

/// How many rounds there are; the middle one counts. Large ones are long enough to be few.
const fn rounds(sessions: u32) -> u32 {
    if sessions > 20_000 { 3 } else { 5 }
}

/// How many users change, one after another, in `scoped`.
const SCOPED: u32 = 1_000;

pub(crate) fn cells(asked: &Asked, change: Option<Change>) -> Vec<Cell> {
    let cells = cells_of(Question::Refresh, asked, |workload| match workload {
        Workload::Inbox => {
            InStore { likenesses: EVERY_LIKENESS, sizes: &[(1_000, 100), (10_000, 100), (100_000, 100)] }
        }
        Workload::Mail => InStore { likenesses: &[Likeness::Distinct], sizes: &[(1_000, 100)] },
    });
    let changes = change.map_or_else(|| vec![Change::Private, Change::Shared, Change::Scoped], |change| vec![change]);
    let with_changes =
        |cell: Cell| changes.clone().into_iter().map(move |change| Cell { change: Some(change), ..cell.clone() });
    cells.into_iter().flat_map(with_changes).collect()
}

pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let subject = Subject::on_held_clock(cell);
    let mut consumers = subject.connect(cell)?;
    row.snapshot_bytes = Some(subject.subscribe(&mut consumers).await?);
    row.set_size(size_of_tree(&consumers[0].query().await?));
    match cell.change {
        Some(Change::Scoped) => scoped(cell, &subject, &mut consumers, &mut row).await?,
        Some(Change::Private | Change::Shared) | None => all_at_once(cell, &subject, &mut consumers, &mut row).await?,
    }
    if cell.change == Some(Change::Private) {
        calls::meanwhile(cell, &subject, &mut consumers, &mut row).await?;
        take_all(&mut consumers);
    }
    row.set_verdict(check_all(&mut consumers).await?);
    Ok(row)
}

async fn all_at_once(cell: &Cell, subject: &Subject, consumers: &mut [Consumer], row: &mut Row) -> Result<(), Failure> {
    let sessions = consumers.len() as f64;
    let shared = cell.change == Some(Change::Shared);
    let (mut totals, mut renders, mut delivers, mut cpus) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds(cell.sessions) {
        let (before, cpu_before, start) = (subject.work_so_far(), cpu_us(), Moment::now());
        if shared {
            subject.change_shared(cell).await;
        } else {
            subject.change_everybody(cell).await;
        }
        let render_us = start.elapsed_us();
        let taken = take_all(consumers);
        let total_us = start.elapsed_us();
        totals.push(total_us / sessions);
        renders.push(render_us / sessions);
        delivers.push((total_us - render_us) / sessions);
        cpus.push((cpu_us() - cpu_before) / sessions);
        let work = subject.work_so_far().since(&before);
        expect_runs(cell, consumers.len() as u64, &work, row);
        row.set_work(work);
        row.frames = Some(taken.frames);
        row.frame_bytes = Some(taken.bytes as f64 / taken.frames.max(1) as f64);
        row.expect(taken.frames == consumers.len() as u64, || {
            format!("{} consumers took {} frames of one change", consumers.len(), taken.frames)
        });
    }
    row.us_per_session = Some(median(totals));
    row.render_us_per_session = Some(median(renders));
    row.deliver_us_per_session = Some(median(delivers));
    row.cpu_us_per_session = Some(median(cpus));
    Ok(())
}

/// A source runs once for those who cannot be told apart, and no other source runs.
fn expect_runs(cell: &Cell, sessions: u64, work: &Work, row: &mut Row) {
    let (path, runs) = match (cell.change, cell.likeness) {
        (Some(Change::Shared), _) => (cell.workload.shared_path(), 1),
        (_, Likeness::One) => (cell.workload.private_path(), 1),
        (_, Likeness::Distinct | Likeness::Tenth) => (cell.workload.private_path(), sessions),
    };
    row.expect(work.runs(path) == runs && work.all_runs() == runs, || {
        format!("`{path}` alone had to run {runs} times; there ran {:?}", work.evaluations)
    });
    row.expect(work.commits == sessions, || format!("{} of {sessions} trees changed", work.commits));
}

/// One user after another. Where all share one view, the change is everybody's, but only one user is refreshed; then
/// only that user's tree is new.
async fn scoped(cell: &Cell, subject: &Subject, consumers: &mut [Consumer], row: &mut Row) -> Result<(), Failure> {
    let count = SCOPED.min(consumers.len() as u32);
    let (before, cpu_before) = (subject.work_so_far(), cpu_us());
    let mut latencies = Latencies::new()?;
    let mut frames = 0;
    for turn in 0..count {
        // Spread over all, so that no two neighbours are touched.
        let at = (u64::from(turn) * consumers.len() as u64 / u64::from(count)) as u32;
        let u = cell.member(at);
        let start = Moment::now();
        subject.population.change_one(u);
        subject.engine.refresh_now(Scope::user(user(u)).paths([cell.workload.private_path()])).await;
        frames += consumers[at as usize].take_ready().frames;
        latencies.record_us(start.elapsed_us());
    }
    let work = subject.work_so_far().since(&before);
    row.expect(work.all_runs() == u64::from(count), || format!("{count} refreshes ran {:?}", work.evaluations));
    row.expect(frames == u64::from(count), || format!("{count} refreshes gave {frames} frames"));
    row.set_work(work);
    row.frames = Some(frames);
    row.us_per_session = Some(latencies.mean_us());
    row.cpu_us_per_session = Some((cpu_us() - cpu_before) / f64::from(count));
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    Ok(())
}

pub(crate) fn measure_peer(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let peers = Peers::start(cell);
    let (mut totals, mut cpus) = (Vec::new(), Vec::new());
    let rounds = rounds(cell.sessions);
    for round in 0..rounds {
        let (taken_before, cpu_before, start) = (peers.taken(), cpu_us(), Moment::now());
        let refreshed = match cell.change {
            Some(Change::Shared) => {
                peers.population.change_shared();
                peers.refresh_all();
                peers.len()
            }
            Some(Change::Scoped) => {
                let u = round * peers.len() as u32 / rounds;
                peers.population.change_one(u);
                peers.refresh_one(u);
                1
            }
            Some(Change::Private) | None => {
                peers.population.change_everybody();
                peers.refresh_all();
                peers.len()
            }
        };
        totals.push(start.elapsed_us() / refreshed as f64);
        cpus.push((cpu_us() - cpu_before) / refreshed as f64);
        row.expect(peers.taken() - taken_before == refreshed as u64, || {
            "the peer did not send one frame each".to_owned()
        });
    }
    row.us_per_session = Some(median(totals));
    row.cpu_us_per_session = Some(median(cpus));
    row.set_verdict(peers.check());
    Ok(row)
}

pub(crate) fn draw(rows: &[Row]) -> Result<String, Failure> {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let (Some(sessions), Some(us)) = (row.sessions, row.us_per_session) else { continue };
        lines.entry(plot::kind(row)).or_default().push((f64::from(sessions), us));
    }
    let lines: Vec<Line> = lines.into_iter().map(|(label, points)| Line { label, points }).collect();
    plot::lines("us per session, from the change to the frame", "sessions", &lines)
}
