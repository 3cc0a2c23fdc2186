//! The kinds of change that `refresh` measures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Whose data changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// Private data of every session
    Private,
    /// Data that all sessions show
    Shared,
    /// Private data of one user at a time
    Scoped,
}

impl Change {
    pub(crate) const ALL: [Self; 3] = [Self::Private, Self::Shared, Self::Scoped];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Scoped => "scoped",
        }
    }
}
