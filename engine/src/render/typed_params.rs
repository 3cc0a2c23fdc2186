//! Parameters as Rust types: the schema that a type has, and how it is decoded.

use std::any::{TypeId, type_name};

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use serde_path_to_error::Segment;

use super::params::{self, Params};
use crate::error::ActionError;

/// The parameters that a type describes; none for `()`, and for [`Value`], which describes nothing.
///
/// # Errors
/// Says why the type cannot describe parameters.
pub(crate) fn schema_of<P: JsonSchema + 'static>() -> Result<Option<Params>, String> {
    if TypeId::of::<P>() == TypeId::of::<()>() || TypeId::of::<P>() == TypeId::of::<Value>() {
        return Ok(None);
    }
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let schema = SchemaGenerator::new(settings).into_root_schema_for::<P>().to_value();
    if !admits_objects(&schema) {
        let name = type_name::<P>();
        return Err(format!("must be an object: use a struct with a field for each parameter instead of `{name}`"));
    }
    Params::of_schema(of_objects(schema)).map(Some)
}

/// Whether a JSON object may be valid. What is not said is taken for granted.
fn admits_objects(schema: &Value) -> bool {
    let alternatives = ["oneOf", "anyOf"].into_iter().find_map(|word| schema.get(word)?.as_array());
    match (schema.get("type"), alternatives) {
        (Some(Value::String(kind)), _) => kind == "object",
        (Some(Value::Array(kinds)), _) => kinds.iter().any(|kind| kind == "object"),
        (_, Some(alternatives)) => alternatives.iter().any(admits_objects),
        _ => *schema != Value::Bool(false),
    }
}

/// The schema as it goes on the wire: of type object, without the name that the type has in Rust.
fn of_objects(schema: Value) -> Value {
    let Value::Object(given) = schema else { return serde_json::json!({"type": "object"}) };
    let mut keys = Map::from_iter([("type".to_owned(), Value::from("object"))]);
    keys.extend(given.into_iter().filter(|(key, _)| key != "title" && key != "type"));
    Value::Object(keys)
}

/// Decodes parameters that fit the schema of the type.
///
/// # Errors
/// `invalid_params`, with the parameter that cannot be read.
pub(super) fn decode<P: DeserializeOwned>(params: &Value) -> Result<P, ActionError> {
    // `()` reads null; an object with unknown keys is no reason to refuse.
    if size_of::<P>() == 0
        && let Ok(unit) = serde_json::from_value(Value::Null)
    {
        return Ok(unit);
    }
    let error = match read(params) {
        Ok(params) => return Ok(params),
        Err(error) => error,
    };
    // For JSON Schema 3.0 is an integer, for serde it is not.
    match with_integers(params) {
        integers if integers == *params => Err(error),
        integers => read(&integers),
    }
}

fn read<P: DeserializeOwned>(params: &Value) -> Result<P, ActionError> {
    serde_path_to_error::deserialize(params).map_err(|error| {
        let place = error.path().iter().fold("params".to_owned(), |mut place, segment| {
            match segment {
                Segment::Seq { index } => params::push_index(&mut place, *index),
                Segment::Map { key } => params::push_key(&mut place, key),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
            place
        });
        ActionError::invalid_params(format!("{place} cannot be read: {}", error.inner()))
    })
}

/// The same value, in which each number without a fraction is an integer.
fn with_integers(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(integer(number).unwrap_or_else(|| number.clone())),
        Value::Array(list) => list.iter().map(with_integers).collect(),
        Value::Object(keys) => keys.iter().map(|(key, value)| (key.clone(), with_integers(value))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// An `f64` converts to the nearest integer of a type; it is the same number if it converts back.
fn integer(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    let (signed, unsigned) = (float as i64, float as u64);
    if signed as f64 == float && signed != i64::MAX {
        Some(signed.into())
    } else {
        (unsigned as f64 == float && unsigned != u64::MAX).then(|| unsigned.into())
    }
}
