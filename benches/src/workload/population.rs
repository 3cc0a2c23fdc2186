//! The users of the application, how similar they are, and what has changed so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use grove_engine::Session;

use super::likeness::Likeness;

/// The attribute that descriptors read when all sessions share one view.
const VIEW: &str = "view";

/// All members and the application's data: a private counter for each member, and one shared counter.
#[derive(Debug)]
pub(crate) struct Population {
    sessions: u32,
    likeness: Likeness,
    private: Box<[AtomicU32]>,
    shared: AtomicU32,
}

/// What determines the content that a descriptor renders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content {
    /// Sessions with the same owner show the same content.
    pub(crate) owner: u32,
    /// How often the private data has changed.
    pub(crate) revision: u32,
}

impl Population {
    pub(crate) fn new(sessions: u32, likeness: Likeness) -> Self {
        let owners = if likeness == Likeness::One { 1 } else { sessions };
        let private = (0..owners).map(|_| AtomicU32::new(0)).collect();
        Self { sessions, likeness, private, shared: AtomicU32::new(0) }
    }

    pub(crate) const fn sessions(&self) -> u32 {
        self.sessions
    }

    /// The session of member `u`.
    pub(crate) fn session(&self, u: u32) -> Session {
        let session = Session::new(format!("s-{u}")).with_user(user(u));
        match self.likeness {
            Likeness::One => session.with_attribute(VIEW, "0"),
            Likeness::Distinct | Likeness::Tenth => session,
        }
    }

    /// The content for a session. Reads the attribute of the shared view, or the user.
    pub(crate) fn content(&self, session: &Session) -> Content {
        let member = match self.likeness {
            Likeness::One => session.attribute(VIEW),
            Likeness::Distinct | Likeness::Tenth => session.user().and_then(|user| user.strip_prefix("user-")),
        };
        self.content_of(member.and_then(|number| number.parse().ok()).unwrap_or(0))
    }

    /// The same for a closure that belongs to one session.
    pub(crate) fn content_reader(self: &Arc<Self>, session: &Session) -> impl Fn() -> Content + Send + Sync + use<> {
        let (population, session) = (Arc::clone(self), session.clone());
        move || population.content(&session)
    }

    /// The content for member `u`.
    pub(crate) fn content_of(&self, u: u32) -> Content {
        let owner = match self.likeness {
            Likeness::Distinct => u,
            Likeness::Tenth => u % (self.sessions / 10).max(1),
            Likeness::One => 0,
        };
        Content { owner, revision: self.counter(u).load(Ordering::Relaxed) }
    }

    /// The private counter of member `u`, which is the same for all members if they share one view.
    fn counter(&self, u: u32) -> &AtomicU32 {
        &self.private[u as usize % self.private.len()]
    }

    /// How often the shared data has changed.
    pub(crate) fn shared(&self) -> u32 {
        self.shared.load(Ordering::Relaxed)
    }

    /// Changes the private data of every member.
    pub(crate) fn change_all_private(&self) {
        for counter in &self.private {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Changes the private data of member `u`.
    pub(crate) fn change_private(&self, u: u32) {
        self.counter(u).fetch_add(1, Ordering::Relaxed);
    }

    /// Changes the shared data. Returns the new count.
    pub(crate) fn change_shared(&self) -> u32 {
        self.shared.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The user name of member `u`.
pub(crate) fn user(u: u32) -> String {
    format!("user-{u}")
}
