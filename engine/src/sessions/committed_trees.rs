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
    count: Count,
    /// How many trees were committed since the start.
    commits: AtomicU64,
    /// The largest version of a forgotten session that the time had not reached. It matters only on a clock that stands
    /// still, as those of tests do.
    retired: AtomicU64,
}

impl CommittedTrees {
    /// How many sessions have a tree.
    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }

    /// How many trees were committed since the start.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// A session gets another tree, after one of the version `last`, or its first one since it had none. Returns the
    /// version.
    pub(super) fn add(&self, last: u64, had_none: bool, now_ms: u64) -> u64 {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.count.add(usize::from(had_none));
        self.next_version(last, now_ms)
    }

    /// A session loses its tree, if it has one.
    pub(super) fn remove(&self, had_one: bool) {
        self.count.subtract(usize::from(had_one));
    }

    /// The version that follows another one of the same session; 0 is none.
    fn next_version(&self, last: u64, now_ms: u64) -> u64 {
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
