//! The form of nodes that every known consumer can read (contract 1.10, 2.5).

use serde_json::Value;

use super::mirror_error::InvalidNode;
use super::node::action::NodeAction;
use super::node::content::NodeContent;
use super::node::meta::NodeMeta;
use super::node::{FIELDS, Node};

type Checked = Result<(), &'static str>;

/// Checks a root and all that is below it.
pub(super) fn check(root: &Node) -> Result<(), InvalidNode> {
    check_fields(root)?;
    root.children().try_for_each(check_child)
}

/// Checks a node below a root, and all that is below it.
pub(super) fn check_child(node: &Node) -> Result<(), InvalidNode> {
    let id = node.id();
    if id.is_empty() || id.contains(['/', '~']) || FIELDS.contains(&id) {
        return Err(invalid(node, "the id must not be empty, a reserved word, or contain `/` or `~`"));
    }
    check(node)
}

/// Checks the fields of one node.
pub(super) fn check_fields(node: &Node) -> Result<(), InvalidNode> {
    let meta = node.meta().map_or(Ok(()), check_meta);
    let actions = node.actions().iter().try_for_each(check_action);
    let content = node.content_ref().map_or(Ok(()), check_content);
    meta.and(actions).and(content).map_err(|rule| invalid(node, rule))
}

fn invalid(node: &Node, rule: &'static str) -> InvalidNode {
    InvalidNode { id: node.id().to_owned(), rule }
}

fn check_meta(meta: &NodeMeta) -> Checked {
    let has = |name: &str| meta.fields().contains_key(name);
    let wrong = |name: &str, is_right: bool| has(name) && !is_right;
    if wrong("urgency", meta.urgency().is_some()) {
        Err("`meta.urgency` must be one of none, low, medium, high, critical")
    } else if wrong("total_children", meta.total_children().is_some()) {
        Err("`meta.total_children` must be a non-negative integer")
    } else if wrong("window", meta.window().is_some()) {
        Err("`meta.window` must be two non-negative integers")
    } else if wrong("salience", meta.salience().is_some()) {
        Err("`meta.salience` must be a number")
    } else {
        Ok(())
    }
}

fn check_action(action: &NodeAction) -> Checked {
    let is_flag = |name: &str| action.fields().get(name).is_none_or(Value::is_boolean);
    if !is_flag("dangerous") || !is_flag("idempotent") {
        Err("`dangerous` and `idempotent` of an affordance must be booleans")
    } else if action.fields().contains_key("estimate") && action.estimate().is_none() {
        Err("`estimate` of an affordance must be one of instant, fast, slow, async")
    } else {
        Ok(())
    }
}

fn check_content(content: &NodeContent) -> Checked {
    if content.kind().is_none() {
        Err("`content_ref.type` must be one of text, binary, stream")
    } else if content.mime().is_none() || content.summary().is_none() {
        Err("`content_ref` must have a string `mime` and a string `summary`")
    } else if content.fields().contains_key("size") && content.size().is_none() {
        Err("`content_ref.size` must be a non-negative integer")
    } else {
        Ok(())
    }
}
