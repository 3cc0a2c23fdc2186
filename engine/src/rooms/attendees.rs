//! Which sessions are waited for, and which of them are due for a heartbeat.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use super::due::Due;
use super::leases::{Lease, LeaseTimes, Looked};

/// A handle on a session, with a number that no other session has as long as the handle is there.
pub(super) trait Attendee: Clone {
    fn id(&self) -> usize;
}

/// The sessions that have a lease, or have joined rooms: a pure type, which is told the time, and what was heard of a
/// session and sent to it when it looks. A session is looked at when it is due; a sign of life and an event cost nothing
/// here. There may be many, so each costs about 60 bytes.
#[derive(Debug)]
pub(super) struct Attendees<T> {
    times: LeaseTimes,
    /// How long after the last event of its rooms a session is sent a heartbeat.
    heartbeat_ms: u64,
    entries: Slab<Entry<T>>,
    /// The keys of the entries, by the session's number.
    by_id: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// By key.
    due: Due,
    leases: usize,
    /// The most entries that there were since room was last given back.
    peak: usize,
}

#[derive(Debug)]
struct Entry<T> {
    session: T,
    /// The last sign of life that is known of here.
    heard_ms: u64,
    /// The last event of a room, or heartbeat, that is known of here.
    sent_ms: u64,
    /// How many rooms it has joined.
    rooms: u32,
    lease: Option<Lease>,
}

/// Room for so many is not given back before all are gone.
const FEW: usize = 64;

/// What follows from a look at a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) lease: Looked,
    /// It is sent a heartbeat.
    pub(super) is_quiet: bool,
}

impl<T: Attendee> Attendees<T> {
    pub(super) fn new(times: LeaseTimes, heartbeat_ms: u64) -> Self {
        Self {
            times,
            heartbeat_ms,
            entries: Slab::new(),
            by_id: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            due: Due::default(),
            leases: 0,
            peak: 0,
        }
    }

    /// How many leases there are.
    pub(super) const fn leases(&self) -> usize {
        self.leases
    }

    fn find(&self, id: usize) -> Option<u32> {
        self.by_id.find(self.hasher.hash_one(id), |key| self.entries[*key as usize].session.id() == id).copied()
    }

    fn entry(&self, id: usize) -> Option<&Entry<T>> {
        self.entries.get(self.find(id)? as usize)
    }

    fn find_or_add(&mut self, session: T, now_ms: u64) -> u32 {
        let id = session.id();
        if let Some(key) = self.find(id) {
            return key;
        }
        if self.entries.len() == self.entries.capacity() {
            // There may be many: room for an eighth more.
            self.entries.reserve_exact(self.entries.len() / 8 + 1);
        }
        let entry = Entry { session, heard_ms: now_ms, sent_ms: now_ms, rooms: 0, lease: None };
        let key = u32::try_from(self.entries.insert(entry)).expect("there are fewer sessions");
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_id.insert_unique(hasher.hash_one(id), key, |key| hasher.hash_one(entries[*key as usize].session.id()));
        self.peak = self.peak.max(self.entries.len());
        key
    }

    /// A session joins one more room. It has a lease from now on.
    pub(super) fn join(&mut self, session: T, now_ms: u64) {
        let key = self.find_or_add(session.clone(), now_ms);
        let entry = &mut self.entries[key as usize];
        if entry.rooms == 0 {
            entry.sent_ms = now_ms;
            self.due.set_at_most(key, now_ms.saturating_add(self.heartbeat_ms));
        }
        entry.rooms += 1;
        self.hold(session, now_ms);
    }

    /// A session leaves a room. Returns whether it was its last.
    pub(super) fn leave(&mut self, id: usize) -> bool {
        let Some(key) = self.find(id) else { return true };
        let entry = &mut self.entries[key as usize];
        entry.rooms = entry.rooms.saturating_sub(1);
        let was_last = entry.rooms == 0;
        self.forget_unless_needed(key);
        was_last
    }

    pub(super) fn has_joined(&self, id: usize) -> bool {
        self.entry(id).is_some_and(|entry| entry.rooms > 0)
    }

    /// A session has a lease from now on, if it had none.
    pub(super) fn hold(&mut self, session: T, now_ms: u64) {
        let key = self.find_or_add(session, now_ms);
        let entry = &mut self.entries[key as usize];
        if entry.lease.is_none() {
            (entry.lease, entry.heard_ms) = (Some(Lease::Online), now_ms);
            self.leases += 1;
            self.due.set_at_most(key, self.times.first_look(now_ms));
        }
    }

    /// A session has no lease any more.
    pub(super) fn release(&mut self, id: usize) {
        if let Some(key) = self.find(id) {
            self.leases -= usize::from(self.entries[key as usize].lease.take().is_some());
            self.forget_unless_needed(key);
        }
    }

