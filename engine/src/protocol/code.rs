//! Every code that a consumer can receive, with what it should do then.

use std::fmt;

use crate::model::Text;

/// Codes of `error` messages and of results with status `error` (contract 1.7).
///
/// An application may use codes of its own in [`ActionError`](crate::ActionError); these are the ones that the engine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The frame cannot be understood. Fix the message; the connection goes on.
    BadRequest,
    /// The node or action does not exist for this session (any more). Look at the tree again.
    NotFound,
    /// The parameters do not fit the action's schema. Fix them.
    InvalidParams,
    /// The session may not do this. Do not try again.
    Unauthorized,
    /// The state does not allow it now. Look at the tree again.
    Conflict,
    /// Something broke on the provider's side. Trying once more may help.
    Internal,
    /// The message is of a kind that this protocol version leaves open.
    NotSupported,
    /// Too many messages or calls at once. Wait a little.
    Busy,
    /// What was asked for does not fit a frame. Ask for less: a path, a depth or a budget.
    TooLarge,
}

impl ErrorCode {
    /// Every code of the engine's own.
    pub const ALL: [Self; 9] = [
        Self::BadRequest,
        Self::NotFound,
        Self::InvalidParams,
        Self::Unauthorized,
        Self::Conflict,
        Self::Internal,
        Self::NotSupported,
        Self::Busy,
        Self::TooLarge,
    ];

    /// The code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::InvalidParams => "invalid_params",
            Self::Unauthorized => "unauthorized",
            Self::Conflict => "conflict",
            Self::Internal => "internal",
            Self::NotSupported => "not_supported",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for ErrorCode {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<ErrorCode> for Text {
    fn from(code: ErrorCode) -> Self {
        Self::const_new(code.as_str())
    }
}

/// Codes with which a connection closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum CloseCode {
    /// Both sides are done.
    Normal = 1000,
    /// The provider goes away. Reconnect after a short while.
    GoingAway = 1001,
    /// A rule was broken, or the session was revoked. Do not reconnect with the same credential.
    Policy = 1008,
    /// A message was larger than the limit.
    TooBig = 1009,
    /// The consumer fell too far behind, or a limit is reached. Reconnect later.
    TryLater = 1013,
    /// The session's authentication ended. Authenticate again, then reconnect.
    Expired = 4401,
    /// Another connection resumed in place of this one. Do not reconnect: it is the one now.
    Replaced = 4409,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_u16())
    }
}
