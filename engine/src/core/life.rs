//! The life of a session: opened, renewed, idle, expired, revoked, forgotten.

use std::sync::Arc;
use std::time::Duration;

use super::{Core, Timer};
use crate::clock::millis;
use crate::config::Limit;
use crate::deliver::subscription::ResumePoint;
use crate::error::ConnectError;
use crate::event::Event;
use crate::model::Text;
use crate::model::session::{Context, Session};
use crate::protocol::close_reason::CloseReason;
use crate::refresh::scope::Scope;
use crate::session_provider;
use crate::sessions::revocations::Revocation;
use crate::sessions::slot::Slot;
use crate::sessions::table::Idle;

/// How far ahead an expiry is put on the timers. A longer life is looked at again then: none is too long, and a session
/// that ended early leaves its entry behind for no longer than this.
const LOOK_AHEAD: Duration = Duration::from_secs(600);

impl Core {
    /// Finds or makes the place of a session, with the claims that hold from now on.
    pub(crate) fn open(&self, session: &Session) -> Result<Arc<Slot>, ConnectError> {
        let context = session.context();
        self.check_access(context)?;
        let opened = self.find_or_make(context)?;
        if self.revocations.contains(context) {
            self.close_slot(&opened.slot, CloseReason::Revoked);
            return Err(ConnectError::Revoked);
        }
        let changed = opened.before.as_ref().is_some_and(|before| !before.same_claims(context));
        if opened.new || changed {
            self.make_instance(&opened.slot, session)?;
        }
        if opened.new {
            self.observers.emit(|| Event::SessionOpened { session: context.id().clone() });
            self.watch_idle(&opened.slot);
        }
        if changed {
            // If nobody is connected, whoever comes next shall not see what the old claims allowed, not even for a moment.
            if opened.slot.drop_tree() {
                self.table.not_idle(&opened.slot, Idle::Tree);
            }
            self.refresh(&Scope::session(context.id().clone()));
        }
        self.watch_expiry(&opened.slot, context);
        if opened.before.is_some_and(|before| before.expires_at() != context.expires_at()) {
            // A short extension may end within the time of the warning.
            self.warn_of_expiry(&opened.slot);
        }
        Ok(opened.slot)
    }

    /// In provider-per-session mode, makes what this session registers. A session for which that fails is forgotten.
    fn make_instance(&self, slot: &Arc<Slot>, session: &Session) -> Result<(), ConnectError> {
        let Some(factory) = &self.factory else { return Ok(()) };
        let untracked = Session::untracked(Arc::clone(session.context()));
        let Some(mut sources) = session_provider::make(factory, &untracked, &self.observers) else {
            self.close_slot(slot, CloseReason::ProviderFailed);
            return Err(ConnectError::ProviderFailed);
        };
        for (path, source) in &mut sources {
            self.passes.runs.count(path, source);
        }
        let sources = sources.into_iter().map(|(path, source)| (path, Arc::new(source))).collect();
        if slot.set_instance(session.context(), sources) {
            self.want_tree(slot);
        }
        Ok(())
    }

    /// Makes a session's instance anew. False if no session has that id.
    pub(crate) fn remake_instance(&self, id: &str) -> Result<bool, ConnectError> {
        let Some(slot) = self.table.get(id) else { return Ok(false) };
        self.make_instance(&slot, &slot.session())?;
        self.refresh(&Scope::session(slot.context().id().clone()));
        Ok(true)
    }

    fn watch_expiry(&self, slot: &Arc<Slot>, context: &Context) {
        // Read before the time of day: if time moves on between the two, it is looked at too early, and never too late.
        let now_ms = self.now_ms();
        let Some(left) = self.time_left(context) else { return };
        // First to warn, then to end.
        let left = if left > self.warning() { left - self.warning() } else { left };
        let left_ms = u64::try_from(left.min(LOOK_AHEAD).as_millis()).unwrap_or(u64::MAX);
        let at_ms = now_ms.saturating_add(left_ms);
        if slot.watch_expiry(at_ms) {
            self.timers.at(at_ms, Timer::Expiry(Arc::downgrade(slot)));
        }
    }

    /// Ends a session whose authentication ended; tells the consumers of one that soon will (SEC13).
    pub(super) fn expire(&self, slot: &Arc<Slot>) {
        let context = slot.context();
        if self.is_expired(context.expires_at()) {
            self.close_slot(slot, CloseReason::Expired);
            return;
        }
        self.warn_of_expiry(slot);
        self.watch_expiry(slot, &context);
    }

    /// Ends all sessions that a revocation means, and keeps them out.
    pub(crate) fn revoke(&self, revocation: &Revocation) -> usize {
        // Barred before it looks who is there: whoever opens a session meanwhile looks again afterwards.
        if self.revocations.add(revocation) {
            self.observers.warn(&Event::LimitReached { limit: Limit::Revocations, session: Text::default() });
        }
        let slots = self.table.select(revocation.selector());
        let close = |slot: &Arc<Slot>| self.close_slot(slot, CloseReason::Revoked);
        let sessions = slots.iter().filter(|slot| close(slot)).count();
        self.observers.warn(&Event::Revoked { whom: revocation.selector().clone(), sessions });
        sessions
    }

    /// A connection ended: for a while its subscriptions may go on where they stood.
    pub(crate) fn keep(&self, slot: &Arc<Slot>, kept: Vec<ResumePoint>) {
        if kept.is_empty() || millis(self.config.times.resume_window) == 0 {
            return;
        }
        let until_ms = self.now_ms().saturating_add(millis(self.config.times.resume_window));
        let (first, forgotten) = slot.keep(kept, self.config.limits.resume_points_per_session, until_ms);
        if first {
            self.timers.at(until_ms, Timer::ResumePoint(Arc::downgrade(slot)));
        }
        if forgotten > 0 {
            let session = slot.context().id().clone();
            self.observers.emit(|| Event::ResumePointsEvicted { session, subscriptions: forgotten });
        }
    }

    /// Forgets a session and ends its connections. False if it is not open.
    pub(crate) fn close_session(&self, id: &str, reason: CloseReason) -> bool {
        self.table.get(id).is_some_and(|slot| self.close_slot(&slot, reason))
    }

    pub(crate) fn close_slot(&self, slot: &Arc<Slot>, reason: CloseReason) -> bool {
        let removed = self.table.remove(slot, |_| true);
        if removed {
            self.end_slot(slot, reason);
        }
        removed
    }

    /// Ends whatever a session had that the table does not know any more.
    pub(super) fn end_slot(&self, slot: &Arc<Slot>, reason: CloseReason) {
        let closed = slot.close();
        closed.tasks.iter().for_each(|task| task.cancel());
        for link in closed.links {
            link.end(reason);
        }
        self.observers.emit(|| Event::SessionClosed { session: slot.context().id().clone(), reason });
    }
}
