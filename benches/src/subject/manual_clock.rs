//! A clock that advances only when it is told to, so that the expiry of an idle session takes no time to measure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use grove_engine::Clock;
use grove_engine::Sleep;
use tokio::sync::watch;

/// Time under the control of the benchmark.
#[derive(Debug)]
pub(crate) struct ManualClock {
    now_ms: watch::Sender<u64>,
}

impl ManualClock {
    pub(super) fn new() -> Self {
        Self { now_ms: watch::Sender::new(0) }
    }

    /// Advances time and wakes all sleepers that are due.
    pub(crate) fn advance(&self, by_ms: u64) {
        self.now_ms.send_modify(|now_ms| *now_ms += by_ms);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        *self.now_ms.borrow()
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.now_ms())
    }

    fn sleep_until(&self, at_ms: u64) -> Sleep {
        let mut watch = self.now_ms.subscribe();
        Box::pin(async move {
            // The sender is dropped only with the clock, when no one needs the result any more.
            let _ = watch.wait_for(|now_ms| *now_ms >= at_ms).await;
        })
    }
}
