//! The state of one room, and its legal steps.

mod working;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::end_reason::EndReason;
use super::lasting::{Lasting, Past};
use super::memory::{Memory, NotKept};
use super::participant::{Participant, Status};
use super::participants::Participants;
use super::policy::Access;
use super::role::Role;
use super::runs::Runs;
use crate::model::Text;

/// Whether a room goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RoomState {
    /// It does.
    Active,
    /// It does, and a run is in progress.
    Running,
    /// It has ended.
    Ended,
}

impl RoomState {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for RoomState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a step was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The room has ended.
    Ended,
    /// There are as many as may be.
    Full,
    /// There is no such participant or user.
    Unknown,
    /// It is about the owner.
    Owner,
}

/// How a room ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) reason: EndReason,
    /// How long the room was, in ms.
    pub(crate) duration_ms: u64,
}

/// A participant after a step, with the number of the event about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) participant: Arc<Participant>,
    pub(crate) seq: u64,
}

/// How long a room lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimeToLive {
    pub(crate) ms: u64,
    /// Counted from the last message or run.
    pub(crate) sliding: bool,
}

/// What happened to a room: a pure type. Times are in ms of the engine's clock. Each step that is an event takes the next
/// number for it and returns it; whoever takes the step sends the event.
///
/// | step | active | ended |
/// |---|---|---|
/// | `join` | one more participant, an event; none if there already is one of the session | refused |
/// | `leave` | one less, an event; none if there is no such participant | nothing |
/// | `go_offline`, `come_online` | the participant's status, an event; none if it has it already | nothing |
/// | `change_role` | the participant's role | nothing |
/// | `admit`, `dismiss` | the user's role, unless it is the owner | refused |
/// | `say` | an event, without a number if it is for one participant; the time to live begins anew if it is sliding | refused |
/// | `remember` | what is kept changes, an event | refused |
/// | `end` | ended, the last event; no participant remains, nothing is kept and no run is in progress | nothing |
#[derive(Debug)]
pub(crate) struct Record {
    owner: Text,
    access: Access,
    /// By user: the role to which the owner admitted them, or `None` if the owner dismissed them from a room that is open
    /// to the project.
    users: BTreeMap<Text, Option<Role>>,
    participants: Participants,
    online: u32,
    /// The number of the latest event.
    seq: u64,
    /// Changes with whatever decides about roles.
    roles_version: u64,
    /// When it was created, or the engine was started that goes on with it.
    created_ms: u64,
    /// When somebody said something for the last time, or `created_ms`.
    active_ms: u64,
    /// How old it was at `created_ms`, in ms: it may have been created before the engine was started.
    age_before_ms: u64,
    /// How long nobody had said anything at `active_ms`, in ms.
    idle_before_ms: u64,
    ttl: Option<TimeToLive>,
    /// Most rooms keep nothing.
    memory: Option<Box<Memory>>,
    /// Present if there ever were some.
    runs: Option<Box<Runs>>,
    /// It ends, as soon as its runs have ended.
    ending: Option<EndReason>,
    end: Option<End>,
    /// Present in rooms that are kept.
    lasting: Option<Box<Lasting>>,
}

impl Record {
    /// A new room. Its first event is `room.started`, with the number 1.
    pub(crate) fn new(owner: Text, access: Access, ttl: Option<TimeToLive>, now_ms: u64) -> Self {
        Self {
            owner,
            access,
            users: BTreeMap::new(),
            participants: Participants::default(),
            online: 0,
            seq: 1,
            roles_version: 0,
            created_ms: now_ms,
            active_ms: now_ms,
            age_before_ms: 0,
            idle_before_ms: 0,
            ttl,
            memory: None,
            runs: None,
            ending: None,
            end: None,
            lasting: None,
        }
    }

    /// A room that an earlier engine had.
    pub(crate) fn recovered(owner: Text, access: Access, ttl: Option<TimeToLive>, now_ms: u64, past: Past) -> Self {
        let Past { age_ms, idle_ms, seq, users } = past;
        let new = Self::new(owner, access, ttl, now_ms);
        Self { age_before_ms: age_ms, idle_before_ms: idle_ms.min(age_ms), seq: seq.max(1), users, ..new }
    }

    /// Whom the owner has admitted or dismissed.
    pub(crate) const fn users(&self) -> &BTreeMap<Text, Option<Role>> {
        &self.users
    }

    /// How long it lives.
    pub(crate) const fn ttl(&self) -> Option<TimeToLive> {
        self.ttl
    }

    /// What is known only of a room that is kept.
    pub(crate) fn lasting(&self) -> Option<&Lasting> {
        self.lasting.as_deref()
    }

    pub(crate) fn lasting_mut(&mut self) -> &mut Lasting {
        self.lasting.get_or_insert_default()
    }

    pub(crate) fn state(&self) -> RoomState {
        match self.end {
            Some(_) => RoomState::Ended,
            None if self.running() > 0 => RoomState::Running,
            None => RoomState::Active,
        }
    }

    pub(crate) const fn end_of(&self) -> Option<End> {
        self.end
    }

