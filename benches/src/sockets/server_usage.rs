//! What the server has used so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::measure::allocator;
use crate::process;

/// Resources of the server process, as its `usage` action reports them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServerUsage {
    pub(crate) allocator: String,
    pub(crate) rss_bytes: u64,
    pub(crate) heap_bytes: u64,
    pub(crate) cpu_us: f64,
    /// Evaluations by the path of the source.
    evaluations: BTreeMap<String, u64>,
    /// How many commands were given before. Each renders the tree of the session that gave it.
    #[serde(skip)]
    pub(super) commands: u64,
}

impl ServerUsage {
    /// The usage of this process.
    pub(super) fn of_this_process(evaluations: BTreeMap<String, u64>) -> Result<Self, Failure> {
        Ok(Self {
            allocator: allocator::name(),
            rss_bytes: process::rss_bytes()?,
            heap_bytes: allocator::live_bytes()? as u64,
            cpu_us: process::cpu_us(),
            evaluations,
            commands: 0,
        })
    }

    /// How often the source at `path` was evaluated for consumers, and not for the session that gives commands.
    pub(crate) fn evaluations_of(&self, path: &str) -> u64 {
        let evaluations = self.evaluations.get(&format!("/{path}")).copied().unwrap_or_default();
        evaluations.saturating_sub(self.commands)
    }
}
