//! Random input for everything that reads what others wrote: frames, a tab's patches, paths, parameter schemas.
//!
//! Each target runs for `FUZZ_SECONDS` (default 5) with new input every time. What fails is shrunk and printed; put it
//! into the suite as a test with a name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Config, Connection, Descriptor, Engine, Event, Frame, Invocation, Item, Session, Urgency};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// How many inputs are tried between two looks at the clock.
const ROUND: u32 = 32;

/// Runs a target until its time is up.
#[expect(clippy::disallowed_methods, reason = "a fuzzer has so much real time and no more")]
fn fuzz<S: Strategy>(input: &S, check: impl Fn(S::Value)) {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let (start, budget) = (Instant::now(), Duration::from_secs(seconds));
    let cases = Cases { cases: ROUND, failure_persistence: None, max_shrink_iters: 2_000, ..Cases::default() };
    let mut runner = TestRunner::new(cases);
    while start.elapsed() < budget {
        let found = runner.run(input, |value| {
            check(value);
            Ok(())
        });
        if let Err(found) = found {
            panic!("{found}");
        }
    }
}

/// An engine whose faults are counted.
struct Watched {
    runtime: Runtime,
    engine: Engine,
    faults: Arc<AtomicUsize>,
}

impl Watched {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut config = Config::immediate();
        change(&mut config);
        let faults = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&faults);
        let engine = {
            let _inside = runtime.enter();
            Engine::builder("app", "App")
                .config(config)
                .observer(move |event| {
                    if matches!(event, Event::Panicked { .. } | Event::SourceFailed { .. }) {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                })
                .build()
        };
        Self { runtime, engine, faults }
    }

    fn consumer(&self, session: &str) -> TestConsumer {
        self.runtime.block_on(TestConsumer::connect(&self.engine, Session::new(session)))
    }

    /// Everything that a connection has to say once the engine has come to rest.
    fn said(&self, connection: &Connection) -> Vec<Value> {
        self.runtime.block_on(self.engine.settle());
        let mut said = Vec::new();
        while let Some(frame) = connection.try_next_frame() {
            said.push(match frame {
                Frame::Text(text) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")),
                Frame::Ping => continue,
                Frame::Close { code, .. } => json!({"type": "closed", "code": code.as_u16()}),
            });
        }
        said
    }

    fn check_faults(&self) {
        assert_eq!(self.faults.load(Ordering::SeqCst), 0, "something panicked inside");
    }
}

// ---------------------------------------------------------------- input

