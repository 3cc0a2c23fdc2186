//! Runs in rooms that are kept, while that cannot be written (rooms 8).

use std::sync::Arc;

use futures_util::FutureExt;
use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Agent, Engine, Limit, NewRoom, NewRun, RunContext, RunView, Session, Tool};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, user_session};
use crate::linked_fixtures::Linked;
use crate::storage_fixtures::{Failing, log, next_of, start, told_of_storage};

/// How many chunks the agents stream, of how many characters.
const CHUNKS: u64 = 500;
const CHARS: u64 = 100;

/// An agent that awaits something between its chunks, and one that never does.
fn agents() -> [Agent; 2] {
    let chunk = |run: &RunContext| run.chunk("x".repeat(CHARS as usize));
    let patient = Agent::new("patient", move |run: RunContext, _: Value| async move {
        for _ in 0..CHUNKS {
            chunk(&run);
            tokio::task::yield_now().await;
        }
        Ok(json!("all"))
    });
    let hasty = Agent::new("hasty", move |run: RunContext, _: Value| async move {
        (0..CHUNKS).for_each(|_| chunk(&run));
        Ok(json!("all"))
    });
    [patient, hasty]
}

/// An engine whose storage refuses everything, with a replayable room of ann's in which this agent runs.
async fn refusing(agent: Agent) -> (Arc<Failing>, Engine, Arc<ManualClock>, Session) {
    let (store, ann) = (Failing::after(i64::MAX), user_session("ann", "ann"));
    let (engine, clock) = start(&store, |config| config.rooms.unwritten_bytes = 40_000);
    let new = NewRoom::new("Board").id("board").replayable(true).agent(agent.name().clone());
    engine.register_agent(agent);
    engine.rooms().create(&ann, &new).unwrap();
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    (store, engine, clock, ann)
}

fn begin(engine: &Engine, ann: &Session) -> String {
    engine.rooms().run(ann, "board", &NewRun::new(json!(null))).unwrap().to_string()
}

fn view(engine: &Engine, ann: &Session, run: &str) -> RunView {
    engine.rooms().run_of(ann, "board", run).unwrap()
}

/// Lets whatever is ready happen, on this thread and on the one that writes.
async fn turns() {
    for _ in 0..2 * CHUNKS {
        tokio::task::yield_now().await;
    }
    tokio::task::spawn_blocking(|| {}).await.unwrap();
}

/// Lets time pass, little by little, so that other threads do what they are to do.
async fn pass(clock: &ManualClock, ms: u64) {
    for _ in 0..ms / 500 {
        turns().await;
        clock.advance(500);
    }
}

async fn ended(engine: &Engine, clock: &ManualClock, ann: &Session, run: &str) -> RunView {
    while !view(engine, ann, run).status.is_ended() {
        turns().await;
        clock.advance(500);
    }
    view(engine, ann, run)
}

#[tokio::test]
async fn an_agent_waits_while_what_it_streams_cannot_be_written() {
    let [patient, _] = agents();
    let (store, engine, clock, ann) = refusing(patient).await;
    let observed = EventLog::of(&engine);
    let run = begin(&engine, &ann);
    turns().await;
    let streamed = view(&engine, &ann, &run).output_chars;
    assert!((1..CHUNKS * CHARS / 4).contains(&streamed), "{streamed}");
    turns().await;
    assert_eq!(view(&engine, &ann, &run).output_chars, streamed, "it waits");
    store.allow(i64::MAX);
    let run = ended(&engine, &clock, &ann, &run).await;
    assert_eq!((run.result, run.output_chars), (Some(json!("all")), CHUNKS * CHARS));
    assert_eq!(observed.limit_count(Limit::UnwrittenBytes), 0);
    engine.rooms().durable("board").await.unwrap();
    let events = log(&engine, &ann).await;
    assert!(events.iter().enumerate().all(|(at, event)| event["seq"] == at + 1));
    let text: usize = events.iter().filter_map(|event| event["body"]["text"].as_str()).map(str::len).sum();
    assert_eq!(text as u64, CHUNKS * CHARS);
}

