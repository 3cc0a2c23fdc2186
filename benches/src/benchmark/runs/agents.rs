//! The agents whose runs are measured, and how their runs are started.

use std::time::Duration;

use grove_engine::{Agent, Engine, NewRoom, NewRun, Room, RunContext, RunResult, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::chunks::stamped;
use crate::failure::Failure;
use crate::measure::stopwatch::time_of_day_us;
use crate::subject::house::House;

/// The time between two chunks of a run, in us.
pub(super) const INTERVAL_US: u64 = 20_000;

/// Names of the agents.
pub(super) const CLOCKWORK: &str = "clockwork";
pub(super) const TORRENT: &str = "torrent";
pub(super) const MUTE: &str = "mute";

/// What `clockwork` takes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Pace {
    /// When the first chunk is due, in us since 1970.
    pub(super) start_us: u64,
    pub(super) chunks: u64,
    /// Whether the chunks are streamed, and not only made.
    pub(super) streams: bool,
}

/// Registers all agents, for so many runs at once.
pub(super) fn register(engine: &Engine, runs: u32) {
    let at_once = runs as usize;
    engine.register_agent(Agent::new(CLOCKWORK, clockwork).concurrency(at_once));
    engine.register_agent(Agent::new(TORRENT, torrent).concurrency(at_once));
    engine.register_agent(Agent::new(MUTE, mute).concurrency(at_once));
}

/// Streams at its time; what was due while the thread had something else to do is late, and counts as late.
async fn clockwork(run: RunContext, input: Value) -> RunResult {
    let Ok(pace) = serde_json::from_value::<Pace>(input) else { return Ok(json!({})) };
    for chunk in 0..pace.chunks {
        let due_us = pace.start_us + chunk * INTERVAL_US;
        loop {
            let now_us = time_of_day_us();
            if now_us >= due_us {
                break;
            }
            tokio::time::sleep(Duration::from_micros(due_us - now_us)).await;
        }
        let text = stamped(due_us);
        if pace.streams {
            run.chunk(text);
        }
    }
    Ok(json!({}))
}

/// Streams as fast as it can: so many texts.
async fn torrent(run: RunContext, input: Value) -> RunResult {
    let (count, text) = (input["count"].as_u64().unwrap_or(0), input["text"].as_str().unwrap_or(""));
    for _ in 0..count {
        run.chunk(text);
    }
    Ok(json!({}))
}

/// Says nothing until it is cancelled.
async fn mute(run: RunContext, _: Value) -> RunResult {
    run.cancelled().await;
    Ok(json!({}))
}

/// A room of this agent for each of so many members, who own them and are there.
pub(super) fn furnish(house: &House, count: u32, agent: &str) -> Result<Vec<Room>, Failure> {
    let furnish = |u| {
        let room = house.create(u, &NewRoom::new(format!("Room {u}")).agent(agent))?;
        house.join(u, &room)?;
        Ok(room)
    };
    (0..count).map(furnish).collect()
}

/// Member `u` starts a run in a room.
pub(super) fn start(house: &House, u: u32, room: &Room, input: Value) -> Result<Text, Failure> {
    let started = house.engine.rooms().run(&House::member(u), room.id(), &NewRun::new(input));
    Ok(started.map_err(|error| error.to_string())?)
}