    /// The number of the latest event.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    /// Changes with whatever decides about roles.
    pub(crate) const fn roles_version(&self) -> u64 {
        self.roles_version
    }

    /// How many participants are online.
    pub(crate) const fn online(&self) -> usize {
        self.online as usize
    }

    /// In order of joining.
    pub(crate) fn participants(&self) -> impl ExactSizeIterator<Item = &Arc<Participant>> {
        self.participants.iter()
    }

    /// The one at a place in this order.
    pub(crate) fn participant(&self, at: usize) -> Option<&Arc<Participant>> {
        self.participants.get(at)
    }

    /// The participant of a session.
    pub(crate) fn of_session(&self, session: &str) -> Option<&Arc<Participant>> {
        self.participants.get(self.place_of(session)?)
    }

    /// Where the participant of a session stands.
    pub(crate) fn place_of(&self, session: &str) -> Option<usize> {
        self.participants.place_of(session)
    }

    /// Where the participant with this id stands.
    pub(crate) fn place_by_id(&self, id: &str) -> Option<usize> {
        self.participants().position(|participant| participant.id == id)
    }

    /// The role that a user of the project has by the built-in policy (rooms 2).
    pub(crate) fn role_of(&self, user: &str) -> Option<Role> {
        if self.owner == user {
            return Some(Role::Owner);
        }
        self.users.get(user).copied().unwrap_or(match self.access {
            Access::Invited => None,
            Access::Project => Some(Role::Member),
            Access::Observe => Some(Role::Observer),
        })
    }

    /// The role to which the owner admitted a user.
    pub(crate) fn admitted(&self, user: &str) -> Option<Role> {
        self.users.get(user).copied().flatten()
    }

    /// Those whom the owner has admitted.
    pub(crate) fn admitted_users(&self) -> impl Iterator<Item = &Text> {
        self.users.iter().filter(|(_, role)| role.is_some()).map(|(user, _)| user)
    }

