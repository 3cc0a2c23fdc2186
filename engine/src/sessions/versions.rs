//! The versions of trees: counted for each session by itself, so that nobody learns from them what others do.
//!
//! A session that comes back after it was forgotten must not use a version again: a consumer may still hold the copy that
//! had it. Nothing is remembered for that. A session starts from the time, which no session that was forgotten before has
//! reached: that would take more than a thousand changes in each millisecond of its life.

use crate::sync::{AtomicU64, Ordering};

/// How many versions there are for each millisecond. JSON numbers are exact for 285 years of them.
const PER_MS: u64 = 1_000;

/// Where the versions of a session start.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    /// The largest version of a forgotten session that the time had not reached. It matters only on a clock that stands
    /// still, as those of tests do.
    retired: AtomicU64,
}

impl Versions {
    /// The version that follows another one of the same session; 0 is none.
    pub(crate) fn next(&self, last: u64, now_ms: u64) -> u64 {
        if last > 0 { last + 1 } else { self.retired.load(Ordering::SeqCst).max(now_ms.saturating_mul(PER_MS)) + 1 }
    }

    /// A session with this version is forgotten.
    pub(crate) fn retire(&self, last: u64, now_ms: u64) {
        if last > now_ms.saturating_mul(PER_MS) {
            self.retired.fetch_max(last, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_counts_by_itself_and_starts_from_the_time() {
        let versions = Versions::default();
        assert_eq!((versions.next(0, 0), versions.next(1, 70_000), versions.next(0, 7)), (1, 2, 7_001));
    }

    #[test]
    fn no_version_of_a_forgotten_session_comes_again() {
        let versions = Versions::default();
        versions.retire(5, 0);
        assert_eq!(versions.next(0, 0), 6);
        versions.retire(5_000, 7);
        assert_eq!((versions.next(0, 7), versions.next(0, 0)), (7_001, 6));
    }
}
