//! Goals of the figures. A figure is compared only under the conditions for which its goal was set.

use crate::plan::benchmark::Benchmark;
use crate::plan::change::Change;
use crate::plan::peer_case::PeerCase;
use crate::plan::room_case::RoomCase;
use crate::plan::run_case::RunCase;
use crate::plan::storage_case::StorageCase;
use crate::result::row::Row;
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// A goal and what was measured for it.
#[derive(Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    pub(crate) bound: Bound,
    pub(crate) measured: f64,
}

/// What a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    /// The goal for a figure, if it was measured.
    fn new(name: &'static str, at_most: f64, measured: Option<f64>) -> Option<Self> {
        Some(Self { name, bound: Bound::AtMost(at_most), measured: measured? })
    }

    /// The same for a figure that shall be high.
    fn at_least(name: &'static str, at_least: f64, measured: Option<f64>) -> Option<Self> {
        Some(Self { name, bound: Bound::AtLeast(at_least), measured: measured? })
    }

    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.measured <= bound,
            Bound::AtLeast(bound) => self.measured >= bound,
        }
    }

    /// The goals that apply to a row.
    pub(crate) fn of(row: &Row) -> Vec<Self> {
        if row.workload != Some(Workload::Inbox) {
            return Vec::new();
        }
        let goals = match row.benchmark {
            Some(Benchmark::Memory) if row.per_session == Some(true) => vec![memory_per_session(row)],
            Some(Benchmark::Memory) => vec![memory_active(row), memory_idle(row), memory_total(row)],
            Some(Benchmark::Refresh) => refresh(row),
            Some(Benchmark::Resume) => vec![Self::new("percent of a snapshot to resume", 5.0, row.resume_percent)],
            Some(Benchmark::Live) => live(row),
            Some(Benchmark::Slow) => slow(row),
            Some(Benchmark::Churn) => vec![churn(row)],
            Some(Benchmark::Rooms) => rooms(row),
            Some(Benchmark::Runs) => runs(row),
            Some(Benchmark::Storage) => storage(row),
            Some(Benchmark::Peers) => peers(row),
            Some(Benchmark::Cluster) => cluster(row),
            Some(Benchmark::Connect) | None => Vec::new(),
        };
        goals.into_iter().flatten().collect()
    }
}

fn memory_per_session(row: &Row) -> Option<Goal> {
    let applies = row.sessions >= Some(1_000) && row.likeness == Some(Likeness::Distinct);
    let bytes = row.rss_bytes_per_active.filter(|_| applies);
    Goal::new("resident bytes per active session, distinct, own provider", 16_000.0, bytes)
}

fn memory_active(row: &Row) -> Option<Goal> {
    let active = u64::from(row.sessions?) * u64::from(row.active?) / 100;
    // With fewer sessions, the fixed memory of the process is a large part of each session's share.
    let bytes = row.rss_bytes_per_active.filter(|_| active >= 10_000);
    match row.likeness? {
        Likeness::Distinct => Goal::new("resident bytes per active session, distinct", 9_000.0, bytes),
        Likeness::Tenth => Goal::new("resident bytes per active session, tenth", 2_000.0, bytes),
        Likeness::One => Goal::new("resident bytes per active session, one view", 1_000.0, bytes),
    }
}

fn memory_idle(row: &Row) -> Option<Goal> {
    let applies = row.sessions >= Some(10_000);
    Goal::new("heap bytes per idle session", 400.0, row.heap_bytes_per_idle.filter(|_| applies))
}

fn memory_total(row: &Row) -> Option<Goal> {
    let applies = (row.sessions, row.active, row.likeness) == (Some(100_000), Some(10), Some(Likeness::Distinct));
    let (sessions, active) = (f64::from(row.sessions?), f64::from(row.active?) / 100.0);
    let per_session = active * row.rss_bytes_per_active? + (1.0 - active) * row.heap_bytes_per_idle?;
    Goal::new("MB for 100,000 sessions, a tenth of them active", 130.0, applies.then_some(sessions * per_session / 1e6))
}

fn refresh(row: &Row) -> Vec<Option<Goal>> {
    if row.sessions < Some(10_000) {
        return Vec::new();
    }
    let time = match row.change {
        Some(Change::Private) => Goal::new("us per session, private change", 50.0, row.us_per_session),
        Some(Change::Shared) => Goal::new("us per session, shared change", 2.0, row.us_per_session),
        Some(Change::Scoped) | None => None,
    };
    vec![time, Goal::new("ms, p99 of a call while a pass runs", 50.0, row.call_p99_ms)]
}

fn live(row: &Row) -> Vec<Option<Goal>> {
    if row.connections < Some(5_000) {
        return Vec::new();
    }
    // Otherwise the tree is most of a connection's share.
    let bytes = row.rss_bytes_per_connection.filter(|_| row.likeness == Some(Likeness::One));
    vec![
        Goal::new("resident bytes per connection", 9_000.0, bytes),
        Goal::new("ms, p99 of a shared change", 250.0, row.p99_ms),
    ]
}

fn slow(row: &Row) -> Vec<Option<Goal>> {
    // With fewer consumers, the p99 is the latency of one or two of them.
    if row.connections < Some(1_000) {
        return Vec::new();
    }
    vec![
        Goal::new("p99 of a shared change with stalled readers, relative", 1.1, row.shared_p99_ratio),
        Goal::new("p99 of a private change with stalled readers, relative", 1.1, row.private_p99_ratio),
        Goal::new("heap bytes per stalled reader", 200_000.0, row.heap_bytes_per_stalled),
    ]
}

fn churn(row: &Row) -> Option<Goal> {
    // In a short run, a single map that grows by one step is more than one percent.
    let applies = row.sessions >= Some(50_000);
    Goal::new("live heap after all have disconnected, relative", 1.01, row.heap_ratio.filter(|_| applies))
}

