//! How something is kept in rooms, and what is read there.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::durability::{check_writable, durable};
use super::living::LivingRoom;
use super::opening;
use super::premises::Premises;
use super::refusal::{busy, has_ended, invalid, too_late};
use super::roles::{Roles, check_names};
use super::saying::actor;
use super::step::{Draft, Step};
use super::stored_room;
use crate::config::Limit;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::event::{self, Actor, EventKind};
use crate::model::room::memory::{Entry, Expected, Memory, MemoryBounds, NewEntry, NotKept, check_key, fits};
use crate::model::room::memory_entry::MemoryEntry;
use crate::model::room::memory_query::{MemoryPage, MemoryQuery};
use crate::model::room::message::trace_id;
use crate::model::room::policy::Facet;
use crate::model::room::record::{Record, RoomState};
use crate::model::room::role::Role;
use crate::model::room::run::asked::Asked;
use crate::model::session::{Context, Session};
use crate::storage::room_store::PartKind;

/// Keeps things in rooms.
#[derive(Debug)]
pub(crate) struct Remembering {
    premises: Arc<Premises>,
    roles: Arc<Roles>,
}

/// In whose name something is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Writer<'w> {
    /// In that of a session, in the work with this id.
    Session { context: &'w Context, trace_id: Option<&'w str> },
    /// In that of the agent of a run, by the attempt with this number.
    Run { asked: &'w Asked, attempt: u32 },
}

impl Writer<'_> {
    fn session(&self) -> Text {
        match self {
            Self::Session { context, .. } => context.id().clone(),
            Self::Run { .. } => Text::default(),
        }
    }

    /// Who takes part in the room by it. Who started a run does so by that.
    fn user(&self) -> Option<&Text> {
        match self {
            Self::Session { context, .. } => context.user(),
            Self::Run { .. } => None,
        }
    }

    fn actor(&self, record: &Record) -> Actor {
        match self {
            Self::Session { context, .. } => actor(context, record),
            Self::Run { asked, .. } => Actor::agent(&asked.agent),
        }
    }

    /// The ids of the work and of the call to which it belongs.
    fn ids(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Session { trace_id: id, .. } => (trace_id(*id), None),
            Self::Run { asked, .. } => (Some(&asked.trace_id), asked.call_id.as_deref()),
        }
    }

    /// A room that is about to end takes nothing more, but for what its runs write until they have ended (rooms 10).
    fn check(&self, record: &Record) -> Result<(), NotKept> {
        match self {
            Self::Session { .. } if record.takes_no_more() => Err(NotKept::Ended),
            Self::Run { asked, attempt } if !is_current(record, asked, *attempt) => Err(NotKept::Stale),
            Self::Session { .. } | Self::Run { .. } => Ok(()),
        }
    }
}

fn is_current(record: &Record, asked: &Asked, attempt: u32) -> bool {
    record.runs().is_some_and(|runs| runs.is_current(&asked.id, attempt))
}

/// Why something was not kept, and which bound was reached if it was one.
type Refused = (NotKept, Option<Limit>);

/// Whether a session may write in a room: identity, role and state, in this order (rooms 10).
pub(super) fn check_writer(session: &Session, living: &LivingRoom, role: Role) -> Result<(), ActionError> {
    if session.context().user().is_none() {
        return Err(ActionError::unauthorized("a session without a user cannot keep anything in a room"));
    }
    if !role.may_say() {
        return Err(ActionError::unauthorized("an observer cannot keep anything in a room"));
    }
    check_takes_more(living)?;
    check_names(session.context())
}

fn check_takes_more(living: &LivingRoom) -> Result<(), ActionError> {
    if living.room.with(|record| record.takes_no_more()) { Err(has_ended()) } else { Ok(()) }
}

/// In a room that has ended, nothing is kept.
pub(super) fn check_lives(living: &LivingRoom) -> Result<(), ActionError> {
    if living.room.state() == RoomState::Ended { Err(has_ended()) } else { Ok(()) }
}

/// What was written is kept with the room.
fn keep(step: &mut Step<'_>, memory: Option<&Memory>, key: &str) {
    let Some(memory) = memory.filter(|_| step.keeps_parts()) else { return };
    let key = Text::from(key);
    if let Some(entry) = memory.get(&key) {
        step.put(stored_room::entry(&key, entry));
    } else {
        step.delete(PartKind::Memory, key);
        step.put(stored_room::latest_version(memory));
    }
}

impl Remembering {
    pub(crate) const fn new(premises: Arc<Premises>, roles: Arc<Roles>) -> Self {
        Self { premises, roles }
    }

