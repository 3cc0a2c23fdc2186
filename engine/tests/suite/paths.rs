//! How paths are resolved (contract 1.3).

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Outcome, Session};
use serde_json::{Value, json};

use crate::fixtures::{engine, error_code};

/// `/inbox/m1` with an action `where` that returns its own path; also at the root.
fn inbox() -> Engine {
    let engine = engine();
    let whereami = Action::new("where", |call: Invocation<()>| Outcome::data(call.path));
    let root = whereami.clone();
    engine.register("/", move |_: &Session| Descriptor::group().action(&root));
    engine.register("inbox", move |_: &Session| {
        Descriptor::collection().action(&whereami).item(Item::new("m1").prop("subject", "hello").action(&whereami))
    });
    engine
}

#[tokio::test]
async fn leading_trailing_and_repeated_slashes_are_ignored() {
    let engine = inbox();
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for spelling in ["inbox", "/inbox", "/inbox/", "//inbox", "inbox//"] {
        assert_eq!(consumer.query(spelling).await["id"], "inbox", "query {spelling}");
        assert_eq!(consumer.subscribe(spelling).await.1["id"], "inbox", "subscribe {spelling}");
        assert_eq!(consumer.invoke(spelling, "where", Value::Null).await["data"], "/inbox", "invoke {spelling}");
    }
    for spelling in ["", "/", "//"] {
        assert_eq!(consumer.query(spelling).await["id"], "app", "query {spelling}");
        assert_eq!(consumer.invoke(spelling, "where", Value::Null).await["data"], "/", "invoke {spelling}");
    }
}

#[tokio::test]
async fn a_path_may_start_with_the_id_of_the_root() {
    let engine = inbox();
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for (prefixed, plain) in [("/app", "/"), ("/app/inbox", "/inbox"), ("app/inbox/m1/", "/inbox/m1")] {
        let (with, without) = (consumer.query(prefixed).await, consumer.query(plain).await);
        assert_eq!(with, without, "query {prefixed}");
        assert_eq!(consumer.subscribe(prefixed).await.1, without, "subscribe {prefixed}");
        assert_eq!(consumer.invoke(prefixed, "where", Value::Null).await["data"], plain, "invoke {prefixed}");
    }
}

#[tokio::test]
async fn a_child_with_the_id_of_the_root_takes_precedence() {
    let engine = inbox();
    engine.register("app", |_: &Session| Descriptor::group().child("x", Descriptor::status()));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(consumer.query("/app").await["type"], "group");
    assert_eq!(consumer.query("/app/x").await["type"], "status");
    assert_eq!(consumer.query("/app/inbox").await["id"], "inbox", "the prefix still works for other paths");
    assert_eq!(consumer.query("/app/app/x").await["type"], "status");
}

#[tokio::test]
async fn segments_are_matched_literally() {
    let engine = engine();
    engine.register("%20", |_: &Session| Descriptor::group().child("a b", Descriptor::status()));
    engine.register("über.straße", |_: &Session| Descriptor::status());
    engine.register("0", |_: &Session| Descriptor::status());
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for (path, id) in [("/%20", "%20"), ("/%20/a b", "a b"), ("/über.straße", "über.straße"), ("/0", "0")] {
        assert_eq!(consumer.query(path).await["id"], id, "{path}");
    }
    for path in ["/ ", "/%20/a%20b", "/~00"] {
        assert_eq!(consumer.query(path).await, Value::Null, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_not_found_and_starts_no_subscription() {
    let engine = inbox();
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for path in ["/nothing", "/inbox/m2", "/inbox/m1/x", "/app/nothing", "/inbox/properties"] {
        let reply = consumer.query_with(json!({"path": path})).await;
        assert_eq!((reply["type"].as_str(), error_code(&reply)), (Some("error"), "not_found"), "query {path}");
        let id = consumer.start_subscription(json!({"path": path}));
        let reply = consumer.answer(&id).await;
        assert_eq!((reply["type"].as_str(), error_code(&reply)), (Some("error"), "not_found"), "subscribe {path}");
        let reply = consumer.invoke(path, "where", Value::Null).await;
        assert_eq!((reply["type"].as_str(), error_code(&reply)), (Some("result"), "not_found"), "invoke {path}");
    }
    assert_eq!(engine.stats().subscriptions, 0);
}

#[tokio::test]
async fn patch_paths_are_relative_to_the_subscribed_node() {
    let engine = engine();
    let content = crate::fixtures::SharedDescriptor::serve(
        &engine,
        "a/b",
        Descriptor::group().prop("x", 1).child("c", Descriptor::status().prop("y", 1)),
    );
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (_, tree) = consumer.subscribe("/a/b").await;
    assert_eq!(tree["id"], "b");
    let next = Descriptor::group().prop("x", 2).child("c", Descriptor::status().prop("y", 2));
    content.change(&engine, next).await;
    let messages = consumer.settled().await;
    let expected = json!([
        {"op": "replace", "path": "/properties/x", "value": 2},
        {"op": "replace", "path": "/c/properties/y", "value": 2},
    ]);
    assert_eq!(messages[0]["ops"], expected);
}
