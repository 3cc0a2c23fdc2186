//! A cell's result. Fields that do not apply are absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::consumer::{Size, Verdict};
use crate::options::Change;
use crate::subject::Work;
use crate::workload::{Likeness, Workload};

/// Declares the row: every field is optional, and absent ones are not written.
macro_rules! row {
    ($($(#[$doc:meta])* $field:ident: $kind:ty,)*) => {
        /// What one cell gave.
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub(crate) struct Row {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub(crate) $field: Option<$kind>,)*
            /// What did not happen as it had to. Empty if all is well.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub(crate) problems: Vec<String>,
        }
    };
}

row! {
    question: String,
    workload: Workload,
    likeness: Likeness,
    /// Set if each session has a provider of its own.
    per_session: bool,
    change: Change,
    /// Known sessions.
    sessions: u32,
    /// Percent of them with a subscribed consumer.
    active: u32,
    nodes: u64,
    /// One tree as JSON text.
    tree_json_bytes: u64,
    /// All that an active session takes, after a private change in every session.
    rss_bytes_per_active: f64,
    heap_bytes_per_active: f64,
    /// All that a session takes of which only the context is known.
    heap_bytes_per_idle: f64,
    /// Where the bytes of an active session come from, by taking away one thing after another.
    heap_bytes_of_connection: f64,
    heap_bytes_of_first_tree: f64,
    heap_bytes_of_second_tree: f64,
    /// What four more changes added.
    heap_bytes_of_more_changes: f64,
    /// Both trees and the context, after the consumer has left.
    heap_bytes_without_consumer: f64,
    /// Live bytes in all, after everybody has left and the time of trees and of sessions has passed.
    heap_bytes_left: f64,
    /// What the engine itself counts: fragments and the dictionary, per active session.
    tree_bytes_per_active: f64,
    symbol_bytes: u64,
    rss_bytes_per_connection: f64,
    heap_bytes_per_connection: f64,
    /// CPU time of the server per connection and second while nothing happens.
    idle_cpu_us_per_connection: f64,
    connections: u32,
    evaluations: u64,
    evaluations_by_path: BTreeMap<String, u64>,
    passes: u64,
    commits: u64,
    diffs: u64,
    encodes: u64,
    frames: u64,
    /// Bytes of the frames of one change or storm, per frame.
    frame_bytes: f64,
    /// From the change to the last consumer's frame, divided by the sessions it was for.
    us_per_session: f64,
    /// The part until all trees are committed, and the part in which consumers take their frames.
    render_us_per_session: f64,
    deliver_us_per_session: f64,
    /// CPU time on all cores.
    cpu_us_per_session: f64,
    /// Calls that were made while passes over everybody ran, and how long one took.
    calls: u64,
    call_p50_ms: f64,
    call_p99_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    private_p50_ms: f64,
    private_p99_ms: f64,
    private_per_second: f64,
    snapshot_bytes: u64,
    /// How many private changes everybody missed.
    gap: u32,
    /// What a consumer that comes back gets until its copy is right again, on average.
    resume_bytes: f64,
    /// The same as percent of its snapshot.
    resume_percent: f64,
    /// How many of a hundred went on from their copies.
    resumed_percent: f64,
    peer_sessions: u32,
    peer_rss_bytes_per_active: f64,
    peer_heap_bytes_per_active: f64,
    peer_us_per_session: f64,
    peer_cpu_us_per_session: f64,
    /// How many times more bytes the peer needs.
    memory_ratio: f64,
    /// How many times longer the peer takes.
    speed_ratio: f64,
    /// The same in CPU time, which a busy machine distorts less.
    cpu_ratio: f64,
    mirrors_checked: u64,
    mirrors_wrong: u64,
    /// Live heap before and after everybody came and left, and how many times it became.
    heap_bytes_before: f64,
    heap_bytes_after: f64,
    heap_ratio: f64,
    /// Readers that read nothing, and what the others' latencies were beside them.
    stalled: u32,
    stalled_p50_ms: f64,
    stalled_p99_ms: f64,
    stalled_private_p50_ms: f64,
    stalled_private_p99_ms: f64,
    shared_p99_ratio: f64,
    private_p99_ratio: f64,
    rss_bytes_per_stalled: f64,
    heap_bytes_per_stalled: f64,
    stalled_latencies: Vec<(f64, f64)>,
    /// The latencies of `live`, as pairs of percentile and ms, for the plot.
    latencies: Vec<(f64, f64)>,
}

impl Row {
    /// A row that says under which conditions it was measured.
    pub(crate) fn of(cell: &Cell) -> Self {
        Self {
            question: Some(cell.question.name().to_owned()),
            workload: Some(cell.workload),
            likeness: Some(cell.likeness),
            per_session: cell.per_session.then_some(true),
            change: cell.change,
            gap: cell.gap,
            sessions: Some(cell.sessions),
            active: Some(cell.active),
            ..Self::default()
        }
    }

    pub(crate) fn set_size(&mut self, size: Size) {
        self.nodes = Some(size.nodes);
        self.tree_json_bytes = Some(size.json_bytes);
    }

    pub(crate) fn set_work(&mut self, work: Work) {
        self.evaluations = Some(work.all_runs());
        self.evaluations_by_path = Some(work.evaluations);
        self.commits = Some(work.commits);
        self.diffs = Some(work.diffs);
        self.encodes = Some(work.encodes);
    }

    pub(crate) fn set_verdict(&mut self, verdict: Verdict) {
        self.mirrors_checked = Some(self.mirrors_checked.unwrap_or_default() + verdict.checked);
        self.mirrors_wrong = Some(self.mirrors_wrong.unwrap_or_default() + verdict.wrong.len() as u64);
        self.problems.extend(verdict.wrong);
    }

    /// Notes a problem unless `holds`.
    pub(crate) fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    /// Adds what the peer gave under the same conditions.
    pub(crate) fn put_beside(&mut self, peer: Self) {
        let ratio = |peer: Option<f64>, mine: Option<f64>| Some(peer? / mine.filter(|mine| *mine > 0.0)?);
        self.memory_ratio = ratio(peer.rss_bytes_per_active, self.rss_bytes_per_active);
        self.speed_ratio = ratio(peer.us_per_session, self.us_per_session);
        self.cpu_ratio = ratio(peer.cpu_us_per_session, self.cpu_us_per_session);
        self.peer_sessions = peer.sessions;
        self.peer_rss_bytes_per_active = peer.rss_bytes_per_active;
        self.peer_heap_bytes_per_active = peer.heap_bytes_per_active;
        self.peer_us_per_session = peer.us_per_session;
        self.peer_cpu_us_per_session = peer.cpu_us_per_session;
        self.problems.extend(peer.problems);
    }
}
