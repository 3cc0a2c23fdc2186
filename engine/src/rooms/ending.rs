//! How rooms end, and how what is left of them is removed.

use std::sync::Arc;

use super::ended_by::EndedBy;
use super::living::LivingRoom;
use super::opening;
use super::premises::Premises;
use super::refusal::has_ended;
use super::running::Running;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::record::{End, Record};
use crate::model::selector::Selector;
use crate::refresh::refresher::Urgency;
use crate::sessions::paths::Paths;
use crate::sessions::timer::Timer;

/// Ends rooms.
#[derive(Debug)]
pub(crate) struct Ending {
    premises: Arc<Premises>,
    running: Arc<Running>,
}

/// A room that ends as soon as its runs have.
#[derive(Debug)]
pub(crate) struct RoomEnding {
    running: Arc<Running>,
    living: Arc<LivingRoom>,
}

impl RoomEnding {
    /// Waits until it has ended.
    pub(crate) async fn wait(self) -> Result<Ended, ActionError> {
        self.running.wait_for_end(&self.living).await;
        let end = self.living.room.with(|record| record.end_of());
        let End { reason, duration_ms } = end.ok_or_else(has_ended)?;
        Ok(Ended { reason, duration_ms })
    }
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

impl Ending {
    pub(crate) const fn new(premises: Arc<Premises>, running: Arc<Running>) -> Self {
        Self { premises, running }
    }

    /// Ends a room, with one last event: at once, or as soon as its runs have ended. They are cancelled, and have 10 s.
    ///
    /// # Errors
    /// `conflict` if it has ended already, or is about to.
    pub(crate) fn begin(&self, living: &Arc<LivingRoom>, reason: EndReason, by: EndedBy) -> Result<(), ActionError> {
        if self.running.end_room(living, reason, by) { Ok(()) } else { Err(has_ended()) }
    }

    /// A room whose end has begun.
    pub(crate) fn of(&self, living: &Arc<LivingRoom>) -> RoomEnding {
        RoomEnding { running: Arc::clone(&self.running), living: Arc::clone(living) }
    }

    /// The access of a user was revoked, in one project or in all: the user's rooms end.
    pub(crate) fn owner_revoked(&self, project: Option<&str>, user: &str) {
        let owned = self.premises.directory.owned_by(project, user).into_iter();
        for living in owned.filter_map(|known| opening::living(&self.premises, known).ok()) {
            // Those that have ended already have.
            let _ = self.begin(&living, EndReason::Revoked, EndedBy::system());
        }
    }

    /// Makes sure that a room ends when its time to live expires.
    pub(crate) fn watch(&self, living: &LivingRoom) {
        let Some(at_ms) = living.room.with(|record| record.deadline_ms()) else { return };
        self.watch_until(living.room.id(), at_ms);
    }

    /// Makes sure that a room is looked at then.
    pub(crate) fn watch_until(&self, room: &Text, at_ms: u64) {
        let timer = self.premises.ends.lock().add(at_ms, room.clone());
        self.schedule(timer, Timer::RoomEnds);
    }

    /// The timer fired: ends the rooms whose time to live has expired. One in which somebody has said something since is
    /// looked at again later.
    pub(crate) fn end_due(&self) {
        let now_ms = self.premises.timers.now_ms();
        let due = self.premises.ends.lock().take_due(now_ms);
        for living in self.living(due) {
            let ends = self.running.take(&living, |work| {
                let is_due = work.record.deadline_ms().is_some_and(|at_ms| at_ms <= now_ms);
                if !is_due {
                    // Until now trees could show when it would have ended. A message alone changes none.
                    work.step.show();
                }
                is_due && work.end_room(EndReason::Timeout, EndedBy::system())
            });
            if !ends {
                self.watch(&living);
            }
        }
        let next = self.premises.ends.lock().next();
        self.schedule(next, Timer::RoomEnds);
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
        ids.into_iter().filter_map(|id| opening::room(&self.premises, &id).ok()).collect()
    }

    fn schedule(&self, at_ms: Option<u64>, timer: Timer) {
        if let Some(at_ms) = at_ms {
            self.premises.timers.at(at_ms, timer);
        }
    }
}
