//! How many bytes does a session take?

use std::time::Duration;

use grove_engine::Provider as _;

use super::Question;
use super::plan::{EVERY_LIKENESS, InStore, cells_of};
use crate::Failure;
use crate::cell::Cell;
use crate::consumer::{Consumer, check_all, size_of_tree, take_all, tape_bytes};
use crate::heap::Bytes;
use crate::options::Asked;
use crate::peer::Peers;
use crate::plot::{self, Bar};
use crate::row::Row;
use crate::subject::Subject;
use crate::workload::Workload;

pub(crate) const PROSE: &str = "\
Bytes per session, live on the heap and resident, as steps that each add one thing: sessions known by their context
alone; a connection for the active ones; a subscription with its first tree; a private change in every active session,
so that both the current and the previous tree are there (this is the figure `per active`); more changes; then the
consumers leave, and at last the time of trees and of sessions passes. Baseline: one `slop-ai` 0.2.0 server per session
with a subscribed consumer in the same process, after one private change. Frames that are kept for the check of the
mirrors are not counted.";

/// How many changes follow the first, to see whether a session grows with them.
const MORE_CHANGES: u32 = 4;

/// How long the engine may take to forget what is due, in ms.
const FORGETTING_MS: u64 = 20_000;

pub(crate) fn cells(asked: &Asked) -> Vec<Cell> {
    cells_of(Question::Memory, asked, |workload| InStore {
        likenesses: EVERY_LIKENESS,
        // The rows of the requirements S1.30 and S1.32, and everybody active at 1,000 and 10,000.
        sizes: match workload {
            Workload::Inbox => &[(1_000, 100), (10_000, 100), (10_000, 30), (50_000, 15), (100_000, 10), (100_000, 3)],
            Workload::Mail => &[(1_000, 100), (10_000, 10)],
        },
    })
}

/// Bytes at each step, without what the bench keeps for its checks.
struct Steps {
    sessions: f64,
    active: f64,
    empty: Bytes,
    known: Bytes,
    connected: Bytes,
    subscribed: Bytes,
    changed: Bytes,
    changed_again: Bytes,
    left: Bytes,
}

pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let subject = Subject::on_held_clock(cell);
    let empty = Bytes::settled().await?;
    for u in 0..cell.sessions {
        subject.engine.open_session(&subject.population.session(u)).map_err(|error| error.to_string())?;
    }
    let known = Bytes::settled().await?;
    let mut consumers = subject.connect(cell)?;
    let connected = without_tapes(&consumers).await?;
    row.snapshot_bytes = Some(subject.subscribe(&mut consumers).await?);
    let subscribed = without_tapes(&consumers).await?;
    change(&subject, cell, &mut consumers, &mut row).await;
    subject.rest().await;
    let changed = without_tapes(&consumers).await?;
    let stats = subject.engine.stats();
    for _ in 0..MORE_CHANGES {
        change(&subject, cell, &mut consumers, &mut row).await;
    }
    let changed_again = without_tapes(&consumers).await?;
    row.set_size(size_of_tree(&consumers[0].query().await?));
    row.set_verdict(check_all(&mut consumers).await?);
    drop(consumers);
    let left = Bytes::settled().await?;
    let (sessions, active) = (f64::from(cell.sessions), f64::from(cell.active_sessions()));
    Steps { sessions, active, empty, known, connected, subscribed, changed, changed_again, left }.fill(&mut row);
    row.tree_bytes_per_active = Some(stats.tree_bytes as f64 / active);
    row.symbol_bytes = Some(stats.dictionary_bytes as u64);
    forget_everybody(&subject, &mut row).await?;
    row.heap_bytes_left = Some(Bytes::settled().await?.heap - empty.heap);
    Ok(row)
}

impl Steps {
    fn fill(&self, row: &mut Row) {
        let per_active = |more: f64, less: f64| Some((more - less) / self.active);
        let idle = (self.known.heap - self.empty.heap) / self.sessions;
        let idle_rss = (self.known.rss - self.empty.rss) / self.sessions;
        // An active session is charged its context as well.
        row.heap_bytes_per_active = per_active(self.changed.heap, self.known.heap).map(|bytes| bytes + idle);
        row.rss_bytes_per_active = per_active(self.changed.rss, self.known.rss).map(|bytes| bytes + idle_rss);
        row.heap_bytes_per_idle = Some(idle);
        row.heap_bytes_of_connection = per_active(self.connected.heap, self.known.heap);
        row.heap_bytes_of_first_tree = per_active(self.subscribed.heap, self.connected.heap);
        row.heap_bytes_of_second_tree = per_active(self.changed.heap, self.subscribed.heap);
        row.heap_bytes_of_more_changes = per_active(self.changed_again.heap, self.changed.heap);
        row.heap_bytes_without_consumer = per_active(self.left.heap, self.known.heap).map(|bytes| bytes + idle);
    }
}

async fn without_tapes(consumers: &[Consumer]) -> Result<Bytes, Failure> {
    let bytes = Bytes::settled().await?;
    let tapes = tape_bytes(consumers) as f64;
    Ok(Bytes { heap: bytes.heap - tapes, rss: bytes.rss - tapes })
}

/// A private change in every session, its frames taken.
async fn change(subject: &Subject, cell: &Cell, consumers: &mut [Consumer], row: &mut Row) {
    subject.change_everybody(cell).await;
    let taken = take_all(consumers);
    row.frames = Some(row.frames.unwrap_or_default() + taken.frames);
    row.expect(taken.frames == consumers.len() as u64, || {
        format!("{} consumers took {} frames of one change", consumers.len(), taken.frames)
    });
}

/// Lets the time of trees, then that of sessions pass.
async fn forget_everybody(subject: &Subject, row: &mut Row) -> Result<(), Failure> {
    let config = subject.engine.config();
    for (time, what) in [(config.times.idle_tree, "trees"), (config.times.idle_session, "sessions")] {
        subject.clock.advance(time.as_millis() as u64);
        let stats = || subject.engine.stats();
        let remaining = || if what == "trees" { stats().trees } else { stats().sessions };
        let mut waited_ms = 0;
        while remaining() > 0 && waited_ms < FORGETTING_MS {
            tokio::time::sleep(Duration::from_millis(20)).await;
            waited_ms += 20;
        }
        row.expect(remaining() == 0, || format!("{} {what} were not forgotten", remaining()));
    }
    Ok(())
}

pub(crate) async fn measure_peer(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let empty = Bytes::settled().await?;
    let peers = Peers::start(cell);
    let before = peers.taken();
    peers.population.change_everybody();
    peers.refresh_all();
    let changed = Bytes::settled().await?;
    let per_session = |more: f64, less: f64| Some((more - less) / peers.len() as f64);
    row.heap_bytes_per_active = per_session(changed.heap, empty.heap);
    row.rss_bytes_per_active = per_session(changed.rss, empty.rss);
    row.expect(peers.taken() - before == peers.len() as u64, || "the peer did not send one frame each".to_owned());
    row.set_verdict(peers.check());
    Ok(row)
}

pub(crate) fn draw(rows: &[Row]) -> Result<String, Failure> {
    let bars = rows
        .iter()
        .map(|row| Bar { label: plot::conditions(row), value: row.rss_bytes_per_active.unwrap_or_default() / 1e3 });
    plot::bars("Resident KB per active session, after a private change in each", &bars.collect::<Vec<_>>())
}
