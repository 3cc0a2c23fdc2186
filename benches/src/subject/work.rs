//! Counts of the work that an engine has done.

use std::collections::BTreeMap;

use grove_engine::Stats;

/// Work of an engine, in total or between two moments.
#[derive(Debug, Default, Clone)]
pub(crate) struct Work {
    /// Evaluations by the path of the source.
    pub(crate) evaluations: BTreeMap<String, u64>,
    pub(crate) commits: u64,
    pub(crate) diffs: u64,
    pub(crate) encodes: u64,
}

impl Work {
    pub(super) fn of(stats: Stats) -> Self {
        Self { evaluations: stats.evaluations, commits: stats.commits, diffs: stats.diffs, encodes: stats.encodes }
    }

    /// The work done since `before`.
    pub(crate) fn since(self, before: &Self) -> Self {
        let mut evaluations = self.evaluations;
        for (path, runs) in &mut evaluations {
            *runs -= before.evaluations.get(path).copied().unwrap_or_default();
        }
        evaluations.retain(|_, runs| *runs > 0);
        Self {
            evaluations,
            commits: self.commits - before.commits,
            diffs: self.diffs - before.diffs,
            encodes: self.encodes - before.encodes,
        }
    }

    /// How often the source at `path` was evaluated.
    pub(crate) fn evaluations_of(&self, path: &str) -> u64 {
        self.evaluations.get(&format!("/{path}")).copied().unwrap_or_default()
    }

    pub(crate) fn all_evaluations(&self) -> u64 {
        self.evaluations.values().sum()
    }
}