    /// When its time to live expires, if it goes on until then.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        let ttl = self.ttl.filter(|_| !self.takes_no_more())?;
        let (from_ms, before_ms) = match ttl.sliding {
            true => (self.active_ms, self.idle_before_ms),
            false => (self.created_ms, self.age_before_ms),
        };
        Some(from_ms.saturating_add(ttl.ms.saturating_sub(before_ms)))
    }

    /// How old it is at some time.
    pub(crate) const fn age_ms(&self, at_ms: u64) -> u64 {
        at_ms.saturating_sub(self.created_ms).saturating_add(self.age_before_ms)
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Whether one more session may join.
    pub(crate) fn may_join(&self, max: usize) -> Result<(), Refusal> {
        match self.end {
            Some(_) => Err(Refusal::Ended),
            None if self.participants.len() >= max => Err(Refusal::Full),
            None => Ok(()),
        }
    }

    /// A session joins. `None` if it had joined already.
    pub(crate) fn join(&mut self, participant: Participant, max: usize) -> Result<Option<Changed>, Refusal> {
        if self.end.is_none() && self.place_of(&participant.session).is_some() {
            return Ok(None);
        }
        self.may_join(max)?;
        let participant = Arc::new(participant);
        self.online += u32::from(participant.status == Status::Online);
        self.participants.push(Arc::clone(&participant));
        let seq = self.next_seq();
        self.validate();
        Ok(Some(Changed { participant, seq }))
    }

    /// A session had joined before the engine was started. That is no event of now.
    pub(crate) fn was_there(&mut self, participant: Participant) {
        self.online += u32::from(participant.status == Status::Online);
        self.participants.push(Arc::new(participant));
        self.validate();
    }

    /// A session leaves.
    pub(crate) fn leave(&mut self, session: &str) -> Option<Changed> {
        let participant = self.participants.remove(self.place_of(session)?);
        self.online -= u32::from(participant.status == Status::Online);
        let seq = self.next_seq();
        self.validate();
        Some(Changed { participant, seq })
    }

    /// A participant shows no sign of life any more. `None` if that is known.
    pub(crate) fn go_offline(&mut self, session: &str) -> Option<Changed> {
        self.set_status(session, Status::Offline)
    }

    /// A participant shows signs of life again. `None` if that is known.
    pub(crate) fn come_online(&mut self, session: &str) -> Option<Changed> {
        self.set_status(session, Status::Online)
    }

    fn set_status(&mut self, session: &str, status: Status) -> Option<Changed> {
        let at = self.place_of(session)?;
        if self.participants.get(at)?.status == status {
            return None;
        }
        self.participants.change(at, |participant| participant.status = status);
        let participant = Arc::clone(self.participants.get(at)?);
        self.online = if status == Status::Online { self.online + 1 } else { self.online - 1 };
        let seq = self.next_seq();
        self.validate();
        Some(Changed { participant, seq })
    }

    /// A participant has another role from now on. False if it has it already.
    pub(crate) fn change_role(&mut self, session: &str, role: Role) -> bool {
        let Some(at) = self.place_of(session) else { return false };
        let changes = self.participants.get(at).is_some_and(|participant| participant.role != role);
        if changes {
            self.participants.change(at, |participant| participant.role = role);
        }
        changes
    }

    /// The owner gives a user a role. `max` bounds the users about whom the owner has decided.
    pub(crate) fn admit(&mut self, user: &Text, role: Role, max: usize) -> Result<(), Refusal> {
        self.decide(user, Some(role), max)
    }

    /// What the owner has decided about a user, if anything.
    pub(crate) fn decided(&self, user: &str) -> Option<Option<Role>> {
        self.users.get(user).copied()
    }

    /// A user is not admitted after all: what the owner had decided before holds.
    pub(crate) fn withdraw(&mut self, user: &Text, decided: Option<Option<Role>>) {
        match decided {
            Some(role) => self.users.insert(user.clone(), role),
            None => self.users.remove(user),
        };
        self.roles_version += 1;
        self.validate();
    }

    /// The owner takes a user's role away: for good in a room that is open to the project, where they would have one
    /// otherwise.
    pub(crate) fn dismiss(&mut self, user: &Text, max: usize) -> Result<(), Refusal> {
        if self.access != Access::Invited {
            return self.decide(user, None, max);
        }
        self.may_decide(user)?;
        self.users.remove(user).ok_or(Refusal::Unknown)?;
        self.roles_version += 1;
        self.validate();
        Ok(())
    }

    fn decide(&mut self, user: &Text, role: Option<Role>, max: usize) -> Result<(), Refusal> {
        self.may_decide(user)?;
        if self.users.len() >= max && !self.users.contains_key(user) {
            return Err(Refusal::Full);
        }
        self.users.insert(user.clone(), role);
        self.roles_version += 1;
        self.validate();
        Ok(())
    }

    fn may_decide(&self, user: &Text) -> Result<(), Refusal> {
        match self.takes_no_more() {
            true => Err(Refusal::Ended),
            false if self.owner == *user => Err(Refusal::Owner),
            false => Ok(()),
        }
    }

    /// The application's word about roles has changed.
    pub(crate) const fn roles_changed(&mut self) {
        self.roles_version += 1;
    }

    /// Somebody says something, to everybody or to one participant. Returns the number of the event, which one to a
    /// participant alone does not have.
    pub(crate) fn say(&mut self, to: Option<&str>, now_ms: u64) -> Result<Option<u64>, Refusal> {
        if self.takes_no_more() {
            return Err(Refusal::Ended);
        }
        if to.is_some_and(|to| self.place_by_id(to).is_none()) {
            return Err(Refusal::Unknown);
        }
        self.signs_of_work(now_ms);
        let seq = if to.is_some() { None } else { Some(self.next_seq()) };
        self.validate();
        Ok(seq)
    }

    /// What is kept in the room, if anything ever was.
    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.memory.as_deref()
    }

    /// What is kept before anybody is there, which is no event.
    pub(crate) fn with_memory(mut self, memory: Memory) -> Self {
        self.memory = (memory.version() > 0).then(|| Box::new(memory));
        self
    }

    /// The runs that an earlier engine had.
    pub(crate) fn with_runs(mut self, runs: Option<Runs>) -> Self {
        self.runs = runs.map(Box::new);
        self
    }

    /// It ended while an earlier engine had it.
    pub(crate) fn with_end(mut self, end: Option<End>) -> Self {
        self.end = end;
        self.validate();
        self
    }

    /// Changes what is kept in the room. Returns what the change did, with the number of the event.
    pub(crate) fn remember<T>(
        &mut self,
        change: impl FnOnce(&mut Memory) -> Result<T, NotKept>,
    ) -> Result<(T, u64), NotKept> {
        if self.end.is_some() {
            return Err(NotKept::Ended);
        }
        let done = change(self.memory.get_or_insert_default())?;
        let seq = self.next_seq();
        self.validate();
        Ok((done, seq))
    }

    /// The room ends. Returns how, with the number of its last event; `None` if it has ended already.
    pub(crate) fn end(&mut self, reason: EndReason, now_ms: u64) -> Option<(End, u64)> {
        if self.end.is_some() {
            return None;
        }
        let end = End { reason, duration_ms: self.age_ms(now_ms) };
        self.end = Some(end);
        self.ending = None;
        self.runs.iter_mut().for_each(|runs| runs.clear_history());
        self.participants = Participants::default();
        self.online = 0;
        self.memory = None;
        self.roles_version += 1;
        let seq = self.next_seq();
        self.validate();
        Some((end, seq))
    }

    /// Checks what holds after every step.
    fn validate(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let online = self.participants().filter(|participant| participant.status == Status::Online).count();
        assert_eq!(self.online(), online, "who is online is counted");
        assert!(self.participants.is_consistent(), "a session leads to its participant");
        assert!(!self.users.contains_key(&self.owner), "nobody decides about the owner");
        assert!(self.end.is_none() || self.participants.len() == 0, "nobody is in a room that has ended");
        assert!(self.end.is_none() || self.memory.is_none(), "nothing is kept in a room that has ended");
        assert!(self.seq >= 1, "a room has started");
        assert!(self.end.is_none() || self.is_over(), "runs end before their room");
    }
}

#[cfg(test)]
mod tests;
