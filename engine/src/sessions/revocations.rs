//! Who may not come back.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::model::Text;
use crate::model::selector::Selector;
use crate::model::session::Context;
use crate::sync::Mutex;

/// Whose access ends now, for good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revocation(Selector);

impl Revocation {
    /// One session, by its id.
    pub fn session(id: impl Into<Text>) -> Self {
        Self(Selector::Session(id.into()))
    }

    /// All sessions of a user.
    pub fn user(user: impl Into<Text>) -> Self {
        Self(Selector::User(user.into()))
    }

    /// All sessions with an attribute, such as the id of a token that an authenticator put there.
    pub fn attribute(name: impl Into<Text>, value: impl Into<Text>) -> Self {
        Self(Selector::Attribute { name: name.into(), value: value.into() })
    }

    /// Whose sessions it ends.
    #[must_use]
    pub const fn selector(&self) -> &Selector {
        &self.0
    }
}

/// The revocations that hold. None is ever forgotten: sessions, users and attributes have a bound of their own each, and
/// beyond it nobody new is let in, since nobody can tell any more who was meant.
///
/// A revocation is kept as a keyed hash of eight bytes; two that are different are the same by a chance of one in 10^13
/// for a million.
#[derive(Debug)]
pub(crate) struct Revocations {
    kept: Mutex<[Kept; 3]>,
    hasher: RandomState,
    max: usize,
}

/// The revocations of one kind.
#[derive(Debug, Default)]
struct Kept {
    hashes: HashTable<u64>,
    /// There was no room for one more.
    overflowed: bool,
}

/// What is known of a session's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Allowed,
    Revoked,
    /// It is not revoked as far as is known, but not all revocations are: only who is in already may stay.
    Unknown,
}

impl Revocations {
    pub(crate) fn new(max: usize) -> Self {
        Self { kept: Mutex::default(), hasher: RandomState::new(), max }
    }

    /// Keeps out whom it means. False if there is no room: from then on nobody new is let in.
    pub(crate) fn add(&self, revocation: &Revocation) -> bool {
        let (kind, hash) = self.key(&revocation.0);
        let mut kept = self.kept.lock();
        let Kept { hashes, overflowed } = &mut kept[kind];
        if hashes.find(hash, |known| *known == hash).is_some() {
            return true;
        }
        if hashes.len() >= self.max {
            *overflowed = true;
            return false;
        }
        hashes.insert_unique(hash, hash, |known| *known);
        true
    }

    /// Lets whom it kept out come back. False if it kept out nobody.
    pub(crate) fn remove(&self, revocation: &Revocation) -> bool {
        let (kind, hash) = self.key(&revocation.0);
        let mut kept = self.kept.lock();
        kept[kind].hashes.find_entry(hash, |known| *known == hash).map(|entry| entry.remove()).is_ok()
    }

    pub(crate) fn access(&self, session: &Context) -> Access {
        if self.kept.lock().iter().all(|kept| kept.hashes.is_empty()) {
            return Access::Allowed;
        }
        let id = self.hash_of_session(session.id());
        let user = session.user().map(|user| self.hash_of_user(user));
        let attributes = session.attributes().iter();
        let attributes: Vec<_> = attributes.map(|(name, value)| self.hash_of_attribute(name, value)).collect();
        let kept = self.kept.lock();
        let mut keys = std::iter::once(id).chain(user).chain(attributes);
        if keys.any(|(kind, hash)| kept[kind].hashes.find(hash, |known| *known == hash).is_some()) {
            Access::Revoked
        } else if kept.iter().any(|kept| kept.overflowed) {
            Access::Unknown
        } else {
            Access::Allowed
        }
    }

    fn key(&self, selector: &Selector) -> (usize, u64) {
        match selector {
            Selector::User(user) => self.hash_of_user(user),
            Selector::Attribute { name, value } => self.hash_of_attribute(name, value),
            Selector::Session(id) => self.hash_of_session(id),
            // Nobody makes a revocation of these.
            Selector::All | Selector::Room(_) | Selector::RoomViewers(_) => (0, 0),
        }
    }

    fn hash_of_session(&self, id: &Text) -> (usize, u64) {
        (0, self.hasher.hash_one(id.as_str()))
    }

    fn hash_of_user(&self, user: &Text) -> (usize, u64) {
        (1, self.hasher.hash_one(user.as_str()))
    }

    fn hash_of_attribute(&self, name: &Text, value: &Text) -> (usize, u64) {
        (2, self.hasher.hash_one((name.as_str(), value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::session::Session;

    fn access(revocations: &Revocations, id: &str, user: &str) -> Access {
        revocations.access(Session::new(id.to_owned()).with_user(user.to_owned()).context())
    }

    #[test]
    fn none_is_forgotten_and_beyond_the_bound_nobody_is_known_to_be_allowed() {
        let revocations = Revocations::new(2);
        assert!(revocations.add(&Revocation::user("mallory")));
        assert!(revocations.add(&Revocation::session("1")) && revocations.add(&Revocation::session("2")));
        assert!(revocations.add(&Revocation::session("2")), "it is there already");
        assert_eq!(access(&revocations, "3", "alice"), Access::Allowed, "users have room of their own");
        assert!(!revocations.add(&Revocation::session("3")));
        for (id, user, expected) in [
            ("9", "mallory", Access::Revoked),
            ("1", "alice", Access::Revoked),
            ("2", "alice", Access::Revoked),
            ("3", "alice", Access::Unknown),
            ("4", "alice", Access::Unknown),
        ] {
            assert_eq!(access(&revocations, id, user), expected, "{id} {user}");
        }
        assert!(revocations.remove(&Revocation::session("1")) && !revocations.remove(&Revocation::session("1")));
        assert_eq!(access(&revocations, "3", "alice"), Access::Unknown, "what there was no room for is not known");
    }
}
