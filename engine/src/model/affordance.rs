//! What can be done with a node, as a consumer reads it.

use serde::Serialize;
use serde_json::Value;

use super::Text;

/// How long an action takes; peers reject any other word (contract 1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Estimate {
    /// Done at once.
    Instant,
    /// Within a second or so.
    Fast,
    /// Long enough to wait for.
    Slow,
    /// It goes on after it was accepted.
    Async,
}

impl Estimate {
    /// The estimate that a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "instant" => Some(Self::Instant),
            "fast" => Some(Self::Fast),
            "slow" => Some(Self::Slow),
            "async" => Some(Self::Async),
            _ => None,
        }
    }
}

/// One entry of a node's `affordances`. False and absent options are not sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Affordance {
    /// The name to invoke.
    pub action: Text,
    /// What a person would read on a button.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// JSON Schema of the parameters, always of type object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Whether it should be confirmed first.
    #[serde(skip_serializing_if = "is_false")]
    pub dangerous: bool,
    /// Whether doing it twice is the same as once.
    #[serde(skip_serializing_if = "is_false")]
    pub idempotent: bool,
    /// How long it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// `ui` if a browser tab offers it, absent if the application does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'static str>,
}

impl Affordance {
    /// An affordance with nothing but its name.
    pub(crate) fn named(action: impl Into<Text>) -> Self {
        Self {
            action: action.into(),
            label: None,
            description: None,
            params: None,
            dangerous: false,
            idempotent: false,
            estimate: None,
            origin: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
