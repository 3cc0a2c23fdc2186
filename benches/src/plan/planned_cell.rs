//! A cell together with the peer's measurement beside it.

use super::cell::Cell;

/// A cell to measure.
pub(crate) struct PlannedCell {
    pub(crate) cell: Cell,
    /// If the peer is measured as well: with at most how many sessions.
    pub(crate) peer_sessions: Option<u32>,
}

impl PlannedCell {
    /// Plans the cell, and the peer beside it if the benchmark has one.
    pub(crate) fn new(cell: Cell, peer_sessions: Option<u32>) -> Self {
        let peer_sessions = peer_sessions.filter(|_| cell.benchmark.has_peer());
        Self { cell, peer_sessions }
    }
}
