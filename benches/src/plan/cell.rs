//! The conditions of one measurement.

use serde::{Deserialize, Serialize};

use super::benchmark::Benchmark;
use super::change::Change;
use super::cluster_case::ClusterCase;
use super::database_kind::DatabaseKind;
use super::peer_case::PeerCase;
use super::room_case::RoomCase;
use super::run_case::RunCase;
use super::storage_case::StorageCase;
use crate::measure::allocator::AllocatorSettings;
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// One measurement: a benchmark under certain conditions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) benchmark: Benchmark,
    pub(crate) workload: Workload,
    pub(crate) likeness: Likeness,
    /// Number of open sessions.
    pub(crate) sessions: u32,
    /// Percentage of sessions with a subscribed consumer.
    pub(crate) active: u32,
    pub(crate) change: Option<Change>,
    /// Number of changes while the consumers of `resume` are disconnected.
    pub(crate) gap: Option<u32>,
    /// The server of `live`: a binary or a URL.
    pub(crate) server: Option<String>,
    /// Whether each session has its own provider.
    pub(crate) per_session: bool,
    /// Whether the peer is measured instead of Grove.
    pub(crate) of_peer: bool,
    /// What `rooms` measures.
    pub(crate) rooms: Option<RoomCase>,
    /// What `runs` measures.
    pub(crate) runs: Option<RunCase>,
    /// What `storage` measures.
    pub(crate) storage: Option<StorageCase>,
    /// What `peers` measures.
    pub(crate) peers: Option<PeerCase>,
    /// Which database `storage --case databases` measures.
    pub(crate) database: Option<DatabaseKind>,
    /// What `cluster` measures.
    pub(crate) cluster: Option<ClusterCase>,
}

impl Cell {
    /// A measurement with so many sessions that have no workload.
    pub(crate) const fn without_workload(benchmark: Benchmark, sessions: u32) -> Self {
        Self {
            benchmark,
            workload: Workload::Inbox,
            likeness: Likeness::Distinct,
            sessions,
            active: 100,
            change: None,
            gap: None,
            server: None,
            per_session: false,
            of_peer: false,
            rooms: None,
            runs: None,
            storage: None,
            peers: None,
            database: None,
            cluster: None,
        }
    }

    /// The question that it answers, if its benchmark has several.
    pub(crate) fn case(&self) -> Option<&'static str> {
        let runs = self.rooms.map(RoomCase::name).or(self.runs.map(RunCase::name));
        let runs = runs.or(self.storage.map(StorageCase::name));
        runs.or(self.peers.map(PeerCase::name)).or(self.cluster.map(ClusterCase::name))
    }

    /// Whether it has so few sessions that only its checks matter, and not its figures.
    pub(crate) const fn is_short(&self) -> bool {
        self.sessions < 50
    }

    /// Whether a question that it answers is about bytes.
    const fn is_about_memory(&self) -> bool {
        match (self.rooms, self.runs) {
            (Some(case), _) => case.is_about_memory(),
            (_, Some(case)) => case.is_about_memory(),
            (None, None) => false,
        }
    }

    /// Number of sessions with a subscribed consumer.
    pub(crate) const fn active_sessions(&self) -> u32 {
        let active = self.sessions as u64 * self.active as u64 / 100;
        if active == 0 { 1 } else { active as u32 }
    }

    /// The member of the `at`th active session. Active members are spread evenly over all, so that the proportion of
    /// similar sessions stays the same.
    pub(crate) fn member(&self, at: u32) -> u32 {
        (u64::from(at) * u64::from(self.sessions) / u64::from(self.active_sessions())) as u32
    }

    /// The same conditions for the peer, with at most this many sessions, all active.
    pub(crate) fn of_peer(&self, at_most: u32) -> Self {
        let sessions = self.active_sessions().min(at_most);
        Self { sessions, active: 100, per_session: false, of_peer: true, ..self.clone() }
    }

    /// How the measuring process is to configure its allocator.
    pub(crate) const fn allocator_settings(&self) -> AllocatorSettings {
        match self.benchmark {
            Benchmark::Memory | Benchmark::Churn => AllocatorSettings::Exact,
            _ if self.is_about_memory() => AllocatorSettings::Exact,
            _ => AllocatorSettings::Default,
        }
    }

    /// A short title for the progress bar and for errors.
    pub(crate) fn title(&self) -> String {
        let subject = match (self.of_peer, self.per_session) {
            (true, _) => "slop-ai ",
            (false, true) => "per-session ",
            (false, false) => "",
        };
        let change = self.change.map_or(String::new(), |change| format!(" {}", change.name()));
        let gap = self.gap.map_or(String::new(), |gap| format!(" after {gap}"));
        if let Some(case) = self.case() {
            let database = self.database.map_or(String::new(), |kind| format!(" {}", kind.name()));
            return format!("{} {case}{database} {}", self.benchmark.name(), self.sessions);
        }
        let (benchmark, workload, likeness) = (self.benchmark.name(), self.workload.name(), self.likeness.name());
        format!("{subject}{benchmark}{change}{gap} {workload} {likeness} {}@{}%", self.sessions, self.active)
    }
}