fn rooms(row: &Row) -> Vec<Option<Goal>> {
    match row.rooms {
        Some(RoomCase::Record) => vec![Goal::new("heap bytes per room", 700.0, row.heap_bytes_per_room)],
        Some(RoomCase::Crowd | RoomCase::Pairs) => {
            let shown = row.heap_bytes_per_shown.unwrap_or_default();
            let bytes = row.heap_bytes_per_participant.map(|bytes| bytes + shown);
            vec![Goal::new("heap bytes per participant", 250.0, bytes)]
        }
        Some(RoomCase::Message) => vec![Goal::new("us per connection for a message", 0.5, row.us_per_connection)],
        Some(RoomCase::Exchange) => vec![Goal::new("ms, p99 of a message", 30.0, row.p99_ms)],
        Some(RoomCase::Joining) => {
            vec![Goal::new("us to join", 30.0, row.join_us), Goal::new("us to leave", 30.0, row.leave_us)]
        }
        Some(RoomCase::Leases) => vec![Goal::new("us for a tick with 1,000 leases due", 1_000.0, row.tick_us)],
        // With fewer sockets, the p99 is the latency of a few of them.
        Some(RoomCase::Live) if row.connections >= Some(5_000) => vec![
            Goal::new("ms, p99 of a message to live sockets", 100.0, row.p99_ms),
            Goal::new("p99 of a message to live sockets, relative to nats-server", 1.3, row.p99_ratio),
        ],
        Some(RoomCase::Off | RoomCase::Memory | RoomCase::Live) | None => Vec::new(),
    }
}

fn runs(row: &Row) -> Vec<Option<Goal>> {
    match row.runs {
        // With fewer runs, a single wait of the machine is in the p99.
        Some(RunCase::Stream) if row.sessions >= Some(1_000) => vec![
            Goal::new("ms, p99 of a chunk", 50.0, row.p99_ms),
            Goal::new("us of CPU time per chunk", 4.0, row.cpu_us_per_chunk),
            Goal::new("p99 of others' patches while runs stream, relative", 1.1, row.others_p99_ratio),
        ],
        Some(RunCase::Stalled) => {
            vec![Goal::new(
                "heap bytes per watcher that reads nothing",
                EVENT_BYTES + 4_096.0,
                row.heap_bytes_per_stalled,
            )]
        }
        Some(RunCase::Stream | RunCase::Idle) | None => Vec::new(),
    }
}

fn cluster(row: &Row) -> Vec<Option<Goal>> {
    vec![
        Goal::new("ms beyond the debounce, p99 of a frame on another instance", 5.0, row.p99_ms_beyond_debounce),
        Goal::new("% of a core for 100,000 notices per second that concern nobody", 30.0, row.percent_of_a_core),
    ]
}

fn storage(row: &Row) -> Vec<Option<Goal>> {
    match row.storage {
        Some(StorageCase::Append) => {
            vec![Goal::at_least("of what the database alone appends with the same batches", 0.5, row.share_of_alone)]
        }
        Some(StorageCase::Replay) if row.events >= Some(1_000_000) => {
            vec![Goal::at_least("events replayed per second", 300_000.0, row.events_per_second)]
        }
        Some(StorageCase::Restart) if row.sessions >= Some(100_000) => {
            vec![Goal::new("ms until the first connection is served", 2_000.0, row.first_frame_ms)]
        }
        Some(StorageCase::Kill) => {
            vec![Goal::new("messages lost that were acknowledged", 0.0, row.lost.map(|n| n as f64))]
        }
        Some(StorageCase::Replay | StorageCase::Restart | StorageCase::Databases) | None => Vec::new(),
    }
}

fn peers(row: &Row) -> Vec<Option<Goal>> {
    match row.peers {
        Some(PeerCase::Hello) => vec![
            Goal::new("us for an attested hello", 150.0, row.hello_us),
            Goal::at_least("attested hellos per second on one core", 5_000.0, row.hellos_per_cpu_second),
        ],
        Some(PeerCase::Sockets | PeerCase::Crowd) | None => Vec::new(),
    }
}

/// How many bytes of events wait for a connection at most, in the default configuration.
const EVENT_BYTES: f64 = 262_144.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(benchmark: Benchmark, sessions: u32) -> Row {
        let (workload, likeness) = (Some(Workload::Inbox), Some(Likeness::Distinct));
        let (benchmark, sessions) = (Some(benchmark), Some(sessions));
        Row { benchmark, workload, likeness, sessions, active: Some(100), ..Row::default() }
    }

    #[test]
    fn a_figure_is_compared_only_at_the_size_of_its_goal() {
        let churn = |sessions| Goal::of(&Row { heap_ratio: Some(1.02), ..row(Benchmark::Churn, sessions) });
        assert!(churn(49_999).is_empty());
        assert!(matches!(churn(50_000).as_slice(), [goal] if !goal.is_met()));
    }

    #[test]
    fn a_figure_that_was_not_measured_has_no_goal() {
        assert!(Goal::of(&row(Benchmark::Memory, 100_000)).is_empty());
        assert!(Goal::of(&row(Benchmark::Slow, 100_000)).is_empty());
    }

    #[test]
    fn the_goal_of_an_active_session_depends_on_the_likeness() {
        let of = |likeness| {
            let figures = Row { rss_bytes_per_active: Some(1_500.0), ..row(Benchmark::Memory, 10_000) };
            Goal::of(&Row { likeness: Some(likeness), ..figures }).iter().map(Goal::is_met).collect::<Vec<_>>()
        };
        assert_eq!((of(Likeness::Tenth), of(Likeness::One)), (vec![true], vec![false]));
    }
}