#[tokio::test]
async fn an_agent_that_does_not_wait_fails_its_run_and_says_why() {
    let [_, hasty] = agents();
    let (_store, engine, clock, ann) = refusing(hasty).await;
    let observed = EventLog::of(&engine);
    let mut events = engine.rooms().events(&ann, "board").unwrap();
    let run = begin(&engine, &ann);
    let end = next_of(&mut events, "run.failed").await;
    assert_eq!((&end["body"]["error"]["code"], &end["body"]["run"]), (&json!("busy"), &json!(run)));
    let run = ended(&engine, &clock, &ann, &run).await;
    assert!(run.output_chars < CHUNKS * CHARS / 2, "{}", run.output_chars);
    assert!(observed.limit_count(Limit::UnwrittenBytes) > 0);
}

#[tokio::test]
async fn whatever_else_a_run_does_is_bounded_as_well() {
    let agent = Agent::new("busy", |run: RunContext, _: Value| async move {
        let mut refused = 0;
        while refused < 20 {
            run.progress(0.5, "x".repeat(1_000));
            refused += u32::from(run.iteration().is_err_and(|error| error.code() == "busy"));
            refused += u32::from(run.memory().put("k", &json!(1)).now_or_never().is_some());
            let tool = run.tool("t", json!("x".repeat(1_000))).now_or_never();
            refused += u32::from(tool.is_some_and(|tool| tool.result["code"] == "busy"));
        }
        Ok(json!(refused))
    });
    let tool = Tool::new("t", |_: RunContext, _: Value| async { Ok(json!(null)) });
    let (store, engine, clock, ann) = refusing(agent.tools([tool]).max_iterations(1_000_000)).await;
    let run = begin(&engine, &ann);
    let done = ended(&engine, &clock, &ann, &run).await;
    assert!(done.result.is_some(), "{done:?}");
    store.allow(i64::MAX);
    clock.advance(20_000);
    engine.rooms().durable("board").await.unwrap();
    let bytes: usize = log(&engine, &ann).await.iter().map(|event| event.to_string().len()).sum();
    assert!(bytes < 50_000, "{bytes}");
}

#[tokio::test]
async fn who_waits_to_stream_learns_of_a_cancellation() {
    let agent = Agent::new("told", |run: RunContext, _: Value| async move {
        while !run.is_cancelled() {
            run.chunk("x".repeat(1_000));
            run.ready().await;
        }
        // More than may wait: it is too late to matter.
        (0..100).for_each(|_| run.chunk("x".repeat(1_000)));
        Ok(json!(null))
    });
    let (_store, engine, _clock, ann) = refusing(agent).await;
    let mut events = engine.rooms().events(&ann, "board").unwrap();
    let run = begin(&engine, &ann);
    turns().await;
    assert_eq!(view(&engine, &ann, &run).status.as_str(), "running");
    engine.rooms().cancel_run(&ann, "board", run).unwrap();
    next_of(&mut events, "run.cancelled").await;
}

#[tokio::test]
async fn clearing_the_history_is_acknowledged_when_what_was_before_is_durable() {
    let [patient, _] = agents();
    let (store, engine, clock, ann) = refusing(patient).await;
    let mut consumer = TestConsumer::connect(&engine, ann.clone()).await;
    engine.rooms().join(&ann, "board").unwrap();
    consumer.subscribe("/rooms/board").await;
    let call = consumer.start_invoke("/rooms/board", "clear_history", json!({}));
    let is_result = |message: &Value| message["type"] == "result";
    turns().await;
    assert!(!consumer.ready().iter().any(is_result));
    pass(&clock, 12_000).await;
    assert_eq!(consumer.answer(&call).await["error"]["code"], "busy");
    store.allow(i64::MAX);
    let call = consumer.start_invoke("/rooms/board", "clear_history", json!({}));
    pass(&clock, 9_500).await;
    assert_eq!(consumer.answer(&call).await["status"], "ok");
}

