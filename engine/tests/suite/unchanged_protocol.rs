//! Sessions change nothing on the wire: the messages and fields are the same for a server with one user and with many.

use std::collections::BTreeMap;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, Config, Descriptor, Engine, Invocation, Item, Outcome, PerSession, Scope, Session, SessionProvider,
};
use serde_json::{Value, json};

use crate::fixtures::{Todos, engine, user_session};

/// The fields that a message of a provider may have, by its type.
fn fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "hello" => &["type", "provider"],
        "snapshot" => &["type", "id", "version", "seq", "tree"],
        "patch" => &["type", "subscription", "version", "seq", "ops"],
        "result" => &["type", "id", "status", "data", "error"],
        "error" => &["type", "id", "error"],
        "event" => &["type", "name", "data"],
        "batch" => &["type", "messages"],
        _ => &[],
    }
}

fn check_node(node: &Value) {
    let known = ["id", "type", "properties", "meta", "affordances", "content_ref", "children"];
    for field in node.as_object().unwrap().keys() {
        assert!(known.contains(&field.as_str()), "`{field}` in {node}");
    }
    node["children"].as_array().into_iter().flatten().for_each(check_node);
}

fn check(message: &Value) {
    let kind = message["type"].as_str().unwrap();
    for field in message.as_object().unwrap().keys() {
        assert!(fields(kind).contains(&field.as_str()), "`{field}` in {message}");
    }
    if kind == "snapshot" {
        check_node(&message["tree"]);
    }
    for op in message["ops"].as_array().into_iter().flatten() {
        let path = op["path"].as_str().unwrap();
        assert!(["add", "remove", "replace", "move"].contains(&op["op"].as_str().unwrap()), "{op}");
        assert!(path.starts_with('/') && !path.split('/').any(|segment| segment == "children"), "{op}");
    }
}

/// Plays the same messages of a consumer against any engine, and returns all it receives.
async fn script(engine: &Engine, consumer: &mut TestConsumer) -> Vec<Value> {
    let mut all = consumer.settled().await;
    for message in [
        json!({"type": "subscribe", "id": "sub-1", "path": "/", "depth": -1}),
        json!({"type": "subscribe", "id": "sub-2", "path": "/list", "depth": 0}),
        json!({"type": "subscribe", "id": "sub-3", "path": "/gone", "depth": 1}),
        json!({"type": "query", "id": "q-1", "path": "/list", "window": [1, 1]}),
        json!({"type": "query", "id": "q-2", "path": "/nowhere"}),
        json!({"type": "invoke", "id": "inv-3", "path": "/list", "action": "add", "params": {"title": "new"}}),
        json!({"type": "invoke", "id": "inv-4", "path": "/list", "action": "add"}),
        json!({"type": "invoke", "id": "inv-5", "path": "/app/list/i0", "action": "which", "params": null}),
        json!({"type": "nonsense", "id": 6}),
        json!({"type": "unsubscribe", "id": "sub-2"}),
    ] {
        // This way the test consumer knows the subscription and keeps a mirror of it.
        if message["type"] == "subscribe" {
            consumer.start_subscription(json!({"path": message["path"], "depth": message["depth"]}));
        } else {
            consumer.send(&message);
        }
        all.extend(consumer.settled().await);
    }
    engine.emit(Scope::all(), "bye", Some(&json!({"n": 1}))).unwrap();
    all.extend(consumer.settled().await);
    all
}

/// Serves a list that is the same for everyone and reads nothing of the session.
fn serve_list(engine: &Engine) {
    let (actions, describe) = list_parts();
    engine.register("list", move |_: &Session| describe(&actions));
}

type Actions = [Action; 2];

