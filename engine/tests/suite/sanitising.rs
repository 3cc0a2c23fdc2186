//! What consumers reject is never sent (contract 1.10 and 2.5): it is sanitised, deterministically, and reported.

use grove_engine::ContentKind;
use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, Config, ContentRef, Descriptor, Event, Frame, Invocation, Item, Outcome, Scope, Session, Source, Urgency,
    Value as Prop,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, SharedNumber, child_ids, engine, engine_with, error_code, node_at};

/// Renders a descriptor; returns its node and what was sanitised.
async fn render(descriptor: Descriptor) -> (Value, Vec<String>) {
    let engine = engine();
    let log = EventLog::of(&engine);
    engine.register("n", move |_: &Session| descriptor.clone());
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    // The mirror of the test consumer validates every node as well.
    let (_, tree) = consumer.subscribe("/n").await;
    (tree, log.sanitised())
}

#[tokio::test]
async fn children_with_invalid_ids_are_dropped_and_reported() {
    let long = "x".repeat(513);
    let invalid =
        ["", "a/b", "a~b", "properties", "children", "affordances", "meta", "content_ref", "id", "type", long.as_str()];
    let mut descriptor = Descriptor::collection().item(Item::new("good"));
    for id in invalid {
        descriptor = descriptor.item(Item::new(id)).child(id, Descriptor::status());
    }
    let (tree, sanitised) = render(descriptor).await;
    assert_eq!(child_ids(&tree), ["good"]);
    assert_eq!(sanitised.len(), 2 * invalid.len(), "{sanitised:?}");
    assert!(sanitised.iter().all(|what| what.starts_with("/n: ")), "{sanitised:?}");
}

#[tokio::test]
async fn unusual_but_valid_ids_are_kept() {
    let valid = [" ", "a b", ".", "..", "%2F", "__adapter", "0", "日本", "a:b", "Properties", "-1", "x\u{7f}", "null"];
    let (tree, sanitised) = render(Descriptor::collection().items(valid.map(Item::new))).await;
    assert_eq!((child_ids(&tree), sanitised), (valid.to_vec(), Vec::new()));
}

#[tokio::test]
async fn of_siblings_with_the_same_id_the_first_is_kept() {
    let descriptor = Descriptor::collection()
        .item(Item::new("a").prop("n", 1))
        .item(Item::new("a").prop("n", 2))
        .child("a", Descriptor::status().prop("n", 3))
        .child("b", Descriptor::status().prop("n", 4));
    let (tree, sanitised) = render(descriptor).await;
    assert_eq!(child_ids(&tree), ["a", "b"]);
    assert_eq!(node_at(&tree, "a")["properties"]["n"], 1);
    assert_eq!(sanitised.len(), 2, "{sanitised:?}");
}

#[tokio::test]
async fn meta_that_consumers_reject_is_dropped_field_by_field() {
    let descriptor = Descriptor::group()
        .meta("urgency", "urgent!")
        .meta("salience", "high")
        .meta("total_children", -1)
        .meta("window", json!([0]))
        .meta("pinned", "yes")
        .meta("summary", 5)
        .meta("reason", json!(["x"]))
        .meta("focus", 1)
        .meta("changed", true)
        .meta("color", "red");
    let (tree, sanitised) = render(descriptor).await;
    assert_eq!(tree["meta"], json!({"changed": true, "color": "red"}));
    assert_eq!(sanitised.len(), 8, "{sanitised:?}");
    let (tree, sanitised) =
        render(Descriptor::group().meta("total_children", 1.5).meta("window", json!([0, -1]))).await;
    assert_eq!((tree.get("meta"), sanitised.len()), (None, 2));
}

