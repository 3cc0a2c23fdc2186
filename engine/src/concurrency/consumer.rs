//! A consumer on a thread of its own, with a copy that shares no code with the engine's diff.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shuttle::future::block_on;

use crate::client::{ConsumerState, Message, MessageId, Node};
use crate::connection::Connection;
use crate::deliver::frame::Frame;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::model::session::Session;
use crate::protocol::code::CloseCode;

/// One consumer: the writer of its socket asks by `until`, the reader says by `say`; both may be at it at once.
pub(super) struct Consumer {
    connection: std::sync::Arc<Connection>,
    state: ConsumerState,
    /// Answers by the request's id, each with what the copy showed when it came.
    answers: BTreeMap<String, (Value, Option<u64>)>,
    /// The close code.
    pub(super) closed: Option<CloseCode>,
}

fn subscription() -> Value {
    json!({"type": "subscribe", "id": "sub", "path": "/n"})
}

/// The reading half of a consumer's socket.
#[derive(Clone)]
pub(super) struct Mouth(std::sync::Arc<Connection>);

impl Mouth {
    pub(super) fn say(&self, message: &Value) {
        self.0.receive(&message.to_string());
    }

    pub(super) fn subscribe(&self) {
        self.say(&subscription());
    }

    pub(super) fn query(&self, id: &str) {
        self.say(&json!({"type": "query", "id": id, "path": "/n"}));
    }

    pub(super) fn add(&self, id: &str) {
        self.say(&json!({"type": "invoke", "id": id, "path": "/n", "action": "add"}));
    }
}

impl Consumer {
    pub(super) fn connect(engine: &Engine, session: &Session) -> Result<Self, ConnectError> {
        let mut state = ConsumerState::strict();
        // Its mouth subscribes, perhaps on another thread.
        state.sent(&subscription());
        Self::with_state(engine, session, state)
    }

    fn with_state(engine: &Engine, session: &Session, state: ConsumerState) -> Result<Self, ConnectError> {
        let connection = std::sync::Arc::new(engine.connect(session)?);
        Ok(Self { connection, state, answers: BTreeMap::new(), closed: None })
    }

    /// What this consumer goes on from when its socket is lost and the engine has not noticed.
    pub(super) fn resumable(&self) -> ConsumerState {
        let mut state = self.state.clone();
        state.disconnect();
        state
    }

    /// Connects in place of a connection that is lost, with what its consumer had.
    pub(super) fn resume(engine: &Engine, session: &Session, mut state: ConsumerState) -> Result<Self, ConnectError> {
        let lost = state.lost().and_then(|hello| hello.connection.clone());
        state.resume(lost.as_deref());
        let mut consumer = Self::with_state(engine, session, state)?;
        while let Some(message) = consumer.state.next_message() {
            consumer.connection.receive(&message);
        }
        Ok(consumer)
    }

    pub(super) fn mouth(&self) -> Mouth {
        Mouth(std::sync::Arc::clone(&self.connection))
    }

    pub(super) fn subscribe(&self) {
        self.mouth().subscribe();
    }

    /// Takes frames until something holds; an end of the connection is an end of waiting.
    pub(super) fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        while self.closed.is_none() && !holds(self) {
            let frame = block_on(self.connection.next_frame());
            self.take(frame);
        }
    }

    /// Takes what there is.
    pub(super) fn take_all(&mut self) {
        while let Some(frame) = self.connection.try_next_frame() {
            self.take(frame);
        }
    }

    pub(super) fn until_closed(&mut self) -> CloseCode {
        self.until(|_| false);
        self.closed.expect("the loop ends with the close")
    }

    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                self.take_message(&message);
            }
            Frame::Ping => self.connection.heard(),
            Frame::Close { code, .. } => self.closed = Some(code),
        }
    }

    fn take_message(&mut self, message: &Value) {
        let parsed = Message::from_json(message).unwrap_or_else(|error| panic!("{error}: {message}"));
        self.state.receive(parsed).unwrap_or_else(|error| panic!("{error}: {message}"));
        let id = message["id"].as_str().filter(|id| *id != "sub");
        if let (Some(id), Some("snapshot" | "result" | "error")) = (id, message["type"].as_str()) {
            let seen = self.shown();
            self.answers.insert(id.to_owned(), (message.clone(), seen));
        }
    }

    fn copy(&self) -> Option<&Node> {
        self.state.tree(&MessageId::from("sub"))
    }

    /// The number that the copy shows; `None` before there is one.
    pub(super) fn shown(&self) -> Option<u64> {
        self.copy()?.property("n")?.as_u64()
    }

    pub(super) fn answer(&self, id: &str) -> Option<&Value> {
        self.answers.get(id).map(|(message, _)| message)
    }

    pub(super) fn answers(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.answers.iter().map(|(id, (message, _))| (id.as_str(), message))
    }

    /// What the copy showed when this answer came.
    pub(super) fn shown_at(&self, id: &str) -> Option<u64> {
        self.answers.get(id).and_then(|(_, seen)| *seen)
    }

    /// Asks for the number and compares the copy with it.
    pub(super) fn check_copy(&mut self) {
        self.mouth().query("check");
        self.until(|consumer| consumer.answer("check").is_some());
        let fresh = self.answer("check").map(|answer| answer["tree"].clone());
        assert_eq!(self.copy().map(Node::to_json), fresh, "the copy differs from a fresh query");
    }
}
