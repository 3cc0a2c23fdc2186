//! How deep a JSON value is nested.

use serde_json::Value;

/// Whether a value has at most this many levels. Never looks deeper than that, however deep it is.
#[must_use]
pub(crate) fn is_shallow(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return false };
    match value {
        Value::Array(list) => list.iter().all(|value| is_shallow(value, below)),
        Value::Object(keys) => keys.values().all(|value| is_shallow(value, below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
