//! When what happened in rooms is durable, and what is said while it cannot be.

use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};

use super::living::LivingRoom;
use super::premises::Premises;
use super::refusal::busy;
use super::step::Step;
use crate::clock::millis;
use crate::config::Limit;
use crate::error::ActionError;
use crate::event::Event;
use crate::model::Text;
use crate::model::room::event::{self, EventKind};
use crate::sessions::timer::Timer;
use crate::storage::store::Write;
use crate::storage::writer::{Health, HealthObserver};
use crate::sync::Ordering;

/// How long it takes until a commit that failed is tried again, in ms.
const RETRY_MS: u64 = 500;

/// How often it is looked for what has been kept for long enough, in ms.
const LOOK_MS: u64 = 3_600_000;

/// Knows when what happened in rooms is durable.
#[derive(Debug)]
pub(crate) struct Durability {
    premises: Arc<Premises>,
}

/// Tells those who are in rooms that are kept when what happens there cannot be written, and when it can again.
pub(super) fn observer(premises: Weak<Premises>) -> HealthObserver {
    Box::new(move |health| {
        if let Some(premises) = premises.upgrade() {
            health_changed(&premises, health);
        }
    })
}

fn health_changed(premises: &Arc<Premises>, health: Health) {
    let now_ms = premises.now().unix_ms.max(1);
    match health {
        Health::Failing(why) => {
            premises.degraded_since_ms.store(now_ms, Ordering::Relaxed);
            // Before anybody is told: whoever is may let time pass.
            premises.timers.at(premises.timers.now_ms().saturating_add(RETRY_MS), Timer::StorageRetry);
            premises.observers.warn(&Event::StorageFailed { why: why.to_string() });
            tell_all(premises, EventKind::RoomDegraded, now_ms);
        }
        Health::Fine => {
            let since_ms = premises.degraded_since_ms.swap(0, Ordering::Relaxed);
            premises.observers.warn(&Event::StorageRecovered { after_ms: now_ms.saturating_sub(since_ms) });
            tell_all(premises, EventKind::RoomRecovered, since_ms);
        }
    }
}

/// Tells all who are in rooms that are kept. Whoever joins meanwhile is told by joining.
fn tell_all(premises: &Premises, kind: EventKind, since_ms: u64) {
    for living in premises.directory.all().iter().filter(|living| living.kept.is_some()) {
        Step::take(premises, living, |step, _| step.tell(kind, event::degraded(since_ms), None));
    }
}

/// Whether nothing more may be written in a room, since too much waits.
pub(super) fn is_full(premises: &Premises, living: &LivingRoom) -> bool {
    living.kept.is_some() && premises.journal.waiting_bytes() > premises.limits.unwritten_bytes
}

/// Whether something more may be written in a room.
pub(super) fn check_writable(premises: &Premises, living: &LivingRoom, session: &Text) -> Result<(), ActionError> {
    if is_full(premises, living) {
        premises.limit_reached(Limit::UnwrittenBytes, session);
        return Err(busy("too much waits to be kept"));
    }
    Ok(())
}

/// Ends when everything that has happened up to now is durable.
///
/// # Errors
/// `busy` if that takes too long.
pub(super) fn all_durable(premises: &Premises) -> BoxFuture<'static, Result<(), ActionError>> {
    let mut confirmed = premises.journal.confirmed();
    let late = || busy("this was done, and is not durable yet: what happens in rooms cannot be written now");
    if let Some(confirmed) = confirmed.as_mut().now_or_never() {
        return std::future::ready(confirmed.map_err(|_| late())).boxed();
    }
    let timeout_ms = millis(premises.limits.durable_timeout);
    let until_ms = premises.timers.now_ms().saturating_add(timeout_ms);
    let timeout = premises.timers.clock().sleep_until(until_ms);
    let waited = async move {
        match select(confirmed, timeout).await {
            Either::Left((confirmed, _)) => confirmed.map_err(|_| late()),
            Either::Right(_) => Err(late()),
        }
    };
    waited.boxed()
}

/// Ends when everything that has happened in a room up to now is durable. Of a room that is not kept, nothing is.
pub(super) fn durable(premises: &Premises, living: &LivingRoom) -> BoxFuture<'static, Result<(), ActionError>> {
    if living.kept.is_some() { all_durable(premises) } else { std::future::ready(Ok(())).boxed() }
}

impl Durability {
    pub(crate) fn new(premises: Arc<Premises>) -> Self {
        premises.timers.at(premises.timers.now_ms().saturating_add(LOOK_MS), Timer::Retention);
        Self { premises }
    }

    /// The same for a room that may be gone: one that was removed already may have been kept.
    pub(crate) fn durable(&self, living: Option<&LivingRoom>) -> BoxFuture<'static, Result<(), ActionError>> {
        living.map_or_else(|| all_durable(&self.premises), |living| durable(&self.premises, living))
    }

    /// The timer fired: what could not be written may be by now.
    pub(crate) fn retry(&self) {
        if self.premises.degraded_since_ms().is_some() {
            self.premises.journal.retry();
            self.premises.timers.at(self.premises.timers.now_ms().saturating_add(RETRY_MS), Timer::StorageRetry);
        }
    }

    /// The timer fired: events and archives may have been kept for long enough.
    pub(crate) fn purge_due(&self) {
        let now_ms = self.premises.now().unix_ms;
        for living in self.premises.directory.all() {
            if let Some(kept) = &living.kept {
                living.room.with(|_| kept.age().purge(&self.premises.journal, living.room.id(), now_ms));
            }
        }
        for away in self.premises.directory.all_away() {
            away.age.purge(&self.premises.journal, &away.id, now_ms);
        }
        let before_ms = now_ms.saturating_sub(millis(self.premises.limits.archive_retention));
        self.premises.journal.write(Write::PurgeArchives { before_ms });
        self.premises.timers.at(self.premises.timers.now_ms().saturating_add(LOOK_MS), Timer::Retention);
    }
}
