//! Causes and outcomes that events report.

use std::fmt;

use crate::model::Text;

/// Why the tree of a session without a connection was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionReason {
    /// Nobody was connected for too long.
    Idle,
    /// Too many trees of sessions without a connection were kept.
    LeastRecent,
    /// All trees together took too many bytes.
    Bytes,
}

impl EvictionReason {
    /// The name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::LeastRecent => "least_recent",
            Self::Bytes => "bytes",
        }
    }
}

impl fmt::Display for EvictionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which code of the application, or which part of the engine, panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PanicSite {
    /// The handler of an action.
    Handler,
    /// The application's authorisation of calls.
    Authorize,
    /// The predicate of a scope.
    Predicate,
    /// An observer of events.
    Observer,
    /// A function that loads a window or an item.
    Window,
    /// A task.
    Task,
    /// The function that decides who has access to a room.
    Access,
    /// An agent.
    Agent,
    /// A tool of an agent.
    Tool,
    /// The factory of a session's provider.
    Factory,
    /// What carries messages between instances.
    Cluster,
    /// The function that waits for a commit.
    Commit,
    /// A pass of the engine.
    Pass,
    /// The timer queue of the engine.
    Timer,
    /// A value of the application's, while it was dropped.
    Drop,
}

impl PanicSite {
    /// The name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Authorize => "authorize",
            Self::Predicate => "predicate",
            Self::Observer => "observer",
            Self::Window => "window",
            Self::Task => "task",
            Self::Access => "access",
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Factory => "factory",
            Self::Cluster => "cluster",
            Self::Commit => "commit",
            Self::Pass => "pass",
            Self::Timer => "timer",
            Self::Drop => "drop",
        }
    }
}

impl fmt::Display for PanicSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallStatus {
    /// It is done.
    Ok,
    /// It goes on as a task.
    Accepted,
    /// It failed, with this code; an application may have codes of its own.
    Failed(Text),
}

impl CallStatus {
    /// `ok`, `accepted`, or the error's code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ok => "ok",
            Self::Accepted => "accepted",
            Self::Failed(code) => code,
        }
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
