//! What looks like a secret in a request (peers 7): the daemon takes none (S4.20).

use serde_json::Value;

/// The name of a field that looks like a secret, at any depth. Its value is never shown.
pub(crate) fn looks_secret(body: &Value) -> Option<String> {
    match body {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let is_named = ["secret", "private", "seed"].iter().any(|secret| name.eq_ignore_ascii_case(secret));
            let is_long = name != "signature" && is_key_pair(value);
            if is_named || is_long { Some(name.clone()) } else { looks_secret(value) }
        }),
        Value::Array(items) => items
            .iter()
            .find_map(|item| if is_key_pair(item) { Some("an item of a list".to_owned()) } else { looks_secret(item) }),
        _ => None,
    }
}

/// Whether there are 128 hex digits in a row, as in a seed with its public key.
fn is_key_pair(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.split(|c: char| !c.is_ascii_hexdigit()).any(|run| run.len() >= 128)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_named_like_a_secret_or_as_long_as_one_is_found() {
        let long = "0aF".repeat(43);
        for (body, field) in [
            (json!({"secret": 1}), "secret"),
            (json!({"a": [{"b": {"Private": null}}]}), "Private"),
            (json!({"card": {"seed": ""}}), "seed"),
            (json!({"x": long}), "x"),
            (json!({"x": format!("0x{long}")}), "x"),
            (json!({"x": ["y", long]}), "an item of a list"),
            (json!({"signature": {"x": long}}), "x"),
        ] {
            assert_eq!(looks_secret(&body).as_deref(), Some(field), "{body}");
        }
        let fine = json!({
            "session_secret_file": "/run/secret", "attestation": {"signature": "0".repeat(128)},
            "session_public_key": "0".repeat(64), "token": "a".repeat(127), "pid": 7,
        });
        assert_eq!(looks_secret(&fine), None);
    }
}