/// Words that mean something to a reader, so that random input gets past the first check.
fn word() -> impl Strategy<Value = String> {
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

fn scalar() -> impl Strategy<Value = Value> {
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

fn json_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..5)
                .prop_map(|keys| Value::Object(keys.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// One way to spoil a value: the how-manieth part of it, counted depth first, becomes something else.
#[derive(Debug, Clone)]
enum Change {
    Replace(usize, Value),
    Remove(usize),
    Insert(usize, String, Value),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0_usize..24, json_value()).prop_map(|(at, value)| Change::Replace(at, value)),
        (0_usize..24).prop_map(Change::Remove),
        (0_usize..24, word(), json_value()).prop_map(|(at, key, value)| Change::Insert(at, key, value)),
    ]
}

/// Finds the `left`-th part below a value and changes it.
fn spoil(value: &mut Value, left: &mut usize, change: &Change) -> bool {
    if let (Change::Insert(_, key, new), 0) = (change, *left) {
        match value {
            Value::Object(keys) => drop(keys.insert(key.clone(), new.clone())),
            Value::Array(list) => list.push(new.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        return true;
    }
    let keys: Vec<usize> = match value {
        Value::Object(keys) => (0..keys.len()).collect(),
        Value::Array(list) => (0..list.len()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return false,
    };
    for at in keys {
        if *left == 0 {
            match (value, change) {
                (Value::Object(keys), Change::Remove(_)) => {
                    let key = keys.keys().nth(at).cloned().unwrap();
                    keys.shift_remove(&key);
                }
                (Value::Array(list), Change::Remove(_)) => drop(list.remove(at)),
                (Value::Object(keys), Change::Replace(_, new)) => *keys.values_mut().nth(at).unwrap() = new.clone(),
                (Value::Array(list), Change::Replace(_, new)) => list[at] = new.clone(),
                _ => {}
            }
            return true;
        }
        *left -= 1;
        let inner = match value {
            Value::Object(keys) => keys.values_mut().nth(at),
            Value::Array(list) => list.get_mut(at),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        if inner.is_some_and(|inner| spoil(inner, left, change)) {
            return true;
        }
    }
    false
}

fn spoiled(mut value: Value, changes: &[Change]) -> Value {
    for change in changes {
        let (Change::Replace(at, _) | Change::Remove(at) | Change::Insert(at, ..)) = change;
        spoil(&mut value, &mut at.clone(), change);
    }
    value
}

// ---------------------------------------------------------------- frames

/// An application with something of everything.
fn rich(engine: &Engine) {
    let add = Action::new("add", |call: Invocation<Value>| call.params)
        .params(json!({"title": "string", "tags": {"type": "array", "items": {"type": "string"}, "optional": true}}));
    let open = Action::new("open", |_: Invocation<()>| ());
    engine.register("todos", move |_: &Session| {
        Descriptor::collection()
            .summary("two things")
            .action(&add)
            .item(Item::new("t1").prop("title", "milk"))
            .item(Item::new("t2").prop("title", "code").action(&open).salience(0.9).urgency(Urgency::High))
    });
    engine.register("deep/a/leaf", |session: &Session| Descriptor::new("item").prop("whose", session.id()));
}

fn message() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "subscribe", "id": "s", "path": "/todos", "depth": 2, "max_nodes": 5,
               "filter": {"types": ["item"], "min_salience": 0.5}, "window": [0, 5]}),
        json!({"type": "subscribe", "id": 7, "resume": {"epoch": "x", "version": 3}}),
        json!({"type": "query", "id": "q", "path": "/app/todos/t1", "depth": -1, "window": [1, 1]}),
        json!({"type": "query", "id": 1.5, "path": "deep", "depth": 1, "max_nodes": 1}),
        json!({"type": "invoke", "id": "i", "path": "/todos", "action": "add", "params": {"title": "x", "tags": ["y"]}}),
        json!({"type": "invoke", "id": 3, "path": "/todos/t2", "action": "open", "params": null}),
        json!({"type": "unsubscribe", "id": "s"}),
        json!({"type": "connect"}),
        json!({"type": "pause", "id": "p"}),
        json!({"type": "hello", "id": "h", "provider": {"id": "x"}}),
        json!({"type": "batch", "messages": [{"type": "query", "id": "b"}, {"type": "dance", "id": 2}, {"type": "subscribe", "id": "s"}]}),
    ])
}

#[derive(Debug, Clone)]
enum Bytes {
    Text(String),
    Binary(Vec<u8>),
}

fn frame() -> impl Strategy<Value = Bytes> {
    let mutated = (message(), prop::collection::vec(change(), 0..4)).prop_map(|(m, c)| spoiled(m, &c).to_string());
    let scratched = (message(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(message, at, character)| {
        let mut characters: Vec<char> = message.to_string().chars().collect();
        let at = at.index(characters.len());
        characters[at] = character;
        characters.into_iter().collect()
    });
    prop_oneof![
        8 => mutated.prop_map(Bytes::Text),
        3 => scratched.prop_map(Bytes::Text),
        2 => json_value().prop_map(|value| Bytes::Text(value.to_string())),
        2 => any::<String>().prop_map(Bytes::Text),
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::Binary),
    ]
}

