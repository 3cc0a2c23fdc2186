//! Parameter schemas: normalised once (contract 2.2), compiled once, checked before every call (contract 1.7).

use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use crate::model::nesting::{VALUE_LEVELS, is_shallow};

/// The types that a schema may name; an unknown one is permissive (contract 1.7).
const TYPES: [&str; 7] = ["object", "string", "number", "integer", "boolean", "array", "null"];

/// The words of a schema whose values are data.
const QUOTES: [&str; 4] = ["const", "enum", "default", "examples"];

/// The words of a schema whose values are schemas by name.
const NAMED: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// How large a pattern of a browser tab may become when it is compiled, in bytes. A common one takes a tenth of that.
const UNTRUSTED_PATTERN_BYTES: usize = 256 << 10;

/// How many patterns a schema of a browser tab may hold.
const UNTRUSTED_PATTERNS: usize = 8;

/// A JSON Schema for parameters, to check with.
#[derive(Debug)]
pub(crate) struct Params {
    schema: Value,
    /// Absent inside if it checks nothing; made at the first check if it comes from a browser tab.
    validator: OnceLock<Option<Validator>>,
}

impl Params {
    /// Takes a JSON Schema of type object, or the shorthand `{"title": "string"}` in which every key is required
    /// unless its value says `"optional": true`.
    pub(crate) fn compile(given: &Value) -> Result<Self, String> {
        Self::of_schema(normalise(given))
    }

    /// Takes a JSON Schema of type object.
    pub(super) fn of_schema(schema: Value) -> Result<Self, String> {
        if !is_shallow(&schema, VALUE_LEVELS) {
            return Err("the parameter schema cannot be used: it is nested too deeply".to_owned());
        }
        // A pattern must not be able to take exponential time: what is matched comes from outside.
        let validator = validator(&schema, PatternOptions::regex())
            .map_err(|error| format!("the parameter schema cannot be used: {error}"))?;
        Ok(Self { schema, validator: OnceLock::from(Some(validator)) })
    }

    /// Takes the schema of a program elsewhere: one that could be costly to check with is refused.
    pub(crate) fn of_a_peer(given: &Value) -> Result<Self, &'static str> {
        let mut schema = normalise(given);
        if !is_shallow(&schema, VALUE_LEVELS) {
            return Err("the schema is nested too deeply");
        }
        // Generators write it; it changes nothing.
        schema.as_object_mut().into_iter().for_each(|keys| drop(keys.shift_remove("$schema")));
        if !is_affordable(&schema, &mut { UNTRUSTED_PATTERNS }) {
            return Err("a schema may hold at most 8 patterns, and no references");
        }
        let patterns = PatternOptions::regex().size_limit(UNTRUSTED_PATTERN_BYTES);
        let validator = validator(&schema, patterns).map_err(|_| "the schema cannot be used")?;
        Ok(Self { schema, validator: OnceLock::from(Some(validator)) })
    }

    /// Takes the schema of a browser tab. It is compiled when it is first needed, so that a tree full of schemas costs
    /// nothing; one that cannot be compiled, or could be costly to check with, checks nothing: the tab does it for itself.
    pub(crate) fn untrusted(given: &Value) -> Self {
        Self { schema: normalise(given), validator: OnceLock::new() }
    }

    fn validator(&self) -> Option<&Validator> {
        let compile = || {
            let patterns = PatternOptions::regex().size_limit(UNTRUSTED_PATTERN_BYTES);
            let affordable = is_affordable(&self.schema, &mut { UNTRUSTED_PATTERNS });
            affordable.then(|| validator(&self.schema, patterns).ok()).flatten()
        };
        self.validator.get_or_init(compile).as_ref()
    }

    /// The schema as it goes on the wire.
    pub(crate) const fn schema(&self) -> &Value {
        &self.schema
    }

    /// Checks parameters. The error names, in the words that all peers use, what is wrong first.
    pub(crate) fn check(&self, params: &Value) -> Result<(), String> {
        self.check_as("params", params)
    }

    /// The same of a value that its sender knows by another name.
    pub(crate) fn check_as(&self, name: &str, value: &Value) -> Result<(), String> {
        let Some(validator) = self.validator() else { return Ok(()) };
        validator.validate(value).map_err(|error| sentence(name, &error))
    }
}

