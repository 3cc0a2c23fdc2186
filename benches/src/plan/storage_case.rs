//! What `storage` measures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One question about what is kept of rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StorageCase {
    /// Messages that are acknowledged when they are durable, beside the database alone with the same batches
    Append,
    /// The logs of rooms, read again, and what they take on the disk
    Replay,
    /// An engine that starts with rooms that were kept
    Restart,
    /// A process that is killed again and again while it writes
    Kill,
    /// Other embedded databases beside that of the engine, with the feature `databases`
    Databases,
}

impl StorageCase {
    /// What every build can measure.
    pub(crate) const ALL: [Self; 4] = [Self::Append, Self::Replay, Self::Restart, Self::Kill];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Replay => "replay",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Databases => "databases",
        }
    }
}
