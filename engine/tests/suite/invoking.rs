//! Calls: what is checked in which order, what results look like, and what is sent before them (contract 1.7 and 1.8).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, ActionError, CallStatus, Config, Descriptor, Engine, Estimate, Event, IntoOutcome, Invocation, Outcome,
    PanicSite, Scope, Session,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, SharedNumber, Todos, action_names, connect_and_subscribe, engine, engine_with_clock, error_code,
    evaluations, message_types, node_at, user_session,
};

/// Returns the result of an action whose handler returns this.
async fn result_of<R: IntoOutcome + Send + 'static>(handler: impl Fn() -> R + Send + Sync + 'static) -> Value {
    let engine = engine();
    let act = Action::new("act", move |_: Invocation<()>| handler());
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let mut result = consumer.invoke("/n", "act", Value::Null).await;
    let fields = result.as_object_mut().unwrap();
    assert_eq!(fields.shift_remove("type"), Some(json!("result")));
    assert!(fields.shift_remove("id").is_some());
    result
}

#[tokio::test]
async fn the_return_value_of_a_handler_becomes_the_data_of_the_result() {
    assert_eq!(result_of(|| ()).await, json!({"status": "ok"}));
    assert_eq!(result_of(Outcome::done).await, json!({"status": "ok"}));
    assert_eq!(result_of(|| json!({})).await, json!({"status": "ok"}), "an empty object is no data");
    assert_eq!(result_of(|| Value::Null).await, json!({"status": "ok"}));
    assert_eq!(result_of(|| json!({"id": "t1"})).await, json!({"status": "ok", "data": {"id": "t1"}}));
    assert_eq!(result_of(|| String::from("done")).await, json!({"status": "ok", "data": "done"}));
    assert_eq!(result_of(|| "done").await, json!({"status": "ok", "data": "done"}));
    let said = || -> Result<String, ActionError> { Ok("done".to_owned()) };
    assert_eq!(result_of(said).await, json!({"status": "ok", "data": "done"}));
    for scalar in
        [json!(5), json!("text"), json!(true), json!(0.5), json!([]), json!([1, null]), json!(false), json!("")]
    {
        let given = scalar.clone();
        assert_eq!(result_of(move || given.clone()).await, json!({"status": "ok", "data": scalar}));
    }
}

#[tokio::test]
async fn the_async_marker_means_accepted_and_is_stripped() {
    let marked = || json!({"__async": true, "taskId": "t", "more": 1});
    assert_eq!(result_of(marked).await, json!({"status": "accepted", "data": {"taskId": "t", "more": 1}}));
    let expected = json!({"status": "accepted", "data": {"taskId": "t"}});
    assert_eq!(result_of(|| Outcome::accepted("t")).await, expected);
    let unmarked = json!({"__async": "yes", "taskId": "t"});
    let given = unmarked.clone();
    assert_eq!(
        result_of(move || given.clone()).await,
        json!({"status": "ok", "data": unmarked}),
        "only `true` is a marker"
    );
}

#[tokio::test]
async fn an_error_keeps_its_code_and_message() {
    let failed = |code: &str, message: &str| json!({"status": "error", "error": {"code": code, "message": message}});
    let fail = |error: ActionError| result_of(move || -> Result<(), ActionError> { Err(error.clone()) });
    assert_eq!(fail(ActionError::conflict("it is gone")).await, failed("conflict", "it is gone"));
    assert_eq!(fail(ActionError::unauthorized("not you")).await, failed("unauthorized", "not you"));
    assert_eq!(fail(ActionError::not_found("no such")).await, failed("not_found", "no such"));
    assert_eq!(fail(ActionError::internal("sorry")).await, failed("internal", "sorry"));
    assert_eq!(
        fail(ActionError::new("approval_required", "ask first")).await,
        failed("approval_required", "ask first")
    );
}

