//! Matches a message against the pattern of a case. An object lists only the keys that matter; everything else must be equal.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The values that a case has named.
pub(crate) type Names = BTreeMap<String, Value>;

/// Checks `actual` against a pattern. The error says where and why it does not match.
pub(crate) fn check(expected: &Value, actual: &Value, names: &mut Names) -> Result<(), String> {
    match (expected, actual) {
        (Value::String(word), _) if word.starts_with('$') => special(word, actual, names),
        (Value::Object(expected), _) if expected.len() == 1 && expected.keys().all(|key| key.starts_with('$')) => {
            operator(expected, actual, names)
        }
        (Value::Object(expected), Value::Object(actual)) => expected.iter().try_for_each(|(key, expected)| {
            let found = match (expected.as_str(), actual.get(key)) {
                (Some("$absent"), None) => Ok(()),
                (Some("$absent"), Some(found)) => Err(format!(": {found} is not expected")),
                (_, Some(found)) => check(expected, found, names),
                (_, None) => Err(" is missing".to_owned()),
            };
            found.map_err(|why| format!(".{key}{why}"))
        }),
        (Value::Array(expected), Value::Array(actual)) => {
            if expected.len() != actual.len() {
                return Err(format!(": {} entries instead of {}", actual.len(), expected.len()));
            }
            expected.iter().zip(actual).enumerate().try_for_each(|(at, (expected, actual))| {
                check(expected, actual, names).map_err(|why| format!("[{at}]{why}"))
            })
        }
        _ if expected == actual => Ok(()),
        _ => Err(format!(": {actual} instead of {expected}")),
    }
}

/// `$any`, a type, `$:name` for a value to store or to compare, `$>name` and `$>=name` for a greater one.
fn special(word: &str, actual: &Value, names: &mut Names) -> Result<(), String> {
    let fits = match word {
        "$any" => true,
        "$string" => actual.is_string(),
        "$integer" => actual.is_u64(),
        "$number" => actual.is_number(),
        "$object" => actual.is_object(),
        "$array" => actual.is_array(),
        _ => {
            if let Some(name) = word.strip_prefix("$:") {
                names.entry(name.to_owned()).or_insert_with(|| actual.clone()) == actual
            } else if let Some(name) = word.strip_prefix("$>=") {
                actual.as_u64() >= names[name].as_u64()
            } else if let Some(name) = word.strip_prefix("$>") {
                actual.as_u64() > names[name].as_u64()
            } else {
                panic!("`{word}` is not a pattern")
            }
        }
    };
    if fits { Ok(()) } else { Err(format!(": {actual} does not match {word} (with {names:?})")) }
}

fn operator(expected: &Map<String, Value>, actual: &Value, names: &mut Names) -> Result<(), String> {
    let (name, expected) = expected.iter().next().ok_or("an operator")?;
    match name.as_str() {
        "$exactly" if expected == actual => Ok(()),
        "$exactly" => Err(format!(": {actual} is not exactly {expected}")),
        "$not" if check(expected, actual, &mut names.clone()).is_err() => Ok(()),
        "$not" => Err(format!(": {actual} matches {expected}")),
        "$has" => {
            let list = actual.as_array().ok_or_else(|| format!(": {actual} is not a list"))?;
            expected.as_array().ok_or("a list")?.iter().try_for_each(|expected| {
                let found = list.iter().any(|entry| check(expected, entry, &mut names.clone()).is_ok());
                if found { Ok(()) } else { Err(format!(": nothing in {actual} matches {expected}")) }
            })
        }
        "$ids" => {
            let ids: Vec<&Value> = actual.as_array().into_iter().flatten().map(|node| &node["id"]).collect();
            let expected: Vec<&Value> = expected.as_array().into_iter().flatten().collect();
            if ids == expected { Ok(()) } else { Err(format!(": the ids are {ids:?} instead of {expected:?}")) }
        }
        "$keys" => {
            let keys: Vec<&str> = actual.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            let expected: Vec<&str> = expected.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if keys == expected { Ok(()) } else { Err(format!(": the keys are {keys:?} instead of {expected:?}")) }
        }
        "$starts" => {
            let start = expected.as_str().ok_or("a string")?;
            let fits = actual.as_str().is_some_and(|text| text.starts_with(start));
            if fits { Ok(()) } else { Err(format!(": {actual} does not start with {expected}")) }
        }
        _ => panic!("`{name}` is not an operator"),
    }
}

/// Replaces `$:name` by the named value.
pub(crate) fn fill(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(word) => match word.strip_prefix("$:") {
            Some(name) => names.get(name).unwrap_or_else(|| panic!("no value is named {name}")).clone(),
            None => value.clone(),
        },
        Value::Array(list) => list.iter().map(|entry| fill(entry, names)).collect(),
        Value::Object(keys) => keys.iter().map(|(key, value)| (key.clone(), fill(value, names))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
