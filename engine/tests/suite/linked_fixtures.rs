//! Agents at the other ends of links, for tests of runs.

use std::time::Duration;

use futures_util::FutureExt;
use grove_engine::{Access, Config, Connection, Engine, Frame, NewRoom, RoomOptions, Session};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::fixtures::{room_engine_with, user_session};
use crate::run_fixtures::Workplace;

/// How long a message may take, in real time, before a test is said to hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that is an agent, at the other end of a link.
pub(crate) struct Linked {
    pub(crate) connection: Connection,
}

/// The session of a program that may be this agent.
pub(crate) fn bot(id: &str, agent: &str) -> Session {
    user_session(id, "bot").with_permission(format!("agent:{agent}"))
}

impl Linked {
    pub(crate) fn connect(engine: &Engine, session: &Session) -> Self {
        Self { connection: engine.rooms().connect_agent(session).unwrap() }
    }

    /// A link that has become the agent `far`.
    pub(crate) async fn far(engine: &Engine, id: &str) -> Self {
        let mut linked = Self::connect(engine, &bot(id, "far"));
        linked.say(&json!({"type": "ready", "agent": "far"}));
        assert_eq!(linked.hear().await, json!({"type": "welcome", "agent": "far"}));
        linked
    }

    pub(crate) fn say(&self, message: &Value) {
        self.connection.receive(&message.to_string());
    }

    /// Says something about the attempt of a dispatch.
    pub(crate) fn about(&self, dispatch: &Value, kind: &str, more: Value) {
        let mut message = json!({"type": kind, "run": dispatch["run"], "attempt": dispatch["attempt"]});
        let Value::Object(more) = more else { panic!("{more}") };
        message.as_object_mut().unwrap().extend(more);
        self.say(&message);
    }

    pub(crate) fn result(&self, dispatch: &Value, output: &Value) {
        self.about(dispatch, "result", json!({ "output": output }));
    }

    /// Lets the tasks of the engine see what was said: this thread runs them all.
    pub(crate) async fn takes_effect(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.connection.next_frame()).await.expect("nothing came") {
                Frame::Text(text) => return serde_json::from_str(&text).unwrap(),
                Frame::Ping => self.connection.heard(),
                end @ Frame::Close { .. } => panic!("{end:?}"),
            }
        }
    }

    /// The next message, which is of this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let message = self.hear().await;
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// The code of the error that comes next.
    pub(crate) async fn refused(&mut self) -> String {
        self.expect("error").await["code"].as_str().unwrap().to_owned()
    }

    /// The close code that comes next.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Frame::Close { code, .. } = timeout(PATIENCE, self.connection.next_frame()).await.expect("no close")
            {
                return code.as_u16();
            }
        }
    }

    /// Whether nothing has come by now.
    pub(crate) async fn is_quiet(&mut self, engine: &Engine) -> bool {
        engine.settle().await;
        self.connection.next_frame().now_or_never().is_none()
    }
}

/// A room in which the agent `far` runs, and its first link.
pub(crate) async fn linked_place(
    policy: impl FnOnce(NewRoom) -> NewRoom,
    change: impl FnOnce(&mut Config),
) -> (Workplace, Linked) {
    let (engine, clock) = room_engine_with(RoomOptions::new(), change);
    let far = Linked::far(&engine, "far-1").await;
    let ann = user_session("a", "ann");
    let new = policy(NewRoom::new("t").access(Access::Project).agent("far"));
    let room = engine.rooms().create(&ann, &new).unwrap().room;
    let events = engine.rooms().events(&ann, room.id()).unwrap();
    (Workplace { engine, clock, ann, room, events }, far)
}

/// The same with nothing in particular.
pub(crate) async fn place() -> (Workplace, Linked) {
    linked_place(|room| room, |_| {}).await
}
