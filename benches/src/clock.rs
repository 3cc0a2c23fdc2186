//! A clock that stands still until it is moved: an hour without anybody takes no hour to measure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use grove_engine::Clock;
use grove_engine::Sleep;
use tokio::sync::watch;

/// Time as the bench says it is.
#[derive(Debug)]
pub(crate) struct HeldClock {
    now_ms: watch::Sender<u64>,
}

impl HeldClock {
    pub(crate) fn new() -> Self {
        Self { now_ms: watch::Sender::new(0) }
    }

    /// Lets time pass. Whoever slept until then wakes.
    pub(crate) fn advance(&self, by_ms: u64) {
        self.now_ms.send_modify(|now_ms| *now_ms += by_ms);
    }
}

impl Clock for HeldClock {
    fn now_ms(&self) -> u64 {
        *self.now_ms.borrow()
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.now_ms())
    }

    fn sleep_until(&self, at_ms: u64) -> Sleep {
        let mut watch = self.now_ms.subscribe();
        Box::pin(async move {
            // The sender is gone only with the clock; then nobody waits for it any more.
            let _ = watch.wait_for(|now_ms| *now_ms >= at_ms).await;
        })
    }
}
