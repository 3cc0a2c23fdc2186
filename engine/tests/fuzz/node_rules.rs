//! What the strictest known consumers accept as a node (contract 1.10, 2.5).

use serde_json::Value;

/// Asserts that a field is absent, or has the right type.
fn optional(node: &Value, field: &str, is_valid: impl Fn(&Value) -> bool, at: &str) {
    assert!(node.get(field).is_none_or(is_valid), "{field} at {at}: {node}");
}

/// Asserts that a field is a string.
fn required_string(node: &Value, field: &str, at: &str) {
    assert!(node[field].is_string(), "{field} at {at}: {node}");
}

fn is_one_of(value: &Value, words: &[&str]) -> bool {
    words.iter().any(|word| value == word)
}

/// Asserts that a node and all its descendants are valid.
pub(crate) fn check_node(node: &Value, parent: &str) {
    let id = node["id"].as_str().unwrap_or_else(|| panic!("no id below {parent}"));
    let at = format!("{parent}/{id}");
    assert!(!id.is_empty() && !id.contains(['/', '~']), "an invalid id: {at}");
    let reserved = ["properties", "children", "affordances", "meta", "content_ref", "id", "type"];
    assert!(!reserved.contains(&id), "a reserved id: {at}");
    required_string(node, "type", &at);
    optional(node, "properties", Value::is_object, &at);
    optional(node, "meta", Value::is_object, &at);
    check_meta(&node["meta"], &at);
    optional(node, "affordances", Value::is_array, &at);
    for affordance in node["affordances"].as_array().into_iter().flatten() {
        check_affordance(affordance, &at);
    }
    if let Some(content) = node.get("content_ref") {
        check_content_ref(content, &at);
    }
    optional(node, "children", Value::is_array, &at);
    let mut ids = Vec::new();
    for child in node["children"].as_array().into_iter().flatten() {
        assert!(!ids.contains(&&child["id"]), "a duplicate id at {at}");
        ids.push(&child["id"]);
        check_node(child, &at);
    }
}

fn check_meta(meta: &Value, at: &str) {
    optional(meta, "salience", Value::is_number, at);
    optional(meta, "total_children", Value::is_u64, at);
    optional(meta, "summary", Value::is_string, at);
    optional(meta, "urgency", |value| is_one_of(value, &["none", "low", "medium", "high", "critical"]), at);
    let is_pair =
        |value: &Value| value.as_array().is_some_and(|pair| pair.len() == 2 && pair.iter().all(Value::is_u64));
    optional(meta, "window", is_pair, at);
    for flag in ["pinned", "changed", "focus"] {
        optional(meta, flag, Value::is_boolean, at);
    }
}

fn check_affordance(affordance: &Value, at: &str) {
    required_string(affordance, "action", at);
    optional(affordance, "params", Value::is_object, at);
    optional(affordance, "label", Value::is_string, at);
    optional(affordance, "dangerous", Value::is_boolean, at);
    optional(affordance, "idempotent", Value::is_boolean, at);
    optional(affordance, "estimate", |value| is_one_of(value, &["instant", "fast", "slow", "async"]), at);
}

fn check_content_ref(content: &Value, at: &str) {
    optional(content, "type", |value| is_one_of(value, &["text", "binary", "stream"]), at);
    optional(content, "size", Value::is_u64, at);
    for field in ["mime", "summary", "uri"] {
        required_string(content, field, at);
    }
}
