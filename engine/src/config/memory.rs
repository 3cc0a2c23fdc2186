//! What all sessions together may keep in memory.

use super::error::{ConfigError, positive};

/// Caches and trees of all sessions. Whatever is over is evicted, or kept less compactly.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Memory {
    /// How many trees of sessions without a connection are kept. Default 10,000. The least recently used goes first.
    pub idle_trees: usize,
    /// How many bytes all trees may take, what they share counted once. Default 2 GiB. Over it trees of sessions without a
    /// connection are evicted, the least recently used first; if that is not enough, sessions that are not known yet are
    /// refused.
    pub tree_bytes: usize,
    /// How large the dictionaries of repeated texts may grow, in bytes. Default 16 MiB, a quarter for each: when one is
    /// full, another follows, and the one before goes with the last tree that uses it. If all are in use, further texts are
    /// stored inline.
    pub dictionary_bytes: usize,
    /// How many encoded patches and snapshots of shared content are cached, in bytes. Default 4 MiB, of which a quarter is
    /// for the orders in which budgets collapse nodes. The least recently used is evicted first; whatever is not used for
    /// two seconds is evicted anyway.
    pub cache_bytes: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { idle_trees: 10_000, tree_bytes: 2 << 30, dictionary_bytes: 16 << 20, cache_bytes: 4 << 20 }
    }
}

impl Memory {
    /// Zero switches a cache off.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        positive("memory.tree_bytes", self.tree_bytes)
    }
}
