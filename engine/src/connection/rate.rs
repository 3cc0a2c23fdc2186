//! How often one peer may send a message.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Clock;

type Limiter = RateLimiter<NotKeyed, InMemoryState, RateClock, NoOpMiddleware<Duration>>;

/// The rate limiter of one connection.
#[derive(Debug)]
pub(super) struct Rate(Limiter);

/// The engine's clock, for the rate limiter.
#[derive(Debug, Clone)]
struct RateClock(Arc<dyn Clock>);

impl Rate {
    pub(super) fn new(per_second: NonZeroU32, clock: Arc<dyn Clock>) -> Self {
        Self(RateLimiter::direct_with_clock(Quota::per_second(per_second), RateClock(clock)))
    }

    /// Counts one message; false if it came too soon.
    pub(super) fn admits(&self) -> bool {
        self.0.check().is_ok()
    }
}

impl GovernorClock for RateClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now_ms())
    }
}
