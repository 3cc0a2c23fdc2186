//! The authentication of a session over time: a warning before its end, and the end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::closer::Closer;
use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::model::session::Context;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::encoded_event::EncodedEvent;
use crate::sessions::slot::Slot;
use crate::sessions::timer::Timer;

/// How far ahead an expiry is scheduled. A longer life is looked at again then: none is too long, and a session that
/// ended early leaves its timer behind for no longer than this.
const LOOK_AHEAD: Duration = Duration::from_secs(600);

/// Watches when authentications end.
#[derive(Debug)]
pub(crate) struct Expiry {
    timers: Arc<TimerQueue<Timer>>,
    closer: Arc<Closer>,
    warning: Duration,
}

impl Expiry {
    pub(crate) fn new(timers: Arc<TimerQueue<Timer>>, closer: Arc<Closer>, warning: Duration) -> Arc<Self> {
        Arc::new(Self { timers, closer, warning })
    }

    /// The time of day.
    pub(crate) fn now(&self) -> SystemTime {
        self.timers.clock().wall()
    }

    /// Whether an authentication that ends then is over, whether the timer that closes the session is late or not.
    pub(crate) fn is_expired(&self, expires_at: Option<SystemTime>) -> bool {
        expires_at.is_some_and(|at| at <= self.now())
    }

    /// How long the authentication still holds; `None` is for good.
    pub(crate) fn time_left(&self, context: &Context) -> Option<Duration> {
        let at = context.expires_at()?;
        Some(at.duration_since(self.now()).unwrap_or_default())
    }

    /// Schedules the next look at a session: first to warn, then to end it.
    pub(crate) fn watch(&self, slot: &Arc<Slot>, context: &Context) {
        // Read before the time of day: if time moves on between the two, it is looked at too early, and never too late.
        let now_ms = self.timers.now_ms();
        let Some(left) = self.time_left(context) else { return };
        let left = if left > self.warning { left - self.warning } else { left };
        let at_ms = now_ms.saturating_add(millis(left.min(LOOK_AHEAD)));
        if slot.schedule_expiry(at_ms) {
            self.timers.at(at_ms, Timer::Expiry(Arc::downgrade(slot)));
        }
    }

    /// A timer fired: ends a session whose authentication ended; warns the consumers of one that soon will (SEC13).
    pub(crate) fn look(&self, slot: &Arc<Slot>) {
        if !slot.expiry_is_due(self.timers.now_ms()) {
            return;
        }
        let context = slot.context();
        if self.is_expired(context.expires_at()) {
            self.closer.close(slot, CloseReason::Expired);
            return;
        }
        self.warn(slot);
        self.watch(slot, &context);
    }

    /// Warns the consumers of a session that its authentication is about to end, if it is.
    pub(crate) fn warn(&self, slot: &Slot) {
        let Some(warning) = self.warning(&slot.context()) else { return };
        slot.links().iter().for_each(|link| link.notice(&warning));
    }

    /// What consumers are sent about an authentication that is about to end.
    pub(crate) fn warning(&self, context: &Context) -> Option<Arc<EncodedEvent>> {
        let left = self.time_left(context).filter(|left| *left <= self.warning)?;
        Some(EncodedEvent::own("session.expiring", Some(&serde_json::json!({ "expires_in_ms": millis(left) }))))
    }
}
