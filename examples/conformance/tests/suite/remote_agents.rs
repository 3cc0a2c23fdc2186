//! Agents that are other processes: those of `examples/remote-agents`, as they are published.

use std::process::Stdio;

use grove_engine::{Access, NewRoom, NewRun, Queue, Room, RoomEvents, Session};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::running::{Running, soon};

/// The interpreters, and the files that they run.
const LANGUAGES: [(&str, &str); 2] = [("python3", "agent.py"), ("node", "agent.mjs")];

/// Starts an agent of this name, and waits until the server knows it. `None` if there is no such interpreter here.
async fn start(app: &Running, (interpreter, file): (&str, &str), agent: &str) -> Option<Child> {
    let path = format!("{}/../remote-agents/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(interpreter);
    command.arg(path).args([
        "--url",
        &format!("ws://{}/agents", app.address),
        "--token",
        "worker-bot",
        "--agent",
        agent,
    ]);
    let mut process = match command.stdout(Stdio::piped()).kill_on_drop(true).spawn() {
        Ok(process) => process,
        // `./test` installs both.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("{interpreter}: {error}"),
    };
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = soon("the agent is ready", lines.next_line()).await.unwrap();
    assert_eq!(line, Some(format!("ready as {agent}")));
    // What else it says must find a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Some(process)
}

/// A room in which an agent runs, as alice sees it.
struct Place<'a> {
    app: &'a Running,
    alice: Session,
    room: Room,
    events: RoomEvents,
}

impl<'a> Place<'a> {
    fn of(app: &'a Running, agent: &str) -> Self {
        let alice = Session::new("alice").with_user("alice").with_project("main");
        let rooms = app.app.engine().rooms();
        let new = NewRoom::new("t").access(Access::Project).agent(agent).queue(Queue::Parallel);
        let room = rooms.create(&alice, &new.memory("goal", json!("launch"))).unwrap().room;
        let events = rooms.events(&alice, room.id()).unwrap();
        Self { app, alice, room, events }
    }

    fn run(&self, input: Value) -> String {
        self.app.app.engine().rooms().run(&self.alice, self.room.id(), &NewRun::new(input)).unwrap().to_string()
    }

    fn send(&self, run: &str, data: &str) {
        self.app.app.engine().rooms().send_input(&self.alice, self.room.id(), run, json!(data)).unwrap();
    }

    /// The events about a run, up to the first of this kind.
    async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = soon(kind, self.events.next()).await.expect("the room goes on");
            let is_last = event.kind == kind;
            events.extend(event.kind.starts_with("run.").then_some(event.data));
            if is_last {
                return events;
            }
        }
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap_or_default()).collect()
}

fn text(events: &[Value]) -> String {
    let chunks = events.iter().filter(|event| event["kind"] == "run.chunk");
    chunks.map(|event| event["body"]["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_agent_in_one_file_streams_takes_inputs_and_is_cancelled() {
    for language in LANGUAGES {
        let app = Running::with(&["--rooms"]).await;
        let Some(process) = start(&app, language, "far").await else { continue };
        let mut place = Place::of(&app, "far");
        place.run(json!({"text": "much ado über nothing"}));
        let events = place.until("run.done").await;
        assert_eq!(text(&events), "much ado über nothing ", "{language:?}");
        let result = &events.last().unwrap()["body"]["result"];
        let expected = json!({"words": 4, "attempt": 1, "process": process.id(), "memory": {"goal": "launch"}});
        assert_eq!(*result, expected, "{language:?}");

        let run = place.run(json!({ "ask": true }));
        place.until("run.chunk").await;
        place.send(&run, "one two");
        let events = place.until("run.done").await;
        assert_eq!(
            (text(&events).as_str(), &events.last().unwrap()["body"]["result"]["words"]),
            ("one two ", &json!(2))
        );

        let run = place.run(json!({"text": "word word", "pause_ms": 60_000}));
        place.until("run.chunk").await;
        app.app.engine().rooms().cancel_run(&place.alice, place.room.id(), run).unwrap();
        place.until("run.cancelled").await;

        // Longer than what fits one frame with a short head.
        let long = "x".repeat(60_000);
        place.run(json!({ "text": long }));
        assert_eq!(text(&place.until("run.done").await), format!("{long} "), "{language:?}");
    }
}

#[tokio::test]
async fn a_run_whose_agent_is_killed_goes_to_another_one_and_ends_once() {
    for language in LANGUAGES {
        let app = Running::with(&["--rooms"]).await;
        let Some(mut killed) = start(&app, language, "far").await else { continue };
        let mut place = Place::of(&app, "far");
        let run = place.run(json!({ "ask": true }));
        place.until("run.chunk").await;
        let Some(other) = start(&app, language, "far").await else { continue };
        killed.kill().await.unwrap();
        let events = place.until("run.chunk").await;
        assert_eq!(kinds(&events), ["run.redelivered", "run.chunk"], "{language:?}");
        place.send(&run, "one two three");
        let events = place.until("run.done").await;
        let result = &events.last().unwrap()["body"]["result"];
        assert_eq!((&result["attempt"], &result["process"]), (&json!(2), &json!(other.id())), "{language:?}");
    }
}

#[tokio::test]
async fn an_agent_in_one_file_comes_back_when_the_server_ends_its_connection() {
    for language in LANGUAGES {
        let app = Running::with(&["--rooms"]).await;
        let Some(process) = start(&app, language, "far").await else { continue };
        let mut place = Place::of(&app, "far");
        assert!(app.app.engine().close_session("worker-bot"));
        place.run(json!({"text": "still there"}));
        let events = place.until("run.done").await;
        assert_eq!(events.last().unwrap()["body"]["result"]["process"], json!(process.id()), "{language:?}");
    }
}