/// Returns the actions of the list, and its descriptor function.
fn list_parts() -> (Actions, impl Fn(&Actions) -> Descriptor + Send + Sync + 'static) {
    let titles = std::sync::Arc::new(parking_lot::Mutex::new(vec!["a".to_owned(), "b".to_owned()]));
    let write = std::sync::Arc::clone(&titles);
    let add = Action::new("add", move |call: Invocation<Value>| {
        write.lock().push(call.params["title"].as_str().unwrap_or_default().to_owned());
        json!({"count": write.lock().len()})
    })
    .params(json!({"title": "string"}));
    let which = Action::new("which", |call: Invocation<()>| Outcome::data(call.node_id()));
    let describe = move |[add, which]: &Actions| {
        let item = |(at, title): (usize, &String)| Item::new(format!("i{at}")).prop("title", title).action(which);
        Descriptor::collection().items(titles.lock().iter().enumerate().map(item)).action(add)
    };
    ([add, which], describe)
}

/// Removes what may differ: versions are replaced by their rank, and epochs and connection names are dropped.
fn comparable(mut messages: Vec<Value>) -> Vec<Value> {
    let mut versions = BTreeMap::new();
    for message in &mut messages {
        if let Some(version) = message["version"].as_u64() {
            let next = versions.len();
            message["version"] = json!(*versions.entry(version).or_insert(next));
        }
        if let Some(provider) = message.get_mut("provider").and_then(Value::as_object_mut) {
            provider.shift_remove("epoch");
            provider.shift_remove("connection");
        }
    }
    messages
}

#[tokio::test]
async fn every_message_has_only_the_fields_that_the_protocol_defines() {
    let engine = engine();
    serve_list(&engine);
    let mut consumer = TestConsumer::silent(&engine, user_session("s", "alice"));
    let messages = script(&engine, &mut consumer).await;
    messages.iter().for_each(check);
    let mut kinds: Vec<&str> = messages.iter().map(|message| message["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        ["error", "event", "hello", "patch", "result", "snapshot"],
        "the script causes every type of message"
    );
}

#[tokio::test]
async fn a_consumer_cannot_tell_whether_there_are_other_users() {
    let single = engine();
    serve_list(&single);
    let mut alone = TestConsumer::silent(&single, Session::new("local"));
    let alone = script(&single, &mut alone).await;

    let many = Engine::builder("app", "App").config(Config::immediate()).build();
    serve_list(&many);
    let mut others = Vec::new();
    for id in 0..20 {
        others.push(
            crate::fixtures::connect_and_subscribe(&many, user_session(&format!("s{id}"), &format!("u{id}"))).await,
        );
    }
    let session = user_session("alice-1", "alice").with_attribute("org", "acme").with_permission("write");
    let mut among = TestConsumer::silent(&many, session);
    let among = script(&many, &mut among).await;
    assert_eq!(comparable(alone), comparable(among));
}

#[tokio::test]
async fn both_multi_user_modes_are_identical_on_the_wire() {
    let shared = engine();
    serve_list(&shared);
    let shared = script(&shared, &mut TestConsumer::silent(&shared, user_session("s", "alice"))).await;

    let factory = |_: &Session| {
        let (action, describe) = list_parts();
        SessionProvider::new().register("list", move || describe(&action))
    };
    let own =
        PerSession::with_options(Engine::builder("app", "App").config(Config::immediate()), factory).engine().clone();
    let own = script(&own, &mut TestConsumer::silent(&own, user_session("s", "alice"))).await;
    own.iter().for_each(check);
    assert_eq!(comparable(shared), comparable(own));
}

#[tokio::test]
async fn the_caller_is_known_without_a_field_in_the_message() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    todos.push("alice", "one");
    let mut consumer = TestConsumer::connect(&engine, user_session("s", "alice").with_permission("write")).await;
    consumer.send(&json!({"type": "invoke", "id": "inv-1", "path": "/todos/t1", "action": "toggle"}));
    assert_eq!(consumer.answer("inv-1").await["status"], "ok");
    assert_eq!(todos.calls(), [("alice".to_owned(), "toggle".to_owned())]);
}
