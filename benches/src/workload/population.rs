//! Who uses the application, how alike they are, and what has changed so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use grove_engine::Session;

use super::Likeness;

/// The attribute that a descriptor reads when all sessions show one view.
const VIEW: &str = "view";

/// All members, and the application's data: a counter for each, and one for all.
#[derive(Debug)]
pub(crate) struct Population {
    sessions: u32,
    likeness: Likeness,
    private: Box<[AtomicU32]>,
    shared: AtomicU32,
}

/// What a descriptor knows of whom it renders for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Face {
    /// Whose data it is: sessions with the same `K` show the same texts.
    pub(crate) k: u32,
    /// How often the private data changed.
    pub(crate) revision: u32,
}

impl Population {
    pub(crate) fn new(sessions: u32, likeness: Likeness) -> Self {
        let own = if likeness == Likeness::One { 1 } else { sessions };
        let private = (0..own).map(|_| AtomicU32::new(0)).collect();
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

    /// What a descriptor shows, from what it reads of the session: the shared view, or the user.
    pub(crate) fn face(&self, session: &Session) -> Face {
        let named = match self.likeness {
            Likeness::One => session.attribute(VIEW),
            Likeness::Distinct | Likeness::Tenth => session.user().and_then(|user| user.strip_prefix("user-")),
        };
        self.face_of(named.and_then(|number| number.parse().ok()).unwrap_or(0))
    }

    /// The same for a closure that is one session's.
    pub(crate) fn faces(self: &Arc<Self>, session: &Session) -> impl Fn() -> Face + Send + Sync + use<> {
        let (people, session) = (Arc::clone(self), session.clone());
        move || people.face(&session)
    }

    /// What member `u` is shown.
    pub(crate) fn face_of(&self, u: u32) -> Face {
        let k = match self.likeness {
            Likeness::Distinct => u,
            Likeness::Tenth => u % (self.sessions / 10).max(1),
            Likeness::One => 0,
        };
        Face { k, revision: self.counter(u).load(Ordering::Relaxed) }
    }

    /// The private data of member `u`; everybody's, where all share one view.
    fn counter(&self, u: u32) -> &AtomicU32 {
        &self.private[u as usize % self.private.len()]
    }

    /// How often the shared data changed.
    pub(crate) fn shared(&self) -> u32 {
        self.shared.load(Ordering::Relaxed)
    }

    /// A private change in every session.
    pub(crate) fn change_everybody(&self) {
        for counter in &self.private {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A private change in the session of member `u`, or in the one view.
    pub(crate) fn change_one(&self, u: u32) {
        self.counter(u).fetch_add(1, Ordering::Relaxed);
    }

    /// A change that everybody sees. Answers the new count.
    pub(crate) fn change_shared(&self) -> u32 {
        self.shared.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The user name of member `u`.
pub(crate) fn user(u: u32) -> String {
    format!("user-{u}")
}
