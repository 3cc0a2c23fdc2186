//! Who was there.

use serde::{Deserialize, Serialize};

use crate::card::Card;
use crate::public_key::PublicKey;

/// For how long a row that has left is kept, in ms: 30 days (S4.31).
#[cfg_attr(not(feature = "storage"), expect(dead_code, reason = "only a store keeps rows"))]
pub(crate) const KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// How many rows that have left are kept of one project.
#[cfg_attr(not(feature = "storage"), expect(dead_code, reason = "only a store keeps rows"))]
pub(crate) const MOST: u64 = 10_000;

/// A peer that was shown, and is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeftPeer {
    /// The id of its row.
    pub participant: String,
    /// On whose behalf it acted.
    pub member: String,
    /// Whether it was a session; otherwise it was a program of the member's own.
    pub is_session: bool,
    /// The key of the session, as far as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<PublicKey>,
    /// How it was shown last.
    pub card: Card,
    /// When its presence began, as RFC 3339.
    pub connected_at: String,
    /// When it left, in ms since 1970.
    pub left_at_ms: u64,
}
