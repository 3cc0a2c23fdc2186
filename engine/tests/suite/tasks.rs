//! Work that outlives its call: accepted, shown under `/tasks`, cancelled, and removed some time after it ended.

use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, ActionError, CloseReason, Descriptor, Engine, Event, Invocation, Limit, PanicSite, Session, TaskResult,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::fixtures::{
    EventLog, action_names, child_ids, connect_and_subscribe, engine_with, engine_with_clock, error_code,
    message_types, node_at, user_session,
};

/// Serves `/exports` with `export`, a task in two steps; each completes when the test adds a permit.
fn exports(engine: &Engine) -> Arc<Semaphore> {
    let steps = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&steps);
    let export = Action::new("export", move |call: Invocation<()>| {
        let steps = Arc::clone(&permits);
        call.start_task("Export", |task| async move {
            steps.acquire().await.expect("the semaphore is never closed").forget();
            task.progress(0.5, "halfway");
            steps.acquire().await.expect("the semaphore is never closed").forget();
            Ok(json!({"rows": 3}))
        })
    });
    let fails = Action::new("fails", |call: Invocation<()>| call.start_task("Fails", |_| fails()));
    let panics =
        Action::new("panics", |call: Invocation<()>| call.start_task("Panics", |_| async { panic!("secret") }));
    engine.register("exports", move |_: &Session| Descriptor::group().actions([&export, &fails, &panics]));
    steps
}

/// An application can name what a task returns.
async fn fails() -> TaskResult {
    Err(ActionError::conflict("the disk is full"))
}

/// Starts a task and returns its id.
async fn start(consumer: &mut TestConsumer, action: &str) -> String {
    let result = consumer.invoke("/exports", action, Value::Null).await;
    assert_eq!(result["status"], "accepted", "{result}");
    result["data"]["taskId"].as_str().unwrap().to_owned()
}

/// Takes messages until the task's node is as wanted, and returns it.
async fn until(consumer: &mut TestConsumer, subscription: &str, task: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let node = node_at(consumer.tree(subscription), &format!("tasks/{task}")).clone();
        if wanted(&node) {
            return node;
        }
        consumer.next().await;
    }
}

fn has_status(status: &'static str) -> impl Fn(&Value) -> bool {
    move |node| node["properties"]["status"] == status
}

#[tokio::test]
async fn a_task_is_accepted_once_its_node_is_shown_and_runs_to_completion() {
    let (engine, clock) = engine_with_clock(|config| config.times.ended_task_retention = Duration::from_millis(5_000));
    let steps = exports(&engine);
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.start_invoke("/exports", "export", Value::Null);
    let messages = consumer.settled().await;
    assert_eq!(message_types(&messages), ["patch", "result"]);
    assert_eq!(messages[1]["status"], "accepted");
    let task = messages[1]["data"]["taskId"].as_str().unwrap().to_owned();
    let node = node_at(consumer.tree(&id), &format!("tasks/{task}")).clone();
    assert_eq!(node["properties"], json!({"title": "Export", "status": "running", "progress": 0.0, "message": ""}));
    assert_eq!((node["type"].as_str(), action_names(&node)), (Some("status"), vec!["cancel"]));
    steps.add_permits(1);
    let node = until(&mut consumer, &id, &task, |node| node["properties"]["progress"] == 0.5).await;
    assert_eq!(node["properties"]["message"], "halfway");
    steps.add_permits(1);
    let node = until(&mut consumer, &id, &task, has_status("done")).await;
    assert_eq!(node["properties"]["result"], json!({"rows": 3}));
    assert_eq!((node["properties"]["progress"].as_f64(), action_names(&node)), (Some(1.0), Vec::new()));
    consumer.check_mirrors().await;
    clock.advance(4_999);
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    clock.advance(1);
    consumer.settled().await;
    assert_eq!(
        node_at(consumer.tree(&id), "tasks"),
        &Value::Null,
        "its node is removed, and `tasks` with its last child"
    );
}

#[tokio::test]
async fn a_task_can_be_cancelled() {
    let (engine, clock) = engine_with_clock(|_| {});
    let steps = exports(&engine);
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let task = start(&mut consumer, "export").await;
    let path = format!("/tasks/{task}");
    assert_eq!(consumer.invoke(&path, "cancel", Value::Null).await["status"], "ok");
    until(&mut consumer, &id, &task, has_status("cancelled")).await;
    assert_eq!(
        error_code(&consumer.invoke(&path, "cancel", Value::Null).await),
        "not_found",
        "it can be cancelled only once"
    );
    steps.add_permits(2);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), &path)["properties"]["status"], "cancelled", "the task was dropped");
    clock.advance(60_000);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), &path), &Value::Null);
}

#[tokio::test]
async fn a_failed_task_shows_its_error_and_a_panicked_one_reveals_nothing() {
    let (engine, _clock) = engine_with_clock(|_| {});
    exports(&engine);
    let log = EventLog::of(&engine);
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let failed = start(&mut consumer, "fails").await;
    let node = until(&mut consumer, &id, &failed, has_status("failed")).await;
    assert_eq!(
        (&node["properties"]["error"], &node["properties"]["code"]),
        (&json!("the disk is full"), &json!("conflict"))
    );
    let panicked = start(&mut consumer, "panics").await;
    let node = until(&mut consumer, &id, &panicked, has_status("failed")).await;
    assert_eq!(
        (&node["properties"]["error"], &node["properties"]["code"]),
        (&json!("the task failed"), &json!("internal"))
    );
    assert_eq!(
        log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Task, why } if why.contains("secret"))),
        1
    );
}

