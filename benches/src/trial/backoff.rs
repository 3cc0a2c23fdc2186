//! How long somebody waits before the next attempt to connect.

use std::time::Duration;

/// The longest wait of the first attempt, in ms, and of the last.
const FIRST_MS: u64 = 100;
const LAST_MS: u64 = 2_000;

/// Waits that double and are shortened by chance, so that those who were cut off together do not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
    asked_ms: Option<u64>,
}

impl Backoff {
    /// The server asked for this wait before the first attempt.
    pub(super) fn ask(&mut self, retry_in_ms: u64) {
        self.asked_ms = Some(retry_in_ms);
    }

    /// It is connected again.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn next(&mut self, random: &mut fastrand::Rng) -> Duration {
        if let Some(asked_ms) = self.asked_ms.take() {
            return Duration::from_millis(asked_ms);
        }
        let at_most = LAST_MS.min(FIRST_MS << self.attempts.min(10));
        self.attempts += 1;
        Duration::from_millis(random.u64(..=at_most))
    }
}
