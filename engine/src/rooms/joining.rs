//! How sessions join rooms and leave them, and how they are shown meanwhile.

use std::sync::Arc;

use super::durability::check_writable;
use super::living::LivingRoom;
use super::premises::Premises;
use super::refusal::{has_ended, refused};
use super::roles::check_names;
use super::step::{Draft, Step};
use super::stored_room;
use crate::config::Limit;
use crate::error::ActionError;
use crate::event::Event;
use crate::model::Text;
use crate::model::room::event::{self, EventKind};
use crate::model::room::leave_reason::LeaveReason;
use crate::model::room::memberships::Memberships;
use crate::model::room::participant::{Participant, ParticipantKind, Presence, Status};
use crate::model::room::record::{Changed, Record, Refusal};
use crate::model::room::role::Role;
use crate::model::session::Context;
use crate::protocol::close_reason::CloseReason;
use crate::sessions::slot::Slot;
use crate::storage::room_store::PartKind;

/// Lets sessions join and leave.
#[derive(Debug)]
pub(crate) struct Joining {
    premises: Arc<Premises>,
}

/// How a session without a presence card and without a user is called.
const NAMELESS: &str = "Anonymous";

/// How a session is called by others.
pub(super) fn shown_name(context: &Context) -> Text {
    let card = context.presence().map(Presence::shown_name);
    card.or(context.user()).cloned().unwrap_or(Text::const_new(NAMELESS))
}

/// What a session is to others.
pub(super) fn shown_kind(context: &Context) -> ParticipantKind {
    context.presence().map_or(ParticipantKind::Person, Presence::shown_kind)
}

impl Joining {
    pub(crate) const fn new(premises: Arc<Premises>) -> Self {
        Self { premises }
    }

    /// A session joins a room, of which it is told first. Returns its participant id, also if it has joined already.
    pub(crate) fn join(
        &self,
        slot: &Arc<Slot>,
        living: &Arc<LivingRoom>,
        trace_id: Option<&str>,
    ) -> Result<Text, ActionError> {
        check_names(&slot.context())?;
        check_writable(&self.premises, living, slot.context().id())?;
        let id = self.premises.ids.make("p_");
        let joined = Step::take_for(&self.premises, living, trace_id, |step, record| {
            self.take_seat(step, record, (slot, living), id)
        });
        if let Err(Refusal::Full) = joined {
            self.premises.limit_reached(Limit::ParticipantsPerRoom, slot.context().id());
        }
        joined.map_err(|refusal| match refusal {
            Refusal::Ended => has_ended(),
            refusal => refused(refusal, "the room has as many participants as it may", "there is no such room"),
        })
    }

    fn take_seat(
        &self,
        step: &mut Step<'_>,
        record: &mut Record,
        (slot, living): (&Arc<Slot>, &LivingRoom),
        id: Text,
    ) -> Result<Text, Refusal> {
        let context = step.context(slot);
        if let Some(participant) = living.participant(record, slot) {
            return Ok(participant.id.clone());
        }
        if let Some(ended) = living.slot_of(record, context.id()) {
            // The session ended and was opened again, and its end is about to be noticed.
            step.leave(record, &ended, LeaveReason::Closed);
        }
        let role = step.membership(slot).ok_or(Refusal::Unknown)?.role;
        record.may_join(self.premises.limits.participants_per_room)?;
        let part = step.part(role, Some(id.clone()));
        if !step.edit(slot, |held| held.with(part)) {
            return Err(Refusal::Unknown);
        }
        step.attend(slot);
        // One that shows no sign of life comes as it is. From here on, whoever notices a change finds it in the room.
        let status = self.premises.attendance.status(slot);
        let participant = participant(&context, id.clone(), (role, status), step.at().unix_ms);
        let joined = record.join(participant, self.premises.limits.participants_per_room)?;
        step.takes_part(record, context.user());
        living.add(Arc::clone(slot));
        self.premises.participants.add(1);
        if let Some(changed) = joined {
            if step.keeps_parts() {
                step.put(stored_room::part(PartKind::Participant, id.clone(), &*changed.participant));
            }
            tell(step, &changed, EventKind::ParticipantJoined);
        }
        if let Some(since_ms) = self.premises.degraded_since_ms().filter(|_| living.kept.is_some()) {
            step.tell(EventKind::RoomDegraded, event::degraded(since_ms), Some(slot));
        }
        let (room, session) = (living.room.id().clone(), context.id().clone());
        step.report(Event::ParticipantJoined { room, participant: id.clone(), session });
        Ok(id)
    }

