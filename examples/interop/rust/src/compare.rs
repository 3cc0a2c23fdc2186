//! Trees as JSON, and the differences between two of them.

use serde_json::{Value, json};
use slop_ai::SlopNode;

const BRIEF_CHARS: usize = 300;

/// The node as JSON.
///
/// Mirrors and queries of this peer both use its typed node, which omits unknown and default values; so they can be
/// compared directly, with one exception.
pub(crate) fn plain(node: &SlopNode) -> Value {
    let mut node = serde_json::to_value(node).unwrap_or_default();
    drop_empty_children(&mut node);
    node
}

/// No patch can remove the `children` field: this peer does not understand the `children` keyword (wire contract 1.6).
/// A list that became empty counts as no list.
fn drop_empty_children(node: &mut Value) {
    let Some(fields) = node.as_object_mut() else { return };
    let Some(Value::Array(children)) = fields.get_mut("children") else { return };
    if children.is_empty() {
        fields.remove("children");
    } else {
        children.iter_mut().for_each(drop_empty_children);
    }
}

/// One line or two for each place where the two differ.
pub(crate) fn differences(mirror: &Value, fresh: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    collect("", Some(mirror), Some(fresh), &mut lines);
    lines
}

fn collect(at: &str, mirror: Option<&Value>, fresh: Option<&Value>, lines: &mut Vec<String>) {
    if mirror == fresh {
        return;
    }
    match (mirror, fresh) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                collect(&format!("{at}/{key}"), a.get(key), b.get(key), lines);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() && ids(a) == ids(b) => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                let name = a["id"].as_str().map_or_else(|| n.to_string(), str::to_owned);
                collect(&format!("{at}[{name}]"), Some(a), Some(b), lines);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if ids(a).is_some() && ids(b).is_some() => {
            lines.push(format!("{at}: mirror has {}", json!(ids(a))));
            lines.push(format!("{at}: query has  {}", json!(ids(b))));
        }
        _ => {
            lines.push(format!("{at}: mirror has {}", brief(mirror)));
            lines.push(format!("{at}: query has  {}", brief(fresh)));
        }
    }
}

fn ids(items: &[Value]) -> Option<Vec<&str>> {
    items.iter().map(|item| item["id"].as_str()).collect()
}

/// A value, cut to one line.
pub(crate) fn brief(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(BRIEF_CHARS) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

/// Whether `part` is in `whole`: objects may hold more, lists must match item by item.
pub(crate) fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        _ => whole == part,
    }
}

/// The node at a path of ids.
pub(crate) fn node_at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').filter(|id| !id.is_empty()).try_fold(tree, |node, id| children(node).iter().find(|c| c["id"] == id))
}

/// The ids of the node's children, in order.
pub(crate) fn child_ids(node: &Value) -> Vec<Value> {
    children(node).iter().map(|child| child["id"].clone()).collect()
}

fn children(node: &Value) -> &[Value] {
    node.get("children").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
