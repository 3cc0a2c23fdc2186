//! Who may not come back.

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

use super::kept_revocations::{Kept, Seconds};
use crate::model::Text;
use crate::model::selector::Selector;
use crate::model::session::Context;
use crate::sync::Mutex;

/// Whose access ends now, for good or until the credentials have expired that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revocation {
    selector: Selector,
    until: Option<SystemTime>,
}

impl Revocation {
    const fn of(selector: Selector) -> Self {
        Self { selector, until: None }
    }

    /// One that was decided elsewhere.
    pub(crate) const fn kept(selector: Selector, until: Option<SystemTime>) -> Self {
        Self { selector, until }
    }

    /// One session, by its id.
    pub fn session(id: impl Into<Text>) -> Self {
        Self::of(Selector::Session(id.into()))
    }

    /// All sessions of a user.
    pub fn user(user: impl Into<Text>) -> Self {
        Self::of(Selector::User(user.into()))
    }

    /// All sessions with an attribute, such as the id of a token that an authenticator put there.
    pub fn attribute(name: impl Into<Text>, value: impl Into<Text>) -> Self {
        Self::of(Selector::Attribute { name: name.into(), value: value.into() })
    }

    /// Until when it has to be kept: when every credential has expired that it means, also those that were never shown. Then
    /// it is forgotten, which makes room for others.
    #[must_use]
    pub const fn until(mut self, at: SystemTime) -> Self {
        self.until = Some(at);
        self
    }

    /// Whose sessions it ends.
    #[must_use]
    pub const fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Until when it says that it has to be kept.
    pub(crate) const fn kept_until(&self) -> Option<SystemTime> {
        self.until
    }
}

/// The revocations that hold. None is forgotten before its end: sessions, users and attributes have a bound of their own
/// each, and beyond it nobody new is let in, since nobody can tell any more who was meant.
///
/// A revocation is kept as a keyed hash of eight bytes; two that are different are the same by a chance of one in 10^13
/// for a million.
#[derive(Debug)]
pub(crate) struct Revocations {
    kept: Mutex<[Kept; 3]>,
    hasher: RandomState,
    max: usize,
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

    /// Keeps out whom it means, until then or for good. False if there is no room: then nobody new is let in as long.
    pub(crate) fn add(&self, revocation: &Revocation, until: Option<SystemTime>, now: SystemTime) -> bool {
        let (kind, hash) = self.key(&revocation.selector);
        let until = until.map_or(Seconds::NEVER, Seconds::after);
        self.kept.lock()[kind].add(hash, until, Seconds::before(now), self.max)
    }

    /// Lets whom it kept out come back. False if it kept out nobody.
    pub(crate) fn remove(&self, revocation: &Revocation, now: SystemTime) -> bool {
        let (kind, hash) = self.key(&revocation.selector);
        self.kept.lock()[kind].remove(hash, Seconds::before(now))
    }

    pub(crate) fn access(&self, session: &Context, now: SystemTime) -> Access {
        if self.kept.lock().iter().all(Kept::is_empty) {
            return Access::Allowed;
        }
        let now = Seconds::before(now);
        let id = self.hash_of_session(session.id());
        let user = session.user().map(|user| self.hash_of_user(user));
        let attributes = session.attributes().iter();
        let attributes: Vec<_> = attributes.map(|(name, value)| self.hash_of_attribute(name, value)).collect();
        let kept = self.kept.lock();
        let mut keys = std::iter::once(id).chain(user).chain(attributes);
        if keys.any(|(kind, hash)| kept[kind].holds(hash, now)) {
            Access::Revoked
        } else if kept.iter().any(|kept| kept.is_incomplete(now)) {
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
            Selector::All
            | Selector::Project(_)
            | Selector::Room(_)
            | Selector::RoomViewers(_)
            | Selector::Named(_) => (0, 0),
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
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::model::session::Session;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn access(revocations: &Revocations, id: &str, user: &str) -> Access {
        access_at(revocations, id, user, 0)
    }

    fn access_at(revocations: &Revocations, id: &str, user: &str, second: u64) -> Access {
        revocations.access(Session::new(id.to_owned()).with_user(user.to_owned()).context(), at(second))
    }

    fn add(revocations: &Revocations, revocation: &Revocation) -> bool {
        revocations.add(revocation, revocation.kept_until(), at(0))
    }

    #[test]
    fn none_is_forgotten_and_beyond_the_bound_nobody_is_known_to_be_allowed() {
        let revocations = Revocations::new(2);
        assert!(add(&revocations, &Revocation::user("mallory")));
        assert!(add(&revocations, &Revocation::session("1")) && add(&revocations, &Revocation::session("2")));
        assert!(add(&revocations, &Revocation::session("2")), "it is there already");
        assert_eq!(access(&revocations, "3", "alice"), Access::Allowed, "users have room of their own");
        assert!(!add(&revocations, &Revocation::session("3")));
        for (id, user, expected) in [
            ("9", "mallory", Access::Revoked),
            ("1", "alice", Access::Revoked),
            ("2", "alice", Access::Revoked),
            ("3", "alice", Access::Unknown),
            ("4", "alice", Access::Unknown),
        ] {
            assert_eq!(access(&revocations, id, user), expected, "{id} {user}");
        }
        let first = Revocation::session("1");
        assert!(revocations.remove(&first, at(0)) && !revocations.remove(&first, at(0)));
        assert_eq!(access(&revocations, "3", "alice"), Access::Unknown, "what there was no room for is not known");
    }

    #[test]
    fn one_that_has_an_end_holds_until_then_and_leaves_room_afterwards() {
        let revocations = Revocations::new(2);
        assert!(
            add(&revocations, &Revocation::session("1").until(at(10))) && add(&revocations, &Revocation::session("2"))
        );
        assert!(!add(&revocations, &Revocation::session("3").until(at(20))));
        assert_eq!(access_at(&revocations, "1", "alice", 9), Access::Revoked);
        assert_eq!(access_at(&revocations, "1", "alice", 10), Access::Unknown, "the third may still be meant");
        assert_eq!(access_at(&revocations, "1", "alice", 20), Access::Allowed);
        assert_eq!(access_at(&revocations, "2", "alice", 20), Access::Revoked, "it has no end");
        assert!(!revocations.remove(&Revocation::session("1"), at(20)), "it kept out nobody any more");
        assert!(revocations.add(&Revocation::session("4"), None, at(20)), "there is room again");
    }

    #[test]
    fn of_two_ends_the_later_one_counts() {
        let revocations = Revocations::new(2);
        for until in [Some(at(20)), Some(at(10)), None, Some(at(30))] {
            assert!(revocations.add(&Revocation::session("1"), until, at(0)));
        }
        assert_eq!(access_at(&revocations, "1", "alice", 1_000_000), Access::Revoked);
    }
}
