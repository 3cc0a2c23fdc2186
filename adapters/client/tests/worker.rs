//! A worker against a real server.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use grove_axum::{Refusal, Slop, UpgradeRequest, authenticate_with};
use grove_client::agent::{RemoteAgent, Run, RunError, Worker, WorkerError};
use grove_engine::{
    Access, Delivery, Engine, Event, NewRoom, NewRun, Queue, Revocation, Room, RoomEvents, RoomOptions, Session,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(20);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it should have happened by now")
}

/// A server with rooms, where `bot` may be every agent.
struct Server {
    engine: Engine,
    address: SocketAddr,
    /// Changes whenever a link comes or goes.
    links: watch::Receiver<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    async fn start_at(address: SocketAddr) -> Self {
        let engine = Engine::builder("app", "App").rooms(RoomOptions::new()).build();
        let authenticator = authenticate_with(|request: UpgradeRequest| async move {
            match request.bearer().as_deref() {
                Some("bot") => Ok(Session::new("bot").with_user("bot").with_permission("agent:*")),
                Some("weak") => Ok(Session::new("weak").with_user("weak")),
                _ => Err(Refusal::unauthorized()),
            }
        });
        let app: axum::Router = Slop::new(engine.clone(), authenticator).rooms(engine.rooms()).router();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, links) = watch::channel(());
        engine.observe(move |event| {
            if matches!(event, Event::AgentLinked { .. } | Event::AgentUnlinked { .. }) {
                told.send_replace(());
            }
        });
        Self { engine, address, links, task: tokio::spawn(axum::serve(listener, app).into_future()) }
    }

    fn worker(&self, token: &str) -> Worker {
        Worker::new(format!("ws://{}/agents", self.address)).token(token)
    }

    async fn until_links_are(&self, links: usize) {
        let mut changes = self.links.clone();
        soon(async {
            loop {
                changes.borrow_and_update();
                if self.engine.rooms().stats().agent_links == links {
                    return;
                }
                changes.changed().await.expect("the server goes on");
            }
        })
        .await;
    }

    /// A room in which an agent runs, as ann sees it.
    fn room(&self, agent: &str) -> Place {
        let ann = Session::new("a").with_user("ann");
        let new = NewRoom::new("t").access(Access::Project).agent(agent).queue(Queue::Parallel);
        let new = new.memory("goal", json!("launch"));
        let room = self.engine.rooms().create(&ann, &new).unwrap().room;
        let events = self.engine.rooms().events(&ann, room.id()).unwrap();
        Place { engine: self.engine.clone(), ann, room, events }
    }
}

struct Place {
    engine: Engine,
    ann: Session,
    room: Room,
    events: RoomEvents,
}

impl Place {
    fn run(&self, input: Value) -> String {
        self.start(&NewRun::new(input))
    }

    fn start(&self, new: &NewRun) -> String {
        self.engine.rooms().run(&self.ann, self.room.id(), new).unwrap().to_string()
    }

    /// The events about a run, up to its end.
    async fn until_end_of(&mut self, run: &str) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        loop {
            let mut event = soon(self.events.next()).await.expect("the room goes on");
            if event.data["body"]["run"] != run {
                continue;
            }
            let body = event.data["body"].take();
            events.push((event.kind.to_string(), body));
            if ["run.done", "run.failed", "run.cancelled", "run.timed_out"].contains(&event.kind.as_str()) {
                return events;
            }
        }
    }
}

fn kinds(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(kind, _)| kind.as_str()).collect()
}

/// An agent that does whatever its input says.
fn versatile() -> RemoteAgent {
    RemoteAgent::new("far", |run: Run, input: Value| async move {
        match input["do"].as_str().unwrap_or_default() {
            "stream" => {
                run.progress(0.5, "half").await;
                run.chunk("one ").await;
                run.chunk("two").await;
                let sum = run.tool("add", json!({"a": 1}), async { Ok(json!(2)) }).await;
                let broken = run.tool("broken", json!({}), async { Err(RunError::new("no", "it is broken")) }).await;
                Ok(json!({"sum": sum.result, "broken": !broken.ok, "by": run.actor().user, "memory": run.memory(),
                    "said": run.history().len(), "attempt": run.attempt(), "agent": run.agent()}))
            }
            "ask" => {
                run.chunk("asking").await;
                Ok(json!({"got": [run.next_input().await, run.next_input().await]}))
            }
            "wait" => {
                run.chunk("waiting").await;
                run.cancelled().await;
                Ok(json!(run.is_cancelled()))
            }
            "panic" => panic!("secret"),
            "fail" => Err(RunError::new("full", "no disk")),
            _ => Ok(input),
        }
    })
}

