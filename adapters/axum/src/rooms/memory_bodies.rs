//! What requests and responses about the memory of rooms hold.

use grove_engine::{MemoryEntry, MemoryPage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// What is kept under one key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemoryEntryBody {
    key: String,
    value: Value,
    /// Another one with each write in the room; 0 if the room inherits the entry.
    version: u64,
}

impl From<MemoryEntry> for MemoryEntryBody {
    fn from(entry: MemoryEntry) -> Self {
        Self { key: entry.key.into(), value: entry.value, version: entry.version }
    }
}

/// What is kept in a room, in the order of the keys' bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemoryListBody {
    entries: Vec<MemoryEntryBody>,
    /// For `after`, if there may be more.
    next: Option<String>,
}

impl From<MemoryPage> for MemoryListBody {
    fn from(page: MemoryPage) -> Self {
        let entries = page.entries.into_iter().map(Into::into).collect();
        Self { entries, next: page.next.map(Into::into) }
    }
}

/// Which entries are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MemoryListQuery {
    /// Only those whose keys begin with this.
    pub(super) prefix: Option<String>,
    /// At most so many: 1,024 by default and at most.
    pub(super) limit: Option<usize>,
    /// Only those whose keys follow this one.
    pub(super) after: Option<String>,
}

/// What to keep: any JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MemoryValueBody {
    pub(super) value: Value,
}

/// What was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptBody {
    pub(super) version: u64,
}

/// Nothing to say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DoneBody {}
