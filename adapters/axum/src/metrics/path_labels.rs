//! Which registered paths get a label of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The number of paths with a label of their own. All others are counted together under [`OTHER_PATHS`].
const MAX_PATHS: usize = 200;

/// The label of all other paths. No registered path looks like it.
const OTHER_PATHS: &str = "other";

/// The paths that have a label of their own: first come, first served, so that no counter ever decreases.
#[derive(Debug, Default)]
pub(super) struct PathLabels {
    /// Locked during a scrape. No other lock is taken meanwhile.
    known: Mutex<BTreeSet<String>>,
}

impl PathLabels {
    /// Adds up the counts of all paths that share a label.
    pub(super) fn sum_by_label(&self, counts: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = BTreeMap::new();
        for (path, count) in counts {
            if !known.contains(&path) && known.len() < MAX_PATHS {
                known.insert(path.clone());
            }
            let label = if known.contains(&path) { path } else { OTHER_PATHS.to_owned() };
            *sums.entry(label).or_insert(0) += count;
        }
        sums
    }
}