#[tokio::test]
async fn meta_set_by_wire_name_equals_meta_set_by_builder() {
    let by_name = Descriptor::group()
        .meta("summary", "s")
        .meta("salience", 0.25)
        .meta("pinned", true)
        .meta("focus", false)
        .meta("changed", true)
        .meta("urgency", "critical")
        .meta("reason", "r")
        .meta("gone", Value::Null);
    let built = Descriptor::group()
        .summary("s")
        .salience(0.25)
        .pinned(true)
        .focus(false)
        .changed(true)
        .urgency(Urgency::Critical)
        .reason("r");
    let (tree, sanitised) = render(by_name).await;
    assert_eq!(sanitised, Vec::<String>::new());
    assert_eq!(tree, render(built).await.0);
    let expected = json!({
        "summary": "s", "salience": 0.25, "pinned": true, "changed": true, "focus": false, "urgency": "critical",
        "reason": "r",
    });
    assert_eq!(tree["meta"], expected);
}

#[tokio::test]
async fn a_non_finite_salience_is_dropped() {
    for salience in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let (tree, sanitised) = render(Descriptor::group().salience(salience).summary("s")).await;
        assert_eq!((&tree["meta"], sanitised.len()), (&json!({"summary": "s"}), 1));
    }
}

#[tokio::test]
async fn every_urgency_and_content_kind_is_one_that_consumers_accept() {
    for urgency in [Urgency::None, Urgency::Low, Urgency::Medium, Urgency::High, Urgency::Critical] {
        let (tree, _) = render(Descriptor::group().urgency(urgency)).await;
        assert!(["none", "low", "medium", "high", "critical"].contains(&tree["meta"]["urgency"].as_str().unwrap()));
    }
    for kind in [ContentKind::Text, ContentKind::Binary, ContentKind::Stream] {
        let (tree, _) = render(Descriptor::document().content_ref(ContentRef::new(kind, "a/b", "s").size(5))).await;
        let content = &tree["content_ref"];
        assert!(["text", "binary", "stream"].contains(&content["type"].as_str().unwrap()));
        assert_eq!((&content["mime"], &content["summary"], &content["size"]), (&json!("a/b"), &json!("s"), &json!(5)));
    }
}

#[tokio::test]
async fn numbers_that_json_cannot_represent_become_null() {
    let descriptor = Descriptor::group()
        .prop("nan", f64::NAN)
        .prop("inf", f64::INFINITY)
        .prop("max", u64::MAX)
        .prop("min", i64::MIN)
        .prop("tiny", 5e-324)
        .prop("unit", Prop::of(()))
        .prop("none", None::<i64>);
    let (tree, _) = render(descriptor).await;
    let expected = json!({
        "nan": null, "inf": null, "max": u64::MAX, "min": i64::MIN, "tiny": 5e-324, "unit": null, "none": null,
    });
    assert_eq!(tree["properties"], expected);
}

#[tokio::test]
async fn of_actions_with_the_same_name_the_first_is_kept() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let act = |data: &'static str| Action::new("act", move |_: Invocation<()>| Outcome::data(data));
    let (first, second) = (act("first"), act("second"));
    engine.register("n", move |_: &Session| Descriptor::group().action(&first).action(&second));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(consumer.query("/n").await["affordances"], json!([{"action": "act"}]));
    assert_eq!(log.sanitised().len(), 1);
    assert_eq!(consumer.invoke("/n", "act", Value::Null).await["data"], "first");
}

