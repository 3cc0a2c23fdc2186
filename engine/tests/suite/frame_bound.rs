//! One bound for every frame that is sent: what is longer is refused to whoever made it, and nobody else notices.

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, ActionError, Config, Descriptor, Engine, ErrorCode, Event, Frame, FrameError, Invocation, Limit, Outcome,
    Scope, Session,
};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, SharedDescriptor, SharedNumber, connect_and_subscribe, engine, engine_with, engine_with_clock,
    error_code, node_at, user_session,
};

/// The smallest frame that may be configured.
const SMALLEST: usize = 1_024;

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |value, _| Value::Array(vec![value]))
}

/// Serves `/n` with actions whose outcome is longer than a frame, or nested too deeply.
fn serve(engine: &Engine) {
    let long = Action::new("long", |_: Invocation<()>| Outcome::data("x".repeat(1_200_000)));
    let deep = Action::new("deep", |_: Invocation<()>| Outcome::data(nested(121)));
    let fails = Action::new("fails", |_: Invocation<()>| -> Result<Outcome, ActionError> {
        Err(ActionError::conflict("x".repeat(1_200_000)))
    });
    let code = Action::new("code", |_: Invocation<()>| -> Result<Outcome, ActionError> {
        Err(ActionError::new("x".repeat(1_200_000), "no"))
    });
    let quick = Action::new("quick", |_: Invocation<()>| Outcome::data(1));
    engine.register("n", move |_: &Session| Descriptor::group().actions([&long, &deep, &fails, &code, &quick]));
}

