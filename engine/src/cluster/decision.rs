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
    /// Of a revocation: the last withdrawal before it. What was revoked until then does not make it last longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) withdrawn: Option<Stamp>,
}

/// A decision as another instance tells it that has learnt it earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    #[serde(flatten)]
    pub(crate) decision: Decision,
    /// For how long it is known, in ms: clocks that differ say the same about that.
    #[serde(default)]
    pub(crate) age: u64,
}

impl From<Decision> for Told {
    fn from(decision: Decision) -> Self {
        Self { decision, age: 0 }
    }
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

/// How old that may be for somebody to learn it. Less than the above: whoever has just forgotten it does not learn it again
/// from somebody who will soon.
const TOLD_MS: u64 = 50_000;

/// How far a clock may be ahead of another, in ms.
const AHEAD_MS: u64 = 3_600_000;

/// How long it matters that access may be had again, in ms: an instance that was cut off for longer starts anew.
const ALLOWED_MS: u64 = 24 * 3_600_000;

impl Decision {
    pub(crate) const fn new(about: Subject, verdict: Verdict, stamp: Stamp) -> Self {
        Self { about, verdict, stamp, withdrawn: None }
    }

    /// Until when it has to be known that was first known then, in ms since 1970; `None` is for good.
    pub(crate) fn matters_until(&self, known_since: u64) -> Option<u64> {
        match self.verdict {
            Verdict::Revoked(until) => until,
            Verdict::Allowed => Some(self.stamp.at.saturating_add(ALLOWED_MS)),
            // The clock of whoever decided it may be behind, and such an end would never be heard of.
            Verdict::Closed | Verdict::Renewed => Some(known_since.saturating_add(CLOSED_MS)),
        }
    }

    /// Whether it is too late to learn it from somebody who has known it for so long, in ms.
    pub(crate) const fn is_over(&self, age: u64) -> bool {
        matches!(self.verdict, Verdict::Closed | Verdict::Renewed) && age >= TOLD_MS
    }

    /// Whether it comes from a clock that cannot be right: nothing could be decided after it.
    pub(crate) fn is_ahead(&self, now: u64) -> bool {
        let latest = now.saturating_add(AHEAD_MS);
        [Some(&self.stamp), self.withdrawn.as_ref()].into_iter().flatten().any(|stamp| stamp.at > latest)
    }

    /// What holds of this one, which is known, and another about the same: the later one. Revocations hold until the last
    /// of their ends; nothing but a withdrawal between them ends the earlier one.
    pub(crate) fn merged(self, other: Self) -> Self {
        let is_known = self.stamp >= other.stamp;
        let (mut later, earlier) = if is_known { (self, other) } else { (other, self) };
        let Verdict::Revoked(until) = later.verdict else { return later };
        match earlier.verdict {
            Verdict::Revoked(before) => {
                later.withdrawn = later.withdrawn.max(earlier.withdrawn);
                if later.withdrawn.as_ref() < Some(&earlier.stamp) {
                    later.verdict = Verdict::Revoked(until.zip(before).map(|(until, before)| until.max(before)));
                }
            }
            Verdict::Allowed if !is_known => later.withdrawn = later.withdrawn.max(Some(earlier.stamp)),
            // A withdrawal that comes late changes nothing: what it has ended cannot be told any more.
            _ => {}
        }
        later
    }

    /// A number that is the same for the same decision in every process and version (FNV-1a over its JSON).
    pub(crate) fn digest(&self) -> u64 {
        let text = serde_json::to_string(self).unwrap_or_default();
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}