/// How many answers a frame gets; `None` if that depends on what else is in it.
fn answers(text: &str) -> Option<usize> {
    let Ok(Value::Object(keys)) = serde_json::from_str(text) else { return Some(1) };
    let has_id = matches!(keys.get("id"), Some(Value::String(_) | Value::Number(_)));
    match keys.get("type").and_then(Value::as_str) {
        Some("unsubscribe") if has_id => Some(0),
        Some("batch") => None,
        _ => Some(1),
    }
}

#[test]
fn any_frame_gets_its_replies_and_affects_no_other_session() {
    // Calls come under few ids, and shall run all the same.
    let app = Watched::new(|config| config.limits.call_ids_per_connection = 0);
    rich(&app.engine);
    let mut witness = app.consumer("witness");
    app.runtime.block_on(witness.subscribe("/"));
    let mut hostile = app.consumer("hostile");
    fuzz(&prop::collection::vec(frame(), 1..8), |frames| {
        for frame in frames {
            let expected = match &frame {
                Bytes::Text(text) => {
                    hostile.connection().receive(text);
                    answers(text)
                }
                Bytes::Binary(bytes) => {
                    hostile.connection().receive_binary(bytes);
                    std::str::from_utf8(bytes).map_or(Some(1), answers)
                }
            };
            let said = app.said(hostile.connection());
            for message in &said {
                let kind = message["type"].as_str().unwrap_or_default();
                assert!(
                    ["hello", "snapshot", "error", "result"].contains(&kind),
                    "{frame:?} is answered with {message}"
                );
                assert!(!message.to_string().contains("witness"), "a foreign byte: {message}");
                assert!(message.get("id").is_none_or(|id| id.is_string() || id.is_number()), "{message}");
                if kind == "snapshot" {
                    check_digestible(&message["tree"], "");
                }
            }
            if let Some(expected) = expected {
                assert_eq!(said.len(), expected, "{frame:?} is answered with {said:?}");
            }
        }
        app.check_faults();
    });
    let mut witness = witness;
    app.runtime.block_on(witness.check_mirrors());
    hostile.send(&json!({"type": "query", "id": "last", "path": "/deep/a/leaf"}));
    assert_eq!(app.said(hostile.connection())[0]["tree"]["properties"]["whose"], "hostile");
}

// ---------------------------------------------------------------- tabs

fn tab_node() -> impl Strategy<Value = Value> {
    let id = prop::sample::select(vec!["a", "b", "c", "route", "meta", "", "x/y", "__adapter", "0", "tasks"]);
    let leaf = (id.clone(), scalar(), json_value()).prop_map(|(id, value, params)| {
        json!({"id": id, "type": "status", "properties": {"v": value, "a/b": 1},
               "meta": {"salience": 0.4, "urgency": "low"},
               "affordances": [{"action": "go", "params": {"type": "object", "properties": params}}]})
    });
    leaf.prop_recursive(3, 12, 4, move |inner| {
        (id.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|(id, children)| json!({"id": id, "type": "group", "children": children}))
    })
}

fn tab_tree() -> impl Strategy<Value = Value> {
    (prop::collection::vec(tab_node(), 0..4), prop::collection::vec(change(), 0..4)).prop_map(|(children, changes)| {
        spoiled(json!({"id": "ui", "type": "root", "properties": {"label": "UI"}, "children": children}), &changes)
    })
}

fn tab_op() -> impl Strategy<Value = Value> {
    let segment = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c", "route", "properties", "children", "affordances", "meta", "content_ref", "v", "0"])
            .prop_map(str::to_owned),
        1 => word(),
    ];
    let kind = prop::sample::select(vec!["add", "remove", "replace", "move", "copy"]);
    let value = prop_oneof![tab_node(), json_value()];
    let op = (kind, prop::collection::vec(segment, 0..5), value, prop::option::of(any::<u8>()));
    (op, prop::collection::vec(change(), 0..2)).prop_map(|((kind, path, value, index), changes)| {
        let mut op = json!({"op": kind, "path": format!("/{}", path.join("/")), "value": value});
        if let Some(index) = index {
            op["index"] = json!(index);
        }
        if index.is_some_and(|index| index % 8 == 0) { spoiled(op, &changes) } else { op }
    })
}

