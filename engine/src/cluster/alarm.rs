//! When a cluster has something to do next.

use std::fmt;

use crate::sync::{AtomicU64, Ordering};

/// One entry of the timer queue at a time, for whatever comes first.
pub(crate) struct Alarm {
    next_ms: AtomicU64,
    ring_at: Box<dyn Fn(u64) + Send + Sync>,
}

impl Alarm {
    pub(crate) fn new(ring_at: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { next_ms: AtomicU64::new(u64::MAX), ring_at: Box::new(ring_at) }
    }

    /// Something is to be done at this time, if nothing was to be done earlier.
    pub(crate) fn set(&self, at_ms: u64) {
        if self.next_ms.fetch_min(at_ms, Ordering::SeqCst) > at_ms {
            (self.ring_at)(at_ms);
        }
    }

    /// It rang: whatever is to be done next has to be set again.
    pub(crate) fn rang(&self) {
        self.next_ms.store(u64::MAX, Ordering::SeqCst);
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("next_ms", &self.next_ms).finish_non_exhaustive()
    }
}
