//! Why a connection or a session ended.

use std::fmt;

use super::code::CloseCode;

/// Why a connection or a session ended: what the peer is told, and what events report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer left, or its socket was lost.
    Gone,
    /// The peer showed no sign of life.
    Silent,
    /// The peer accepted nothing of what was sent, or let too many replies wait.
    Slow,
    /// The peer kept sending messages over its rate.
    Abuse,
    /// The peer sent control frames faster than the transport allows.
    ControlFlood,
    /// A message was larger than the limit.
    MessageTooLarge,
    /// A tab's tree was larger than the limit.
    TabTooLarge,
    /// Another connection resumed in its place.
    Superseded,
    /// The application closed the session.
    Closed,
    /// The session was without a connection for too long.
    Idle,
    /// The session was evicted so that another could be opened.
    LeastRecent,
    /// The session's authentication ended.
    Expired,
    /// The session was revoked.
    Revoked,
    /// The application could not make a provider for the session.
    ProviderFailed,
    /// The provider is shutting down.
    ShuttingDown,
}

impl CloseReason {
    /// The name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Abuse => "abuse",
            Self::ControlFlood => "control_flood",
            Self::MessageTooLarge => "too_big",
            Self::TabTooLarge => "tab_too_large",
            Self::Superseded => "superseded",
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::LeastRecent => "least_recent",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::ProviderFailed => "provider_failed",
            Self::ShuttingDown => "closing",
        }
    }

    /// The close code that the peer gets.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Gone | Self::Silent | Self::Closed | Self::Idle | Self::LeastRecent => CloseCode::Normal,
            Self::Slow | Self::ProviderFailed => CloseCode::TryLater,
            Self::Abuse | Self::ControlFlood | Self::TabTooLarge | Self::Revoked => CloseCode::Policy,
            Self::MessageTooLarge => CloseCode::TooBig,
            Self::Superseded => CloseCode::Replaced,
            Self::Expired => CloseCode::Expired,
            Self::ShuttingDown => CloseCode::GoingAway,
        }
    }

    /// The sentence that the peer gets, with the close code and in reply to what was still running.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Gone => "the connection is gone",
            Self::Silent => "the peer is silent",
            Self::Slow => "too many replies are waiting",
            Self::Abuse => "too many messages",
            Self::ControlFlood => "too many control frames",
            Self::MessageTooLarge => "the message is too large",
            Self::TabTooLarge => "the tab's tree is too large",
            Self::Superseded => "another connection took the place of this one",
            Self::Closed => "the session was closed",
            Self::Idle | Self::LeastRecent => "the session was idle",
            Self::Expired => "the session has expired",
            Self::Revoked => "the session was revoked",
            Self::ProviderFailed => "the provider failed",
            Self::ShuttingDown => "the provider is shutting down",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
