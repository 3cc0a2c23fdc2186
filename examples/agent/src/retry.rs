//! When to try again after a loss.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// No server keeps us away for longer than this.
const LONGEST_HINT: Duration = Duration::from_secs(300);

/// A connection that lasted so long was a good one: the next loss starts with short waits again.
const STABLE: Duration = Duration::from_secs(10);

/// Waits that double, with a random part, so that not all agents of a server come back at once.
pub(crate) struct Retry {
    waits: ExponentialBackoff,
    since: Instant,
    hint: Option<Duration>,
}

impl Retry {
    pub(crate) fn new() -> Self {
        Self { waits: waits(), since: Instant::now(), hint: None }
    }

    /// There is a connection.
    pub(crate) fn connected(&mut self) {
        self.since = Instant::now();
    }

    /// The server goes away and says after how many ms to come back.
    pub(crate) fn hint(&mut self, ms: u64) {
        self.hint = Some(Duration::from_millis(ms).min(LONGEST_HINT));
    }

    /// How long to wait now; `had` says whether there was a connection that was lost.
    pub(crate) fn next(&mut self, had: bool) -> Duration {
        if had && self.since.elapsed() >= STABLE {
            self.waits = waits();
        }
        let wait = self.waits.next().unwrap_or(LONGEST);
        self.hint.take().unwrap_or(wait)
    }
}

fn waits() -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST).with_jitter().without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lies(wait: Duration, from: Duration) -> bool {
        wait >= from && wait <= from * 2
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_half_a_minute_and_start_again_after_a_connection_that_lasted() {
        let mut retry = Retry::new();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(lies(retry.next(false), Duration::from_secs(seconds)), "{seconds} s");
        }
        retry.connected();
        tokio::time::advance(STABLE - Duration::from_millis(1)).await;
        assert!(lies(retry.next(true), LONGEST));
        retry.connected();
        tokio::time::advance(STABLE).await;
        assert!(lies(retry.next(true), FIRST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_goes_away_says_when_to_come_back() {
        let mut retry = Retry::new();
        retry.hint(7_000);
        assert_eq!(retry.next(true), Duration::from_secs(7));
        retry.hint(u64::MAX);
        assert_eq!(retry.next(true), LONGEST_HINT);
        assert!(retry.next(true) < LONGEST_HINT, "once");
    }
}
