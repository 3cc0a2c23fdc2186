//! The JSON of views and of the operations between them, where parts that many sessions share are written once.

use super::diff::{Rebase, diff};
use super::memo::Memo;
use super::view::ViewNode;
use crate::model::bounded_json::{self, TooLong};

/// Everything that is written here serialises.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("a view serialises")
}

/// The JSON of a node with all that is shown below it, if it has at most `max` bytes. Of what is longer, no more is
/// written than that.
///
/// # Errors
/// [`TooLong`] if it has more.
pub(crate) fn node(node: ViewNode<'_>, memo: &Memo, max: usize) -> Result<String, TooLong> {
    let mut out = String::with_capacity(1024.min(max));
    write_node(&mut out, node, memo, max)?;
    Ok(out)
}

fn write_node(out: &mut String, node: ViewNode<'_>, memo: &Memo, max: usize) -> Result<(), TooLong> {
    let left = max.checked_sub(out.len()).ok_or(TooLong)?;
    let encode = || {
        memo.count_encode();
        bounded_json::write(&node, left)
    };
    if let Some(shared) = memo.node(&node, encode) {
        out.push_str(&shared?);
    } else if node.joins_fragments() {
        out.push_str(&bounded_json::write(&node.head(), left)?);
        out.pop();
        out.push_str(",\"children\":[");
        for (at, child) in node.children().into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_node(out, child, memo, max)?;
        }
        out.push_str("]}");
    } else {
        out.push_str(&encode()?);
    }
    if out.len() <= max { Ok(()) } else { Err(TooLong) }
}

/// The JSON of the operations from one view to another, joined by commas; empty if nothing changed.
///
/// # Errors
/// [`Rebase`] if only a snapshot can express it.
pub(crate) fn ops(old: ViewNode<'_>, new: ViewNode<'_>, memo: &Memo) -> Result<String, Rebase> {
    ops_at(old, new, "", memo)
}

fn ops_at(old: ViewNode<'_>, new: ViewNode<'_>, at: &str, memo: &Memo) -> Result<String, Rebase> {
    let shared = memo.ops(&old, &new, at, || own_ops(old, new, at, memo));
    match shared {
        Some(text) => text.map(|text| text.as_ref().to_owned()),
        None => own_ops(old, new, at, memo),
    }
}

fn own_ops(old: ViewNode<'_>, new: ViewNode<'_>, at: &str, memo: &Memo) -> Result<String, Rebase> {
    memo.count_diff();
    let mut out = String::new();
    let mut join = |text: &str| {
        if !text.is_empty() {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(text);
        }
    };
    let steps = diff(old, new, at)?;
    for op in steps.ops {
        join(&json(&op));
    }
    for (path, old, new) in steps.fragments {
        join(&ops_at(old, new, &path, memo)?);
    }
    Ok(out)
}
