//! The one place of the bench that looks at the machine's clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Instant);

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn elapsed_us(self) -> f64 {
        self.elapsed().as_secs_f64() * 1e6
    }
}

/// The time of day in us since 1970: two processes of one machine agree on it.
#[expect(clippy::disallowed_methods, reason = "a change is made in one process and seen in another")]
pub(crate) fn time_of_day_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
