//! The clock of the machine.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Clock, Sleep};

/// Real time, from the start of the engine on.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, at_ms: u64) -> Sleep {
        Box::pin(tokio::time::sleep_until(self.start + Duration::from_millis(at_ms)))
    }
}
