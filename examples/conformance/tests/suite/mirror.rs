//! Finds nodes in a tree as JSON, of a mirror or of a query's reply.

use serde_json::Value;

fn children(node: &Value) -> &[Value] {
    node.get("children").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The node at a path; `Null` if there is none.
pub(crate) fn at(tree: &Value, path: &str) -> Value {
    let mut ids = path.split('/').filter(|id| !id.is_empty());
    let node = ids.try_fold(tree, |node, id| children(node).iter().find(|child| child["id"] == id));
    node.cloned().unwrap_or_default()
}

/// The ids of a node's children.
pub(crate) fn ids(node: &Value) -> Vec<String> {
    children(node).iter().map(|child| child["id"].as_str().unwrap().to_owned()).collect()
}