#[tokio::test]
async fn an_event_that_does_not_fit_a_frame_is_refused_to_the_application_and_sent_to_nobody() {
    let engine = engine();
    let (mut alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    let data = json!("x".repeat(1_200_000));
    assert_eq!(engine.emit(Scope::all(), "news", Some(&data)), Err(FrameError::TooLarge(1_000_000)));
    assert_eq!(engine.emit(Scope::all(), &"n".repeat(1_200_000), None), Err(FrameError::TooLarge(1_000_000)));
    for consumer in [&mut alice, &mut bob] {
        assert_eq!(consumer.settled().await, Vec::<Value>::new());
        assert_eq!(consumer.closed(), None);
    }
    assert_eq!(engine.emit(Scope::all(), "news", Some(&json!(1))), Ok(2));
    assert_eq!(bob.settled().await.len(), 1);
}

#[tokio::test]
async fn an_event_is_sent_up_to_exactly_the_bound() {
    let engine = engine_with(|config| config.sizes.frame_bytes = 2_000);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let data = |bytes: usize| json!("x".repeat(bytes - r#"{"type":"event","name":"e","data":""}"#.len()));
    assert_eq!(engine.emit(Scope::all(), "e", Some(&data(2_000))), Ok(1));
    assert_eq!(engine.emit(Scope::all(), "e", Some(&data(2_001))), Err(FrameError::TooLarge(2_000)));
    assert_eq!(consumer.settled().await.len(), 1);
}

#[tokio::test]
async fn an_event_that_is_nested_too_deeply_is_refused_to_the_application() {
    let engine = engine();
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(engine.emit(Scope::all(), "e", Some(&nested(121))), Err(FrameError::TooDeep));
    assert_eq!(engine.emit(Scope::all(), "e", Some(&nested(2_000))), Err(FrameError::TooDeep));
    assert_eq!(engine.emit(Scope::all(), "e", Some(&nested(120))), Ok(1));
    assert_eq!(consumer.settled().await.len(), 1);
}

#[tokio::test]
async fn a_result_that_does_not_fit_a_frame_is_too_large_for_its_caller_and_nobody_else_notices() {
    let engine = engine();
    serve(&engine);
    let log = EventLog::of(&engine);
    let (mut caller, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut sibling, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    for (action, message) in [
        ("long", "the action ran, but its result does not fit a frame"),
        ("deep", "the action ran, but its result is nested too deeply"),
        ("fails", "the action failed, and its error does not fit a frame"),
        ("code", "the action failed, and its error does not fit a frame"),
    ] {
        let result = caller.invoke("/n", action, Value::Null).await;
        assert_eq!((result["type"].as_str(), error_code(&result)), (Some("result"), "too_large"), "{action}");
        assert_eq!(result["error"]["message"], message);
    }
    assert_eq!(log.limit_count(Limit::FrameBytes), 3);
    let failed =
        |event: &Event| matches!(event, Event::Invoked { status, .. } if format!("{status:?}").contains("too_large"));
    assert_eq!(log.count(failed), 4, "observers see what the caller sees");
    assert_eq!(caller.invoke("/n", "quick", Value::Null).await["data"], 1, "the connection goes on");
    assert_eq!(sibling.settled().await, Vec::<Value>::new());
    assert_eq!((caller.closed(), sibling.closed()), (None, None));
}

/// Frames until nothing comes any more, each of which must keep the bound.
fn frames_within(consumer: &TestConsumer, bound: usize) -> Vec<Value> {
    let frames = std::iter::from_fn(|| consumer.connection().try_next_frame());
    let parsed = frames.map(|frame| match frame {
        Frame::Text(text) => {
            assert!(text.len() <= bound, "{} bytes: {}", text.len(), &text[..200]);
            serde_json::from_str(&text).unwrap()
        }
        other => panic!("{other:?}"),
    });
    parsed.collect()
}

#[tokio::test]
async fn the_bound_holds_for_the_whole_frame_with_its_id() {
    let engine = engine_with(|config| config.sizes.frame_bytes = 4_000);
    let content = SharedDescriptor::serve(&engine, "n", Descriptor::status());
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let id = "i".repeat(510);
    consumer.connection().receive(&json!({"type": "subscribe", "id": id, "path": "/n"}).to_string());
    engine.settle().await;
    assert_eq!(frames_within(&consumer, 4_000)[0]["type"], "snapshot");
    for length in (2_800..4_100).step_by(50) {
        content.change(&engine, Descriptor::status().prop("a", "x".repeat(length)).prop("b", "y".repeat(100))).await;
        consumer.connection().receive(&json!({"type": "query", "id": id, "path": "/n"}).to_string());
        assert!(!frames_within(&consumer, 4_000).is_empty(), "{length}");
        content.change(&engine, Descriptor::status().prop("a", "z".repeat(length)).prop("b", "y".repeat(100))).await;
        frames_within(&consumer, 4_000);
    }
}

#[tokio::test]
async fn a_patch_keeps_the_bound_although_longer_ones_need_no_new_snapshot() {
    let engine = engine_with(|config| {
        config.sizes.frame_bytes = 2_000;
        config.sizes.rebase_bytes = 100_000;
    });
    let content = SharedDescriptor::serve(&engine, "n", Descriptor::status());
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let properties = (0..6).fold(Descriptor::status(), |node, n| node.prop(format!("p{n}"), "x".repeat(150)));
    content.change(&engine, properties).await;
    let messages = consumer.settled().await;
    assert!(messages.iter().all(|message| message.to_string().len() <= 2_000), "{messages:?}");
    assert_eq!(node_at(consumer.tree(&id), "n")["properties"].as_object().unwrap().len(), 6);
}

#[tokio::test]
async fn errors_that_quote_what_was_sent_keep_the_bound() {
    let engine = engine_with(|config| config.sizes.frame_bytes = SMALLEST);
    let act = Action::new("act", |_: Invocation<Value>| ()).params(json!({
        "type": "object", "additionalProperties": {"type": "integer"}
    }));
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, key) = ("\u{1}".repeat(85), "\u{1}".repeat(3_000));
    let invoke = |value: &str| {
        let id = json!(id);
        format!(r#"{{"type":"invoke","id":{id},"path":"/n","action":"act","params":{{{}:{value}}}}}"#, json!(key))
    };
    for text in [
        invoke("1e400"),
        invoke("\"x\""),
        format!(r#"{{"type":"query","id":{},"filter":{{{}:1e400}}}}"#, json!(id), json!(key)),
        format!(r#"{{"type":"batch","messages":[{{"type":"query","id":{},{}:1e400}}]}}"#, json!(id), json!(key)),
    ] {
        consumer.connection().receive(&text);
        engine.settle().await;
        let replies = frames_within(&consumer, SMALLEST);
        assert_eq!((replies.len(), replies[0]["id"].as_str()), (1, Some(id.as_str())), "{replies:?}");
        assert!(matches!(error_code(&replies[0]), "bad_request" | "invalid_params"), "{replies:?}");
    }
}

#[tokio::test]
async fn hello_leaves_out_what_does_not_fit() {
    let mut config = Config::immediate();
    config.sizes.frame_bytes = SMALLEST;
    let engine = Engine::builder("app", "App").config(config.clone()).hello_session(["user", "team"]).build();
    let log = EventLog::of(&engine);
    let session = user_session("s", "alice").with_attribute("team", "t".repeat(2_000));
    let consumer = TestConsumer::silent(&engine, session);
    let hello = frames_within(&consumer, SMALLEST).remove(0);
    assert_eq!((hello["type"].as_str(), hello["provider"].get("session")), (Some("hello"), None));
    assert_eq!(log.limit_count(Limit::FrameBytes), 1);
    let consumer = TestConsumer::silent(&engine, user_session("other", "bob"));
    assert_eq!(frames_within(&consumer, SMALLEST)[0]["provider"]["session"]["user"], "bob");
    let error = Engine::builder("app", "n".repeat(2_000)).config(config).try_build().unwrap_err();
    assert_eq!(error.field, "sizes.frame_bytes");
}

#[tokio::test]
async fn a_task_whose_result_is_too_large_has_failed_and_the_tree_stays_visible() {
    let (engine, _clock) = engine_with_clock(|config| config.sizes.task_bytes = 1_000);
    let number = SharedNumber::serve(&engine, "number");
    let export = Action::new("export", |call: Invocation<()>| {
        call.start_task("t".repeat(2_000), |task| async move {
            task.progress(0.5, "ü".repeat(2_000));
            Ok(json!("x".repeat(2_000_000)))
        })
    });
    engine.register("exports", move |_: &Session| Descriptor::group().action(&export));
    let log = EventLog::of(&engine);
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let result = consumer.invoke("/exports", "export", Value::Null).await;
    assert_eq!(result["status"], "accepted");
    let path = format!("tasks/{}", result["data"]["taskId"].as_str().unwrap());
    while node_at(consumer.tree(&id), &path)["properties"]["status"] != "failed" {
        consumer.next().await;
    }
    let node = node_at(consumer.tree(&id), &path)["properties"].clone();
    assert_eq!(node["code"], ErrorCode::TooLarge.as_str());
    assert_eq!((node["title"].as_str().unwrap().len(), node["message"].as_str().unwrap().len()), (1_000, 1_000));
    assert_eq!(log.limit_count(Limit::TaskBytes), 1);
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    consumer.check_mirrors().await;
    assert_eq!(node_at(consumer.tree(&id), "number")["properties"]["n"], 1);
}

#[tokio::test]
async fn a_call_that_does_not_fit_a_frame_to_its_tab_is_refused_to_the_caller() {
    let engine = engine_with(|config| config.sizes.frame_bytes = 2_000);
    let tab = engine.connect_tab(&Session::new("s")).unwrap();
    tab.receive(r#"{"type":"hello","provider":{"id":"page","name":"Page"}}"#);
    let node = json!({"id": "page", "type": "root", "affordances": [{"action": "say"}]});
    tab.receive(&json!({"type": "snapshot", "id": "ui-mount", "version": 1, "tree": node}).to_string());
    engine.settle().await;
    while tab.try_next_frame().is_some() {}
    let client = engine.client(&Session::new("s")).unwrap();
    let error = client.invoke("/ui/tab-1", "say", json!({"text": "x".repeat(2_000)})).await.unwrap_err();
    assert!(format!("{error:?}").contains("too_large"), "{error:?}");
    assert_eq!(tab.try_next_frame(), None);
}
