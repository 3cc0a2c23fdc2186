//! How rooms end, and how what is left of them is removed.

use std::sync::Arc;

use super::living::LivingRoom;
use super::premises::Premises;
use super::refusal::has_ended;
use super::step::{Draft, Step};
use crate::clock::millis;
use crate::error::ActionError;
use crate::event::Event;
use crate::model::Text;
use crate::model::room::event::{self, Actor, EventKind};
use crate::model::room::memory::Memory;
use crate::model::room::record::{End, EndReason, Record};
use crate::model::selector::Selector;
use crate::refresh::refresher::Urgency;
use crate::sessions::paths::Paths;
use crate::sessions::timer::Timer;

/// Ends rooms.
#[derive(Debug)]
pub(crate) struct Ending {
    premises: Arc<Premises>,
}

/// How a room ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// How long the room was, in ms.
    pub duration_ms: u64,
}

/// Who ends a room, and with which words.
#[derive(Debug, Clone)]
pub(crate) struct EndedBy<'n> {
    pub(crate) actor: Actor,
    pub(crate) note: Option<&'n str>,
}

impl EndedBy<'_> {
    /// Nobody but the engine, or the application.
    pub(crate) fn system() -> Self {
        Self { actor: Actor::system(), note: None }
    }
}

impl Ending {
    pub(crate) const fn new(premises: Arc<Premises>) -> Self {
        Self { premises }
    }

    /// Ends a room, with one last event.
    ///
    /// # Errors
    /// `conflict` if it has ended already.
    pub(crate) fn end(
        &self,
        living: &Arc<LivingRoom>,
        reason: EndReason,
        by: EndedBy<'_>,
    ) -> Result<Ended, ActionError> {
        let ended = Step::take(&self.premises, living, |step, record| end_in(step, record, living, (reason, by)));
        let End { reason, duration_ms } = ended.ok_or_else(has_ended)?;
        self.remove_later(living);
        Ok(Ended { reason, duration_ms })
    }

    /// The access of a user was revoked, in one project or in all: the user's rooms end.
    pub(crate) fn owner_revoked(&self, project: Option<&str>, user: &str) {
        for living in self.premises.directory.owned_by(project, user) {
            // Those that have ended already have.
            let _ = self.end(&living, EndReason::Revoked, EndedBy::system());
        }
    }

    /// Makes sure that a room ends when its time to live expires.
    pub(crate) fn watch(&self, living: &LivingRoom) {
        let Some(at_ms) = living.room.with(|record| record.deadline_ms()) else { return };
        let timer = self.premises.ends.lock().add(at_ms, living.room.id().clone());
        self.schedule(timer, Timer::RoomEnds);
    }

    /// The timer fired: ends the rooms whose time to live has expired. One in which somebody has said something since is
    /// looked at again later.
    pub(crate) fn end_due(&self) {
        let now_ms = self.premises.timers.now_ms();
        let due = self.premises.ends.lock().take_due(now_ms);
        for living in self.living(due) {
            let expired = Step::take(&self.premises, &living, |step, record| {
                let is_due = record.deadline_ms().is_some_and(|at_ms| at_ms <= now_ms);
                if !is_due {
                    // Until now trees could show when it would have ended. A message alone changes none.
                    step.show();
                }
                is_due.then(|| end_in(step, record, &living, (EndReason::Timeout, EndedBy::system())))
            });
            match expired.flatten() {
                Some(_) => self.remove_later(&living),
                None => self.watch(&living),
            }
        }
        let next = self.premises.ends.lock().next();
        self.schedule(next, Timer::RoomEnds);
    }

    fn remove_later(&self, living: &LivingRoom) {
        self.premises.ended.add(1);
        self.premises.ends.lock().remove(living.room.id());
        let keep_ms = millis(self.premises.limits.ended_room_retention);
        let at_ms = self.premises.timers.now_ms().saturating_add(keep_ms);
        let timer = self.premises.removals.lock().add(at_ms, living.room.id().clone());
        self.schedule(timer, Timer::RoomRemovals);
    }

    /// The timer fired: removes the rooms that ended a while ago.
    pub(crate) fn remove_due(&self) {
        let due = self.premises.removals.lock().take_due(self.premises.timers.now_ms());
        self.living(due).iter().for_each(|living| self.remove(living));
        let next = self.premises.removals.lock().next();
        self.schedule(next, Timer::RoomRemovals);
    }

    fn remove(&self, living: &Arc<LivingRoom>) {
        if !self.premises.directory.remove(living) {
            return;
        }
        self.premises.ended.subtract(1);
        // Whoever decides about a role meanwhile finds that it has to decide again.
        living.room.with(Record::roles_changed);
        let viewers = self.premises.table.select(&Selector::RoomViewers(living.room.id().clone()));
        for slot in viewers {
            self.premises.table.edit_memberships(&slot, |held| held.without(&living.room));
            self.premises.refresher.request_session(&slot, &Paths::All, Urgency::Debounced);
        }
    }

    fn living(&self, ids: Vec<Text>) -> Vec<Arc<LivingRoom>> {
        ids.into_iter().filter_map(|id| self.premises.directory.get(&id)).collect()
    }

    fn schedule(&self, at_ms: Option<u64>, timer: Timer) {
        if let Some(at_ms) = at_ms {
            self.premises.timers.at(at_ms, timer);
        }
    }
}

/// Ends a room that is locked: its last event goes to all who are there, and then nobody is.
fn end_in(
    step: &mut Step<'_>,
    record: &mut Record,
    living: &LivingRoom,
    (reason, by): (EndReason, EndedBy<'_>),
) -> Option<End> {
    let kept = record.memory().map_or(0, Memory::bytes);
    let (end, seq) = record.end(reason, step.at().now_ms)?;
    step.forget(kept);
    let body = event::ended(reason, end.duration_ms, by.note);
    let user = by.actor.user.clone();
    let kind = EventKind::RoomEnded;
    step.send(Draft { kind, seq: Some(seq), actor: by.actor, trace_id: None, call_id: None, body });
    step.clear();
    let (room, project) = (living.room.id().clone(), living.room.project().clone());
    step.report(Event::RoomClosed { room, project, reason, duration_ms: end.duration_ms, user });
    Some(end)
}
