//! How much application code runs at the same time.

use super::error::{ConfigError, MOST_PERMITS, at_most, permits};

/// The state of each session counts them in one byte.
const MOST_SIDE_TURNS: usize = 255;

/// Threads and permits for descriptors, handlers and loaders.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Execution {
    /// How many handlers and loaders that may block run at once, in all. Default 128. Others wait. Passes have threads of
    /// their own beside them.
    pub blocking_calls: usize,
    /// How many handlers and loaders that may block run at once for one session. Default 16. Others wait.
    pub blocking_calls_per_session: usize,
    /// How many handlers and loaders that may block run at once for one user. Default 32. Others wait. When a thread is
    /// free, those who wait take turns by user; a session without a user counts as one.
    pub blocking_calls_per_user: usize,
    /// How many async descriptor functions run at once, in all. Default 256. Others wait.
    pub async_evaluations: usize,
    /// How many threads render. Default: as many as there are cores. Others wait; they are the engine's own, so rendering
    /// goes on however many handlers block the runtime's. As many again render for users whose own functions took long.
    pub pass_threads: usize,
    /// How many more threads there may be beside each of both, each in the place of one whose descriptor function has
    /// taken longer than `times.slow_evaluation`. Default 64. Beyond it, others wait.
    pub slow_evaluations: usize,
    /// How many evaluations of the function at one path may be slow at a time. Default 16. Others wait, at most for
    /// `times.evaluation_timeout`; if as many have taken longer than that, the function is not run until one returns. In
    /// either case its last good content stays, and an event reports it.
    pub slow_evaluations_per_path: usize,
    /// How many passes over what a call may have changed may go beside another pass of the same session, and how many of
    /// them may wait for async functions. Default 8, at most 255. Beyond it, or with zero, they wait for that pass.
    pub side_turns_per_session: usize,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            blocking_calls: 128,
            blocking_calls_per_session: 16,
            blocking_calls_per_user: 32,
            async_evaluations: 256,
            pass_threads: std::thread::available_parallelism().map_or(2, usize::from),
            slow_evaluations: 64,
            slow_evaluations_per_path: 16,
            side_turns_per_session: 8,
        }
    }
}

impl Execution {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        permits("execution.blocking_calls", self.blocking_calls)?;
        permits("execution.blocking_calls_per_session", self.blocking_calls_per_session)?;
        permits("execution.blocking_calls_per_user", self.blocking_calls_per_user)?;
        permits("execution.async_evaluations", self.async_evaluations)?;
        permits("execution.pass_threads", self.pass_threads)?;
        at_most("execution.slow_evaluations", self.slow_evaluations, MOST_PERMITS, "must be at most 1,000,000")?;
        permits("execution.slow_evaluations_per_path", self.slow_evaluations_per_path)?;
        at_most("execution.side_turns_per_session", self.side_turns_per_session, MOST_SIDE_TURNS, "must be at most 255")
    }
}
