//! How often each path's functions ran, over all sessions and whatever was registered there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::source::Source;
use crate::model::Text;
use crate::sync::Mutex;

/// How many paths are counted apart.
const MAX_PATHS: usize = 10_000;

/// Counters by path. The lock guards the table of counters, not the counting; nothing of the application's is in it.
#[derive(Debug, Default)]
pub(crate) struct RunCounts {
    by_path: Mutex<BTreeMap<Text, Arc<AtomicU64>>>,
    /// Of sources that one session alone has: their paths may name it, and are without number.
    own: Arc<AtomicU64>,
}

impl RunCounts {
    /// Counts a source's runs under a path from now on.
    pub(crate) fn count(&self, path: &Text, source: &mut Source) {
        if let Some(counter) = self.counter(path) {
            source.runs = counter;
        }
    }

    /// The counter of a path; `None` if there are too many.
    pub(crate) fn counter(&self, path: &Text) -> Option<Arc<AtomicU64>> {
        let mut counters = self.by_path.lock();
        let counted = counters.len() < MAX_PATHS || counters.contains_key(path);
        counted.then(|| Arc::clone(counters.entry(path.clone()).or_default()))
    }

    /// Counts the runs of a source that one session alone has: under its path if that is counted anyway.
    pub(crate) fn count_own(&self, path: &Text, source: &mut Source) {
        let counters = self.by_path.lock();
        source.runs = Arc::clone(counters.get(path).unwrap_or(&self.own));
    }

    /// How often sources ran that one session alone has, at paths that no other has.
    pub(crate) fn own(&self) -> u64 {
        self.own.load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> BTreeMap<Text, u64> {
        self.by_path.lock().iter().map(|(path, runs)| (path.clone(), runs.load(Ordering::Relaxed))).collect()
    }
}
