//! Whether a message is as a case wants it. An object wants the keys that it names; everything else must be equal.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What a case has given names to.
pub(crate) type Names = BTreeMap<String, Value>;

/// Says where and why `actual` is not as wanted.
pub(crate) fn check(wanted: &Value, actual: &Value, names: &mut Names) -> Result<(), String> {
    match (wanted, actual) {
        (Value::String(word), _) if word.starts_with('$') => special(word, actual, names),
        (Value::Object(wanted), _) if wanted.len() == 1 && wanted.keys().all(|key| key.starts_with('$')) => {
            operator(wanted, actual, names)
        }
        (Value::Object(wanted), Value::Object(actual)) => wanted.iter().try_for_each(|(key, wanted)| {
            let found = match (wanted.as_str(), actual.get(key)) {
                (Some("$absent"), None) => Ok(()),
                (Some("$absent"), Some(found)) => Err(format!(": {found} is not wanted")),
                (_, Some(found)) => check(wanted, found, names),
                (_, None) => Err(" is missing".to_owned()),
            };
            found.map_err(|why| format!(".{key}{why}"))
        }),
        (Value::Array(wanted), Value::Array(actual)) => {
            if wanted.len() != actual.len() {
                return Err(format!(": {} entries instead of {}", actual.len(), wanted.len()));
            }
            wanted.iter().zip(actual).enumerate().try_for_each(|(at, (wanted, actual))| {
                check(wanted, actual, names).map_err(|why| format!("[{at}]{why}"))
            })
        }
        _ if wanted == actual => Ok(()),
        _ => Err(format!(": {actual} instead of {wanted}")),
    }
}

/// `$any`, a type, `$:name` for a value to remember or to meet again, `$>name` and `$>=name` for a greater one.
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
                panic!("`{word}` means nothing")
            }
        }
    };
    if fits { Ok(()) } else { Err(format!(": {actual} is no {word} (of {names:?})")) }
}

fn operator(wanted: &Map<String, Value>, actual: &Value, names: &mut Names) -> Result<(), String> {
    let (name, wanted) = wanted.iter().next().ok_or("an operator")?;
    match name.as_str() {
        "$exactly" if wanted == actual => Ok(()),
        "$exactly" => Err(format!(": {actual} is not exactly {wanted}")),
        "$not" if check(wanted, actual, &mut names.clone()).is_err() => Ok(()),
        "$not" => Err(format!(": {actual} is like {wanted}")),
        "$has" => {
            let list = actual.as_array().ok_or_else(|| format!(": {actual} is no list"))?;
            wanted.as_array().ok_or("a list")?.iter().try_for_each(|wanted| {
                let found = list.iter().any(|entry| check(wanted, entry, &mut names.clone()).is_ok());
                if found { Ok(()) } else { Err(format!(": nothing like {wanted} in {actual}")) }
            })
        }
        "$ids" => {
            let ids: Vec<&Value> = actual.as_array().into_iter().flatten().map(|node| &node["id"]).collect();
            let wanted: Vec<&Value> = wanted.as_array().into_iter().flatten().collect();
            if ids == wanted { Ok(()) } else { Err(format!(": the ids are {ids:?} instead of {wanted:?}")) }
        }
        "$keys" => {
            let keys: Vec<&str> = actual.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            let wanted: Vec<&str> = wanted.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if keys == wanted { Ok(()) } else { Err(format!(": the keys are {keys:?} instead of {wanted:?}")) }
        }
        "$starts" => {
            let start = wanted.as_str().ok_or("a text")?;
            let fits = actual.as_str().is_some_and(|text| text.starts_with(start));
            if fits { Ok(()) } else { Err(format!(": {actual} does not start with {wanted}")) }
        }
        _ => panic!("`{name}` means nothing"),
    }
}

/// Puts what has a name in its place.
pub(crate) fn fill(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(word) => match word.strip_prefix("$:") {
            Some(name) => names.get(name).unwrap_or_else(|| panic!("nothing is called {name}")).clone(),
            None => value.clone(),
        },
        Value::Array(list) => list.iter().map(|entry| fill(entry, names)).collect(),
        Value::Object(keys) => keys.iter().map(|(key, value)| (key.clone(), fill(value, names))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
