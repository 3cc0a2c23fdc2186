//! Driver actions: their names, their parameters, and how a call is parsed.

use grove_engine::ActionError;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// The largest number of items or changes at once; more would only use up the machine.
const MAX_COUNT: u64 = 100_000;

/// One driver action with its parameters.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", content = "params", rename_all = "snake_case")]
pub(crate) enum Step {
    Set {
        node: String,
        key: String,
        value: Value,
    },
    Unset {
        node: String,
        key: String,
    },
    Insert {
        id: String,
        #[serde(deserialize_with = "non_negative_integer")]
        index: u64,
    },
    Remove {
        id: String,
    },
    Order {
        ids: Vec<String>,
    },
    Meta {
        node: String,
        meta: Map<String, Value>,
    },
    Unmeta {
        node: String,
    },
    Acts {
        node: String,
        names: Vec<String>,
    },
    Retype {
        node: String,
        #[serde(rename = "type")]
        kind: String,
    },
    Cref {
        node: String,
        #[serde(rename = "ref")]
        content: Option<Map<String, Value>>,
    },
    Gone {
        path: String,
        gone: bool,
    },
    Fail {
        code: Option<String>,
        message: String,
    },
    MutateFail {},
    Panic {},
    Break {
        path: String,
        broken: bool,
    },
    Async {
        #[serde(deserialize_with = "non_negative_integer")]
        ms: u64,
    },
    Scalar {},
    Nothing {},
    Typed(Value),
    Emit {
        name: String,
        #[serde(default, deserialize_with = "present")]
        data: Option<Value>,
    },
    Burst {
        #[serde(deserialize_with = "non_negative_integer")]
        n: u64,
    },
    Sleep {
        #[serde(deserialize_with = "non_negative_integer")]
        ms: u64,
    },
    Grow {
        #[serde(deserialize_with = "non_negative_integer")]
        n: u64,
    },
    Board {
        text: String,
    },
    Many {
        steps: Vec<Value>,
    },
    Late {
        on: bool,
    },
    BadNodes {},
}

impl Step {
    /// Reads a call of a driver action.
    ///
    /// # Errors
    /// `invalid_params` if there is no such action or it does not accept these parameters.
    pub(crate) fn read(action: &str, params: &Value) -> Result<Self, ActionError> {
        let params = if params.is_null() { json!({}) } else { params.clone() };
        if !params.is_object() {
            return Err(ActionError::invalid_params(format!("the parameters of `{action}` must be an object")));
        }
        serde_json::from_value(json!({"action": action, "params": params}))
            .map_err(|error| ActionError::invalid_params(format!("`{action}` cannot be read: {error}")))
    }

    /// Reads one entry of the steps of `many`.
    pub(crate) fn read_entry(entry: &Value) -> Result<Self, ActionError> {
        let action = entry.get("action").and_then(Value::as_str);
        let action = action.ok_or_else(|| ActionError::invalid_params("each step must name its action"))?;
        match Self::read(action, entry.get("params").unwrap_or(&Value::Null))? {
            Self::Many { .. } => Err(ActionError::invalid_params("`many` cannot be a step of itself")),
            step => Ok(step),
        }
    }
}

/// A non-negative integer, which may be written as `3.0`.
fn non_negative_integer<'de, D: Deserializer<'de>>(source: D) -> Result<u64, D::Error> {
    let number = f64::deserialize(source)?;
    if number.fract() == 0.0 && (0.0..=u64::MAX as f64).contains(&number) {
        Ok(number as u64)
    } else {
        Err(serde::de::Error::custom(format!("{number} is not a non-negative integer")))
    }
}

/// A value that is present, even if it is null.
fn present<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(source).map(Some)
}

/// The driver actions in the order in which `/ctl` offers them, each with the schema of its parameters if it takes any.
pub(crate) fn declarations() -> Vec<(&'static str, Option<Value>)> {
    let integer = json!({"type": "integer", "minimum": 0});
    let limited = json!({"type": "integer", "minimum": 0, "maximum": MAX_COUNT});
    let strings = json!({"type": "array", "items": {"type": "string"}});
    let optional_strings = json!({"type": "array", "items": {"type": "string"}, "optional": true});
    let steps = json!({"type": "array", "items": {"type": "object"}});
    vec![
        ("set", Some(json!({"node": "string", "key": "string", "value": {}}))),
        ("unset", Some(json!({"node": "string", "key": "string"}))),
        ("insert", Some(json!({"id": "string", "index": integer}))),
        ("remove", Some(json!({"id": "string"}))),
        ("order", Some(json!({"ids": strings}))),
        ("meta", Some(json!({"node": "string", "meta": "object"}))),
        ("unmeta", Some(json!({"node": "string"}))),
        ("acts", Some(json!({"node": "string", "names": strings}))),
        ("retype", Some(json!({"node": "string", "type": "string"}))),
        ("cref", Some(json!({"node": "string", "ref": {"type": ["object", "null"], "optional": true}}))),
        ("gone", Some(json!({"path": "string", "gone": "boolean"}))),
        ("fail", Some(json!({"code": {"type": "string", "optional": true}, "message": "string"}))),
        ("mutate_fail", None),
        ("panic", None),
        ("break", Some(json!({"path": "string", "broken": "boolean"}))),
        ("async", Some(json!({"ms": integer}))),
        ("scalar", None),
        ("nothing", None),
        (
            "typed",
            Some(json!({
                "n": "integer",
                "s": {"type": "string", "enum": ["a", "b"], "optional": true},
                "tags": optional_strings,
            })),
        ),
        ("emit", Some(json!({"name": "string", "data": {"optional": true}}))),
        ("burst", Some(json!({"n": limited}))),
        ("sleep", Some(json!({"ms": integer}))),
        ("grow", Some(json!({"n": limited}))),
        ("board", Some(json!({"text": "string"}))),
        ("many", Some(json!({"steps": steps}))),
        ("late", Some(json!({"on": "boolean"}))),
        ("bad_nodes", None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_action_can_be_read() {
        for (action, schema) in declarations() {
            let mut params = Map::new();
            for (key, spec) in schema.iter().filter_map(Value::as_object).flatten() {
                let kind = spec.as_str().or_else(|| spec.get("type").and_then(Value::as_str)).unwrap_or("object");
                let value = match kind {
                    "string" => json!("x"),
                    "integer" => json!(1),
                    "boolean" => json!(true),
                    "array" => json!([]),
                    _ => json!({}),
                };
                params.insert(key.clone(), value);
            }
            Step::read(action, &Value::Object(params)).unwrap();
        }
    }

    #[test]
    fn an_integer_may_be_written_with_a_fraction_of_zero() {
        assert!(matches!(Step::read("grow", &json!({"n": 3.0})), Ok(Step::Grow { n: 3 })));
        assert!(Step::read("grow", &json!({"n": 3.5})).is_err());
        assert!(Step::read("grow", &json!({"n": -1})).is_err());
    }

    #[test]
    fn a_step_names_a_known_action_other_than_many() {
        assert!(Step::read_entry(&json!({"action": "scalar"})).is_ok());
        for bad in [
            json!({"action": "many", "params": {"steps": []}}),
            json!({"action": "nope"}),
            json!({}),
            json!(1),
            json!({"action": "remove", "params": ["x"]}),
        ] {
            assert_eq!(Step::read_entry(&bad).unwrap_err().code(), "invalid_params", "{bad}");
        }
    }
}