#[tokio::test]
async fn a_panicking_handler_is_an_internal_error_that_reveals_nothing() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let sync = Action::new("sync", |_: Invocation<()>| panic!("secret /etc/passwd") as ());
    let later = Action::new_async("later", |_: Invocation<()>| async { panic!("secret /etc/passwd") as () });
    let early =
        Action::new_async("early", |_: Invocation<()>| -> std::future::Ready<()> { panic!("secret /etc/passwd") });
    engine.register("n", move |_: &Session| Descriptor::group().actions([&sync, &later, &early]));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for action in ["sync", "later", "early"] {
        let result = consumer.invoke("/n", action, Value::Null).await;
        assert_eq!((result["status"].as_str(), error_code(&result)), (Some("error"), "internal"), "{action}");
        assert!(!result.to_string().contains("secret"), "{result}");
    }
    assert_eq!(
        log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Handler, why } if why.contains("secret"))),
        3
    );
    assert_eq!(consumer.query("/n").await["id"], "n", "the connection stays open");
}

#[tokio::test]
async fn a_handler_receives_the_session_path_action_and_parameters() {
    let engine = engine();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let act = Action::new("act", move |call: Invocation<Value>| {
        let who = call.session.user().unwrap_or_default().to_owned();
        record.lock().push((
            who,
            call.session.id().to_owned(),
            call.path.clone(),
            call.action.to_string(),
            call.params,
        ));
    });
    engine.register("a", move |_: &Session| Descriptor::group().child("b", Descriptor::status().action(&act)));
    for user in ["alice", "bob"] {
        let mut consumer = TestConsumer::connect(&engine, user_session(&format!("session-{user}"), user)).await;
        consumer.invoke("/a/b", "act", json!({"n": 1})).await;
    }
    let call = |user: &str| {
        let session = format!("session-{user}");
        (user.to_owned(), session, "/a/b".to_owned(), "act".to_owned(), json!({"n": 1}))
    };
    assert_eq!(*seen.lock(), [call("alice"), call("bob")]);
}

#[tokio::test]
async fn a_call_refreshes_its_session_and_the_patch_precedes_the_result() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    todos.push("alice", "one");
    let (mut alice, alice_id) =
        connect_and_subscribe(&engine, user_session("a", "alice").with_permission("write")).await;
    let (mut sibling, _) = connect_and_subscribe(&engine, user_session("a", "alice").with_permission("write")).await;
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob").with_permission("write")).await;
    let (before, log) = (evaluations(&engine, "/todos"), EventLog::of(&engine));
    alice.start_invoke("/todos/t1", "toggle", Value::Null);
    let messages = alice.settled().await;
    assert_eq!(message_types(&messages), ["patch", "result"]);
    assert_eq!(messages[0]["ops"], json!([{"op": "replace", "path": "/todos/t1/properties/done", "value": true}]));
    assert_eq!(messages[1]["status"], "ok");
    assert_eq!(node_at(alice.tree(&alice_id), "todos/t1")["properties"]["done"], true);
    assert_eq!(message_types(&sibling.settled().await), ["patch"], "another connection of the session gets the patch");
    assert_eq!((bob.settled().await.len(), log.work_for("b")), (0, 0), "other sessions get nothing");
    assert_eq!(evaluations(&engine, "/todos") - before, 1, "the session was rendered once");
    let invoked = |event: &Event| {
        matches!(event, Event::Invoked { session, path, action, status, .. }
            if session == "a" && path == "todos/t1" && action == "toggle" && *status == CallStatus::Ok)
    };
    assert_eq!(log.count(invoked), 1);
}

#[tokio::test]
async fn patches_precede_the_result_even_if_the_handler_fails_after_a_change() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let act = |name: &'static str, finish: fn() -> Result<(), ActionError>| {
        let number = number.clone();
        Action::new(name, move |_: Invocation<()>| {
            number.set(number.get() + 1);
            finish()
        })
    };
    let (fails, panics) = (act("fails", || Err(ActionError::conflict("no"))), act("panics", || panic!("no")));
    engine.register("m", move |_: &Session| Descriptor::group().action(&fails).action(&panics));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    for (action, wanted) in [("fails", "conflict"), ("panics", "internal")] {
        consumer.start_invoke("/m", action, Value::Null);
        let messages = consumer.settled().await;
        assert_eq!((message_types(&messages), error_code(&messages[1])), (vec!["patch", "result"], wanted));
    }
}

