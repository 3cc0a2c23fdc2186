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
        let at_ms = self.timers.now_ms().saturating_add(self.ping_ms);
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
            if silent >= self.ping_ms {
                link.ping();
            }
            self.watch(link);
        }
    }

    /// Gives a connection that was ended a little time, then drops it.
    pub(crate) fn abort_soon(&self, link: &Arc<Link>) {
        let at_ms = self.timers.now_ms().saturating_add(CLOSE_GRACE_MS);
        self.timers.at(at_ms, Timer::Abort(Arc::downgrade(link)));
    }
}
