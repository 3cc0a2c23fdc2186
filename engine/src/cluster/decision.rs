//! What is decided on one instance about sessions, and holds on all.

use serde::{Deserialize, Serialize};

use crate::model::Text;
use crate::model::selector::Selector;

/// Whom a decision is about. Of several about the same the latest holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// The access of whomever this means.
    Access(Selector),
    /// The session with this id, as long as it is open.
    Session(Text),
    /// The claims of the session with this id.
    Claims(Text),
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Access ends, until then in ms since 1970, or for good.
    Revoked(Option<u64>),
    /// Access may be had again.
    Allowed,
    /// It ends, and may come back.
    Closed,
    /// There are new ones, which those who need them ask for.
    Renewed,
}

/// When something was decided, and where: of two at the same time the one of the later name holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// In ms since 1970.
    pub(crate) at: u64,
    /// The instance's name.
    pub(crate) by: Text,
}

/// One decision. It holds no credential, and nothing of a session but its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    pub(crate) about: Subject,
    pub(crate) verdict: Verdict,
    pub(crate) stamp: Stamp,
}

/// How far an instance has counted the decisions that it knows, in the order in which it learnt them, and what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) change: u64,
    /// The same if two instances know the same, however they learnt it.
    pub(crate) digest: u64,
}

/// How long it matters that a session was closed or got new claims, in ms: until everybody has heard of it.
const CLOSED_MS: u64 = 60_000;

/// How long it matters that access may be had again, in ms: an instance that was cut off for longer starts anew.
const ALLOWED_MS: u64 = 24 * 3_600_000;

impl Decision {
    /// Until when it has to be known, in ms since 1970; `None` is for good.
    pub(crate) fn matters_until(&self) -> Option<u64> {
        match self.verdict {
            Verdict::Revoked(until) => until,
            Verdict::Allowed => Some(self.stamp.at.saturating_add(ALLOWED_MS)),
            Verdict::Closed | Verdict::Renewed => Some(self.stamp.at.saturating_add(CLOSED_MS)),
        }
    }

    /// A number that is the same for the same decision in every process and version (FNV-1a over its JSON).
    pub(crate) fn digest(&self) -> u64 {
        let text = serde_json::to_string(self).unwrap_or_default();
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}
