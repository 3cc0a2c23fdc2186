//! The result of a cell. Figures that do not apply are absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::consumer::{Size, Verdict};
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::change::Change;
use crate::plan::cluster_case::ClusterCase;
use crate::plan::database_kind::DatabaseKind;
use crate::plan::peer_case::PeerCase;
use crate::plan::room_case::RoomCase;
use crate::plan::run_case::RunCase;
use crate::plan::storage_case::StorageCase;
use crate::subject::work::Work;
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// Declares the row: every field is optional, and absent fields are not written.
macro_rules! row {
    ($($(#[$attribute:meta])* $field:ident: $kind:ty,)*) => {
        /// The result of one cell.
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub(crate) struct Row {
            $($(#[$attribute])* #[serde(skip_serializing_if = "Option::is_none")] pub(crate) $field: Option<$kind>,)*
            /// Checks that failed. Empty if all passed.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub(crate) problems: Vec<String>,
        }
    };
}

row! {
    // The key is part of the published JSON.
    #[serde(rename = "question")]
    benchmark: Benchmark,
    workload: Workload,
    likeness: Likeness,
    /// Set if each session has its own provider.
    per_session: bool,
    change: Change,
    /// What `rooms` measured.
    rooms: RoomCase,
    /// What `runs` measured.
    runs: RunCase,
    /// What `storage` measured.
    storage: StorageCase,
    /// What `peers` measured.
    peers: PeerCase,
    /// Which database.
    database: DatabaseKind,
    /// What `cluster` measured.
    cluster: ClusterCase,
    /// How many sessions are in each room.
    per_room: u32,
    /// Number of open sessions.
    sessions: u32,
    /// Percentage of sessions with a subscribed consumer.
    active: u32,
    /// Allocator and settings of the process whose memory is given.
    allocator: String,
    nodes: u64,
    /// Size of one tree as JSON text.
    tree_json_bytes: u64,
    /// Everything that an active session takes, after a private change in every session.
    rss_bytes_per_active: f64,
    heap_bytes_per_active: f64,
    /// Everything that a session takes without a consumer.
    heap_bytes_per_idle: f64,
    /// Parts of an active session, each the difference between two steps.
    heap_bytes_of_connection: f64,
    heap_bytes_of_first_tree: f64,
    heap_bytes_of_second_tree: f64,
    /// What four more changes in every session added.
    heap_bytes_of_more_changes: f64,
    /// Both trees and the context, after the consumer has disconnected.
    heap_bytes_without_consumer: f64,
    /// Live bytes of the process, after all consumers have disconnected and trees and sessions have expired.
    heap_bytes_left: f64,
    /// What the engine counts itself: fragments per active session, and the dictionary of repeated texts.
    tree_bytes_per_active: f64,
    symbol_bytes: u64,
    rss_bytes_per_connection: f64,
    heap_bytes_per_connection: f64,
    /// CPU time of the idle server, per connection and second.
    idle_cpu_us_per_connection: f64,
    connections: u32,
    evaluations: u64,
    evaluations_by_path: BTreeMap<String, u64>,
    passes: u64,
    commits: u64,
    diffs: u64,
    encodes: u64,
    frames: u64,
    /// Bytes per frame of one change.
    frame_bytes: f64,
    /// From the change to the last consumer's frame, divided by the sessions that were refreshed.
    us_per_session: f64,
    /// The part until all trees are committed, and the part in which consumers take their frames.
    render_us_per_session: f64,
    deliver_us_per_session: f64,
    /// CPU time on all cores.
    cpu_us_per_session: f64,
    /// Calls that were made while passes over all sessions ran, and how long they took.
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
    /// How many private changes each consumer missed.
    gap: u32,
    /// What a resuming consumer receives until its copy is current, on average.
    resume_bytes: f64,
    /// The same as a percentage of its snapshot.
    resume_percent: f64,
    /// Percentage of consumers that resumed.
    resumed_percent: f64,
    peer_sessions: u32,
    peer_rss_bytes_per_active: f64,
    peer_heap_bytes_per_active: f64,
    peer_us_per_session: f64,
    peer_cpu_us_per_session: f64,
    peer_p50_ms: f64,
    peer_p99_ms: f64,
    /// How many times as long the p99 is as the peer's.
    p99_ratio: f64,
    /// How many times as much memory the peer takes.
    memory_ratio: f64,
    /// How many times as long the peer takes.
    speed_ratio: f64,
    /// The same in CPU time, which other load on the machine distorts less.
    cpu_ratio: f64,
    mirrors_checked: u64,
    mirrors_wrong: u64,
    /// Live heap before and after all consumers connected and disconnected, and the ratio of the two.
    heap_bytes_before: f64,
    heap_bytes_after: f64,
    heap_ratio: f64,
    /// The same with an engine that has rooms, of which none was created.
    heap_bytes_per_idle_with_rooms: f64,
    heap_bytes_per_active_with_rooms: f64,
    us_per_session_with_rooms: f64,
    heap_bytes_per_room: f64,
    heap_bytes_per_participant: f64,
    /// What a participant takes in the tree of those who show the room.
    heap_bytes_per_shown: f64,
    /// What a room takes in the tree of a subscribed participant, beyond what it takes without: with nothing in its memory, and
    /// how much more with one entry, and with 50.
    heap_bytes_per_shown_room: f64,
    heap_bytes_of_memory: f64,
    heap_bytes_of_full_memory: f64,
    /// What a message of 15,000 bytes takes while it waits for a connection.
    heap_bytes_per_waiting: f64,
    /// From the call until a message waits for every connection, and what taking it costs, per connection.
    us_per_connection: f64,
    take_us_per_connection: f64,
    messages_per_second: f64,
    join_us: f64,
    leave_us: f64,
    /// What each further session that joins within a debounce window adds to everybody's patch.
    patch_bytes_of_another: f64,
    /// How many leases were due in a tick, how long it took, and how much longer one without any took than no tick.
    due: u32,
    tick_us: f64,
    empty_tick_us: f64,
    chunks_per_second: f64,
    /// CPU time on all cores, beyond what the same agents take when they stream nothing.
    cpu_us_per_chunk: f64,
    /// A change for sessions that have nothing to do with the runs: with nothing else, and while the runs stream.
    others_p99_ms: f64,
    others_p99_ms_beside: f64,
    others_p99_ratio: f64,
    /// What a run streamed to watchers that read nothing.
    streamed_bytes: u64,
    heap_bytes_per_run: f64,
    heap_bytes_per_ended_run: f64,
    /// Events that were written or read.
    events: u64,
    events_per_second: f64,
    /// How many events a commit had, on average.
    batch_events: f64,
    /// The same by the database alone, in batches of that size and one by one, and the share of the first that Grove has.
    alone_per_second: f64,
    alone_one_by_one_per_second: f64,
    alone_in_large_batches_per_second: f64,
    share_of_alone: f64,
    disk_bytes_per_event: f64,
    text_bytes_per_event: f64,
    /// Until what was kept is open, the longest time of all, and until a connection has its first frame.
    open_ms: f64,
    first_frame_ms: f64,
    /// What the server needs for each peer that arrives, and how many arrive per second of its CPU time on one core.
    hello_us: f64,
    hellos_per_cpu_second: f64,
    /// How many frames told peers of others, and until the last one of them was there.
    told_frames: u64,
    told_ms: f64,
    /// Messages that were acknowledged before a process was killed, and those of them that were missing then.
    acknowledged: u64,
    lost: u64,
    /// What a frame on another instance took beyond the debounce, and what notices that concern nobody cost.
    p99_ms_beyond_debounce: f64,
    notices_per_second: f64,
    percent_of_a_core: f64,
    /// Number of stalled readers, and the latencies of the other consumers beside them.
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
    /// Pairs of percentile and latency in ms, for the plot.
    latencies: Vec<(f64, f64)>,
}

impl Row {
    /// A row with the conditions of its cell.
    pub(crate) fn of(cell: &Cell) -> Self {
        Self {
            benchmark: Some(cell.benchmark),
            workload: Some(cell.workload),
            likeness: Some(cell.likeness),
            per_session: cell.per_session.then_some(true),
            change: cell.change,
            rooms: cell.rooms,
            runs: cell.runs,
            storage: cell.storage,
            peers: cell.peers,
            database: cell.database,
            cluster: cell.cluster,
            gap: cell.gap,
            sessions: Some(cell.sessions),
            active: Some(cell.active),
            ..Self::default()
        }
    }

    /// The question that it answers, if its benchmark has several.
    pub(crate) fn case(&self) -> Option<&'static str> {
        let runs = self.rooms.map(RoomCase::name).or(self.runs.map(RunCase::name));
        let runs = runs.or(self.storage.map(StorageCase::name));
        runs.or(self.peers.map(PeerCase::name)).or(self.cluster.map(ClusterCase::name))
    }

    pub(crate) fn set_size(&mut self, size: Size) {
        self.nodes = Some(size.nodes);
        self.tree_json_bytes = Some(size.json_bytes);
    }

    pub(crate) fn set_work(&mut self, work: Work) {
        self.evaluations = Some(work.all_evaluations());
        self.evaluations_by_path = Some(work.evaluations);
        self.commits = Some(work.commits);
        self.diffs = Some(work.diffs);
        self.encodes = Some(work.encodes);
    }

    /// Adds verified mirrors to those verified before.
    pub(crate) fn add_verdict(&mut self, verdict: Verdict) {
        self.mirrors_checked = Some(self.mirrors_checked.unwrap_or_default() + verdict.checked);
        self.mirrors_wrong = Some(self.mirrors_wrong.unwrap_or_default() + verdict.wrong.len() as u64);
        self.problems.extend(verdict.wrong);
    }

    /// Records a problem unless the check holds.
    pub(crate) fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    /// Checks that each consumer took one frame of a change.
    pub(crate) fn expect_one_frame_each(&mut self, consumers: usize, frames: u64) {
        self.expect(frames == consumers as u64, || format!("{consumers} consumers took {frames} frames of one change"));
    }

    /// Adds what the peer gave under the same conditions.
    pub(crate) fn compare_with_peer(&mut self, peer: Self) {
        let ratio = |peer: Option<f64>, own: Option<f64>| Some(peer? / own.filter(|own| *own > 0.0)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_json_under_its_published_keys() {
        let row = Row { benchmark: Some(Benchmark::Churn), sessions: Some(3), ..Row::default() };
        let json = serde_json::to_string(&row).expect("a row is JSON");
        assert_eq!(json, r#"{"question":"churn","sessions":3}"#);
        let row: Row = serde_json::from_str(&json).expect("the JSON is a row");
        assert_eq!(row.benchmark, Some(Benchmark::Churn));
    }

    #[test]
    fn ratios_say_how_many_times_as_much_the_peer_takes() {
        let mut row = Row { us_per_session: Some(2.0), cpu_us_per_session: Some(0.0), ..Row::default() };
        row.compare_with_peer(Row { us_per_session: Some(6.0), cpu_us_per_session: Some(6.0), ..Row::default() });
        assert_eq!((row.speed_ratio, row.cpu_ratio), (Some(3.0), None));
    }
}
