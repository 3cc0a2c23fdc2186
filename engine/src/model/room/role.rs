//! What a session may do in a room.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a session may do in a room (rooms 2). A session without a role does not learn that the room exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The creator: may do everything.
    Owner,
    /// May say and run.
    Member,
    /// Sees everything and dispatches nothing.
    Observer,
}

impl Role {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Observer => "observer",
        }
    }

    /// Whether it may say something, and later run something.
    #[must_use]
    pub const fn may_say(self) -> bool {
        matches!(self, Self::Owner | Self::Member)
    }

    /// Whether it may close the room, admit users and dismiss them.
    #[must_use]
    pub const fn may_manage(self) -> bool {
        matches!(self, Self::Owner)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