/// Whether the transport of a link reads on.
fn is_ready(linked: &Linked) -> bool {
    std::future::poll_fn(|context| linked.connection.poll_ready(context)).now_or_never().is_some()
}

#[tokio::test]
async fn a_link_that_streams_faster_than_can_be_written_is_not_read_on_and_others_are() {
    let (store, ann) = (Failing::after(i64::MAX), user_session("ann", "ann"));
    let (engine, clock) = start(&store, |config| config.rooms.unwritten_bytes = 40_000);
    let (mut far, mut other) = (Linked::far(&engine, "far-1").await, Linked::far(&engine, "far-2").await);
    for (id, kept) in [("board", true), ("hall", false)] {
        let new = NewRoom::new("t").id(id).replayable(kept).agent("far");
        engine.rooms().create(&ann, &new).unwrap();
    }
    let run = engine.rooms().run(&ann, "board", &NewRun::new(json!(1))).unwrap();
    let dispatch = far.expect("dispatch").await;
    engine.rooms().run(&ann, "hall", &NewRun::new(json!(2))).unwrap();
    let elsewhere = other.expect("dispatch").await;
    engine.rooms().durable("board").await.unwrap();
    let mut storage = told_of_storage(&engine);
    store.allow(0);
    let chunk = || json!({"text": "x".repeat(CHARS as usize)});
    let mut sent = 0;
    while is_ready(&far) && sent < CHUNKS {
        far.about(&dispatch, "chunk", chunk());
        other.about(&elsewhere, "chunk", chunk());
        sent += 1;
        assert!(is_ready(&other), "its room is not kept");
    }
    assert!((10..CHUNKS).contains(&sent), "{sent}");
    assert!(engine.rooms().stats().storage.unwritten_bytes < 40_000);
    assert_eq!(view(&engine, &ann, &run).status.as_str(), "running");
    assert_eq!(storage.recv().await, Some("failed"));
    // A link whose frames are not read shows no sign of life.
    clock.advance(9_999);
    assert!(!is_ready(&far));
    clock.advance(1);
    assert!(is_ready(&far), "it is not read for as long as an acknowledgement may take");
    far.about(&dispatch, "chunk", chunk());
    assert!(!is_ready(&far));
    store.allow(i64::MAX);
    clock.advance(500);
    while storage.recv().await != Some("recovered") {}
    engine.rooms().durable("board").await.unwrap();
    for _ in sent + 1..CHUNKS {
        std::future::poll_fn(|context| far.connection.poll_ready(context)).await;
        far.about(&dispatch, "chunk", chunk());
    }
    far.result(&dispatch, &json!("all"));
    far.takes_effect().await;
    let ended = view(&engine, &ann, &run);
    assert_eq!((ended.status.as_str(), ended.output_chars), ("done", CHUNKS * CHARS));
}

#[tokio::test]
async fn a_link_that_is_not_read_on_is_again_when_its_run_ends() {
    let (store, ann) = (Failing::after(i64::MAX), user_session("ann", "ann"));
    let (engine, clock) = start(&store, |config| config.rooms.unwritten_bytes = 4_000);
    let mut far = Linked::far(&engine, "far-1").await;
    engine.rooms().create(&ann, &NewRoom::new("t").id("board").replayable(true).agent("far")).unwrap();
    let delivery = grove_engine::Delivery::within_ms(1_000).max_attempts(1);
    let run = engine.rooms().run(&ann, "board", &NewRun::new(json!(1)).delivery(delivery)).unwrap();
    let dispatch = far.expect("dispatch").await;
    engine.rooms().durable("board").await.unwrap();
    store.allow(0);
    while is_ready(&far) {
        far.about(&dispatch, "chunk", json!({"text": "x"}));
    }
    clock.advance(1_000);
    engine.settle().await;
    assert_eq!(view(&engine, &ann, &run).status.as_str(), "timed_out");
    assert!(is_ready(&far));
}
