//! How rooms end, and how what is left of them is removed.

use std::sync::Arc;

use super::directory::Known;
use super::ended_by::EndedBy;
use super::living::LivingRoom;
use super::opening;
use super::premises::Premises;
use super::refusal::has_ended;
use super::running::Running;
use super::unread::Wanted;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::record::{End, Record};
use crate::model::selector::Selector;
use crate::refresh::refresher::Urgency;
use crate::sessions::paths::Paths;
use crate::sessions::timer::Timer;
use crate::storage::store::Write;

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
        for known in self.premises.directory.owned_by(project, user) {
            let id = known.id().clone();
            match opening::living(&self.premises, known) {
                // Those that have ended already have.
                Ok(living) => drop(self.begin(&living, EndReason::Revoked, EndedBy::system())),
                Err(_) => self.try_later(&id, Wanted { is_revoked: true, ..Wanted::default() }),
            }
        }
    }

    /// A room cannot be read, and something has to be done in it: that is tried again.
    pub(super) fn try_later(&self, room: &Text, wanted: Wanted) {
        if self.premises.directory.get(room).is_some() {
            let pause_ms = self.premises.unread.lock().add(room, wanted);
            self.watch_until(room, self.premises.timers.now_ms().saturating_add(pause_ms));
        } else {
            // It is gone, and another room may get its id.
            self.premises.unread.lock().remove(room);
        }
    }

    /// Makes sure that a room ends when its time to live expires.
    pub(crate) fn watch(&self, living: &LivingRoom) {
        let Some(at_ms) = living.room.with(|record| record.deadline_ms()) else { return };
        self.watch_until(living.room.id(), at_ms);
    }

    /// Makes sure that a room is looked at then.
    pub(crate) fn watch_until(&self, room: &Text, at_ms: u64) {
        self.premises.watch_until(room, at_ms);
    }

    /// The timer fired: ends the rooms whose time to live has expired. One in which somebody has said something since is
    /// looked at again later.
    pub(crate) fn end_due(&self) {
        let now_ms = self.premises.timers.now_ms();
        let due = self.premises.ends.lock().take_due(now_ms);
        for room in due {
            match opening::room_in_which_something_is_due(&self.premises, &room) {
                Ok(living) => self.look_at(&living, now_ms),
                Err(_) => self.try_later(&room, Wanted::default()),
            }
        }
        let next = self.premises.ends.lock().next();
        self.schedule(next, Timer::RoomEnds);
    }

    /// Does what was wanted while the room could not be read, and ends it if it is due.
    fn look_at(&self, living: &Arc<LivingRoom>, now_ms: u64) {
        let wanted = self.premises.unread.lock().remove(living.room.id());
        if wanted.has_runs {
            self.running.resume(&[(Arc::clone(living), wanted.ending)]);
        }
        let ends = self.running.take(living, |work| {
            let is_due = work.record.deadline_ms().is_some_and(|at_ms| at_ms <= now_ms);
            if !is_due {
                // Until now trees could show when it would have ended. A message alone changes none.
                work.step.show();
            }
            let reason = if wanted.is_revoked { EndReason::Revoked } else { EndReason::Timeout };
            (is_due || wanted.is_revoked) && work.end_room(reason, EndedBy::system())
        });
        if !ends {
            self.watch(living);
        }
    }

    /// The timer fired: removes the rooms that ended a while ago.
    pub(crate) fn remove_due(&self) {
        let due = self.premises.removals.lock().take_due(self.premises.timers.now_ms());
        due.iter().for_each(|room| self.remove(room));
        let next = self.premises.removals.lock().next();
        self.schedule(next, Timer::RoomRemovals);
    }

    fn remove(&self, room: &str) {
        let mut known = self.premises.directory.get(room);
        while let Some(removed) = known {
            if self.is_removed(&removed) {
                return;
            }
            // It was put away or came back meanwhile.
            known = self.premises.directory.get(room);
        }
    }

    fn is_removed(&self, known: &Known) -> bool {
        let is_kept = match known {
            Known::Living(living) => living.kept.is_some(),
            Known::Away(_) => true,
        };
        if is_kept && self.premises.journal.survives() {
            // Before somebody creates another room with its id.
            self.premises.journal.write(Write::Remove { room: known.id().clone() });
        }
        if !self.premises.directory.remove(known) {
            return false;
        }
        self.premises.ended.subtract(1);
        // Nothing is to be done in another room that gets its id.
        self.premises.unread.lock().remove(known.id());
        if let Known::Living(living) = known {
            // Whoever decides about a role meanwhile finds that it has to decide again.
            living.room.with(Record::roles_changed);
            let viewers = self.premises.table.select(&Selector::RoomViewers(living.room.id().clone()));
            for slot in viewers {
                self.premises.table.edit_memberships(&slot, |held| held.without(&living.room));
                self.premises.refresher.request_session(&slot, &Paths::All, Urgency::Debounced);
            }
        }
        true
    }

    fn schedule(&self, at_ms: Option<u64>, timer: Timer) {
        if let Some(at_ms) = at_ms {
            self.premises.timers.at(at_ms, timer);
        }
    }
}
