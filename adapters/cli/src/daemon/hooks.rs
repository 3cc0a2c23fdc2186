//! What is told that a session was registered or has gone.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a session is not registered any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It said so.
    Deregistered,
    /// It was registered again.
    Replaced,
    /// Its process has ended.
    ProcessEnded,
    /// Another process has its id.
    OtherProcess,
    /// Nobody has registered it again for 24 hours.
    TooOld,
}

/// What has happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Registered,
    Removed(Why),
}

type Hook = Box<dyn Fn(&str, Change) + Send + Sync>;

/// What is told of every change, once. A hook that panics harms nothing (S4.45).
#[derive(Default)]
pub(crate) struct Hooks(Vec<Hook>);

impl Hooks {
    pub(crate) fn with(mut self, hook: impl Fn(&str, Change) + Send + Sync + 'static) -> Self {
        self.0.push(Box::new(hook));
        self
    }

    /// Tells all hooks about a session. Nothing may be locked.
    pub(crate) fn tell(&self, session_id: &str, change: Change) {
        for hook in &self.0 {
            if catch_unwind(AssertUnwindSafe(|| hook(session_id, change))).is_err() {
                tracing::error!(target: "grove", session_id, "a hook panicked");
            }
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooks({})", self.0.len())
    }
}