#[derive(Debug, Clone)]
enum Says {
    Snapshot(Value),
    Patch(Vec<Value>),
    Anything(Value),
}

fn tab_message() -> impl Strategy<Value = Says> {
    let patch = json!({"type": "patch", "subscription": "ui-mount", "version": 2, "seq": 1, "ops": [{"op": "remove", "path": "/a"}]});
    let anything = (
        prop::sample::select(vec![
            json!({"type": "hello", "provider": {"id": "ui", "name": "UI"}}),
            json!({"type": "result", "id": "ui-mount-invoke-1", "status": "ok", "data": {}}),
            patch,
        ]),
        prop::collection::vec(change(), 0..3),
    );
    prop_oneof![
        1 => tab_tree().prop_map(Says::Snapshot),
        4 => prop::collection::vec(tab_op(), 0..6).prop_map(Says::Patch),
        1 => anything.prop_map(|(message, changes)| Says::Anything(spoiled(message, &changes))),
    ]
}

#[test]
fn any_tab_leaves_every_mirror_exact_and_every_node_valid() {
    let app = Watched::new(|config| config.sizes.tab_nodes = 60);
    rich(&app.engine);
    let input = (tab_tree(), prop::collection::vec(tab_message(), 0..12));
    fuzz(&input, |(tree, says)| {
        let mut consumer = app.consumer("s");
        let mut witness = app.consumer("witness");
        let (all, _) = app.runtime.block_on(consumer.subscribe("/"));
        app.runtime.block_on(witness.subscribe("/"));
        let _inside = app.runtime.enter();
        let tab = app.engine.connect_tab(&Session::new("s")).unwrap();
        tab.receive(r#"{"type":"hello","provider":{"id":"ui","name":"UI"}}"#);
        for says in std::iter::once(Says::Snapshot(tree)).chain(says) {
            let message = match says {
                Says::Snapshot(tree) => json!({"type": "snapshot", "id": "ui-mount", "version": 1, "tree": tree}),
                Says::Patch(ops) => json!({"type": "patch", "subscription": "ui-mount", "version": 2, "ops": ops}),
                Says::Anything(message) => message,
            };
            tab.receive(&message.to_string());
            app.said(&tab);
            app.runtime.block_on(consumer.settled());
            check_digestible(consumer.tree(&all), "");
        }
        app.runtime.block_on(consumer.check_mirrors());
        drop(tab);
        app.runtime.block_on(consumer.check_mirrors());
        let left: Vec<&Value> = consumer.tree(&all)["children"].as_array().unwrap().iter().map(|n| &n["id"]).collect();
        assert_eq!(left, ["deep", "todos"], "nothing of a tab stays, and nothing of the server went");
        assert!(app.runtime.block_on(witness.settled()).is_empty(), "a tab reached another session");
        app.check_faults();
    });
}

/// What the strictest known peers can digest (contract 1.10, 2.5).
fn check_digestible(node: &Value, at: &str) {
    let text = |value: &Value| value.is_string();
    let id = node["id"].as_str().unwrap_or_else(|| panic!("no id at {at}"));
    let at = format!("{at}/{id}");
    assert!(!id.is_empty() && !id.contains(['/', '~']), "an illegal id: {at}");
    assert!(
        !["properties", "children", "affordances", "meta", "content_ref", "id", "type"].contains(&id),
        "a reserved id: {at}"
    );
    assert!(text(&node["type"]), "no type at {at}");
    let none_or = |value: Option<&Value>, fits: &dyn Fn(&Value) -> bool, what: &str| {
        assert!(value.is_none_or(fits), "{what} at {at}: {node}");
    };
    none_or(node.get("properties"), &Value::is_object, "properties");
    none_or(node.get("meta"), &Value::is_object, "meta");
    let meta = &node["meta"];
    none_or(meta.get("salience"), &Value::is_number, "salience");
    none_or(meta.get("total_children"), &Value::is_u64, "total_children");
    none_or(meta.get("summary"), &text, "summary");
    none_or(meta.get("urgency"), &|v| ["none", "low", "medium", "high", "critical"].iter().any(|u| v == u), "urgency");
    let pair = |v: &Value| v.as_array().is_some_and(|pair| pair.len() == 2 && pair.iter().all(Value::is_u64));
    none_or(meta.get("window"), &pair, "window");
    for flag in ["pinned", "changed", "focus"] {
        none_or(meta.get(flag), &Value::is_boolean, flag);
    }
    none_or(node.get("affordances"), &Value::is_array, "affordances");
    for offer in node["affordances"].as_array().into_iter().flatten() {
        none_or(Some(&offer["action"]), &text, "action");
        none_or(offer.get("params"), &Value::is_object, "params");
        none_or(offer.get("label"), &text, "label");
        none_or(offer.get("dangerous"), &Value::is_boolean, "dangerous");
        none_or(offer.get("idempotent"), &Value::is_boolean, "idempotent");
        none_or(offer.get("estimate"), &|v| ["instant", "fast", "slow", "async"].iter().any(|e| v == e), "estimate");
    }
    if let Some(content) = node.get("content_ref") {
        none_or(content.get("type"), &|v| ["text", "binary", "stream"].iter().any(|t| v == t), "content type");
        none_or(content.get("size"), &Value::is_u64, "size");
        for field in ["mime", "summary", "uri"] {
            none_or(Some(&content[field]), &text, field);
        }
    }
    none_or(node.get("children"), &Value::is_array, "children");
    let mut seen = Vec::new();
    for child in node["children"].as_array().into_iter().flatten() {
        assert!(!seen.contains(&&child["id"]), "two of one id at {at}");
        seen.push(&child["id"]);
        check_digestible(child, &at);
    }
}

// ---------------------------------------------------------------- paths

const IDS: [&str; 12] =
    ["app", "inbox", "a b", "é", "%2F", "..", ".", "0", "__adapter", "constructor", "a.b", "\u{1f600}"];

fn spelled() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        8 => prop::sample::select(IDS.to_vec()).prop_map(str::to_owned),
        1 => word(),
        1 => prop::sample::select(IDS.to_vec()).prop_map(|id| id.to_uppercase()),
    ];
    (prop::collection::vec((segment, "/{1,3}"), 0..5), "/{0,2}", any::<bool>()).prop_map(|(segments, first, cut)| {
        let mut path = segments.iter().fold(first, |path, (id, slashes)| path + id + slashes);
        if cut {
            path.truncate(path.trim_end_matches('/').len());
        }
        path
    })
}

