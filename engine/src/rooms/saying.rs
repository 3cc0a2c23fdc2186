//! How somebody says something in a room.

use std::borrow::Cow;
use std::sync::Arc;

use super::call_ids::REMEMBERED_MS;
use super::durability::check_writable;
use super::joining::{shown_kind, shown_name};
use super::living::LivingRoom;
use super::premises::Premises;
use super::refusal::{has_ended, invalid, refused};
use super::roles::{check_names, project_of};
use super::said::Said;
use super::step::{Draft, Step};
use super::stored_room::{StoredCall, call_key, part};
use crate::config::Limit;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::event::{self, Actor, EventKind};
use crate::model::room::message::{Message, trace_id};
use crate::model::room::participant::Participant;
use crate::model::room::record::{Record, Refusal, RoomState};
use crate::model::room::role::Role;
use crate::model::session::{Context, Session};
use crate::storage::room_store::PartKind;

/// Lets members say something.
#[derive(Debug)]
pub(crate) struct Saying {
    premises: Arc<Premises>,
}

/// What a call with a message becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// Something that was said already.
    Known,
    New,
    /// An older call id was forgotten for it.
    NewForAnother,
}

/// Who a session is in a room: with its participant if it has joined (SEC8).
pub(super) fn actor(context: &Context, record: &Record) -> Actor {
    let is_same = |participant: &&Arc<Participant>| participant.user.as_ref() == context.user();
    match record.of_session(context.id()).filter(is_same) {
        Some(participant) => Actor::of(participant),
        None => Actor {
            user: context.user().cloned(),
            name: shown_name(context),
            participant: None,
            kind: shown_kind(context).as_str(),
        },
    }
}

impl Saying {
    pub(crate) const fn new(premises: Arc<Premises>) -> Self {
        Self { premises }
    }

    /// A member says something, to everybody or to one participant; it belongs to a trace, unless it names its own. Under a
    /// call id that was used within 10 minutes nothing is said again.
    pub(crate) fn say(
        &self,
        session: &Session,
        (living, role): (&Arc<LivingRoom>, Role),
        (message, trace): (&Message, Option<&str>),
    ) -> Result<Said, ActionError> {
        check_speaker(session, role)?;
        if living.room.state() == RoomState::Ended {
            return Err(has_ended());
        }
        check_names(session.context())?;
        check_writable(&self.premises, living, session.context().id())?;
        self.check(session, message)?;
        let said = Step::take(&self.premises, living, |step, record| {
            let now_ms = step.at().now_ms;
            let (said, becomes) = self.once(session.context(), message, now_ms, || {
                let seq = record.say(message.to.as_deref(), now_ms)?;
                Ok(Said { event: self.premises.ids.make("e_"), seq })
            })?;
            if becomes != Becomes::Known {
                step.takes_part(record, session.context().user());
                step.is_active(record);
                send(step, record, session.context(), (message, trace), &said);
                keep_call(step, record, session.context(), message, &said);
            }
            Ok((said, becomes == Becomes::NewForAnother))
        });
        let (said, forgotten) =
            said.map_err(|refusal| refused(refusal, "the room is full", "there is no such participant"))?;
        if forgotten {
            self.premises.limit_reached(Limit::CallIds, session.context().id());
        }
        Ok(said)
    }

    /// Says something, unless it was said under the same call id. Nothing else is locked meanwhile, since nothing is sent yet.
    fn once(
        &self,
        context: &Context,
        message: &Message,
        now_ms: u64,
        say: impl FnOnce() -> Result<Said, Refusal>,
    ) -> Result<(Said, Becomes), Refusal> {
        let Some(id) = &message.call_id else { return Ok((say()?, Becomes::New)) };
        let principal = principal(context);
        let mut calls = self.premises.calls.lock();
        if let Some(said) = calls.get(&principal, id, now_ms) {
            return Ok((said, Becomes::Known));
        }
        let said = say()?;
        let forgotten = calls.add(&principal, id.clone(), said.clone(), now_ms);
        Ok((said, if forgotten { Becomes::NewForAnother } else { Becomes::New }))
    }

    fn check(&self, session: &Session, message: &Message) -> Result<(), ActionError> {
        let max_bytes = self.premises.limits.message_bytes;
        message.validate(max_bytes).map_err(|why| {
            if !message.fits(max_bytes) {
                self.premises.limit_reached(Limit::RoomMessageBytes, session.context().id());
            }
            invalid(why)
        })
    }
}

fn send(
    step: &mut Step<'_>,
    record: &Record,
    context: &Context,
    (message, trace): (&Message, Option<&str>),
    said: &Said,
) {
    let actor = actor(context, record);
    let body = event::message(message.text.as_deref(), message.data.as_ref(), message.to.as_deref());
    let (to, sender) = (message.to.as_deref(), actor.participant.clone());
    let draft = Draft {
        kind: EventKind::Message,
        seq: said.seq,
        actor,
        trace_id: trace_id(message.trace_id.as_deref().or(trace)),
        call_id: message.call_id.as_deref(),
        body,
    };
    let Some(to) = to else { return step.send_as(&said.event, draft, |_| true) };
    let places = [Some(to), sender.as_deref()].map(|id| record.place_by_id(id?));
    step.send_as(&said.event, draft, |at| places.contains(&Some(at)));
}

/// The call is kept with the room, so that it says nothing again after a restart.
fn keep_call(step: &mut Step<'_>, record: &mut Record, context: &Context, message: &Message, said: &Said) {
    let Some(id) = message.call_id.as_ref().filter(|_| step.keeps_parts()) else { return };
    let (max, at_ms) = (step.premises().limits.kept_call_ids_per_room, step.at().unix_ms);
    if max == 0 {
        return;
    }
    let calls = record.lasting_mut().calls_mut();
    let (number, forgotten) = calls.add(at_ms, max, at_ms.saturating_sub(REMEMBERED_MS));
    forgotten.for_each(|number| step.delete(PartKind::Call, call_key(number)));
    let caller = principal(context);
    let [caller, id, event] = [&caller, id, &said.event].map(|text| Cow::Borrowed(text.as_str()));
    let call = StoredCall { caller, id, event, seq: said.seq, at_ms };
    step.put(part(PartKind::Call, call_key(number), &call));
}

/// Whose call ids they are: those of a session, as long as it is the same user's in the same project (SEC4, SEC32). With
/// the lengths, so that no two are written alike.
pub(super) fn principal(context: &Context) -> Text {
    let (id, user, project) = (context.id(), context.user().map_or("", Text::as_str), project_of(context));
    format!("{}:{}:{id}{user}{project}", id.len(), user.len()).into()
}

/// Observers and sessions without a user say nothing.
fn check_speaker(session: &Session, role: Role) -> Result<(), ActionError> {
    if session.context().user().is_none() {
        return Err(ActionError::unauthorized("a session without a user cannot say anything in a room"));
    }
    if role.may_say() { Ok(()) } else { Err(ActionError::unauthorized("an observer cannot say anything")) }
}
