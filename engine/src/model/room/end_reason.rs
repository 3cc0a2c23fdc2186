//! Why a room ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a room ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// The owner or an admin closed it.
    Close,
    /// Its time to live expired.
    Timeout,
    /// It has done its work.
    Completed,
    /// It has failed at its work.
    Failed,
    /// The access of its owner was revoked.
    Revoked,
}

impl EndReason {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Timeout => "timeout",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
