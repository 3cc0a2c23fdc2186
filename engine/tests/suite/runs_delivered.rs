//! What follows when an agent does not answer (rooms 6, S3.27 to S3.30).

use std::sync::Arc;

use grove_engine::{Agent, Delivery, NewRun, OnTimeout, Queue, RunContext, RunError};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::run_fixtures::{Workplace, echo, kinds, silent};

/// An agent that gives no sign of life before an attempt.
fn answers_at(name: &'static str, attempt: u32) -> Agent {
    Agent::new(name, move |run: RunContext, _: Value| async move {
        if run.attempt() < attempt { std::future::pending().await } else { Ok(json!({"attempt": run.attempt()})) }
    })
}

fn within(window_ms: u64) -> Delivery {
    Delivery::within_ms(window_ms)
}

#[tokio::test]
async fn a_window_that_expires_dispatches_the_same_run_again_in_time() {
    let mut place = Workplace::of([answers_at("a", 2)]);
    let run = place.start(&NewRun::new(json!(null)).delivery(within(700)).call_id("c"));
    place.expect("run.started").await;
    place.pass(699).await;
    assert_eq!(place.rest().await.len(), 0);
    place.clock.advance(1);
    let again = place.next().await;
    assert_eq!((&again["kind"], &again["call_id"]), (&json!("run.redelivered"), &json!("c")));
    assert_eq!(again["body"], json!({"run": run, "by": "ann", "attempt": 2}));
    let body = place.expect("run.done").await;
    assert_eq!(
        (&body["result"]["attempt"], &body["attempts"], &body["duration_ms"]),
        (&json!(2), &json!(2), &json!(700))
    );
}

#[tokio::test]
async fn a_sign_of_life_begins_the_window_anew() {
    let contexts: Arc<Mutex<Vec<RunContext>>> = Arc::default();
    let held = Arc::clone(&contexts);
    let agent = Agent::new("a", move |run: RunContext, _: Value| {
        held.lock().push(run);
        std::future::pending()
    });
    let mut place = Workplace::of([agent]);
    let run = place.start(&NewRun::new(json!(null)).delivery(within(100).on_timeout(OnTimeout::Fail)));
    place.expect("run.started").await;
    while contexts.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let context = contexts.lock()[0].clone();
    let signs: [&dyn Fn(); 4] =
        [&|| context.working(), &|| context.chunk("x"), &|| context.progress(0.1, ""), &|| drop(context.iteration())];
    for sign in signs {
        place.pass(99).await;
        sign();
        assert_eq!((place.status(&run), context.deadline()), ("running", Some(std::time::Duration::from_millis(100))));
    }
    place.pass(99).await;
    assert_eq!(place.status(&run), "running");
    place.pass(1).await;
    assert_eq!((place.status(&run), context.deadline()), ("timed_out", None));
    let events = place.rest().await;
    let end = events.last().unwrap();
    assert_eq!((&end["kind"], &end["body"]["error"]["code"]), (&json!("run.timed_out"), &json!("timed_out")));
}

#[tokio::test]
async fn what_a_stale_attempt_sends_is_dropped() {
    let contexts: Arc<Mutex<Vec<RunContext>>> = Arc::default();
    let held = Arc::clone(&contexts);
    let agent = Agent::new("a", move |run: RunContext, _: Value| {
        held.lock().push(run.clone());
        async move {
            if run.attempt() == 1 {
                return std::future::pending().await;
            }
            Ok(json!({"got": run.next_input().await}))
        }
    });
    let mut place = Workplace::of([agent]);
    let run = place.start(&NewRun::new(json!(null)).delivery(within(100)));
    place.expect("run.started").await;
    while contexts.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    place.clock.advance(100);
    place.expect("run.redelivered").await;
    let stale = contexts.lock()[0].clone();
    stale.chunk("stale");
    stale.progress(0.9, "stale");
    assert!(stale.iteration().is_err() && stale.is_cancelled() && stale.next_input().await.is_none());
    assert!(!stale.tool("any", json!({})).await.ok);
    place.engine.rooms().send_input(&place.ann, place.room.id(), run.as_str(), json!(1)).unwrap();
    let events = place.until_end_of(&run).await;
    assert_eq!(kinds(&events), ["run.done"]);
    let body = &events[0]["body"];
    assert_eq!((&body["output_chars"], &body["result"]), (&json!(0), &json!({"got": 1})));
}

#[tokio::test]
async fn after_the_last_attempt_the_fallback_gets_the_work_or_the_run_is_timed_out() {
    let mut place = Workplace::of([silent("silent"), echo("echo")]);
    let delivery = || within(100).max_attempts(2);
    let run = place.start(&NewRun::new(json!("x")).delivery(delivery()));
    place.expect("run.started").await;
    place.clock.advance(100);
    place.expect("run.redelivered").await;
    place.clock.advance(100);
    assert_eq!(place.expect("run.timed_out").await["attempts"], 2);
    let second = place.start(&NewRun::new(json!("x")).delivery(delivery().fallback("echo")).call_id("c"));
    place.expect("run.started").await;
    place.clock.advance(100);
    place.expect("run.redelivered").await;
    place.clock.advance(100);
    let escalated = place.next().await;
    assert_eq!(
        (&escalated["kind"], &escalated["body"]),
        (&json!("run.escalated"), &json!({"run": second, "by": "ann", "to": "echo"}))
    );
    assert_eq!(place.expect("run.timed_out").await["run"], second);
    let started = place.next().await;
    assert_eq!((&started["kind"], &started["call_id"]), (&json!("run.started"), &json!("c")));
    let body = &started["body"];
    assert_eq!((&body["agent"], &body["fallback_of"], &body["attempt"]), (&json!("echo"), &json!(second), &json!(1)));
    assert_eq!(place.expect("run.done").await["result"], json!({"echo": "x"}));
    assert_ne!(run, second);
}