#[tokio::test]
async fn a_property_set_twice_has_the_last_value() {
    let (tree, sanitised) = render(Descriptor::group().prop("a", 1).prop("b", 2).prop("a", 3)).await;
    assert_eq!((tree["properties"].to_string(), sanitised), (r#"{"a":3,"b":2}"#.to_owned(), Vec::new()));
}

#[tokio::test]
async fn empty_fields_are_omitted_and_never_null() {
    let (tree, _) = render(Descriptor::new("x").summary("").item(Item::new("i"))).await;
    assert_eq!(tree, json!({"id": "n", "type": "x", "children": [{"id": "i", "type": "item"}]}));
    let (tree, _) = render(Descriptor::default()).await;
    assert_eq!(tree, json!({"id": "n", "type": "group"}), "a node without a type is a group");
}

#[tokio::test]
async fn children_beyond_the_maximum_depth_are_dropped_and_reported() {
    let engine = engine_with(|config| config.sizes.depth = 3);
    let log = EventLog::of(&engine);
    let nested = |levels: u32| (1..levels).fold(Descriptor::status(), |inner, _| Descriptor::group().child("c", inner));
    engine.register("fits", move |_: &Session| nested(3));
    engine.register("over", move |_: &Session| nested(5));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(consumer.query("/fits/c/c").await["type"], "status");
    assert_eq!(consumer.query("/over/c/c").await["type"], "group");
    assert_eq!(consumer.query("/over/c/c/c").await, Value::Null);
    assert_eq!(log.sanitised(), ["/over/c/c: 1 children are too deep and were dropped"]);
}

fn count(node: &Value) -> usize {
    1 + node["children"].as_array().into_iter().flatten().map(count).sum::<usize>()
}

#[tokio::test]
async fn nodes_beyond_the_limit_of_a_path_are_dropped_and_reported() {
    let engine = engine_with(|config| config.sizes.nodes = 20);
    let log = EventLog::of(&engine);
    engine.register("long", |_: &Session| Descriptor::collection().items((0..50).map(|n| Item::new(format!("i{n}")))));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query("/long").await;
    assert_eq!(child_ids(&tree), (0..19).map(|n| format!("i{n}")).collect::<Vec<_>>());
    assert_eq!(log.sanitised(), ["/long: the tree is too large: 31 children were dropped"]);
}

#[tokio::test]
async fn nested_lists_count_towards_the_node_limit_of_their_path() {
    fn fan(levels: u32, width: u32) -> Descriptor {
        if levels == 0 {
            return Descriptor::status();
        }
        (0..width).fold(Descriptor::group(), |descriptor, n| descriptor.child(format!("c{n}"), fan(levels - 1, width)))
    }
    let engine = engine_with(|config| config.sizes.nodes = 20);
    engine.register("fan", |_: &Session| fan(3, 8));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let log = EventLog::of(&engine);
    let tree = consumer.query("/fan").await;
    assert_eq!(
        log.count(|event| matches!(event, Event::Compacted { .. })),
        0,
        "no view has to be compacted: {:?}",
        log.all()
    );
    assert_eq!(count(&tree), 20);
    assert_eq!(child_ids(&tree).len(), 8, "children come before grandchildren");
}

#[tokio::test]
async fn sanitising_is_deterministic() {
    let descriptor = || {
        Descriptor::collection()
            .items((0..5).map(|n| Item::new(format!("i{}", n % 3)).prop("n", n)))
            .meta("urgency", "x")
    };
    let (first, sanitised) = render(descriptor()).await;
    for _ in 0..3 {
        assert_eq!(render(descriptor()).await, (first.clone(), sanitised.clone()));
    }
}

#[tokio::test]
async fn properties_above_the_limit_are_dropped_and_reported() {
    let engine = engine_with(|config| config.sizes.properties = 10);
    let log = EventLog::of(&engine);
    let props = |count: usize| Descriptor::group().props((0..count).map(|n| (format!("p{n}"), n)));
    engine.register("fits", move |_: &Session| props(10).prop("p0", "set twice"));
    engine.register("over", move |_: &Session| props(15).item(Item::new("i")));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(consumer.query("/fits").await["properties"].as_object().unwrap().len(), 10);
    let over = consumer.query("/over").await;
    let keys: Vec<_> = over["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, (0..10).map(|n| format!("p{n}")).collect::<Vec<_>>(), "the first ones are kept");
    assert_eq!(child_ids(&over), ["i"]);
    assert_eq!(log.sanitised(), ["/over: the node has too many properties: 5 were dropped"]);
    assert_eq!(Config::default().sizes.properties, 256);
}

/// Arrays nested to this depth.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[tokio::test]
async fn a_value_that_is_nested_too_deeply_is_dropped_and_reported() {
    let descriptor = Descriptor::group().prop("fits", nested(32)).prop("deep", nested(33)).prop("last", 1);
    let (tree, sanitised) = render(descriptor).await;
    assert_eq!(tree["properties"], json!({"fits": nested(32), "last": 1}));
    assert_eq!(sanitised, ["/n: the property `deep` was dropped: it is nested too deeply"]);
    let (tree, sanitised) = render(Descriptor::group().meta("fits", nested(32)).meta("deep", nested(33))).await;
    assert_eq!((&tree["meta"], sanitised.len()), (&json!({"fits": nested(32)}), 1));
}

/// How deeply a JSON text is nested.
fn levels(text: &str) -> usize {
    let open = text.chars().scan(0_usize, |open, c| {
        match c {
            '[' | '{' => *open += 1,
            ']' | '}' => *open -= 1,
            _ => {}
        }
        Some(*open)
    });
    open.max().unwrap_or_default()
}

/// A chain of this many nodes, of which the last has every field that can be nested, at its maximum depth.
fn chain(nodes: u32, number: i64) -> Descriptor {
    let wrap = |inner: Value| json!({"type": "object", "properties": {}, "not": inner});
    let schema = (1..30).fold(wrap(json!({})), |inner, _| wrap(inner));
    let act = Action::new("act", |_: Invocation<Value>| ()).params(schema);
    let last = Descriptor::status().prop("n", number).prop("v", nested(32)).meta("m", nested(32)).action(&act);
    (1..nodes).fold(last, |below, _| Descriptor::group().child("c", below))
}

#[tokio::test]
async fn no_frame_is_nested_deeper_than_consumers_can_parse() {
    let engine = engine_with(|config| config.sizes.depth = 40);
    let log = EventLog::of(&engine);
    let deepest_path = ["p"; 32].join("/");
    let number = SharedNumber::default();
    for path in ["p", deepest_path.as_str()] {
        let number = number.clone();
        engine.register(path, move |_: &Session| chain(40, number.get()));
    }
    let connection = engine.connect(&Session::new("s")).unwrap();
    connection.receive(r#"{"type":"subscribe","id":"s","path":"/"}"#);
    connection.receive(r#"{"type":"query","id":"q","path":"/p"}"#);
    engine.settle().await;
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    engine.settle().await;
    let mut deepest = 0;
    while let Some(frame) = connection.try_next_frame() {
        let Frame::Text(text) = frame else { panic!("not a message: {frame:?}") };
        serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        deepest = deepest.max(levels(&text));
    }
    assert!((100..=125).contains(&deepest), "{deepest} levels");
    let sanitised = log.sanitised();
    let is_below_the_long_path = |what: &String| what.starts_with(&format!("/{deepest_path}/c"));
    assert!(!sanitised.is_empty() && sanitised.iter().all(is_below_the_long_path), "{sanitised:?}");
    let long = ["p"; 33].join("/");
    let refused = engine.try_register(&long, Source::new(|_: &Session| Descriptor::group())).unwrap_err();
    assert!(refused.to_string().contains("must not have more than 32 segments"), "{refused}");
}

#[tokio::test]
async fn a_descriptor_of_any_depth_can_be_dropped_without_overflowing_the_stack() {
    let engine = engine_with(|config| config.sizes.depth = 3);
    engine.register("deep", |_: &Session| chain(100_000, 0));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(consumer.query("/deep/c/c").await["type"], "group");
}

#[tokio::test]
async fn a_loaded_item_may_be_of_any_depth() {
    let engine = engine_with(|config| config.sizes.depth = 3);
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(1))
        .on_window(|_: &Session, _: &grove_engine::WindowRequest| vec![Item::new("i").child("c", chain(100_000, 0))]);
    engine.register_source("list", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(child_ids(&consumer.query("/list").await), ["i"]);
}

#[tokio::test]
async fn a_result_that_is_nested_too_deeply_is_an_error() {
    let engine = engine();
    let get = |levels: usize| Action::new(format!("get{levels}"), move |_: Invocation<()>| nested(levels));
    let (fits, deep) = (get(120), get(121));
    engine.register("n", move |_: &Session| Descriptor::group().action(&fits).action(&deep));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(consumer.invoke("/n", "get120", Value::Null).await["status"], "ok");
    let refused = consumer.invoke("/n", "get121", Value::Null).await;
    assert_eq!(
        (error_code(&refused), &refused["error"]["message"]),
        ("too_large", &json!("the action ran, but its result is nested too deeply"))
    );
}
