//! What the server uses and holds at one moment.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Resources of the server process and counts of its engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SoakUsage {
    pub(super) allocator: String,
    pub(super) rss_bytes: u64,
    pub(super) heap_bytes: u64,
    pub(super) dictionary_bytes: usize,
    pub(super) sessions: usize,
    pub(super) trees: usize,
    pub(super) connections: usize,
    pub(super) subscriptions: usize,
    pub(super) tabs: usize,
    pub(super) tree_bytes: usize,
    pub(super) outbox_bytes: usize,
    pub(super) rooms: usize,
    pub(super) participants: usize,
    pub(super) leases: usize,
    pub(super) runs: usize,
    pub(super) unwritten_bytes: usize,
}

impl SoakUsage {
    pub(super) fn is_empty(&self) -> bool {
        let counts = [self.sessions, self.trees, self.connections, self.subscriptions, self.tabs];
        let of_rooms = [self.rooms, self.participants, self.leases, self.runs, self.unwritten_bytes];
        let all = counts.iter().chain(&of_rooms).sum::<usize>();
        all + self.tree_bytes + self.outbox_bytes == 0
    }
}

impl fmt::Display for SoakUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rss, heap) = (self.rss_bytes as f64 / 1e6, self.heap_bytes as f64 / 1e6);
        let Self { sessions, trees, connections, tabs, outbox_bytes, participants, runs, .. } = self;
        write!(f, "rss {rss:6.1} MB  heap {heap:6.1} MB  sessions {sessions:3}  trees {trees:3}  ")?;
        write!(f, "connections {connections:3}  tabs {tabs:2}  queued {outbox_bytes} bytes  ")?;
        write!(f, "in rooms {participants:3}  runs {runs:2}")
    }
}