fn validator(
    schema: &Value,
    patterns: PatternOptions<jsonschema::Regex>,
) -> Result<Validator, ValidationError<'static>> {
    let mut checked = schema.clone();
    drop_unknown_types(&mut checked);
    jsonschema::options().with_pattern_options(patterns).build(&checked)
}

/// Whether checking against a schema takes no longer than its length suggests: references can be chained, and patterns
/// take time for each letter. `patterns` is how many of them there may be.
fn is_affordable(schema: &Value, patterns: &mut usize) -> bool {
    match schema {
        Value::Object(keys) => keys.iter().all(|(key, value)| {
            let spent = match (key.as_str(), value) {
                ("pattern", _) => 1,
                ("patternProperties", Value::Object(named)) => named.len(),
                _ => 0,
            };
            let fits = *patterns >= spent;
            *patterns = patterns.saturating_sub(spent);
            fits && !key.starts_with('$') && is_affordable(value, patterns)
        }),
        Value::Array(list) => list.iter().all(|one| is_affordable(one, patterns)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Turns the shorthand into JSON Schema and leaves a schema alone.
pub(crate) fn normalise(given: &Value) -> Value {
    let Value::Object(keys) = given else {
        return json!({"type": "object", "properties": {}, "required": []});
    };
    if is_schema(keys) {
        return given.clone();
    }
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (key, spec) in keys {
        if spec.get("optional") != Some(&Value::Bool(true)) {
            required.push(Value::from(key.as_str()));
        }
        properties.insert(key.clone(), property_schema(spec));
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn is_schema(keys: &Map<String, Value>) -> bool {
    keys.get("type") == Some(&Value::from("object"))
        && (keys.get("properties").is_some_and(Value::is_object)
            || keys.get("required").is_some_and(Value::is_array)
            || keys.len() == 1)
}

fn property_schema(spec: &Value) -> Value {
    match spec {
        Value::String(kind) => json!({ "type": kind }),
        Value::Object(spec) => Value::Object(
            spec.iter().filter(|(key, _)| *key != "optional").map(|(k, v)| (k.clone(), v.clone())).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => json!({}),
    }
}

/// Takes away type names that no validator knows. Values that a schema quotes are not schemas.
fn drop_unknown_types(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            let known = |kind: &Value| kind.as_str().is_none_or(|kind| TYPES.contains(&kind));
            match keys.get("type") {
                Some(kind @ Value::String(_)) if !known(kind) => drop(keys.remove("type")),
                // One that is unknown allows whatever it may mean.
                Some(Value::Array(kinds)) if !kinds.iter().all(known) => drop(keys.remove("type")),
                _ => {}
            }
            for (word, inner) in keys {
                match inner {
                    // Here the keys are names that the application chose.
                    Value::Object(named) if NAMED.contains(&word.as_str()) => {
                        named.values_mut().for_each(drop_unknown_types);
                    }
                    inner if !QUOTES.contains(&word.as_str()) => drop_unknown_types(inner),
                    _ => {}
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(drop_unknown_types),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn sentence(name: &str, error: &ValidationError<'_>) -> String {
    let at = place(name, &error.instance_path().to_string());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            format!("{at}.{} is required", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => {
            format!("{at} must be {} {kind}", article(&kind.to_string()))
        }
        ValidationErrorKind::Enum { options } => format!("{at} must be one of {options}"),
        _ => format!("{at} is not valid: {}", error.masked()),
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// `/tags/1` as peers write it: `params.tags[1]`.
fn place(name: &str, pointer: &str) -> String {
    pointer.split('/').skip(1).fold(name.to_owned(), |mut place, step| {
        match step.parse() {
            Ok(index) => push_index(&mut place, index),
            Err(_) => push_key(&mut place, &step.replace("~1", "/").replace("~0", "~")),
        }
        place
    })
}

pub(super) fn push_index(place: &mut String, index: usize) {
    place.push_str(&format!("[{index}]"));
}

pub(super) fn push_key(place: &mut String, key: &str) {
    place.push('.');
    place.push_str(key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(schema: &Value, params: &Value) -> String {
        Params::compile(schema).unwrap().check(params).unwrap_err()
    }

    #[test]
    fn shorthand_becomes_a_schema_in_which_every_key_is_required() {
        assert_eq!(
            normalise(&json!({"title": "string"})),
            json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]})
        );
        assert_eq!(normalise(&json!({})), json!({"type": "object", "properties": {}, "required": []}));
    }

    #[test]
    fn a_parameter_may_be_named_type() {
        assert_eq!(
            normalise(&json!({"type": "object", "name": "string"}))["properties"],
            json!({"type": {"type": "object"}, "name": {"type": "string"}})
        );
    }

    #[test]
    fn refusals_read_like_those_of_other_peers() {
        let schema =
            json!({"title": "string", "tags": {"type": "array", "items": {"type": "string"}, "optional": true}});
        assert_eq!(refusal(&schema, &json!({})), "params.title is required");
        assert_eq!(refusal(&schema, &json!({"title": 1})), "params.title must be a string");
        assert_eq!(refusal(&schema, &json!({"title": "x", "tags": ["a", 1]})), "params.tags[1] must be a string");
        assert_eq!(
            refusal(&json!({"x": {"type": "string", "enum": ["a", "b"]}}), &json!({"x": "c"})),
            r#"params.x must be one of ["a","b"]"#
        );
    }

    #[test]
    fn a_tabs_schema_checks_as_any_other_and_a_costly_one_checks_nothing() {
        let text = |patterns: usize| {
            let all: Vec<_> = (0..patterns).map(|_| json!({"type": "string", "pattern": "^(a+)+$"})).collect();
            Params::untrusted(&json!({"type": "object", "properties": {"text": {"allOf": all}}, "required": ["text"]}))
        };
        assert_eq!(text(8).check(&json!({})), Err("params.text is required".to_owned()));
        assert!(text(8).check(&json!({"text": format!("{}!", "a".repeat(60_000))})).is_err());
        assert_eq!(text(9).check(&json!({})), Ok(()), "too many patterns");
        for (word, value) in [
            ("pattern", json!("((a{100}){100}){100}")),
            ("pattern", json!("(?<=x)y")),
            ("patternProperties", (0..9).map(|n| (n.to_string(), json!({}))).collect()),
            ("$ref", json!("#")),
            ("$defs", json!({})),
            ("minLength", json!("many")),
        ] {
            let schema = json!({"type": "object", "properties": {"text": {word: value}}, "required": ["text"]});
            assert_eq!(Params::untrusted(&schema).check(&json!({})), Ok(()), "{word}");
        }
    }

    #[test]
    fn an_unknown_type_among_others_is_permissive_and_a_quoted_value_is_no_schema() {
        let params = Params::compile(&json!({"when": {"type": ["string", "date"]}})).unwrap();
        assert_eq!(params.check(&json!({"when": 5})), Ok(()));
        let shape = json!({"type": "circle"});
        let params = Params::compile(&json!({"shape": {"enum": [shape]}})).unwrap();
        assert_eq!(params.check(&json!({ "shape": shape })), Ok(()));
        assert!(params.check(&json!({"shape": {}})).is_err());
        let params = Params::compile(&json!({"enum": "date"})).unwrap();
        assert_eq!(params.check(&json!({"enum": 5})), Ok(()), "a parameter may be named like a word of schemas");
    }

    #[test]
    fn unknown_types_are_permissive_and_extra_parameters_allowed() {
        let params = Params::compile(&json!({"when": "date"})).unwrap();
        assert_eq!(params.check(&json!({"when": 5, "more": true})), Ok(()));
    }
}
