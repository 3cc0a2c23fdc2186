//! Random parameter schemas and parameters.

use std::panic::{AssertUnwindSafe, catch_unwind};

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Invocation, Session};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::app::{App, fuzz};
use crate::json::{json_value, scalar};
use crate::mutation::{mutated, mutation};

const TYPES: [&str; 8] = ["object", "string", "number", "integer", "boolean", "array", "null", "date"];

fn shorthand() -> impl Strategy<Value = Value> {
    let key =
        prop::sample::select(vec!["title", "count", "type", "properties", "required", "items", "enum", "a/b", "é"]);
    let kind = prop::sample::select(TYPES.to_vec());
    let spec = prop_oneof![
        kind.clone().prop_map(|kind| json!(kind)),
        (kind, any::<bool>()).prop_map(|(kind, optional)| json!({"type": kind, "optional": optional})),
    ];
    prop::collection::vec((key, spec), 0..4)
        .prop_map(|keys| keys.into_iter().map(|(key, spec)| (key.to_owned(), spec)).collect::<Map<_, _>>().into())
}

fn schema() -> impl Strategy<Value = Value> {
    let kinds = prop_oneof![
        4 => prop::sample::select(TYPES.to_vec()).prop_map(|kind| json!(kind)),
        1 => json_value(),
    ];
    let leaf = kinds.prop_map(|kind| json!({ "type": kind }));
    let nested = leaf.prop_recursive(3, 12, 4, |inner| {
        let keyword = prop::sample::select(vec![
            "items", "additionalProperties", "not", "contains", "propertyNames", "prefixItems", "anyOf", "allOf", "enum", "const",
            "pattern", "patternProperties", "format", "minimum", "multipleOf", "minLength", "$ref", "$defs", "$id", "$schema",
            "dependentRequired", "if", "then", "unevaluatedProperties", "default", "uniqueItems",
        ]);
        let argument = prop_oneof![
            3 => inner.clone(),
            2 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            2 => json_value(),
            1 => prop::sample::select(vec!["#/$defs/a", "#/properties/a", "(a+)+$", "[", "https://json-schema.org/draft/2020-12/schema"]).prop_map(Value::from),
        ];
        (
            prop::collection::vec((prop::sample::select(vec!["a", "b", "type", "title"]), inner), 0..3),
            prop::collection::vec((keyword, argument), 0..3),
        )
            .prop_map(|(properties, more)| {
                let properties: Map<_, _> = properties.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
                let required: Vec<_> = properties.keys().take(1).cloned().collect();
                let mut schema = json!({"type": "object", "properties": properties, "required": required});
                let keys = schema.as_object_mut().unwrap();
                keys.extend(more.into_iter().map(|(k, v)| (k.to_owned(), v)));
                schema
            })
    });
    (nested, prop::collection::vec(mutation(), 0..3)).prop_map(|(schema, mutations)| mutated(schema, &mutations))
}

/// Whether parameters match a shorthand, by the letter of contract 1.7 and 2.2.
fn matches(shorthand: &Value, params: &Map<String, Value>) -> bool {
    shorthand.as_object().unwrap().iter().all(|(key, spec)| {
        let kind = spec.as_str().or_else(|| spec["type"].as_str()).unwrap_or_default();
        let Some(value) = params.get(key) else { return spec["optional"] == true };
        match kind {
            "object" => value.is_object(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "null" => value.is_null(),
            _ => true,
        }
    })
}

/// Declares an action with this schema; returns `None` if it is refused with the documented message.
fn declare(schema: &Value) -> Option<Action> {
    let action = || Action::new("go", |call: Invocation<Value>| call.params).params(schema.clone());
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(action) => Some(action),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(message.starts_with("the parameter schema cannot be used"), "{message:?} for {schema}");
            None
        }
    }
}

/// Offers the action and calls it; returns the schema on the wire and the result.
fn call(app: &App, consumer: &mut TestConsumer, action: &Action, params: &Value) -> (Value, Value) {
    let action = action.clone();
    app.engine.register("n", move |_: &Session| Descriptor::group().action(&action));
    let node = app.runtime.block_on(async {
        app.engine.settle().await;
        consumer.query("/n").await
    });
    let result = app.runtime.block_on(consumer.invoke("/n", "go", params.clone()));
    app.check_faults();
    (node["affordances"][0]["params"].clone(), result)
}

fn params() -> impl Strategy<Value = Map<String, Value>> {
    let key = prop::sample::select(vec![
        "title",
        "count",
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "a/b",
        "é",
        "a",
        "b",
    ]);
    let value = prop_oneof![3 => scalar(), 1 => json_value(), 1 => Just(json!(3.0))];
    prop::collection::vec((key, value), 0..5)
        .prop_map(|keys| keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[test]
fn any_shorthand_becomes_an_equivalent_schema() {
    let app = App::new(|_| {});
    let consumer = std::cell::RefCell::new(app.consumer("s"));
    fuzz(&(shorthand(), params()), |(shorthand, params)| {
        // An object whose `type` is `object` may already be a schema (contract 2.2).
        if shorthand["type"] == "object" {
            return;
        }
        let action = declare(&shorthand).unwrap_or_else(|| panic!("a shorthand was refused: {shorthand}"));
        let (schema, result) = call(&app, &mut consumer.borrow_mut(), &action, &Value::Object(params.clone()));
        assert_eq!(schema["type"], "object", "not a JSON Schema on the wire: {schema}");
        assert!(schema["properties"].is_object() && schema["required"].is_array(), "{schema}");
        assert_eq!(result["status"] == "ok", matches(&shorthand, &params), "{shorthand} {params:?}: {result}");
        assert!(result["status"] == "ok" || result["error"]["code"] == "invalid_params", "{result}");
    });
}

#[test]
fn any_schema_is_accepted_or_refused_and_validates_without_a_panic() {
    let app = App::new(|_| {});
    let consumer = std::cell::RefCell::new(app.consumer("s"));
    fuzz(&(prop_oneof![4 => schema(), 1 => json_value()], params()), |(schema, params)| {
        let Some(action) = declare(&schema) else { return };
        let (_, result) = call(&app, &mut consumer.borrow_mut(), &action, &Value::Object(params));
        assert!(result["status"] == "ok" || result["error"]["code"] == "invalid_params", "{schema}: {result}");
    });
}
