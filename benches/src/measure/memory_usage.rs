//! The memory of this process at one moment.

use std::time::Duration;

use super::allocator;
use crate::failure::Failure;
use crate::process;

/// How long the allocator needs to return free pages with its exact settings.
const SETTLE_TIME: Duration = Duration::from_millis(300);

/// Bytes of this process at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryUsage {
    /// Allocated and not freed.
    pub(crate) heap: f64,
    /// Resident in memory.
    pub(crate) rss: f64,
}

impl MemoryUsage {
    /// The usage after free pages have gone back to the system.
    pub(crate) async fn settled() -> Result<Self, Failure> {
        tokio::time::sleep(SETTLE_TIME).await;
        let heap = allocator::live_bytes()? as f64;
        Ok(Self { heap, rss: process::rss_bytes()? as f64 })
    }

    /// The usage without these bytes, which the benchmark keeps for its own checks.
    pub(crate) fn without(self, bytes: usize) -> Self {
        Self { heap: self.heap - bytes as f64, rss: self.rss - bytes as f64 }
    }
}
