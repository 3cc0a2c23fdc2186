//! One step in one room: the only writer of its events.

use std::sync::Arc;

use serde_json::Value;

use super::kept::Kept;
use super::living::LivingRoom;
use super::premises::{Moment, Premises};
use super::stored_room;
use crate::config::Limit;
use crate::deliver::link::Link;
use crate::event::Event;
use crate::model::Text;
use crate::model::path;
use crate::model::room::event::{self, Actor, EventKind, RoomEvent};
use crate::model::room::leave_reason::LeaveReason;
use crate::model::room::memberships::{Membership, Memberships};
use crate::model::room::message;
use crate::model::room::participant::Participant;
use crate::model::room::record::{Changed, Record};
use crate::model::room::role::Role;
use crate::model::room::timestamp::rfc3339;
use crate::model::selector::Selector;
use crate::model::session::Context;
use crate::protocol::encoded_event::EncodedEvent;
use crate::protocol::room_event;
use crate::protocol::room_part::Merge;
use crate::refresh::refresher::Urgency;
use crate::refresh::scope::Target;
use crate::render::room_layouts::ROOMS;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::storage::event_log::LoggedEvent;
use crate::storage::journal::Written;
use crate::storage::room_store::{Part, PartKind};
use crate::storage::store::Write;

/// One step in one room, taken while the room is locked. Events go out at once, so that all receive them in the order of the
/// steps; whatever runs code of the application, or may drop something of it, waits until [`Step::finish`].
pub(super) struct Step<'a> {
    premises: &'a Premises,
    living: &'a Arc<LivingRoom>,
    at: Moment,
    /// What is caused by one call has one trace id: the call's, or else a new one as soon as something is sent.
    trace_id: Option<Text>,
    reports: Vec<Event>,
    /// What may be the last handles of something of the application's.
    released: Released,
    /// The sessions that show other rooms than before.
    changed: Vec<Arc<Slot>>,
    /// What those who show the room see otherwise.
    seen: Seen,
    /// What is kept otherwise than before: written as one, before the room is unlocked.
    writes: Vec<Write>,
}

/// What of a room is shown otherwise than before.
#[derive(Debug, Default)]
struct Seen {
    /// The room itself, and who is there.
    room: bool,
    /// What is kept in it.
    memory: bool,
    /// Its runs.
    runs: bool,
}

/// What is dropped when the room is not locked any more.
#[derive(Default)]
struct Released {
    slots: Vec<Arc<Slot>>,
    contexts: Vec<Arc<Context>>,
    links: Vec<Arc<Link>>,
}

/// An event that is about to be sent.
#[derive(Debug)]
pub(super) struct Draft<'d> {
    pub(super) kind: EventKind,
    pub(super) seq: Option<u64>,
    pub(super) actor: Actor,
    pub(super) trace_id: Option<&'d str>,
    pub(super) call_id: Option<&'d str>,
    pub(super) body: Value,
}

impl<'a> Step<'a> {
    /// Takes a step with the room locked, and does then what follows from it.
    pub(super) fn take<T>(
        premises: &'a Premises,
        living: &'a Arc<LivingRoom>,
        step: impl FnOnce(&mut Self, &mut Record) -> T,
    ) -> T {
        Self::take_for(premises, living, None, step)
    }

    /// Takes a step that is caused by a call with this trace id (rooms 4).
    pub(super) fn take_for<T>(
        premises: &'a Premises,
        living: &'a Arc<LivingRoom>,
        caller: Option<&str>,
        step: impl FnOnce(&mut Self, &mut Record) -> T,
    ) -> T {
        let (at, trace_id) = (premises.now(), message::trace_id(caller).map(Text::from));
        let (reports, released, changed) = (Vec::new(), Released::default(), Vec::new());
        let (seen, writes) = (Seen::default(), Vec::new());
        let mut taken = Self { premises, living, at, trace_id, reports, released, changed, seen, writes };
        let done = living.room.with(|record| {
            let done = step(&mut taken, record);
            taken.commit();
            done
        });
        taken.finish();
        done
    }