    fn bounds(&self) -> MemoryBounds {
        self.premises.limits.memory()
    }

    /// Whether a key and a value could be kept if there were nothing else.
    pub(crate) fn fits(&self, key: &str, value: &Value) -> bool {
        fits(key, value, self.bounds().bytes)
    }

    /// Keeps a value under a key. Returns the version of the entry.
    pub(crate) fn put(
        &self,
        living: &Arc<LivingRoom>,
        writer: &Writer<'_>,
        (key, value): (&str, &Value),
        expected: Expected,
    ) -> Result<u64, ActionError> {
        let new = NewEntry::new(key, value, self.bounds()).map_err(|why| {
            if check_key(key).is_ok() && !self.fits(key, value) {
                self.premises.limit_reached(Limit::RoomMemoryBytes, &writer.session());
            }
            invalid(why)
        })?;
        check_writable(&self.premises, living, &writer.session())?;
        let put = Step::take(&self.premises, living, |step, record| {
            let key = new.key().clone();
            let (bounds, bytes_limit) = self.bounds_now(record.memory());
            let version = self.change(step, record, writer, (&key, false), |memory| memory.put(new, expected, bounds));
            version.map_err(|why| (why, reached(why, bytes_limit)))
        });
        put.map_err(|why| self.not_kept(writer, why))
    }

    /// Removes what is kept under a key.
    pub(crate) fn delete(
        &self,
        living: &Arc<LivingRoom>,
        writer: &Writer<'_>,
        key: &str,
        expected: Expected,
    ) -> Result<(), ActionError> {
        check_key(key).map_err(invalid)?;
        check_writable(&self.premises, living, &writer.session())?;
        let deleted = Step::take(&self.premises, living, |step, record| {
            self.change(step, record, writer, (key, true), |memory| memory.delete(key, expected))
        });
        deleted.map_err(|why| self.not_kept(writer, (why, None)))
    }

    /// Removes all that the room keeps itself, in one step: an event for each key. Returns how many there were.
    pub(crate) fn clear(&self, living: &Arc<LivingRoom>, writer: &Writer<'_>) -> Result<usize, ActionError> {
        check_writable(&self.premises, living, &writer.session())?;
        let cleared = Step::take(&self.premises, living, |step, record| {
            writer.check(record)?;
            let keys: Vec<Text> =
                record.memory().into_iter().flat_map(Memory::all).map(|(key, _)| key.clone()).collect();
            for key in &keys {
                self.change(step, record, writer, (key, true), |memory| memory.delete(key, Expected::Anything))?;
            }
            Ok(keys.len())
        });
        cleared.map_err(|why| self.not_kept(writer, (why, None)))
    }

    /// Changes what is kept in a room that is locked, and tells everybody.
    fn change<T>(
        &self,
        step: &mut Step<'_>,
        record: &mut Record,
        writer: &Writer<'_>,
        (key, is_deleted): (&str, bool),
        change: impl FnOnce(&mut Memory) -> Result<T, NotKept>,
    ) -> Result<T, NotKept> {
        writer.check(record)?;
        let before = record.memory().map_or(0, Memory::bytes);
        let (done, seq) = record.remember(change)?;
        self.premises.memory_bytes.change(before, record.memory().map_or(0, Memory::bytes));
        keep(step, record.memory(), key);
        step.takes_part(record, writer.user());
        let (actor, (trace_id, call_id)) = (writer.actor(record), writer.ids());
        let body = event::memory_changed(key, is_deleted);
        step.send(Draft { kind: EventKind::MemoryChanged, seq: Some(seq), actor, trace_id, call_id, body });
        step.show_memory();
        Ok(done)
    }

    /// What may be kept in a room now, and which bound on bytes is the nearer one. Others may write in other rooms at the
    /// same moment, so all together may be over theirs by what is being written.
    fn bounds_now(&self, memory: Option<&Memory>) -> (MemoryBounds, Limit) {
        let bounds = self.bounds();
        let left = self.premises.limits.all_memory_bytes.saturating_sub(self.premises.memory_bytes.get());
        let bytes = memory.map_or(0, Memory::bytes).saturating_add(left);
        if bytes < bounds.bytes {
            (MemoryBounds { bytes, ..bounds }, Limit::AllRoomMemoryBytes)
        } else {
            (bounds, Limit::RoomMemoryBytes)
        }
    }

