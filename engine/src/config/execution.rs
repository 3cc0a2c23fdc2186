//! How much application code runs at the same time.

use super::error::{ConfigError, permits};

/// Threads and permits for descriptors, handlers and loaders.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Execution {
    /// How many handlers and loaders that may block run at once, in all. Default 128. Others wait. Passes have threads of
    /// their own beside them.
    pub blocking_calls: usize,
    /// How many handlers and loaders that may block run at once for one session. Default 16. Others wait.
    pub blocking_calls_per_session: usize,
    /// How many async descriptor functions of one pass run at once. Default 64.
    pub async_evaluations: usize,
    /// How many threads one pass uses. Default: as many as there are cores.
    pub pass_threads: usize,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            blocking_calls: 128,
            blocking_calls_per_session: 16,
            async_evaluations: 64,
            pass_threads: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

impl Execution {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        permits("execution.blocking_calls", self.blocking_calls)?;
        permits("execution.blocking_calls_per_session", self.blocking_calls_per_session)?;
        permits("execution.async_evaluations", self.async_evaluations)?;
        permits("execution.pass_threads", self.pass_threads)
    }
}
