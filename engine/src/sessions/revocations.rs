//! Who may not come back.

use std::num::NonZeroUsize;

use lru::LruCache;

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

/// The revocations that hold, up to a bound; the one that was looked up least recently is evicted first.
#[derive(Debug)]
pub(crate) struct Revocations(Mutex<LruCache<Selector, ()>>);

impl Revocations {
    pub(crate) fn new(max: usize) -> Self {
        Self(Mutex::new(LruCache::new(NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN))))
    }

    /// Keeps out whom it means. True if another had to be evicted for it.
    pub(crate) fn add(&self, revocation: &Revocation) -> bool {
        let evicted = self.0.lock().push(revocation.0.clone(), ());
        evicted.is_some_and(|(evicted, ())| evicted != revocation.0)
    }

    /// Lets whom it kept out come back. False if it kept out nobody.
    pub(crate) fn remove(&self, revocation: &Revocation) -> bool {
        self.0.lock().pop(&revocation.0).is_some()
    }

    pub(crate) fn contains(&self, session: &Context) -> bool {
        let mut revoked = self.0.lock();
        if revoked.is_empty() {
            return false;
        }
        let id = Selector::Session(session.id().clone());
        let user = session.user().map(|user| Selector::User(user.clone()));
        let attributes = session.attributes().iter();
        let attributes =
            attributes.map(|(name, value)| Selector::Attribute { name: name.clone(), value: value.clone() });
        std::iter::once(id).chain(user).chain(attributes).any(|selector| revoked.get(&selector).is_some())
    }
}
