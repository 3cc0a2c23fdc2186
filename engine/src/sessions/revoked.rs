//! Who is barred from coming back.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::model::Text;
use crate::model::session::Context;
use crate::sync::Mutex;

/// Whose access ends now, for good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// One session.
    Session(Text),
    /// All sessions of a user.
    User(Text),
    /// All sessions with an attribute, such as the id of a token that an authenticator put there.
    Attribute(Text, Text),
}

impl Revocation {
    /// One session, by its id.
    pub fn session(id: impl Into<Text>) -> Self {
        Self::Session(id.into())
    }

    /// All sessions of a user.
    pub fn user(user: impl Into<Text>) -> Self {
        Self::User(user.into())
    }

    /// What it goes by, and whom it means, for the event.
    pub(crate) fn described(&self) -> (&'static str, Text) {
        match self {
            Self::Session(id) => ("session", id.clone()),
            Self::User(user) => ("user", user.clone()),
            Self::Attribute(name, value) => ("attribute", format!("{name}={value}").into()),
        }
    }

    /// All sessions with an attribute.
    pub fn attribute(name: impl Into<Text>, value: impl Into<Text>) -> Self {
        Self::Attribute(name.into(), value.into())
    }
}

/// The revocations that hold, up to a bound; the one that was asked about least recently goes first.
#[derive(Debug)]
pub(crate) struct Revoked(Mutex<LruCache<Revocation, ()>>);

impl Revoked {
    pub(crate) fn new(max: usize) -> Self {
        Self(Mutex::new(LruCache::new(NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN))))
    }

    /// Bars whom it means. True if another had to be forgotten for it.
    pub(crate) fn bar(&self, revocation: &Revocation) -> bool {
        let before = self.0.lock().push(revocation.clone(), ());
        before.is_some_and(|(before, ())| before != *revocation)
    }

    /// Lets whom it barred come back. False if it barred nobody.
    pub(crate) fn lift(&self, revocation: &Revocation) -> bool {
        self.0.lock().pop(revocation).is_some()
    }

    pub(crate) fn bars(&self, session: &Context) -> bool {
        let mut revoked = self.0.lock();
        if revoked.is_empty() {
            return false;
        }
        let user = session.user().map(|user| Revocation::User(user.clone()));
        let attributes = session.attributes().iter();
        let attributes = attributes.map(|(name, value)| Revocation::Attribute(name.clone(), value.clone()));
        let id = Revocation::Session(session.id().clone());
        std::iter::once(id).chain(user).chain(attributes).any(|revocation| revoked.get(&revocation).is_some())
    }
}
