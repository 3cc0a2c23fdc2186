//! How long a consumer waits before its next attempt to connect.

use std::time::Duration;

/// Upper bounds of the first wait and of any wait, in ms.
const FIRST_MS: u64 = 100;
const LONGEST_MS: u64 = 2_000;

/// Exponential backoff with full jitter, so that consumers that were disconnected together do not reconnect together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
    requested_ms: Option<u64>,
}

impl Backoff {
    /// The server requested this wait before the first attempt.
    pub(super) fn request(&mut self, retry_in_ms: u64) {
        self.requested_ms = Some(retry_in_ms);
    }

    /// The connection is established.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn next(&mut self, random: &mut fastrand::Rng) -> Duration {
        if let Some(requested_ms) = self.requested_ms.take() {
            return Duration::from_millis(requested_ms);
        }
        let at_most = LONGEST_MS.min(FIRST_MS << self.attempts.min(10));
        self.attempts += 1;
        Duration::from_millis(random.u64(..=at_most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_that_the_server_requested_comes_first_and_only_once() {
        let (mut backoff, mut random) = (Backoff::default(), fastrand::Rng::with_seed(1));
        backoff.request(5_000);
        assert_eq!(backoff.next(&mut random), Duration::from_millis(5_000));
        for attempt in 0..40 {
            let wait = backoff.next(&mut random);
            assert!(wait <= Duration::from_millis(LONGEST_MS.min(FIRST_MS << attempt.min(10))), "{attempt}: {wait:?}");
        }
    }
}