#[tokio::test]
async fn a_call_skips_the_debounce_and_flushes_pending_changes() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    let (number, other) = (SharedNumber::serve(&engine, "n"), SharedNumber::serve(&engine, "other"));
    let set = number.clone();
    let act = Action::new("act", move |_: Invocation<()>| set.set(1));
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    clock.advance(50);
    consumer.settled().await;
    other.set(5);
    engine.refresh(Scope::all());
    let before = evaluations(&engine, "/n");
    consumer.start_invoke("/m", "act", Value::Null);
    let messages = consumer.settled().await;
    assert_eq!(message_types(&messages), ["patch", "result"]);
    assert_eq!(messages[0]["ops"].as_array().unwrap().len(), 2, "{messages:?}");
    clock.advance(50);
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    assert_eq!(evaluations(&engine, "/n") - before, 1, "the scheduled refresh is done as well");
}

#[tokio::test]
async fn a_result_waits_for_a_delayed_first_patch() {
    let (engine, clock) = engine_with_clock(|config| config.times.first_patch_delay = Duration::from_millis(50));
    let number = SharedNumber::serve(&engine, "n");
    let act = Action::new("act", move |_: Invocation<()>| number.set(1));
    engine.register("m", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.start_invoke("/m", "act", Value::Null);
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    clock.advance(50);
    assert_eq!(message_types(&consumer.settled().await), ["patch", "result"]);
}

#[tokio::test]
async fn the_action_is_checked_first_then_the_parameters_then_authorisation() {
    let ran = Arc::new(AtomicUsize::new(0));
    let authorized = Arc::new(Mutex::new(Vec::new()));
    let (count, record) = (Arc::clone(&ran), Arc::clone(&authorized));
    let engine = Engine::builder("app", "App")
        .config(Config::immediate())
        .authorize(move |session: &Session, path: &str, action: &Action| {
            record.lock().push((session.user().map(str::to_owned), path.to_owned(), action.name().to_owned()));
            if session.can("go") { Ok(()) } else { Err(ActionError::unauthorized("not allowed")) }
        })
        .build();
    let act = Action::new("act", move |_: Invocation<Value>| {
        count.fetch_add(1, Ordering::SeqCst);
    })
    .params(json!({"n": "number"}));
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let mut consumer = TestConsumer::connect(&engine, user_session("s", "alice")).await;
    let bad = json!({"n": "text"});
    assert_eq!(error_code(&consumer.invoke("/n", "nothing", bad.clone()).await), "not_found");
    assert_eq!(error_code(&consumer.invoke("/nowhere", "act", bad.clone()).await), "not_found");
    assert_eq!(error_code(&consumer.invoke("/n", "act", bad).await), "invalid_params");
    assert_eq!(authorized.lock().len(), 0);
    let refused = consumer.invoke("/n", "act", json!({"n": 1})).await;
    assert_eq!((error_code(&refused), &refused["error"]["message"]), ("unauthorized", &json!("not allowed")));
    assert_eq!(*authorized.lock(), [(Some("alice".to_owned()), "/n".to_owned(), "act".to_owned())]);
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    engine.update_session(&user_session("s", "alice").with_permission("go"));
    assert_eq!(consumer.invoke("/n", "act", json!({"n": 1})).await["status"], "ok");
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_action_that_the_callers_own_tree_does_not_offer_is_not_run() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    todos.push("alice", "one");
    let (_writer, _) = connect_and_subscribe(&engine, user_session("w", "alice").with_permission("write")).await;
    let mut reader = TestConsumer::connect(&engine, user_session("r", "alice")).await;
    assert_eq!(error_code(&reader.invoke("/todos/t1", "toggle", Value::Null).await), "not_found");
    assert_eq!(error_code(&reader.invoke("/todos", "add", json!({"title": "x"})).await), "not_found");
    assert_eq!(todos.calls(), []);
}

#[tokio::test]
async fn a_permission_lost_since_the_snapshot_no_longer_allows_the_call() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    let todos = Todos::serve(&engine);
    todos.push("alice", "one");
    let (mut consumer, id) = connect_and_subscribe(&engine, user_session("s", "alice").with_permission("write")).await;
    clock.advance(50);
    consumer.settled().await;
    assert_eq!(action_names(node_at(consumer.tree(&id), "todos/t1")), ["toggle"]);
    engine.update_session(&user_session("s", "alice"));
    // Its copy still shows the action, but the call is checked against the tree for the current claims.
    let result = consumer.invoke("/todos/t1", "toggle", Value::Null).await;
    assert_eq!(error_code(&result), "not_found");
    assert!(!todos.of("alice")[0].done);
    consumer.settled().await;
    assert_eq!(action_names(node_at(consumer.tree(&id), "todos/t1")), Vec::<&str>::new());
    assert_eq!(error_code(&consumer.invoke("/todos/t1", "toggle", Value::Null).await), "not_found");
}

