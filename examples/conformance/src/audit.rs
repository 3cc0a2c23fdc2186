//! What was refused, created, closed, revoked and taken over, as the engine reported it.

use std::collections::VecDeque;

use grove_engine::{CloseReason, Event, Selector};
use parking_lot::Mutex;
use serde::Serialize;

use crate::tokens::user_with_rooms;

/// How many entries are kept; the oldest are dropped first.
const KEPT: usize = 10_000;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// What was done; with a code, what was not.
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    entries: VecDeque<Entry>,
    /// How many entries were dropped.
    dropped: u64,
}

impl Audit {
    /// Records an event if it is one that belongs here.
    pub(crate) fn record(&self, event: &Event) {
        let Some(entry) = Entry::of(event) else { return };
        let mut log = self.log.lock();
        log.entries.push_back(entry);
        if log.entries.len() > KEPT {
            log.entries.pop_front();
            log.dropped += 1;
        }
    }

    /// The entries from a number on, and the number of the next one. Entries are counted from 0.
    pub(crate) fn since(&self, number: u64) -> (u64, Vec<Entry>) {
        let log = self.log.lock();
        let known = usize::try_from(number.saturating_sub(log.dropped)).unwrap_or(usize::MAX);
        let entries = log.entries.iter().skip(known).cloned().collect();
        (log.dropped + log.entries.len() as u64, entries)
    }
}

impl Entry {
    fn new(what: &'static str) -> Self {
        Self { what, code: None, user: None, room: None }
    }

    fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    fn user(mut self, user: Option<impl ToString>) -> Self {
        self.user = user.map(|user| user.to_string());
        self
    }

    /// The id is empty if there is no room.
    fn room(mut self, room: &str) -> Self {
        self.room = (!room.is_empty()).then(|| room.to_owned());
        self
    }

    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::RoomCreated { room, user, .. } => Some(Self::new("create").user(Some(user)).room(room)),
            Event::RoomRefused { what, code, user, room, .. } => {
                Some(Self::new(what).code(code).user(user.as_ref()).room(room))
            }
            Event::RoomClosed { room, user, .. } => Some(Self::new("close").user(user.as_ref()).room(room)),
            Event::Refused { status: 401 | 403, reason } => Some(Self::new("connect").code(code_of(reason))),
            Event::PeerReplaced { user, .. } => Some(Self::new("takeover").user(Some(user))),
            Event::PeerRevoked { user, .. } => Some(Self::new("revoke").user(Some(user))),
            Event::Revoked { whom, .. } => Some(Self::new("revoke").user(user_of(whom))),
            Event::SessionConflict { session }
            | Event::Disconnected { session, reason: CloseReason::Superseded, .. } => {
                Some(Self::new("takeover").user(user_with_rooms(session)))
            }
            _ => None,
        }
    }
}

/// Peers are refused with codes; of others, sentences say why.
fn code_of(reason: &'static str) -> &'static str {
    let is_code = reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { reason } else { "unauthorized" }
}

fn user_of(whom: &Selector) -> Option<&str> {
    match whom {
        Selector::User(user) => Some(user),
        Selector::Session(session) => user_with_rooms(session),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_are_dropped_and_the_others_keep_their_numbers() {
        let audit = Audit::default();
        let created = |number: usize| Event::RoomCreated {
            room: format!("m{number}").into(),
            project: "main".into(),
            user: "alice".into(),
        };
        (0..KEPT + 5).for_each(|number| audit.record(&created(number)));
        audit.record(&Event::SessionOpened { session: "not this".into() });
        let (next, entries) = audit.since(0);
        assert_eq!((next, entries.len(), entries[0].room.as_deref()), (KEPT as u64 + 5, KEPT, Some("m5")));
        let (_, entries) = audit.since(KEPT as u64 + 4);
        assert_eq!(entries, [Entry::of(&created(KEPT + 4)).unwrap()]);
        assert_eq!(audit.since(u64::MAX).1, []);
    }
}
