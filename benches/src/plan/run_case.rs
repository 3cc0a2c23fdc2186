//! What `runs` measures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One question about runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunCase {
    /// Runs that stream 50 chunks per second, each to a watcher, beside sessions whose trees change
    Stream,
    /// Watchers that read nothing while a run streams 100 MB
    Stalled,
    /// Memory of runs that say nothing, and of runs that have ended
    Idle,
}

impl RunCase {
    pub(crate) const ALL: [Self; 3] = [Self::Stream, Self::Stalled, Self::Idle];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Stalled => "stalled",
            Self::Idle => "idle",
        }
    }

    /// Whether bytes are counted.
    pub(crate) const fn is_about_memory(self) -> bool {
        matches!(self, Self::Stalled | Self::Idle)
    }
}