/// The rule of contract 1.3, on the JSON of the whole tree: literally from the root, else without the root's id.
fn resolve<'t>(tree: &'t Value, path: &str) -> Option<&'t Value> {
    let ids: Vec<&str> = path.split('/').filter(|id| !id.is_empty()).collect();
    let walk = |ids: &[&str]| {
        ids.iter().try_fold(tree, |node, id| node.get("children")?.as_array()?.iter().find(|child| child["id"] == *id))
    };
    walk(&ids).or_else(|| if ids.first() == Some(&"app") { walk(&ids[1..]) } else { None })
}

#[test]
fn any_spelling_of_a_path_resolves_as_the_contract_says() {
    let app = Watched::new(|_| {});
    let open = Action::new("open", |call: Invocation<()>| Value::from(call.path));
    let below = |open: &Action| {
        IDS.iter().fold(Descriptor::group(), |node, id| node.child(*id, Descriptor::new("item").action(open)))
    };
    for id in IDS.iter().step_by(2) {
        let shape = below(&open).action(&open);
        app.engine.register(id, move |_: &Session| shape.clone());
    }
    let shape = below(&open);
    app.engine.register("app/app", move |_: &Session| shape.clone());
    let mut consumer = app.consumer("s");
    let whole = app.runtime.block_on(consumer.query("/"));
    let consumer = std::cell::RefCell::new(consumer);
    fuzz(&spelled(), |path| {
        let mut consumer = consumer.borrow_mut();
        let wanted = resolve(&whole, &path);
        let answer = app.runtime.block_on(consumer.query_with(json!({"path": path})));
        match wanted {
            Some(node) => assert_eq!(&answer["tree"], node, "{path:?}"),
            None => assert_eq!(answer["error"]["code"], "not_found", "{path:?}: {answer}"),
        }
        let offers = wanted.is_some_and(|node| node["affordances"].is_array());
        let result = app.runtime.block_on(consumer.invoke(&path, "open", json!({})));
        match offers {
            true => {
                let at = result["data"].as_str().unwrap_or_else(|| panic!("{path:?}: {result}"));
                assert_eq!(resolve(&whole, at), wanted, "{path:?} is called as {at:?}");
            }
            false => assert_eq!(result["error"]["code"], "not_found", "{path:?}: {result}"),
        }
        app.check_faults();
    });
}

