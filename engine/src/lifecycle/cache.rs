//! Evicts cached texts that nobody used for a while.

use std::sync::Arc;

use crate::clock::timer_queue::TimerQueue;
use crate::deliver::delivery::Delivery;
use crate::sessions::timer::Timer;
use crate::sync::{AtomicBool, Ordering};

/// How long a cached text may go unused, in ms; at most twice as long.
const UNUSED_MS: u64 = 1_000;

/// Sweeps the memo of encoded texts as long as there is anything in it.
#[derive(Debug)]
pub(crate) struct CacheSweeper {
    delivery: Arc<Delivery>,
    timers: Arc<TimerQueue<Timer>>,
    /// Whether a timer will sweep.
    scheduled: AtomicBool,
}

impl CacheSweeper {
    pub(crate) fn new(delivery: Arc<Delivery>, timers: Arc<TimerQueue<Timer>>) -> Arc<Self> {
        Arc::new(Self { delivery, timers, scheduled: AtomicBool::new(false) })
    }

    /// Texts may have been cached.
    pub(crate) fn schedule(&self) {
        if !self.scheduled.load(Ordering::Relaxed) && !self.scheduled.swap(true, Ordering::SeqCst) {
            self.timers.at(self.timers.now_ms().saturating_add(UNUSED_MS), Timer::SweepCache);
        }
    }

    /// A timer fired: evicts what was not used since the last sweep.
    pub(crate) fn sweep(&self) {
        self.scheduled.store(false, Ordering::SeqCst);
        if self.delivery.forget_unused() {
            self.schedule();
        }
    }

    /// Nobody is left to whom a cached text could be sent.
    pub(crate) fn clear(&self) {
        self.delivery.clear_caches();
    }
}
