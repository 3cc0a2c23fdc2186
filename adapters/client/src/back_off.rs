//! How long to wait before the next attempt to connect.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that double up to 30 s, with jitter: a server that comes back is not met by everybody at once.
#[derive(Debug)]
pub struct BackOff {
    first: Duration,
    failures: u32,
}

impl BackOff {
    /// The first pause is half of this to all of it.
    #[must_use]
    pub const fn starting_at(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// It worked: the next pause is the first one again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Trying again soon is of no use: the next pause is the longest.
    pub const fn exhaust(&mut self) {
        self.failures = u32::MAX;
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let pause = pause(self.first, self.failures, RandomState::new().hash_one(self.failures));
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

/// From half of the doubled pause to all of it. `random` is any number.
fn pause(first: Duration, failures: u32, random: u64) -> Duration {
    let doubled = first.saturating_mul(1 << failures.min(16)).min(LONGEST);
    let half = doubled / 2;
    half + Duration::from_micros(random % (u64::try_from(half.as_micros()).unwrap_or(u64::MAX) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_30_s_and_differ_by_half() {
        const FIRST: Duration = Duration::from_millis(100);
        let ms = |failures, random| pause(FIRST, failures, random).as_millis();
        assert_eq!((ms(0, 0), ms(0, 50_000), ms(1, 0), ms(2, 0)), (50, 100, 100, 200));
        for random in [0, 1, 12_345, u64::MAX] {
            assert!((15_000..=30_000).contains(&ms(1_000, random)));
        }
        let mut back_off = BackOff::starting_at(FIRST);
        for _ in 0..40 {
            back_off.next_pause();
        }
        back_off.reset();
        assert!(back_off.next_pause() <= FIRST);
        back_off.exhaust();
        assert!(back_off.next_pause() >= LONGEST / 2 && back_off.next_pause() >= LONGEST / 2);
    }
}
