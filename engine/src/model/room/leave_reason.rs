//! Why a session left a room.

use std::fmt;

/// Why a session left a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaveReason {
    /// It left by itself.
    Left,
    /// Its last connection, or the session, was closed.
    Closed,
    /// Its connection was lost, and it did not come back in time.
    Lost,
    /// It has no role any more.
    Dismissed,
    /// Its authentication ended.
    Expired,
    /// Its access was revoked.
    Revoked,
}

impl LeaveReason {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Closed => "closed",
            Self::Lost => "lost",
            Self::Dismissed => "dismissed",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