#[tokio::test]
async fn escalation_goes_to_the_fallback_at_once() {
    let mut place = Workplace::of([silent("silent"), silent("mute")]);
    let delivery = within(100).on_timeout(OnTimeout::Escalate).fallback("mute");
    place.start(&NewRun::new(json!(null)).delivery(delivery));
    place.expect("run.started").await;
    place.clock.advance(100);
    for kind in ["run.escalated", "run.timed_out", "run.started"] {
        place.expect(kind).await;
    }
    place.pass(3_600_000).await;
    assert_eq!(place.rest().await, Vec::<Value>::new(), "the fallback has no window");
}

#[tokio::test]
async fn a_rerun_is_a_new_run_with_the_next_attempt() {
    let mut place = Workplace::of([silent("silent")]);
    let delivery = within(100).max_attempts(3).on_timeout(OnTimeout::Rerun);
    let mut before = place.start(&NewRun::new(json!(null)).delivery(delivery));
    let waits = place.run(json!(null));
    place.expect("run.started").await;
    place.expect("run.queued").await;
    for attempt in 2..=3 {
        place.clock.advance(100);
        assert_eq!(place.expect("run.timed_out").await["run"], before);
        let body = place.expect("run.started").await;
        assert_eq!((&body["rerun_of"], &body["attempt"]), (&json!(before), &json!(attempt)));
        before = body["run"].as_str().unwrap().to_owned();
    }
    place.clock.advance(100);
    assert_eq!(place.expect("run.timed_out").await["attempts"], 3);
    assert_eq!(place.expect("run.started").await["run"], waits, "it kept its place, and the next one follows");
}

#[tokio::test]
async fn a_retryable_error_is_tried_again_after_a_pause_and_is_the_runs_own_in_the_end() {
    let agent =
        Agent::new("a", |_: RunContext, _: Value| async { Err(RunError::retryable("overloaded", "come back later")) });
    let mut place = Workplace::of([agent]);
    let run = place.start(&NewRun::new(json!(null)).delivery(Delivery::default()));
    place.expect("run.started").await;
    for (pause, longest) in [(100, 125), (200, 250)] {
        place.engine.settle().await;
        tokio::task::yield_now().await;
        place.pass(pause - 1).await;
        assert_eq!((place.rest().await.len(), place.status(&run)), (0, "running"));
        place.pass(longest - pause + 1).await;
        place.expect("run.redelivered").await;
    }
    let body = place.expect("run.failed").await;
    assert_eq!((&body["error"]["code"], &body["attempts"]), (&json!("overloaded"), &json!(3)));
    let without = place.run(json!(null));
    assert_eq!(kinds(&place.until_end_of(&without).await), ["run.started", "run.failed"]);
}

#[tokio::test]
async fn permanent_errors_and_those_of_security_are_not_tried_again() {
    let agent = Agent::new("a", |_: RunContext, _: Value| async {
        Err(RunError::new("denied", "no").class(grove_engine::ErrorClass::Security))
    });
    let mut place = Workplace::of([agent]);
    let run = place.start(&NewRun::new(json!(null)).delivery(Delivery::default()));
    assert_eq!(kinds(&place.until_end_of(&run).await), ["run.started", "run.failed"]);
}

#[tokio::test]
async fn a_run_in_a_pause_is_cancelled_at_once() {
    let agent = Agent::new("a", |_: RunContext, _: Value| async { Err(RunError::retryable("x", "")) });
    let mut place = Workplace::of([agent]);
    let run = place.start(&NewRun::new(json!(null)).delivery(Delivery::default()));
    place.expect("run.started").await;
    place.engine.settle().await;
    tokio::task::yield_now().await;
    place.engine.rooms().cancel_run(&place.ann, place.room.id(), run.as_str()).unwrap();
    place.expect("run.cancelled").await;
    place.pass(60_000).await;
    assert_eq!(place.rest().await, Vec::<Value>::new());
}

#[tokio::test]
async fn many_windows_expire_each_in_its_time() {
    let mut place = Workplace::with([silent("silent")], |room| room.queue(Queue::Parallel), |_| {});
    let mut runs = Vec::new();
    for window in [500, 100, 300, 200, 400] {
        let delivery = within(window).on_timeout(OnTimeout::Fail);
        runs.push((window, place.start(&NewRun::new(json!(null)).delivery(delivery))));
        place.expect("run.started").await;
    }
    runs.sort();
    for (window, run) in runs {
        place.pass(100).await;
        let events = place.rest().await;
        assert_eq!((kinds(&events), &events[0]["body"]["run"]), (vec!["run.timed_out"], &json!(run)));
        assert_eq!(events[0]["body"]["duration_ms"], window);
    }
}

#[tokio::test]
async fn a_one_shot_room_ends_with_the_last_run_of_a_chain() {
    let mut place = Workplace::with([silent("silent"), echo("echo")], |room| room.one_shot(true), |_| {});
    let delivery = within(100).on_timeout(OnTimeout::Escalate).fallback("echo");
    place.start(&NewRun::new(json!(1)).delivery(delivery));
    place.expect("run.started").await;
    place.clock.advance(100);
    for kind in ["run.escalated", "run.timed_out", "run.started", "run.done"] {
        place.expect(kind).await;
    }
    let last = place.events.next().await.unwrap();
    assert_eq!((last.kind.as_str(), &last.data["body"]["reason"]), ("room.ended", &json!("completed")));
}
