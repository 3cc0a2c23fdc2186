//! The only place in this crate that reads the clocks of the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Measures time from the moment it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn elapsed_us(self) -> f64 {
        self.elapsed().as_secs_f64() * 1e6
    }
}

/// The time of day in us since 1970, on which all processes of one machine agree.
#[expect(clippy::disallowed_methods, reason = "a change is made in one process and observed in another")]
pub(crate) fn time_of_day_us() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}
