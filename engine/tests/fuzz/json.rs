//! Random JSON.

use proptest::prelude::*;
use serde_json::{Map, Value};

/// Strings with a meaning in the protocol, so that random input gets past the first check.
pub(crate) fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "",
        "/",
        "~",
        "~0",
        "~1",
        "id",
        "type",
        "path",
        "depth",
        "max_nodes",
        "filter",
        "types",
        "min_salience",
        "window",
        "params",
        "action",
        "value",
        "index",
        "op",
        "ops",
        "tree",
        "children",
        "properties",
        "affordances",
        "meta",
        "content_ref",
        "app",
        "ui",
        "ui-mount",
        "todos",
        "t1",
        "route",
        "a/b",
        "__adapter",
        "$ref",
        "#",
        "é",
        "\u{0}",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => ".{0,12}"]
}

pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..12).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ]
}

pub(crate) fn json_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..5)
                .prop_map(|keys| Value::Object(keys.into_iter().collect::<Map<_, _>>())),
        ]
    })
}
