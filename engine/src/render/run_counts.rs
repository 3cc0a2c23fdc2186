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
pub(crate) struct RunCounts(Mutex<BTreeMap<Text, Arc<AtomicU64>>>);

impl RunCounts {
    /// Counts a source's runs under a path from now on.
    pub(crate) fn count(&self, path: &Text, source: &mut Source) {
        let mut counters = self.0.lock();
        if counters.len() < MAX_PATHS || counters.contains_key(path) {
            source.runs = Arc::clone(counters.entry(path.clone()).or_default());
        }
    }

    pub(crate) fn all(&self) -> BTreeMap<Text, u64> {
        self.0.lock().iter().map(|(path, runs)| (path.clone(), runs.load(Ordering::Relaxed))).collect()
    }
}