    /// A new id.
    pub(super) fn id(&self, prefix: &str) -> Text {
        self.premises.ids.make(prefix)
    }

    pub(super) const fn premises(&self) -> &'a Premises {
        self.premises
    }

    pub(super) const fn at(&self) -> Moment {
        self.at
    }

    /// The claims of a session, which other threads may replace meanwhile.
    pub(super) fn context(&mut self, slot: &Slot) -> Arc<Context> {
        let context = slot.context();
        self.released.contexts.push(Arc::clone(&context));
        context
    }

    /// What a session is in the room.
    pub(super) fn membership(&mut self, slot: &Slot) -> Option<Membership> {
        self.context(slot).memberships()?.of(&self.living.room).cloned()
    }

    /// Is reported when the room is not locked any more.
    pub(super) fn report(&mut self, event: Event) {
        self.reports.push(event);
    }

    /// Those who show the room see something else from now on.
    pub(super) const fn show(&mut self) {
        self.seen.room = true;
    }

    /// Those who show what is kept in the room see something else from now on.
    pub(super) const fn show_memory(&mut self) {
        self.seen.memory = true;
    }

    /// Nothing is kept in the room any more.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.premises.memory_bytes.subtract(bytes);
    }

    /// Those who show the room's runs see something else from now on.
    pub(super) const fn show_runs(&mut self) {
        self.seen.runs = true;
    }

    /// Sends an event to every participant.
    pub(super) fn send(&mut self, draft: Draft<'_>) {
        self.send_merging(draft, Merge::Never);
    }

    /// Sends an event to every participant. While it waits for a connection it may be merged with others.
    pub(super) fn send_merging(&mut self, draft: Draft<'_>, merge: Merge) {
        let id = self.premises.ids.make("e_");
        self.send_each(&id, (draft, merge), |_| true);
    }

    /// Sends an event with this id to the participants at some places.
    pub(super) fn send_as(&mut self, id: &str, draft: Draft<'_>, receives: impl Fn(usize) -> bool) {
        self.send_each(id, (draft, Merge::Never), receives);
    }

    /// Encoded once, and once to every connection.
    fn send_each(&mut self, id: &str, (draft, merge): (Draft<'_>, Merge), receives: impl Fn(usize) -> bool) {
        let mut encoded = None;
        let (premises, living, unix_ms) = (self.premises, self.living, self.at.unix_ms);
        if draft.seq.is_some() {
            living.sent(self.at.now_ms);
        }
        let mut draft = Some((draft, merge));
        if let Some(kept) = &living.kept
            && let Some((draft, merge)) = draft.take_if(|(draft, _)| draft.seq.is_some())
        {
            encoded = encode((premises, living, &mut self.trace_id), (id, unix_ms), draft, merge);
            encoded.iter().for_each(|event| self.keep(kept, event));
        }
        living.for_each(|at, slot| {
            if !receives(at) {
                return;
            }
            if let Some((draft, merge)) = draft.take() {
                encoded = encode((premises, living, &mut self.trace_id), (id, unix_ms), draft, merge);
            }
            let Some(event) = &encoded else { return };
            for _ in 0..self.queue(slot, event) {
                self.reports.push(Event::LimitReached { limit: Limit::EventBytes, session: slot.id() });
            }
        });
    }

    /// Queues an event for every connection of a session that takes them. Returns how many of them dropped older ones for it.
    fn queue(&mut self, slot: &Slot, event: &Arc<EncodedEvent>) -> usize {
        let mut dropping = 0;
        for link in slot.links().into_iter().filter(|link| link.kind.takes_events()) {
            dropping += usize::from(link.event(Arc::clone(event), self.premises.max_event_bytes));
            self.released.links.push(link);
        }
        dropping
    }

    /// An event of a room that is kept is written, in the order in which it is sent.
    fn keep(&mut self, kept: &Kept, event: &EncodedEvent) {
        let seq = event.room.as_ref().and_then(|part| part.seq);
        let Some((seq, text)) = seq.zip(event.room_data()) else { return };
        let event = LoggedEvent { seq, at_ms: self.at.unix_ms, text: text.into() };
        self.writes.extend(kept.take_first());
        self.writes.extend(kept.append(self.living.room.id(), event));
    }

    /// Everything that this step has to write is queued, in the order of the steps of the room.
    fn commit(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        self.living.kept.iter().for_each(|kept| kept.wrote());
        let written = self.premises.journal.write_step(std::mem::take(&mut self.writes));
        if written == Written::DroppedOlder {
            self.reports.push(Event::LimitReached { limit: Limit::StoredBytes, session: Text::default() });
        }
    }

    /// What is kept of the room changes, after what was sent up to now.
    pub(super) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// A user takes part, and may read the archive.
    pub(super) fn takes_part(&mut self, record: &mut Record, user: Option<&Text>) {
        if let Some(user) = user.filter(|_| self.living.kept.is_some())
            && record.lasting_mut().takes_part(user)
        {
            self.put(stored_room::reader(user));
        }
    }

    /// A user who is not there has no access any more, and so will not read the archive (SEC29).
    pub(super) fn loses_access(&mut self, record: &mut Record, user: &Text) {
        let is_there = record.participants().any(|participant| participant.user.as_ref() == Some(user));
        if !is_there && self.living.kept.is_some() && record.lasting_mut().loses_access(user) {
            self.delete(PartKind::Reader, user.clone());
        }
    }

    /// A part of the room is this from now on, if the room is kept.
    pub(super) fn put(&mut self, part: Part) {
        if self.keeps_parts() {
            self.write(Write::Put { room: self.living.room.id().clone(), part });
        }
    }

    /// The time to live begins anew if it is sliding.
    pub(super) fn is_active(&mut self, record: &Record) {
        if record.ttl().is_some_and(|ttl| ttl.sliding) && self.keeps_parts() {
            self.put(stored_room::part(PartKind::Activity, Text::default(), &self.at.unix_ms));
        }
    }

    /// A part of the room is not kept any more.
    pub(super) fn delete(&mut self, kind: PartKind, key: Text) {
        if self.keeps_parts() {
            self.write(Write::Delete { room: self.living.room.id().clone(), kind, key });
        }
    }

    /// Whether the room can be opened again after a restart.
    pub(super) fn keeps_parts(&self) -> bool {
        self.living.kept.is_some() && self.premises.journal.survives()
    }

    /// Tells something about the room beside what happens in it, to all or to one who is there.
    pub(super) fn tell(&mut self, kind: EventKind, body: Value, to: Option<&Arc<Slot>>) {
        let (id, at) = (self.premises.ids.make("e_"), rfc3339(self.at.unix_ms));
        let event = room_event::aside(&self.living.room, &id, &at, kind, body);
        self.living.for_each(|_, slot| {
            if to.is_none_or(|told| Arc::ptr_eq(told, slot)) {
                self.queue(slot, &event);
            }
        });
    }

    /// Changes a session's part in the room. False if the session has ended.
    pub(super) fn edit(&mut self, slot: &Arc<Slot>, edit: impl FnOnce(&Memberships) -> Memberships) -> bool {
        let edited = self.premises.table.edit_memberships(slot, edit);
        if edited {
            self.changed.push(Arc::clone(slot));
        }
        edited
    }

    /// The membership of a session that is in this room, or was.
    pub(super) fn part(&self, role: Role, participant: Option<Text>) -> Membership {
        Membership { room: self.living.room.clone(), role, participant }
    }

    /// A session that has joined is waited for, if it shows no sign of life.
    pub(super) fn attend(&self, slot: &Arc<Slot>) {
        self.premises.attendance.join(slot, self.at.now_ms);
    }

    /// A session leaves: the others are told, and it is not. False if it was not there.
    pub(super) fn leave(&mut self, record: &mut Record, slot: &Arc<Slot>, reason: LeaveReason) -> bool {
        let Some(at) = self.living.place_of(slot) else { return false };
        let has_card = self.context(slot).presence().is_some();
        self.premises.attendance.leave(slot, has_card);
        let session = record.participant(at).map(|participant| participant.session.clone());
        let left = session.and_then(|session| record.leave(&session));
        self.released.slots.push(self.living.remove(at));
        let changed = self.membership(slot).filter(|part| part.participant.is_some());
        if let Some(part) = changed {
            let part = self.part(part.role, None);
            self.edit(slot, |held| held.with(part));
        }
        // Whoever reads nothing but the events of this room has nothing to wait for any more.
        self.wake(slot);
        let Some(Changed { participant, seq }) = left else { return false };
        self.premises.participants.subtract(1);
        self.delete(PartKind::Participant, participant.id.clone());
        let body = event::participant(&participant, Some(reason));
        self.send(Draft::about(&participant, EventKind::ParticipantLeft, seq, body));
        let (room, participant) = (self.living.room.id().clone(), participant.id.clone());
        self.report(Event::ParticipantLeft { room, participant, reason });
        self.show();
        true
    }

    fn wake(&mut self, slot: &Slot) {
        let links = slot.links();
        links.iter().for_each(|link| link.wake());
        self.released.links.extend(links);
    }

    /// Nobody is there any more. Nobody is told.
    pub(super) fn clear(&mut self) {
        let slots = self.living.clear();
        self.premises.participants.subtract(slots.len());
        for slot in slots {
            let has_card = self.context(&slot).presence().is_some();
            self.premises.attendance.leave(&slot, has_card);
            if let Some(part) = self.membership(&slot) {
                let part = self.part(part.role, None);
                self.edit(&slot, |held| held.with(part));
            }
            self.released.slots.push(slot);
        }
        self.show();
    }

    fn finish(self) {
        let premises = self.premises;
        drop(self.released);
        self.reports.iter().for_each(|event| premises.observers.emit(|| event.clone()));
        for slot in self.changed {
            premises.refresher.request_session(&slot, &Paths::All, Urgency::Debounced);
        }
        let paths = self.seen.paths(self.living.room.id(), || premises.sources.showing_participants());
        if !paths.is_empty() {
            let viewers = Target::Selected(Selector::RoomViewers(self.living.room.id().clone()));
            premises.refresher.request(&viewers, &Paths::each(paths), Urgency::Debounced);
        }
    }
}

