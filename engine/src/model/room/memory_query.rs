//! Which entries of a room's memory are asked for.

use super::memory_entry::MemoryEntry;
use crate::model::Text;

/// Which entries of a room's memory are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryQuery {
    /// Only those whose keys begin with this.
    pub prefix: Text,
    /// At most so many; 1,024 if it is not said, and never more.
    pub limit: Option<usize>,
    /// Only those whose keys follow this one.
    pub after: Option<Text>,
}

/// Some entries, in the order of their keys' bytes.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MemoryPage {
    /// The entries.
    pub entries: Vec<MemoryEntry>,
    /// For [`MemoryQuery::after`], if there may be more.
    pub next: Option<Text>,
}

/// How many entries are listed at most.
const MOST: usize = 1_024;

impl MemoryQuery {
    /// How many entries to look for: one more than are wanted, to see whether there are more.
    pub(crate) fn wanted(&self) -> usize {
        self.limit() + 1
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(MOST).clamp(1, MOST)
    }

    /// The page of the entries that were found.
    pub(crate) fn page(&self, mut entries: Vec<MemoryEntry>) -> MemoryPage {
        let is_more = entries.len() > self.limit();
        entries.truncate(self.limit());
        let next = entries.last().filter(|_| is_more).map(|entry| entry.key.clone());
        MemoryPage { entries, next }
    }
}
