//! Parameters of calls: schemas, validation and decoding (contract 1.7 and 2.2).

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Invocation, Outcome, Session};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixtures::{engine, error_code};

#[derive(Debug, Deserialize, JsonSchema)]
struct Move {
    to: String,
    #[serde(default)]
    at: Option<u32>,
}

#[tokio::test]
async fn typed_parameters_get_a_schema_and_are_validated_and_decoded() {
    let engine = engine();
    let moves = Action::new("move", |call: Invocation<Move>| Outcome::data(json!([call.params.to, call.params.at])));
    engine.register("n", move |_: &Session| Descriptor::group().action(&moves));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let schema = consumer.query("/n").await["affordances"][0]["params"].clone();
    assert_eq!((schema["type"].as_str(), &schema["required"]), (Some("object"), &json!(["to"])));
    assert_eq!(schema["properties"]["to"]["type"], "string");
    assert_eq!(schema.get("$schema"), None);
    assert_eq!(consumer.invoke("/n", "move", json!({"to": "done", "at": 3})).await["data"], json!(["done", 3]));
    assert_eq!(consumer.invoke("/n", "move", json!({"to": "done", "extra": 1})).await["data"], json!(["done", null]));
    for bad in [json!({}), json!({"to": 5}), json!({"to": "x", "at": -1}), json!({"to": "x", "at": "3"})] {
        assert_eq!(error_code(&consumer.invoke("/n", "move", bad.clone()).await), "invalid_params", "{bad}");
    }
}

#[tokio::test]
async fn shorthand_parameters_become_a_schema_and_errors_use_the_wording_of_the_contract() {
    let engine = engine();
    let add = Action::new("add", |call: Invocation<Value>| Outcome::data(call.params)).params(json!({
        "title": "string",
        "count": {"type": "integer", "description": "how many", "optional": true},
        "kind": {"type": "string", "enum": ["a", "b"], "optional": true},
        "tags": {"type": "array", "items": {"type": "string"}, "optional": true},
    }));
    engine.register("n", move |_: &Session| Descriptor::group().action(&add));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let expected = json!({
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "count": {"type": "integer", "description": "how many"},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["title"],
    });
    assert_eq!(consumer.query("/n").await["affordances"][0]["params"], expected);
    for (params, message) in [
        (json!({}), "params.title is required"),
        (json!({"title": 1}), "params.title must be a string"),
        (json!({"title": "x", "count": "2"}), "params.count must be an integer"),
        (json!({"title": "x", "count": true}), "params.count must be an integer"),
        (json!({"title": "x", "kind": "c"}), r#"params.kind must be one of ["a","b"]"#),
        (json!({"title": "x", "tags": ["a", 1]}), "params.tags[1] must be a string"),
        (json!({"title": null}), "params.title must be a string"),
    ] {
        let result = consumer.invoke("/n", "add", params.clone()).await;
        assert_eq!(
            (error_code(&result), result["error"]["message"].as_str()),
            ("invalid_params", Some(message)),
            "{params}"
        );
    }
    for good in [json!({"title": "x", "count": 3.0}), json!({"title": "", "more": [1]})] {
        assert_eq!(consumer.invoke("/n", "add", good.clone()).await["status"], "ok", "{good}");
    }
}

#[tokio::test]
async fn absent_and_null_parameters_are_treated_as_an_empty_object() {
    let engine = engine();
    let echo = Action::new("echo", |call: Invocation<Value>| json!({"given": call.params}));
    engine.register("n", move |_: &Session| Descriptor::group().action(&echo));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.send(&json!({"type": "invoke", "id": "absent", "path": "/n", "action": "echo"}));
    assert_eq!(consumer.answer("absent").await["data"], json!({"given": {}}));
    consumer.send(&json!({"type": "invoke", "id": "null", "path": "/n", "action": "echo", "params": null}));
    assert_eq!(consumer.answer("null").await["data"], json!({"given": {}}));
    for bad in [json!([]), json!("x"), json!(1)] {
        consumer.send(&json!({"type": "invoke", "id": "bad", "path": "/n", "action": "echo", "params": bad}));
        assert_eq!(error_code(&consumer.answer("bad").await), "invalid_params");
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Numbers {
    count: i32,
    size: Option<u64>,
    list: Option<Vec<i64>>,
}

#[tokio::test]
async fn the_decoder_accepts_what_the_schema_allows_and_errors_name_the_parameter() {
    let engine = engine();
    let count = Action::new("count", |call: Invocation<Numbers>| {
        let Numbers { count, size, list } = call.params;
        Outcome::data(json!([count, size, list]))
    });
    engine.register("n", move |_: &Session| Descriptor::group().action(&count));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for (params, data) in [
        (json!({"count": 3.0}), json!([3, null, null])),
        (json!({"count": -3.0, "size": 1e18, "list": [1.0, 2]}), json!([-3, 1_000_000_000_000_000_000_u64, [1, 2]])),
    ] {
        let result = consumer.invoke("/n", "count", params.clone()).await;
        assert_eq!(result["data"], data, "{params}: {result}");
    }
    for (params, start) in [
        (json!({"count": 5e9}), "params.count "),
        (json!({"count": 1, "list": [1, 1e30]}), "params.list[1] "),
        (json!({"count": 1.5}), "params.count "),
    ] {
        let result = consumer.invoke("/n", "count", params.clone()).await;
        let message = result["error"]["message"].as_str().unwrap_or_default();
        assert!(error_code(&result) == "invalid_params" && message.starts_with(start), "{params}: {result}");
    }
}

fn panic_of(declare: impl FnOnce() -> Action + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(declare).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn parameters_that_are_not_an_object_are_refused_at_declaration() {
    for message in [
        panic_of(|| Action::new("say", |_: Invocation<String>| ())),
        panic_of(|| Action::new("say", |_: Invocation<Vec<Numbers>>| ())),
        panic_of(|| Action::new("say", |_: Invocation<(i64, i64)>| ())),
        panic_of(|| Action::new_async("say", async |_: Invocation<Option<bool>>| ())),
    ] {
        assert!(message.starts_with("the parameters of `say` must be an object: use a struct"), "{message}");
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Shape {
    Circle { radius: u32 },
    Square { side: u32 },
}

#[tokio::test]
async fn parameters_may_be_an_enum_of_objects_or_a_map() {
    let engine = engine();
    let draw = Action::new("draw", |call: Invocation<Shape>| match call.params {
        Shape::Circle { radius } => json!(radius),
        Shape::Square { side } => json!(side),
    });
    let tag = Action::new("tag", |call: Invocation<std::collections::BTreeMap<String, String>>| json!(call.params));
    engine.register("n", move |_: &Session| Descriptor::group().action(&draw).action(&tag));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let affordances = consumer.query("/n").await["affordances"].clone();
    assert!(affordances.as_array().unwrap().iter().all(|one| one["params"]["type"] == "object"), "{affordances}");
    assert_eq!(consumer.invoke("/n", "draw", json!({"kind": "circle", "radius": 3})).await["data"], 3);
    assert_eq!(error_code(&consumer.invoke("/n", "draw", json!({"kind": "line"})).await), "invalid_params");
    assert_eq!(consumer.invoke("/n", "tag", json!({"a": "b"})).await["data"], json!({"a": "b"}));
}
