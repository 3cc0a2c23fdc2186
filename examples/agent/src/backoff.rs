//! When to reconnect after a lost connection.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The longest delay that a server may ask for.
const LONGEST_HINT: Duration = Duration::from_secs(300);

/// After a connection that lasted this long, the delays start over.
const STABLE: Duration = Duration::from_secs(10);

/// Delays that double, with jitter, so that not all agents of a server reconnect at once.
pub(crate) struct Backoff {
    delays: ExponentialBackoff,
    since: Instant,
    hint: Option<Duration>,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { delays: delays(), since: Instant::now(), hint: None }
    }

    /// A connection has been made.
    pub(crate) fn connected(&mut self) {
        self.since = Instant::now();
    }

    /// The server is shutting down and says after how many ms to reconnect.
    pub(crate) fn hint(&mut self, ms: u64) {
        self.hint = Some(Duration::from_millis(ms).min(LONGEST_HINT));
    }

    /// How long to wait now. `was_connected` says whether a connection was lost, rather than not made.
    pub(crate) fn next(&mut self, was_connected: bool) -> Duration {
        if was_connected && self.since.elapsed() >= STABLE {
            self.delays = delays();
        }
        let delay = self.delays.next().unwrap_or(LONGEST);
        self.hint.take().unwrap_or(delay)
    }
}

fn delays() -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST).with_jitter().without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(delay: Duration, from: Duration) -> bool {
        delay >= from && delay <= from * 2
    }

    #[tokio::test(start_paused = true)]
    async fn delays_double_up_to_half_a_minute_and_start_over_after_a_stable_connection() {
        let mut backoff = Backoff::new();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(is_near(backoff.next(false), Duration::from_secs(seconds)), "{seconds} s");
        }
        backoff.connected();
        tokio::time::advance(STABLE - Duration::from_millis(1)).await;
        assert!(is_near(backoff.next(true), LONGEST));
        backoff.connected();
        tokio::time::advance(STABLE).await;
        assert!(is_near(backoff.next(true), FIRST));
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_own_delay_is_used_once() {
        let mut backoff = Backoff::new();
        backoff.hint(7_000);
        assert_eq!(backoff.next(true), Duration::from_secs(7));
        backoff.hint(u64::MAX);
        assert_eq!(backoff.next(true), LONGEST_HINT);
        assert!(backoff.next(true) < LONGEST_HINT, "once");
    }
}