impl Seen {
    /// The paths that have to be rendered, those of the application included that show participants.
    fn paths(&self, room: &str, others: impl FnOnce() -> Vec<Text>) -> Vec<Text> {
        let at = |below: &str| path::normal(&format!("{ROOMS}/{room}/{below}"));
        let others = if self.room { others() } else { Vec::new() };
        let of_room = [(self.room, ""), (self.room, "participants")];
        let shown = of_room.into_iter().chain([(self.runs, "runs"), (self.memory, "memory")]);
        shown
            .filter(|(is_seen, _)| *is_seen)
            .map(|(_, below)| at(below))
            .chain(others.iter().map(|below| at(below)))
            .collect()
    }
}

impl Draft<'_> {
    /// An event about a participant, who is its actor as well.
    pub(super) fn about(participant: &Participant, kind: EventKind, seq: u64, body: Value) -> Self {
        let actor = Actor::of(participant);
        Self { kind, seq: Some(seq), actor, trace_id: None, call_id: None, body }
    }
}

/// Encodes an event, for all who receive it.
fn encode(
    (premises, living, of_step): (&Premises, &LivingRoom, &mut Option<Text>),
    (id, at_ms): (&str, u64),
    draft: Draft<'_>,
    merge: Merge,
) -> Option<Arc<EncodedEvent>> {
    let trace_id = draft.trace_id.unwrap_or_else(|| of_step.get_or_insert_with(|| premises.ids.trace()));
    let event = RoomEvent {
        seq: draft.seq,
        actor: Some(&draft.actor),
        trace_id: Some(trace_id),
        call_id: draft.call_id,
        ..RoomEvent::new(living.room.about(), id, draft.kind, at_ms, draft.body)
    };
    // What an event holds is bounded, and the configuration makes sure that a frame holds it.
    room_event::encode(&living.room, &event, merge, premises.max_frame_bytes).ok()
}