#[tokio::test]
async fn a_panicking_authorizer_refuses_the_call() {
    let engine = Engine::builder("app", "App")
        .config(Config::immediate())
        .authorize(|_: &Session, _: &str, _: &Action| -> Result<(), ActionError> { panic!("boom") })
        .build();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let act = Action::new("act", move |_: Invocation<()>| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(error_code(&consumer.invoke("/n", "act", Value::Null).await), "internal");
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_affordance_contains_exactly_what_was_declared() {
    let engine = engine();
    let act = Action::new("purge", |_: Invocation<Value>| ())
        .label("Purge")
        .description("Removes all")
        .dangerous(true)
        .idempotent(true)
        .estimate(Estimate::Slow)
        .params(json!({}));
    let plain = Action::new("plain", |_: Invocation<()>| ()).dangerous(false);
    engine.register("n", move |_: &Session| Descriptor::group().action(&act).action(&plain));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let expected = json!([
        {
            "action": "purge", "label": "Purge", "description": "Removes all",
            "params": {"type": "object", "properties": {}, "required": []},
            "dangerous": true, "idempotent": true, "estimate": "slow",
        },
        {"action": "plain"},
    ]);
    assert_eq!(consumer.query("/n").await["affordances"], expected);
}

#[tokio::test]
async fn a_waiting_async_handler_does_not_block_its_connection() {
    let engine = engine();
    let release = Arc::new(tokio::sync::Notify::new());
    let released = Arc::clone(&release);
    let act = Action::new_async("act", move |_: Invocation<()>| {
        let released = Arc::clone(&released);
        async move {
            released.notified().await;
            Outcome::data("late")
        }
    });
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let call = consumer.start_invoke("/n", "act", Value::Null);
    assert_eq!(consumer.query("/n").await["id"], "n", "a query does not wait for the call");
    release.notify_one();
    assert_eq!(consumer.answer(&call).await["data"], "late");
}

#[tokio::test]
async fn a_call_before_any_subscription_renders_the_tree_it_needs() {
    let engine = engine();
    let todos = Todos::serve(&engine);
    todos.push("alice", "one");
    let mut consumer = TestConsumer::connect(&engine, user_session("s", "alice").with_permission("write")).await;
    // Nothing was subscribed or queried before.
    assert_eq!(consumer.invoke("/todos/t1", "toggle", Value::Null).await["status"], "ok");
    assert!(todos.of("alice")[0].done);
}

#[test]
fn an_ambiguous_action_name_is_refused_at_declaration() {
    for name in ["", "a/b", "a~b"] {
        let declared = std::panic::catch_unwind(|| Action::new(name, |_: Invocation<()>| ()));
        assert!(declared.is_err(), "{name}");
    }
}