#[tokio::test]
async fn a_worker_executes_runs_and_streams_what_it_does() {
    let server = Server::start().await;
    let worker = tokio::spawn(server.worker("bot").agent(versatile()).run());
    server.until_links_are(1).await;
    let mut place = server.room("far");
    let run = place.run(json!({"do": "stream"}));
    let events = place.until_end_of(&run).await;
    let expected = [
        "run.started",
        "run.progress",
        "run.chunk",
        "run.tool_call",
        "run.tool_result",
        "run.tool_call",
        "run.tool_result",
        "run.done",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(
        (&events[2].1["text"], &events[6].1["result"]),
        (&json!("one two"), &json!({"code": "no", "message": "it is broken"}))
    );
    let result = json!({"sum": 2, "broken": true, "by": "ann", "memory": {"goal": "launch"}, "said": 1, "attempt": 1, "agent": "far"});
    assert_eq!(events[7].1["result"], result);
    worker.abort();
}

#[tokio::test]
async fn failures_and_panics_fail_the_run_and_the_worker_goes_on() {
    let server = Server::start().await;
    let worker = tokio::spawn(server.worker("bot").agent(versatile()).run());
    server.until_links_are(1).await;
    let mut place = server.room("far");
    for (input, error) in [
        ("fail", json!({"code": "full", "message": "no disk"})),
        ("panic", json!({"code": "internal", "message": "the agent failed"})),
    ] {
        let run = place.run(json!({"do": input}));
        assert_eq!(place.until_end_of(&run).await.last().unwrap().1["error"], error);
    }
    let run = place.run(json!({"x": 1}));
    assert_eq!(place.until_end_of(&run).await.last().unwrap().1["result"], json!({"x": 1}));
    worker.abort();
}

#[tokio::test]
async fn inputs_and_cancellations_reach_the_run() {
    let server = Server::start().await;
    let worker = tokio::spawn(server.worker("bot").agent(versatile()).run());
    server.until_links_are(1).await;
    let mut place = server.room("far");
    let run = place.run(json!({"do": "ask"}));
    for n in [1, 2] {
        server.engine.rooms().send_input(&place.ann, place.room.id(), run.as_str(), json!(n)).unwrap();
    }
    assert_eq!(place.until_end_of(&run).await.last().unwrap().1["result"], json!({"got": [1, 2]}));
    let run = place.run(json!({"do": "wait"}));
    while soon(place.events.next()).await.unwrap().kind != "run.chunk" {}
    server.engine.rooms().cancel_run(&place.ann, place.room.id(), run.as_str()).unwrap();
    assert_eq!(place.until_end_of(&run).await.last().unwrap().0, "run.cancelled");
    worker.abort();
}

#[tokio::test]
async fn a_worker_whose_connection_ends_connects_again_and_gets_its_run_again() {
    let server = Server::start().await;
    struct Tells(mpsc::Sender<()>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _gone = self.0.try_send(());
        }
    }
    let (drops, mut dropped) = mpsc::channel(8);
    let agent = RemoteAgent::new("far", move |run: Run, _: Value| {
        let tells = Tells(drops.clone());
        async move {
            let _tells = tells;
            run.chunk(format!("attempt {}", run.attempt())).await;
            if run.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            Ok(json!(run.attempt()))
        }
    });
    let worker = tokio::spawn(server.worker("bot").agent(agent).run());
    server.until_links_are(1).await;
    let mut place = server.room("far");
    let run = place.start(&NewRun::new(json!(1)).delivery(Delivery::default()));
    while soon(place.events.next()).await.unwrap().kind != "run.chunk" {}
    assert!(server.engine.close_session("bot"));
    let events = place.until_end_of(&run).await;
    assert_eq!(kinds(&events), ["run.redelivered", "run.chunk", "run.done"]);
    assert_eq!(events[2].1["result"], 2);
    for _ in 0..2 {
        soon(dropped.recv()).await.expect("both attempts are dropped");
    }
    worker.abort();
}

