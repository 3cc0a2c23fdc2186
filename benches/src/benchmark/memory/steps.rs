//! The memory of the process at each step of `memory`.

use crate::measure::memory_usage::MemoryUsage;
use crate::plan::cell::Cell;
use crate::result::row::Row;

/// Memory at each step, without the frames that consumers record for verification.
pub(super) struct MemorySteps {
    pub(super) empty: MemoryUsage,
    /// Sessions are open and have no consumers.
    pub(super) idle: MemoryUsage,
    pub(super) connected: MemoryUsage,
    pub(super) subscribed: MemoryUsage,
    pub(super) changed: MemoryUsage,
    pub(super) changed_again: MemoryUsage,
    pub(super) disconnected: MemoryUsage,
}

impl MemorySteps {
    /// Each step begins with the memory of the empty engine and is then measured.
    pub(super) const fn starting_from(empty: MemoryUsage) -> Self {
        Self {
            empty,
            idle: empty,
            connected: empty,
            subscribed: empty,
            changed: empty,
            changed_again: empty,
            disconnected: empty,
        }
    }

    pub(super) fn fill(&self, cell: &Cell, row: &mut Row) {
        let (sessions, active) = (f64::from(cell.sessions), f64::from(cell.active_sessions()));
        let per_active = |more: f64, less: f64| Some((more - less) / active);
        let idle = (self.idle.heap - self.empty.heap) / sessions;
        let idle_rss = (self.idle.rss - self.empty.rss) / sessions;
        // The context of an active session is part of its memory.
        row.heap_bytes_per_active = per_active(self.changed.heap, self.idle.heap).map(|bytes| bytes + idle);
        row.rss_bytes_per_active = per_active(self.changed.rss, self.idle.rss).map(|bytes| bytes + idle_rss);
        row.heap_bytes_per_idle = Some(idle);
        row.heap_bytes_of_connection = per_active(self.connected.heap, self.idle.heap);
        row.heap_bytes_of_first_tree = per_active(self.subscribed.heap, self.connected.heap);
        row.heap_bytes_of_second_tree = per_active(self.changed.heap, self.subscribed.heap);
        row.heap_bytes_of_more_changes = per_active(self.changed_again.heap, self.changed.heap);
        row.heap_bytes_without_consumer = per_active(self.disconnected.heap, self.idle.heap).map(|bytes| bytes + idle);
    }
}
