//! Rooms with agents, for tests of runs.

use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::ManualClock;
use grove_engine::{
    Access, ActionError, Agent, Config, Engine, NewRoom, NewRun, Room, RoomEvents, RoomOptions, RunContext, RunResult,
    Session,
};
use serde_json::{Value, json};

use crate::fixtures::{room_engine_with, user_session};

/// How long an event may take, in real time, before a test is said to hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine with one room, and ann, its owner, who reads its events.
pub(crate) struct Workplace {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ann: Session,
    pub(crate) room: Room,
    pub(crate) events: RoomEvents,
}

pub(crate) fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

/// An agent that returns what it was given.
pub(crate) fn echo(name: &'static str) -> Agent {
    Agent::new(name, |_: RunContext, input: Value| async move { Ok(json!({ "echo": input })) })
}

/// An agent that waits until it is cancelled.
pub(crate) fn patient(name: &'static str) -> Agent {
    Agent::new(name, |run: RunContext, _: Value| async move {
        run.cancelled().await;
        Ok(json!("cancelled"))
    })
}

/// An agent that returns what is sent to it.
pub(crate) fn ask(name: &'static str) -> Agent {
    Agent::new(name, |run: RunContext, _: Value| async move { Ok(json!({"got": run.next_input().await})) })
}

/// An agent that never gives a sign of life.
pub(crate) fn silent(name: &'static str) -> Agent {
    Agent::new(name, |_: RunContext, _: Value| std::future::pending::<RunResult>())
}

impl Workplace {
    /// Agents, and a room in which the first of them runs.
    pub(crate) fn of(agents: impl IntoIterator<Item = Agent>) -> Self {
        Self::with(agents, |room| room, |_| {})
    }

    pub(crate) fn with(
        agents: impl IntoIterator<Item = Agent>,
        policy: impl FnOnce(NewRoom) -> NewRoom,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let (engine, clock) = room_engine_with(RoomOptions::new(), change);
        let mut first = None;
        for agent in agents {
            first.get_or_insert(agent.name().to_string());
            engine.register_agent(agent);
        }
        let ann = user_session("a", "ann");
        let new = NewRoom::new("t").access(Access::Project).agent(first.expect("a room has an agent"));
        let room = engine.rooms().create(&ann, &policy(new)).unwrap().room;
        let events = engine.rooms().events(&ann, room.id()).unwrap();
        Self { engine, clock, ann, room, events }
    }

    /// Starts a run with this input.
    pub(crate) fn run(&self, input: Value) -> String {
        self.start(&NewRun::new(input))
    }

    pub(crate) fn start(&self, new: &NewRun) -> String {
        self.engine.rooms().run(&self.ann, self.room.id(), new).unwrap().to_string()
    }

    /// The next event about a run.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.next()).await.expect("nothing came");
            let event = event.expect("the room goes on");
            if event.kind.starts_with("run.") {
                return event.data;
            }
        }
    }

    /// The next event, which is of this kind. Returns its body.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let mut event = self.next().await;
        assert_eq!(event["kind"], kind, "{event}");
        event["body"].take()
    }

    /// The events about runs up to the end of this one.
    pub(crate) async fn until_end_of(&mut self, run: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await;
            let ends = event["body"]["run"] == run && is_terminal(&event);
            events.push(event);
            if ends {
                return events;
            }
        }
    }

    /// The events about runs that have been sent by now.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        self.engine.settle().await;
        let mut events = Vec::new();
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(self.events.next()) {
            events.extend(event.kind.starts_with("run.").then_some(event.data));
        }
        events
    }

    /// Lets time pass, and whatever is due happen.
    pub(crate) async fn pass(&self, ms: u64) {
        self.clock.advance(ms);
        self.engine.settle().await;
    }

    /// How far a run is.
    pub(crate) fn status(&self, run: &str) -> &'static str {
        self.engine.rooms().run_of(&self.ann, self.room.id(), run).unwrap().status.as_str()
    }
}

/// Whether an event is the last one of its run.
pub(crate) fn is_terminal(event: &Value) -> bool {
    ["run.done", "run.failed", "run.cancelled", "run.timed_out"].iter().any(|kind| event["kind"] == *kind)
}

/// The kinds of events.
pub(crate) fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap_or_default()).collect()
}
