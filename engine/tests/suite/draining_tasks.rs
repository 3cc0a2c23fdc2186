//! Tasks at the end of a provider: they get time to finish, and their consumers see how they ended.

use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Engine, Invocation, Session};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::fixtures::{connect_and_subscribe, engine_with_clock, message_types, node_at};

/// How long a shutdown may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Serves `/exports` with `export`, a task that ends when the test adds a permit.
fn exports(engine: &Engine) -> Arc<Semaphore> {
    let finish = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&finish);
    let export = Action::new("export", move |call: Invocation<()>| {
        let finish = Arc::clone(&permits);
        call.start_task("Export", |_| async move {
            finish.acquire().await.expect("the semaphore is never closed").forget();
            Ok(json!({"rows": 3}))
        })
    });
    engine.register("exports", move |_: &Session| Descriptor::group().action(&export));
    finish
}

/// Starts a task and returns the path of its node.
async fn start(consumer: &mut TestConsumer) -> String {
    let result = consumer.invoke("/exports", "export", Value::Null).await;
    format!("tasks/{}", result["data"]["taskId"].as_str().unwrap())
}

/// Begins to shut down, and returns when the engine waits for something.
async fn begin_shutdown(engine: &Engine) -> JoinHandle<()> {
    let engine = engine.clone();
    let shutdown = tokio::spawn(async move { engine.shutdown(DEADLINE).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    shutdown
}

/// Everything up to the close.
async fn until_closed(consumer: &mut TestConsumer) -> Vec<Value> {
    let mut messages = Vec::new();
    while messages.last().is_none_or(|message: &Value| message["type"] != "closed") {
        messages.push(consumer.next().await);
    }
    messages
}

#[tokio::test]
async fn a_task_that_runs_when_the_shutdown_begins_completes_before_its_connection_is_closed() {
    // A change waits for long before it is rendered; the end of a task does not.
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_secs(5));
    let finish = exports(&engine);
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    clock.advance(5_000);
    engine.settle().await;
    let (mut other, _) = connect_and_subscribe(&engine, Session::new("t")).await;
    let task = start(&mut consumer).await;
    let shutdown = begin_shutdown(&engine).await;
    assert_eq!(message_types(&consumer.ready()), Vec::<&str>::new(), "the task gets time");
    assert_eq!(message_types(&until_closed(&mut other).await), ["closed"], "it delays no other session");
    finish.add_permits(1);
    assert_eq!(message_types(&until_closed(&mut consumer).await), ["patch", "closed"]);
    let node = &node_at(consumer.tree(&subscription), &task)["properties"];
    assert_eq!((&node["status"], &node["result"]), (&json!("done"), &json!({"rows": 3})));
    drop((consumer, other));
    shutdown.await.unwrap();
}

#[tokio::test]
async fn at_the_deadline_a_task_that_still_runs_fails_and_its_consumers_see_that() {
    let (engine, clock) = engine_with_clock(|_| {});
    let _finish = exports(&engine);
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    let task = start(&mut consumer).await;
    let shutdown = begin_shutdown(&engine).await;
    clock.advance(DEADLINE.as_millis() as u64 - 1);
    assert_eq!(message_types(&consumer.ready()), Vec::<&str>::new());
    clock.advance(1);
    assert_eq!(message_types(&until_closed(&mut consumer).await), ["patch", "closed"]);
    let node = &node_at(consumer.tree(&subscription), &task)["properties"];
    assert_eq!((&node["status"], &node["code"]), (&json!("failed"), &json!("internal")));
    assert_eq!(node["error"], "the provider is shutting down");
    drop(consumer);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_waits_for_the_task_of_a_session_without_a_connection() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let finish = exports(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    start(&mut consumer).await;
    drop(consumer);
    let shutdown = begin_shutdown(&engine).await;
    assert!(!shutdown.is_finished());
    finish.add_permits(1);
    shutdown.await.unwrap();
}