    /// A connection ended on which there was a sign of life then.
    pub(super) fn heard(&mut self, id: usize, at_ms: u64) {
        if let Some(key) = self.find(id) {
            let entry = &mut self.entries[key as usize];
            entry.heard_ms = entry.heard_ms.max(at_ms);
        }
    }

    /// A session shows a sign of life now. Returns whether it was offline.
    pub(super) fn came_back(&mut self, id: usize, now_ms: u64) -> bool {
        self.heard(id, now_ms);
        let Some(key) = self.find(id) else { return false };
        let lease = self.entries[key as usize].lease.as_mut().filter(|lease| **lease == Lease::Offline);
        lease.is_some_and(|lease| std::mem::replace(lease, Lease::Online) == Lease::Offline)
    }

    /// Whether a session is offline. One without a lease is not.
    pub(super) fn is_offline(&self, id: usize) -> bool {
        self.entry(id).is_some_and(|entry| entry.lease == Some(Lease::Offline))
    }

    /// Whether a session that last showed a sign of life then would have left.
    pub(super) const fn has_left(&self, heard_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(heard_ms) >= self.times.left_ms
    }

    /// The timer fired: the sessions that are to be looked at.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Vec<T> {
        let due = self.due.take(now_ms);
        due.into_iter().filter_map(|key| Some(self.entries.get(key as usize)?.session.clone())).collect()
    }

    /// Looks at a session whose connections last showed a sign of life then, and in whose rooms something was last sent
    /// then.
    pub(super) fn look(&mut self, id: usize, (heard_ms, sent_ms): (Option<u64>, Option<u64>), now_ms: u64) -> Look {
        let nothing = Look { lease: Looked::Fine, is_quiet: false };
        let Some(key) = self.find(id) else { return nothing };
        let entry = &mut self.entries[key as usize];
        entry.heard_ms = entry.heard_ms.max(heard_ms.unwrap_or(0));
        entry.sent_ms = entry.sent_ms.max(sent_ms.unwrap_or(0));
        let is_quiet = entry.rooms > 0 && now_ms.saturating_sub(entry.sent_ms) >= self.heartbeat_ms;
        if is_quiet {
            entry.sent_ms = now_ms;
        }
        let looked = entry.lease.map(|lease| self.times.look(lease, entry.heard_ms, now_ms));
        let (lease, next) = looked.unwrap_or((Looked::Fine, None));
        self.leases -= usize::from(lease == Looked::Lost);
        entry.lease = next.map(|(lease, _)| lease);
        self.schedule(key, next.map(|(_, at_ms)| at_ms));
        self.forget_unless_needed(key);
        Look { lease, is_quiet }
    }

    /// A session is looked at when its lease is due, or when it is due for a heartbeat.
    fn schedule(&mut self, key: u32, lease_ms: Option<u64>) {
        let entry = &self.entries[key as usize];
        let beat_ms = (entry.rooms > 0).then(|| entry.sent_ms.saturating_add(self.heartbeat_ms));
        match lease_ms.into_iter().chain(beat_ms).min() {
            Some(at_ms) => self.due.set(key, at_ms),
            None => self.due.remove(key),
        }
    }

    fn forget_unless_needed(&mut self, key: u32) {
        let entry = &self.entries[key as usize];
        if entry.rooms == 0 && entry.lease.is_none() {
            self.forget(key);
        }
    }

    /// A session is gone, whatever it had.
    pub(super) fn gone(&mut self, id: usize) {
        self.release(id);
        if let Some(key) = self.find(id) {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: u32) {
        self.due.remove(key);
        let id = self.entries[key as usize].session.id();
        if let Ok(entry) = self.by_id.find_entry(self.hasher.hash_one(id), |known| *known == key) {
            entry.remove();
        }
        self.entries.remove(key as usize);
        self.shrink();
    }

    /// After a storm, gives back the room that nobody needs; not at every step, so that its cost is spread.
    fn shrink(&mut self) {
        let are_most_here = self.peak < FEW || self.entries.len() * 4 > self.peak;
        if are_most_here && !self.entries.is_empty() {
            return;
        }
        self.peak = self.entries.len();
        self.entries.shrink_to_fit();
        self.due.shrink(self.entries.iter().next_back().map_or(0, |(key, _)| key + 1));
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_id.shrink_to_fit(|key| hasher.hash_one(entries[*key as usize].session.id()));
    }

    /// When the timer has to fire, if it does not yet.
    pub(super) fn next_timer(&mut self) -> Option<u64> {
        self.due.next_timer()
    }
}

#[cfg(test)]
mod tests;
