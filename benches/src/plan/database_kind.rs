//! The databases that are compared.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An embedded database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DatabaseKind {
    Sqlite,
    Redb,
    Fjall,
}

impl DatabaseKind {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::Redb, Self::Fjall];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Redb => "redb",
            Self::Fjall => "fjall",
        }
    }
}