    fn not_kept(&self, writer: &Writer<'_>, (why, limit): Refused) -> ActionError {
        if let Some(limit) = limit {
            self.premises.limit_reached(limit, &writer.session());
        }
        match why {
            NotKept::Ended => has_ended(),
            NotKept::Keys => busy("the room keeps as many entries as it may"),
            NotKept::Bytes => busy("the room keeps as much as it may"),
            NotKept::Unknown => unknown(),
            NotKept::Unexpected => ActionError::conflict("the entry is not the expected one"),
            NotKept::Stale => too_late(),
        }
    }

    /// What a room reads under a key: its own entry, or beneath it the nearest one that it inherits.
    pub(crate) fn get(&self, living: &Arc<LivingRoom>, key: &str) -> Result<MemoryEntry, ActionError> {
        check_key(key).map_err(invalid)?;
        let held = |living: &Arc<LivingRoom>| living.room.with(|record| record.memory()?.get(key).cloned());
        let own = held(living);
        let found = own.or_else(|| self.ancestors(living).find_map(|living| held(&living)).map(inherited));
        found.map(|found| decoded(key.into(), &found)).ok_or_else(unknown)
    }

    /// What a room reads under the keys that begin with a prefix and follow another one, in the order of their bytes: its
    /// own entries, and beneath them those that it inherits.
    pub(crate) fn list(&self, living: &Arc<LivingRoom>, query: &MemoryQuery) -> MemoryPage {
        let (prefix, after, max) = (&query.prefix, query.after.as_deref(), query.wanted());
        let held = |living: &Arc<LivingRoom>| -> Vec<(Text, Entry)> {
            living.room.with(|record| {
                let entries = record.memory().into_iter().flat_map(|memory| memory.range(prefix, after).take(max));
                entries.map(|(key, entry)| (key.clone(), entry.clone())).collect()
            })
        };
        let mut found: BTreeMap<Text, Entry> = held(living).into_iter().collect();
        for ancestor in self.ancestors(living) {
            for (key, entry) in held(&ancestor) {
                found.entry(key).or_insert_with(|| inherited(entry));
            }
        }
        query.page(found.into_iter().take(max).map(|(key, entry)| decoded(key, &entry)).collect())
    }

    /// Whether an attempt at a run may still read: it counts, and so the room goes on.
    pub(crate) fn check_current(living: &LivingRoom, asked: &Asked, attempt: u32) -> Result<(), ActionError> {
        let is_current = living.room.with(|record| is_current(record, asked, attempt));
        if is_current { Ok(()) } else { Err(too_late()) }
    }

    /// Ends when everything that has happened in a room up to now is durable, if it is kept at all.
    pub(crate) fn durable(&self, living: &LivingRoom) -> BoxFuture<'static, Result<(), ActionError>> {
        durable(&self.premises, living)
    }

    /// The rooms whose entries a room reads beneath its own, the nearest first. There are as many as `rooms.generations`
    /// at most.
    fn ancestors(&self, living: &Arc<LivingRoom>) -> impl Iterator<Item = Arc<LivingRoom>> {
        std::iter::successors(self.parent(living), |living| self.parent(living))
    }

    /// The room whose memory a room inherits: as long as it goes on, and the child's owner has access to it (SEC28).
    fn parent(&self, child: &LivingRoom) -> Option<Arc<LivingRoom>> {
        let inherits = child.room.inherit().contains(&Facet::Memory);
        let living = opening::room(&self.premises, child.room.parent().filter(|_| inherits)?).ok()?;
        // Another room may have got its id since.
        let is_parent = child.room.parent_epoch() == Some(living.room.about().first_epoch());
        let goes_on = is_parent && check_lives(&living).is_ok();
        (goes_on && self.roles.may_inherit(child.room.owner(), &living)).then_some(living)
    }
}

fn unknown() -> ActionError {
    ActionError::not_found("there is no such entry")
}

/// Which bound was reached, if it was one.
const fn reached(why: NotKept, bytes: Limit) -> Option<Limit> {
    match why {
        NotKept::Keys => Some(Limit::RoomMemoryKeys),
        NotKept::Bytes => Some(bytes),
        NotKept::Ended | NotKept::Unknown | NotKept::Unexpected | NotKept::Stale => None,
    }
}

/// An entry as it is read in a room that inherits it.
fn inherited(entry: Entry) -> Entry {
    Entry { version: 0, ..entry }
}

fn decoded(key: Text, entry: &Entry) -> MemoryEntry {
    let value = serde_json::from_str(&entry.value).expect("what is kept was written as JSON");
    MemoryEntry { key, value, version: entry.version }
}