    /// A session leaves a room. False if it had not joined.
    pub(crate) fn leave(
        &self,
        slot: &Arc<Slot>,
        living: &Arc<LivingRoom>,
        (reason, trace_id): (LeaveReason, Option<&str>),
    ) -> bool {
        Step::take_for(&self.premises, living, trace_id, |step, record| step.leave(record, slot, reason))
    }

    /// The living rooms that a session has joined.
    pub(crate) fn joined(&self, context: &Context) -> Vec<Arc<LivingRoom>> {
        let parts = context.memberships().into_iter().flat_map(Memberships::all);
        let joined = parts.filter(|part| part.is_joined());
        joined.filter_map(|part| self.premises.directory.living(part.room.id())).collect()
    }

    /// A session whose last connection was closed leaves all rooms, unless it has another one by now: that may have
    /// subscribed, and found that the session had joined.
    pub(crate) fn leave_without_connection(&self, slot: &Arc<Slot>) {
        for living in self.joined(&slot.context()) {
            Step::take(&self.premises, &living, |step, record| {
                if slot.connections() == 0 {
                    step.leave(record, slot, LeaveReason::Closed);
                }
            });
        }
    }

    /// A session has shown no sign of life for too long, and leaves all rooms; unless it has shown one since that was noticed.
    pub(crate) fn leave_silently(&self, slot: &Arc<Slot>) {
        for living in self.joined(&slot.context()) {
            Step::take(&self.premises, &living, |step, record| {
                if !self.premises.attendance.is_back(slot, step.at().now_ms) {
                    step.leave(record, slot, LeaveReason::Lost);
                }
            });
        }
    }

    /// A session leaves all rooms.
    fn leave_all(&self, slot: &Arc<Slot>, reason: LeaveReason) {
        self.joined(&slot.context()).iter().for_each(|living| {
            self.leave(slot, living, (reason, None));
        });
    }

    /// A session has ended, and with it its part in rooms.
    pub(crate) fn session_ended(&self, slot: &Arc<Slot>, reason: CloseReason) {
        self.leave_all(
            slot,
            match reason {
                CloseReason::Expired => LeaveReason::Expired,
                CloseReason::Revoked => LeaveReason::Revoked,
                CloseReason::Idle | CloseReason::LeastRecent => LeaveReason::Lost,
                _ => LeaveReason::Closed,
            },
        );
    }

    /// A session shows no sign of life any more, or shows them again.
    pub(crate) fn turn(&self, slot: &Arc<Slot>) {
        for living in self.joined(&slot.context()) {
            Step::take(&self.premises, &living, |step, record| {
                let Some(participant) = living.participant(record, slot) else { return };
                let session = participant.session.clone();
                // What is true by now: it may have come back while another thread noticed that it was silent.
                let (changed, kind) = match self.premises.attendance.status(slot) {
                    Status::Offline => (record.go_offline(&session), EventKind::ParticipantOffline),
                    Status::Online => (record.come_online(&session), EventKind::ParticipantOnline),
                };
                if let Some(changed) = changed {
                    tell(step, &changed, kind);
                }
            });
        }
    }
}

/// Tells everybody what became of a participant.
fn tell(step: &mut Step<'_>, changed: &Changed, kind: EventKind) {
    let body = event::participant(&changed.participant, None);
    step.send(Draft::about(&changed.participant, kind, changed.seq, body));
    step.show();
}

fn participant(context: &Context, id: Text, (role, status): (Role, Status), since_ms: u64) -> Participant {
    Participant {
        id,
        session: context.id().clone(),
        user: context.user().cloned(),
        name: shown_name(context),
        kind: shown_kind(context),
        role,
        status,
        since_ms,
    }
}
