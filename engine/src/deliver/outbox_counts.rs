//! How much all connections hold, for the statistics.

use std::sync::Arc;

use crate::count::Count;

/// What all outboxes hold, kept up to date step by step.
#[derive(Debug, Default)]
pub(crate) struct OutboxCounts {
    /// Bytes that wait to be sent.
    pub(crate) waiting: Count,
    /// Those of them that are events.
    pub(crate) events: Count,
    /// Bytes that subscriptions and resume points keep of what their consumers chose.
    pub(crate) kept: Count,
}

/// Bytes that are kept, and counted until this is dropped.
#[derive(Debug)]
pub(crate) struct KeptBytes {
    counts: Arc<OutboxCounts>,
    bytes: usize,
}

impl KeptBytes {
    pub(super) fn new(counts: &Arc<OutboxCounts>, bytes: usize) -> Self {
        counts.kept.add(bytes);
        Self { counts: Arc::clone(counts), bytes }
    }
}

impl Drop for KeptBytes {
    fn drop(&mut self) {
        self.counts.kept.subtract(self.bytes);
    }
}
