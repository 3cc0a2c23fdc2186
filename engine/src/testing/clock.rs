//! Time that stands still until the test moves it.

use std::time::{Duration, SystemTime};

use crate::clock::{Clock, Sleep};
use crate::sync::{AtomicU64, Ordering, Signal};

/// A clock that a test advances.
#[derive(Debug)]
pub struct ManualClock {
    shared: std::sync::Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    now_ms: AtomicU64,
    moved: Signal,
    start: SystemTime,
}

impl ManualClock {
    /// A clock that shows 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> std::sync::Arc<Self> {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let shared = Shared { now_ms: AtomicU64::new(0), moved: Signal::new(), start };
        std::sync::Arc::new(Self { shared: std::sync::Arc::new(shared) })
    }

    /// Moves time on. Whatever becomes due happens soon after; wait for it with
    /// [`Engine::settle`](crate::Engine::settle).
    pub fn advance(&self, ms: u64) {
        self.shared.now_ms.fetch_add(ms, Ordering::SeqCst);
        self.shared.moved.notify(usize::MAX);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.shared.now_ms.load(Ordering::SeqCst)
    }

    fn wall(&self) -> SystemTime {
        self.shared.start + Duration::from_millis(self.now_ms())
    }

    fn sleep_until(&self, at_ms: u64) -> Sleep {
        let shared = std::sync::Arc::clone(&self.shared);
        Box::pin(async move {
            loop {
                let moved = shared.moved.listen();
                if shared.now_ms.load(Ordering::SeqCst) >= at_ms {
                    return;
                }
                moved.await;
            }
        })
    }
}
