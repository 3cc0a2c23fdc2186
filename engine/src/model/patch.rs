//! One step of a patch.

use serde::Serialize;

/// What a step does (contract 1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OpKind {
    /// A new property, or a new child at an index.
    Add,
    /// A property, field or child goes.
    Remove,
    /// A property, field or whole child becomes another.
    Replace,
    /// A child goes to another index, counted after its removal.
    Move,
}

/// One operation; its path starts at the subscription's root.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PatchOp<V> {
    /// What it does.
    pub op: OpKind,
    /// Where, from the subscription's root.
    pub path: String,
    /// Among which siblings, for a child that is added or moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The new content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<V>,
}
