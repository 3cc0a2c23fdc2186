//! A frame that is sent twice does not take effect twice (SEC32).

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, ActionError, Descriptor, Engine, Event, Invocation, Session};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, Gate, SharedNumber, connect_and_subscribe, engine, engine_with, error_code};

/// Serves `act` at `/n`, and counts how often it ran.
fn counting(engine: &Engine) -> SharedNumber {
    let count = SharedNumber::default();
    let counter = count.clone();
    let act = Action::new("act", move |call: Invocation<Value>| {
        counter.set(counter.get() + 1);
        match call.params["fail"].as_bool() {
            Some(true) => Err(ActionError::conflict("not now")),
            _ => Ok(()),
        }
    });
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    count
}

/// Calls `act` with this id and returns the result.
async fn call(consumer: &mut TestConsumer, id: Value) -> Value {
    consumer.send(&json!({"type": "invoke", "id": id, "path": "/n", "action": "act"}));
    consumer.settled().await.pop().expect("a result")
}

#[tokio::test]
async fn a_repeated_invoke_runs_once_and_the_second_is_a_conflict() {
    let engine = engine();
    let (count, log) = (counting(&engine), EventLog::of(&engine));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(call(&mut consumer, json!("a")).await["status"], "ok");
    let second = call(&mut consumer, json!("a")).await;
    assert_eq!((&second["type"], &second["id"], error_code(&second)), (&json!("result"), &json!("a"), "conflict"));
    assert_eq!(second["error"]["message"], "a call with this id was made already: use each id once");
    assert_eq!(count.get(), 1);
    let refused = |event: &Event| matches!(event, Event::Invoked { status, .. } if status.as_str() == "conflict");
    assert_eq!(log.count(refused), 1);
    // A number is a different id from the same digits as a string, and ids of queries do not count.
    assert_eq!(call(&mut consumer, json!(1)).await["status"], "ok");
    assert_eq!(call(&mut consumer, json!("1")).await["status"], "ok");
    for _ in 0..2 {
        consumer.send(&json!({"type": "query", "id": "a", "path": "/n"}));
        assert_eq!(consumer.next().await["type"], "snapshot");
    }
    assert_eq!(count.get(), 3);
}

#[tokio::test]
async fn an_invoke_repeated_while_the_first_is_running_is_a_conflict() {
    let engine = engine_with(|config| config.limits.call_ids_per_connection = 0);
    let (gate, count) = (Gate::default(), SharedNumber::default());
    let (handler_gate, counter) = (gate.clone(), count.clone());
    let act = Action::new("act", move |_: Invocation<()>| {
        counter.set(counter.get() + 1);
        handler_gate.wait();
    });
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let frame = json!({"type": "invoke", "id": "a", "path": "/n", "action": "act"});
    consumer.send(&frame);
    gate.wait_for_arrivals(1).await;
    consumer.send(&json!({"type": "batch", "messages": [frame]}));
    assert_eq!(error_code(&consumer.next().await), "conflict");
    gate.open();
    assert_eq!(consumer.next().await["status"], "ok");
    assert_eq!(count.get(), 1);
}

#[tokio::test]
async fn a_failed_call_does_not_run_again_under_the_same_id() {
    let engine = engine();
    let count = counting(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let frame = json!({"type": "invoke", "id": "a", "path": "/n", "action": "act", "params": {"fail": true}});
    for message in ["not now", "a call with this id was made already: use each id once"] {
        consumer.send(&frame);
        assert_eq!(consumer.settled().await.pop().unwrap()["error"]["message"], message);
    }
    assert_eq!(count.get(), 1);
}

#[tokio::test]
async fn a_call_refused_as_busy_may_be_repeated_under_the_same_id() {
    let engine = engine_with(|config| config.limits.calls_per_connection = 1);
    let (gate, _count) = (Gate::default(), counting(&engine));
    let handler_gate = gate.clone();
    let wait = Action::new("wait", move |_: Invocation<()>| handler_gate.wait());
    engine.register("slow", move |_: &Session| Descriptor::group().action(&wait));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let running = consumer.start_invoke("/slow", "wait", Value::Null);
    gate.wait_for_arrivals(1).await;
    let frame = json!({"type": "invoke", "id": "a", "path": "/n", "action": "act"});
    consumer.send(&frame);
    assert_eq!(error_code(&consumer.answer("a").await), "busy");
    gate.open();
    consumer.answer(&running).await;
    assert_eq!(call(&mut consumer, json!("a")).await["status"], "ok");
}

#[tokio::test]
async fn call_ids_are_scoped_to_their_connection() {
    let engine = engine();
    let count = counting(&engine);
    let (mut first, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let (mut second, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(call(&mut first, json!("inv-1")).await["status"], "ok");
    assert_eq!(call(&mut second, json!("inv-1")).await["status"], "ok");
    first.reconnect().await;
    assert_eq!(call(&mut first, json!("inv-1")).await["status"], "ok");
    assert_eq!(count.get(), 3);
}

#[tokio::test]
async fn call_ids_are_remembered_up_to_the_limit_and_the_oldest_is_dropped_first() {
    let engine = engine_with(|config| config.limits.call_ids_per_connection = 3);
    let count = counting(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    for id in [1, 2, 3, 4] {
        assert_eq!(call(&mut consumer, json!(id)).await["status"], "ok");
    }
    assert_eq!(error_code(&call(&mut consumer, json!(2)).await), "conflict");
    assert_eq!(call(&mut consumer, json!(1)).await["status"], "ok", "the oldest id is no longer remembered");
    assert_eq!(count.get(), 5);
}
