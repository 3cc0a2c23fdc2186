//! The authentication of a session over time: a warning before its end, and the end.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::closer::Closer;
use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::model::session::Context;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::encoded_event::EncodedEvent;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::sync::{AtomicU64, Ordering};

/// How long the timer waits at most before it compares with the time of day again, in ms: somebody may have set that.
const LOOK_AHEAD_MS: u64 = 600_000;

/// How many sessions are looked at before other timers have their turn.
const AT_ONCE: usize = 256;

/// No timer.
const NEVER: u64 = u64::MAX;

/// Watches when authentications end. One timer serves all sessions: it waits for the first.
#[derive(Debug)]
pub(crate) struct Expiry {
    table: Arc<Table>,
    timers: Arc<TimerQueue<Timer>>,
    closer: Arc<Closer>,
    warning: Duration,
    /// When the timer fires, in ms.
    next_ms: AtomicU64,
}

impl Expiry {
    pub(crate) fn new(
        table: Arc<Table>,
        timers: Arc<TimerQueue<Timer>>,
        closer: Arc<Closer>,
        warning: Duration,
    ) -> Arc<Self> {
        Arc::new(Self { table, timers, closer, warning, next_ms: AtomicU64::new(NEVER) })
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
    pub(crate) fn watch(&self, slot: &Arc<Slot>) {
        // The clock may be the application's, so it is read without a lock.
        let now = self.now();
        let look_at = |context: &Context| {
            let at = context.expires_at()?;
            let warn_at = at.checked_sub(self.warning).filter(|warn_at| *warn_at > now);
            Some(day_ms_up(warn_at.unwrap_or(at)))
        };
        if let Some(earliest_ms) = self.table.look_at_expiry(slot, look_at) {
            self.schedule(earliest_ms);
        }
    }

    /// Makes sure that the timer fires when this time of day has come.
    fn schedule(&self, day_ms: u64) {
        // Read before the time of day: if time moves on between the two, it is looked at too early, and never too late.
        let now_ms = self.timers.now_ms();
        let left_ms = day_ms.saturating_sub(day_ms_down(self.now())).min(LOOK_AHEAD_MS);
        let at_ms = now_ms.saturating_add(left_ms);
        // Timers are never cancelled: one that was overtaken finds that another is due later.
        if self.next_ms.fetch_min(at_ms, Ordering::SeqCst) > at_ms {
            self.timers.at(at_ms, Timer::Expiries);
        }
    }

    /// A timer fired: ends sessions whose authentication ended, and warns the consumers of those that soon will (SEC13).
    pub(crate) fn look(&self) {
        if self.next_ms.load(Ordering::SeqCst) > self.timers.now_ms() {
            return;
        }
        self.next_ms.store(NEVER, Ordering::SeqCst);
        let due = self.table.take_due_expiries(day_ms_down(self.now()), AT_ONCE);
        due.iter().for_each(|slot| self.look_at(slot));
        if let Some(earliest_ms) = self.table.earliest_expiry_ms() {
            self.schedule(earliest_ms);
        }
    }

    fn look_at(&self, slot: &Arc<Slot>) {
        if self.is_expired(slot.context().expires_at()) {
            self.closer.close(slot, CloseReason::Expired);
            return;
        }
        self.warn(slot);
        self.watch(slot);
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

/// A time of day in whole ms, rounded down.
fn day_ms_down(at: SystemTime) -> u64 {
    millis(since_epoch(at))
}

/// A time of day in whole ms, rounded up.
fn day_ms_up(at: SystemTime) -> u64 {
    // The last number stands for "never".
    millis(since_epoch(at).saturating_add(Duration::from_nanos(999_999))).min(u64::MAX - 1)
}

fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}
