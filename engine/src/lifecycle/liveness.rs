//! Whether peers are alive and accept what they are sent.

use std::sync::Arc;

use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::Times;
use crate::deliver::link::{AbortReason, Link};
use crate::sessions::timer::Timer;

/// How long a connection that was replaced has to deliver its last messages, in ms. Then its socket is dropped: most are
/// dead.
const CLOSE_GRACE_MS: u64 = 5_000;

/// Which part of the interval is soon.
const SOON: u64 = 16;

/// Pings silent peers, and gives up dead ones.
#[derive(Debug)]
pub(crate) struct Liveness {
    timers: Arc<TimerQueue<Timer>>,
    ping_ms: u64,
    silence_ms: u64,
}

impl Liveness {
    pub(crate) fn new(timers: Arc<TimerQueue<Timer>>, times: &Times) -> Arc<Self> {
        Arc::new(Self { timers, ping_ms: millis(times.ping_interval), silence_ms: millis(times.silence_timeout) })
    }

    /// Watches a new connection.
    pub(crate) fn watch(&self, link: &Arc<Link>) {
        self.watch_at(link, self.timers.now_ms().saturating_add(self.ping_ms));
    }

    fn watch_at(&self, link: &Arc<Link>, at_ms: u64) {
        self.timers.at(at_ms, Timer::CheckLiveness(Arc::downgrade(link)));
    }

    /// A timer fired: pings the peer if it is silent, or gives it up.
    pub(crate) fn check(&self, link: &Arc<Link>) {
        let now_ms = self.timers.now_ms();
        let silent = now_ms.saturating_sub(link.heard_ms());
        let stalled = link.writing_since().map_or(0, |since| now_ms.saturating_sub(since));
        if silent >= self.silence_ms {
            link.abort(AbortReason::Silent);
        } else if stalled >= self.silence_ms {
            link.abort(AbortReason::Slow);
        } else {
            // Soon counts as now, so that a peer that answers pings is looked at once for each.
            let is_due = silent.saturating_add(self.ping_ms / SOON) >= self.ping_ms;
            if is_due {
                link.ping();
            }
            // From its last sign of life on: a look that comes a little early is not made up for by one that comes much too late.
            let limit_ms = if is_due { self.silence_ms } else { self.ping_ms };
            let due_ms = link.heard_ms().saturating_add(limit_ms).max(now_ms + 1);
            self.watch_at(link, due_ms.min(now_ms.saturating_add(self.ping_ms)));
        }
    }

    /// Gives a connection that was ended a little time, then drops it.
    pub(crate) fn abort_soon(&self, link: &Arc<Link>) {
        let at_ms = self.timers.now_ms().saturating_add(CLOSE_GRACE_MS);
        self.timers.at(at_ms, Timer::Abort(Arc::downgrade(link)));
    }
}