#[tokio::test]
async fn a_task_is_visible_only_to_its_own_session() {
    let (engine, _clock) = engine_with_clock(|_| {});
    exports(&engine);
    let (mut alice, alice_id) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut sibling, sibling_id) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut bob, bob_id) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    let task = start(&mut alice, "export").await;
    sibling.settled().await;
    assert_eq!(child_ids(node_at(sibling.tree(&sibling_id), "tasks")), [task.as_str()]);
    assert_eq!((bob.settled().await, child_ids(bob.tree(&bob_id))), (Vec::new(), vec!["exports"]));
    assert_eq!(error_code(&bob.invoke(&format!("/tasks/{task}"), "cancel", Value::Null).await), "not_found");
    alice.settled().await;
    assert_eq!(node_at(alice.tree(&alice_id), &format!("tasks/{task}"))["properties"]["status"], "running");
}

#[tokio::test]
async fn tasks_appear_beside_what_the_application_registers_at_their_path() {
    let (engine, _clock) = engine_with_clock(|_| {});
    exports(&engine);
    engine
        .register("tasks", |_: &Session| Descriptor::collection().prop("own", true).child("due", Descriptor::status()));
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let task = start(&mut consumer, "export").await;
    consumer.check_mirrors().await;
    let tasks = node_at(consumer.tree(&id), "tasks");
    assert_eq!((tasks["properties"]["own"].as_bool(), child_ids(tasks)), (Some(true), vec!["due", task.as_str()]));
}

#[tokio::test]
async fn a_task_above_the_limit_is_busy() {
    let engine = engine_with(|config| config.limits.tasks_per_session = 2);
    let steps = exports(&engine);
    let log = EventLog::of(&engine);
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let first = start(&mut consumer, "export").await;
    start(&mut consumer, "export").await;
    let refused = consumer.invoke("/exports", "export", Value::Null).await;
    assert_eq!((refused["status"].as_str(), error_code(&refused)), (Some("error"), "busy"));
    assert_eq!(log.limit_count(Limit::TasksPerSession), 1);
    let mut other = TestConsumer::connect(&engine, Session::new("t")).await;
    start(&mut other, "export").await;
    steps.add_permits(6);
    until(&mut consumer, &id, &first, has_status("done")).await;
    start(&mut consumer, "export").await;
}

#[tokio::test]
async fn a_running_task_keeps_its_session_open_and_an_ended_one_does_not() {
    let (engine, clock) = engine_with_clock(|config| config.times.idle_session = Duration::from_millis(100_000));
    let steps = exports(&engine);
    let log = EventLog::of(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let task = start(&mut consumer, "export").await;
    drop(consumer);
    clock.advance(200_000);
    engine.settle().await;
    assert_eq!(engine.stats().sessions, 1);
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(node_at(consumer.tree(&id), &format!("tasks/{task}"))["properties"]["status"], "running");
    steps.add_permits(2);
    until(&mut consumer, &id, &task, has_status("done")).await;
    drop(consumer);
    clock.advance(100_000);
    engine.settle().await;
    assert_eq!(engine.stats().sessions, 0);
    assert_eq!(log.count(|event| matches!(event, Event::SessionClosed { reason: CloseReason::Idle, .. })), 1);
}

#[tokio::test]
async fn closing_a_session_cancels_its_tasks() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let dropped = Arc::new(tokio::sync::Notify::new());
    struct NotifyOnDrop(Arc<tokio::sync::Notify>);
    impl Drop for NotifyOnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let notify = Arc::clone(&dropped);
    let act = Action::new("act", move |call: Invocation<()>| {
        let guard = NotifyOnDrop(Arc::clone(&notify));
        call.start_task("Work", |_| async move {
            let _guard = guard;
            std::future::pending().await
        })
    });
    engine.register("exports", move |_: &Session| Descriptor::group().action(&act));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    start(&mut consumer, "act").await;
    assert!(engine.close_session("s"));
    tokio::time::timeout(std::time::Duration::from_secs(20), dropped.notified()).await.expect("the task is dropped");
}

#[tokio::test]
async fn out_of_range_progress_is_clamped() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let steps = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&steps);
    let act = Action::new("act", move |call: Invocation<()>| {
        let steps = Arc::clone(&permits);
        call.start_task("Work", |task| async move {
            for (fraction, message) in [(7.0, "over"), (-1.0, "under"), (0.25, "fine"), (f64::NAN, "none")] {
                steps.acquire().await.expect("the semaphore is never closed").forget();
                task.progress(fraction, message);
            }
            std::future::pending().await
        })
    });
    engine.register("exports", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let task = start(&mut consumer, "act").await;
    for (message, progress) in [("over", 1.0), ("under", 0.0), ("fine", 0.25), ("none", 0.25)] {
        steps.add_permits(1);
        let node = until(&mut consumer, &id, &task, |node| node["properties"]["message"] == message).await;
        assert_eq!(node["properties"]["progress"], progress, "{message}");
    }
}