#[tokio::test]
async fn a_worker_waits_for_a_server_that_is_not_there_yet() {
    let first = Server::start().await;
    let address = first.address;
    let worker = tokio::spawn(first.worker("bot").agent(versatile()).run());
    first.until_links_are(1).await;
    first.engine.shutdown(Duration::ZERO).await;
    first.task.abort();
    assert!(first.task.await.is_err_and(|error| error.is_cancelled()));
    // It tries, and nobody answers.
    let silent = TcpListener::bind(address).await.unwrap();
    drop(soon(silent.accept()).await.unwrap());
    drop(silent);
    let again = Server::start_at(address).await;
    again.until_links_are(1).await;
    worker.abort();
}

#[tokio::test]
async fn what_trying_again_does_not_change_ends_the_worker() {
    let server = Server::start().await;
    let failed = async |worker: Worker| soon(worker.agent(versatile()).run()).await.unwrap_err();
    assert_eq!(failed(server.worker("stranger")).await, WorkerError::Refused { status: 401 });
    assert!(matches!(
        failed(server.worker("weak")).await,
        WorkerError::NotAccepted { agent, code, .. } if (agent.as_str(), code.as_str()) == ("far", "unauthorized")
    ));
    let schema = soon(
        server
            .worker("bot")
            .agent(versatile().input_schema(json!({"type": "object", "properties": {"x": {"$ref": "#"}}})))
            .run(),
    );
    assert!(matches!(schema.await, Err(WorkerError::NotAccepted { code, .. }) if code == "invalid_params"));
    assert!(matches!(failed(Worker::new("not an address")).await, WorkerError::Address(_)));
    let worker = tokio::spawn(server.worker("bot").agent(versatile()).run());
    server.until_links_are(1).await;
    server.engine.revoke(Revocation::session("bot"));
    assert_eq!(soon(worker).await.unwrap(), Err(WorkerError::Refused { status: 401 }));
}

#[tokio::test]
async fn a_worker_that_stops_completes_its_runs_and_leaves_the_others() {
    let server = Server::start().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (knows, known) = tokio::sync::oneshot::channel::<()>();
    let stopping = async move {
        stopped.await.unwrap();
        knows.send(()).unwrap();
    };
    let worker = tokio::spawn(server.worker("bot").agent(versatile()).run_until(stopping));
    server.until_links_are(1).await;
    let mut place = server.room("far");
    let begun = place.run(json!({"do": "ask"}));
    while soon(place.events.next()).await.unwrap().kind != "run.chunk" {}
    stop.send(()).unwrap();
    soon(known).await.unwrap();
    let late = place.run(json!({"x": 1}));
    for n in [1, 2] {
        server.engine.rooms().send_input(&place.ann, place.room.id(), begun.as_str(), json!(n)).unwrap();
    }
    let events = place.until_end_of(&begun).await;
    assert_eq!(events.last().unwrap().0, "run.done");
    soon(worker).await.unwrap().unwrap();
    let other = tokio::spawn(server.worker("bot").agent(versatile()).run());
    let events = place.until_end_of(&late).await;
    assert_eq!((events.last().unwrap().0.as_str(), &events.last().unwrap().1["attempts"]), ("run.done", &json!(2)));
    other.abort();
}

#[tokio::test]
async fn one_program_may_be_several_agents() {
    let server = Server::start().await;
    let echo = |name: &str| {
        let of = name.to_owned();
        RemoteAgent::new(name, move |_: Run, _: Value| std::future::ready(Ok(json!(of)))).contract("v1").concurrency(2)
    };
    let worker = tokio::spawn(server.worker("bot").agent(echo("one")).agent(echo("two")).run());
    server.until_links_are(2).await;
    for name in ["one", "two"] {
        let mut place = server.room(name);
        let run = place.run(json!(0));
        assert_eq!(place.until_end_of(&run).await.last().unwrap().1["result"], name);
    }
    worker.abort();
    server.until_links_are(0).await;
}
