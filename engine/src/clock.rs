//! The one source of time, and the one wheel on which everything waits.

pub(crate) mod system;
pub(crate) mod timer_queue;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// A future that ends at some time.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from. Tests bring a clock of their own (feature `testing`).
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since some fixed moment; never goes back.
    fn now_ms(&self) -> u64;

    /// The time of day, for expiries.
    fn wall(&self) -> SystemTime;

    /// Ends when [`Clock::now_ms`] has reached `at_ms`.
    fn sleep_until(&self, at_ms: u64) -> Sleep;
}

/// A duration as the engine counts it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
