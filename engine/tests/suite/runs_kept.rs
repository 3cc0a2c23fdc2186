//! Runs in rooms that are kept, while that cannot be written (rooms 8).

use std::sync::Arc;

use futures_util::FutureExt;
use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Agent, Engine, Limit, NewRoom, NewRun, RunContext, RunView, Session, Tool};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, user_session};
use crate::rooms_storage::{Failing, log, next_of, start};

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
