//! How deep JSON is nested.
//!
//! Consumers written in Rust parse JSON of at most 127 levels. A frame and the tree in it take two levels for each level of
//! the tree, and what a node holds takes two and its own: so the bounds here keep every frame within 124 levels.

use serde_json::Value;

/// How many levels the tree of a session may have, from its root on.
pub(crate) const TREE_LEVELS: u32 = 44;

/// How many levels one value may have: a property, a field of `meta`, a parameter schema.
pub(crate) const VALUE_LEVELS: usize = 32;

/// How many levels the data of a result may have.
pub(crate) const DATA_LEVELS: usize = 120;

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

/// Whether the text of a JSON value has at most this many levels. The text must be valid.
#[must_use]
pub(crate) fn is_shallow_text(text: &str, levels: usize) -> bool {
    if text.len() <= 2 * levels {
        return true;
    }
    let (mut open, mut is_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => open += 1,
            b']' | b'}' if !is_string => open -= 1,
            _ => {}
        }
        if open > levels {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn a_value_and_its_text_are_equally_deep() {
        for levels in 1..100 {
            let text = nested(levels);
            let value: Value = serde_json::from_str(&text).unwrap();
            for bound in 1..100 {
                assert_eq!(is_shallow_text(&text, bound), levels <= bound, "{levels} within {bound}");
                assert_eq!(is_shallow(&value, bound), levels <= bound, "{levels} within {bound}");
            }
        }
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = format!("[{:?}, \"\\\"[[[[\"]", "[".repeat(500));
        assert!(is_shallow_text(&text, 1));
    }
}
