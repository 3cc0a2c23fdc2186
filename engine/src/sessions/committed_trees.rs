//! How many trees there are, and their versions: counted for each session by itself, so that nobody learns from them what
//! others do.
//!
//! A session that comes back after it was forgotten must not use a version again: a consumer may still hold the copy that
//! had it. Nothing is remembered for that. A session starts from the time, which no session that was forgotten before has
//! reached: that would take more than a thousand changes in each millisecond of its life.

use crate::count::Count;
use crate::sync::{AtomicU64, Ordering};

/// How many versions there are for each millisecond. JSON numbers are exact for 285 years of them.
const PER_MS: u64 = 1_000;

/// How many trees there are, and where the versions of a session start.
#[derive(Debug, Default)]
pub(crate) struct CommittedTrees {
    /// How many sessions have a tree.
    pub(crate) count: Count,
    /// The largest version of a forgotten session that the time had not reached. It matters only on a clock that stands
    /// still, as those of tests do.
    retired: AtomicU64,
}

impl CommittedTrees {
    /// The version that follows another one of the same session; 0 is none.
    pub(crate) fn next_version(&self, last: u64, now_ms: u64) -> u64 {
        if last > 0 { last + 1 } else { self.retired.load(Ordering::SeqCst).max(now_ms.saturating_mul(PER_MS)) + 1 }
    }

    /// A session with this version is forgotten.
    pub(crate) fn retire(&self, last: u64, now_ms: u64) {
        if last > now_ms.saturating_mul(PER_MS) {
            self.retired.fetch_max(last, Ordering::SeqCst);
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn a_session_counts_by_itself_and_starts_from_the_time() {
        let trees = CommittedTrees::default();
        assert_eq!((trees.next_version(0, 0), trees.next_version(1, 70_000), trees.next_version(0, 7)), (1, 2, 7_001));
    }

    #[test]
    fn no_version_of_a_forgotten_session_comes_again() {
        let trees = CommittedTrees::default();
        trees.retire(5, 0);
        assert_eq!(trees.next_version(0, 0), 6);
        trees.retire(5_000, 7);
        assert_eq!((trees.next_version(0, 7), trees.next_version(0, 0)), (7_001, 6));
    }
}