// ---------------------------------------------------------------- parameter schemas

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
        let word = prop::sample::select(vec![
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
            prop::collection::vec((word, argument), 0..3),
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
    (nested, prop::collection::vec(change(), 0..3)).prop_map(|(schema, changes)| spoiled(schema, &changes))
}

/// Whether parameters fit a shorthand, by the words of contract 1.7 and 2.2 alone.
fn fits(shorthand: &Value, params: &Map<String, Value>) -> bool {
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

/// Declares an action with this schema; nothing if it is refused in the documented words.
fn declared(schema: &Value) -> Option<Action> {
    let declare = || Action::new("go", |call: Invocation<Value>| call.params).params(schema.clone());
    match catch_unwind(AssertUnwindSafe(declare)) {
        Ok(action) => Some(action),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(words.starts_with("the parameter schema cannot be used"), "{words:?} for {schema}");
            None
        }
    }
}

/// Offers the action and calls it.
fn called(app: &Watched, consumer: &mut TestConsumer, action: &Action, params: &Value) -> (Value, Value) {
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
    let app = Watched::new(|_| {});
    let consumer = std::cell::RefCell::new(app.consumer("s"));
    fuzz(&(shorthand(), params()), |(shorthand, params)| {
        // An object whose `type` is `object` may be a schema already (contract 2.2).
        if shorthand["type"] == "object" {
            return;
        }
        let action = declared(&shorthand).unwrap_or_else(|| panic!("a shorthand is never refused: {shorthand}"));
        let (schema, result) = called(&app, &mut consumer.borrow_mut(), &action, &Value::Object(params.clone()));
        assert_eq!(schema["type"], "object", "the wire has JSON Schema: {schema}");
        assert!(schema["properties"].is_object() && schema["required"].is_array(), "{schema}");
        assert_eq!(result["status"] == "ok", fits(&shorthand, &params), "{shorthand} {params:?}: {result}");
        assert!(result["status"] == "ok" || result["error"]["code"] == "invalid_params", "{result}");
    });
}

#[test]
fn any_schema_is_accepted_or_refused_and_validates_without_a_panic() {
    let app = Watched::new(|_| {});
    let consumer = std::cell::RefCell::new(app.consumer("s"));
    fuzz(&(prop_oneof![4 => schema(), 1 => json_value()], params()), |(schema, params)| {
        let Some(action) = declared(&schema) else { return };
        let (_, result) = called(&app, &mut consumer.borrow_mut(), &action, &Value::Object(params));
        assert!(result["status"] == "ok" || result["error"]["code"] == "invalid_params", "{schema}: {result}");
    });
}
