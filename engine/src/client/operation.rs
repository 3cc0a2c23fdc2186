//! One operation of a patch.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::model::Text;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// A child, property or field comes.
    Add,
    /// A child, property or field goes.
    Remove,
    /// A child, property or field becomes another.
    Replace,
    /// A child gets another place among its siblings.
    Move,
}

impl OperationKind {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
            Self::Move => "move",
        }
    }
}

/// One operation of a patch (contract 1.6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// What is done.
    #[serde(rename = "op")]
    pub kind: OperationKind,
    /// To what, from the root of the subscription.
    pub path: Text,
    /// What comes. `null` is a value.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Where among its siblings a child comes to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
}

/// Tells a value that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
