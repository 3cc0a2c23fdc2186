//! What leads from one view of a tree to the next.

use super::operation::{Operation, OperationKind};
use super::view::View;
use crate::model::patch::OpKind;
use crate::render::diff::{Rebase, ViewOp, diff};
use crate::render::view::ViewNode;

/// What happened to a watched part of a tree.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// The whole part: at the start, after it became another, and when it is back.
    Snapshot(View),
    /// What changed, in order. Applied to the view before, it gives the view at this version.
    Patch {
        /// The version of the tree that the operations lead to.
        version: u64,
        /// The operations (contract 1.6), with paths from the watched node.
        operations: Vec<Operation>,
    },
    /// The watched path does not exist any more. If it comes back, a snapshot follows.
    Gone,
}

/// The operations that turn one view into another.
pub(super) fn operations(old: ViewNode<'_>, new: ViewNode<'_>) -> Result<Vec<Operation>, Rebase> {
    let mut operations = Vec::new();
    collect(old, new, "", &mut operations)?;
    Ok(operations)
}

fn collect(old: ViewNode<'_>, new: ViewNode<'_>, at: &str, operations: &mut Vec<Operation>) -> Result<(), Rebase> {
    let steps = diff(old, new, at)?;
    operations.extend(steps.ops.iter().map(typed));
    for (path, old, new) in steps.fragments {
        collect(old, new, &path, operations)?;
    }
    Ok(())
}

fn typed(op: &ViewOp<'_>) -> Operation {
    let kind = match op.op {
        OpKind::Add => OperationKind::Add,
        OpKind::Remove => OperationKind::Remove,
        OpKind::Replace => OperationKind::Replace,
        OpKind::Move => OperationKind::Move,
    };
    let value = op.value.as_ref().map(|value| serde_json::to_value(value).unwrap_or_default());
    Operation { kind, path: op.path.as_str().into(), value, index: op.index }
}
