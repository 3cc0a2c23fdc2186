//! The rooms of the server, and the agent that works in them.

use std::path::Path;
use std::time::Duration;

use grove_engine::{
    Access, Agent, Engine, NewRoom, NewRun, RoomOptions, RunContext, RunError, RunResult, Session, Storage,
};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::scenario::soak::scale::ROOMS;

/// The name of the agent.
const WORKER: &str = "worker";

/// The time between two chunks of a run.
const CHUNK_INTERVAL: Duration = Duration::from_millis(20);

/// What the engine has of rooms: kept in a directory, if one is named.
pub(super) fn options(directory: Option<&Path>) -> Result<RoomOptions, Failure> {
    let options = RoomOptions::new();
    Ok(match directory {
        Some(directory) => options.storage(Storage::open(directory)?),
        None => options,
    })
}

fn owner() -> Session {
    Session::new("owner").with_user("owner")
}

/// Registers the agent, and creates the rooms that are not there yet. Every second one is replayable. A run in each begins,
/// so that every log has one, however short the server's life is.
pub(super) fn furnish(engine: &Engine) -> Result<(), Failure> {
    engine.register_agent(Agent::new(WORKER, work));
    for number in 0..ROOMS {
        let id = room(number);
        if engine.rooms().get(&owner(), &id).is_err() {
            let new = NewRoom::new(format!("Room {number}")).id(id).agent(WORKER).access(Access::Project);
            let created = engine.rooms().create(&owner(), &new.replayable(number.is_multiple_of(2)));
            created.map_err(|error| error.to_string())?;
        }
        let run = NewRun::new(json!({"chunks": 1}));
        engine.rooms().run(&owner(), &room(number), &run).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The id of a room.
fn room(number: u32) -> String {
    format!("room-{number}")
}

/// Streams, and ends as its input says.
async fn work(run: RunContext, input: Value) -> RunResult {
    let chunks = input["chunks"].as_u64().unwrap_or(1);
    for chunk in 0..chunks {
        run.chunk(format!("Chunk {chunk} of {chunks}. "));
        run.progress(chunk as f64 / chunks as f64, format!("chunk {chunk}"));
        tokio::time::sleep(CHUNK_INTERVAL).await;
        if run.is_cancelled() {
            return Err(RunError::new("stopped", "somebody has cancelled the run"));
        }
    }
    match input["end"].as_str() {
        Some("fail") => Err(RunError::new("failed", "the input says so")),
        Some("wait") => {
            run.cancelled().await;
            Ok(json!({}))
        }
        _ => Ok(json!({"chunks": chunks})),
    }
}

/// What is wrong with the logs of the replayable rooms: each must be contiguous, and each run in it must have ended once.
pub(super) async fn check(engine: &Engine) -> Result<Vec<String>, Failure> {
    let (mut problems, mut ends) = (Vec::new(), 0);
    for number in (0..ROOMS).step_by(2) {
        let id = room(number);
        let (mut after, mut last, mut open) = (0, None, Vec::new());
        loop {
            let page = engine.rooms().replay(&owner(), &id, after, Some(1_000)).await;
            let page = page.map_err(|error| error.to_string())?;
            for event in &page.events {
                let seq = event["seq"].as_u64();
                if last.is_some() && seq != last.map(|last: u64| last + 1) {
                    problems.push(format!("in the log of {id}, {seq:?} follows {last:?}"));
                }
                last = seq;
                ends += u32::from(ends_run(event));
                follow_run(event, &mut open, &mut problems);
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let latest = engine.rooms().get(&owner(), &id).map_err(|error| error.to_string())?.seq();
        if last != Some(latest) {
            problems.push(format!("the log of {id} ends with {last:?} and not with {latest}"));
        }
        problems.extend(open.iter().map(|run| format!("the run {run} of {id} has no end")));
    }
    if ends == 0 {
        problems.push("no log has a run that ended".to_owned());
    }
    Ok(problems)
}

/// Whether an event is the last one of a run.
fn ends_run(event: &Value) -> bool {
    matches!(event["kind"].as_str(), Some("run.done" | "run.failed" | "run.cancelled" | "run.timed_out"))
}

/// Follows the runs that have begun and not ended.
fn follow_run(event: &Value, open: &mut Vec<String>, problems: &mut Vec<String>) {
    let Some(run) = event["body"]["run"].as_str() else { return };
    let place = open.iter().position(|known| known == run);
    match (event["kind"].as_str(), place) {
        (Some("run.queued" | "run.started"), None) => open.push(run.to_owned()),
        (_, Some(place)) if ends_run(event) => drop(open.swap_remove(place)),
        (_, None) if ends_run(event) => problems.push(format!("a run ended twice, or had not begun: {event}")),
        _ => {}
    }
}

/// Ends all rooms.
pub(super) async fn close(engine: &Engine) -> Result<(), Failure> {
    for number in 0..ROOMS {
        engine.rooms().close(&owner(), &room(number), None).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}
