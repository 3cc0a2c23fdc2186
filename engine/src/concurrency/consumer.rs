//! A consumer on its own thread, with a copy that shares no code with the engine's diff.

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

/// One consumer: it receives with `receive_until` and sends through a [`Sender`], possibly concurrently.
pub(super) struct Consumer {
    connection: std::sync::Arc<Connection>,
    state: ConsumerState,
    /// Replies by the id of the request, each with the number that the copy showed when it was received.
    replies: BTreeMap<String, (Value, Option<u64>)>,
    /// The events that came, in order.
    events: Vec<Value>,
    /// The close code.
    pub(super) closed: Option<CloseCode>,
}

fn subscription() -> Value {
    json!({"type": "subscribe", "id": "sub", "path": "/n"})
}

/// The sending half of a consumer.
#[derive(Clone)]
pub(super) struct Sender(std::sync::Arc<Connection>);

impl Sender {
    pub(super) fn send(&self, message: &Value) {
        self.0.receive(&message.to_string());
    }

    pub(super) fn subscribe(&self) {
        self.send(&subscription());
    }

    pub(super) fn query(&self, id: &str) {
        self.send(&json!({"type": "query", "id": id, "path": "/n"}));
    }

    pub(super) fn add(&self, id: &str) {
        self.send(&json!({"type": "invoke", "id": id, "path": "/n", "action": "add"}));
    }
}

impl Consumer {
    pub(super) fn connect(engine: &Engine, session: &Session) -> Result<Self, ConnectError> {
        let mut state = ConsumerState::strict();
        // Its sender subscribes, perhaps on another thread.
        state.sent(&subscription());
        Self::with_state(engine, session, state)
    }

    fn with_state(engine: &Engine, session: &Session, state: ConsumerState) -> Result<Self, ConnectError> {
        let connection = std::sync::Arc::new(engine.connect(session)?);
        Ok(Self { connection, state, replies: BTreeMap::new(), events: Vec::new(), closed: None })
    }

    /// The state from which this consumer resumes when its socket is lost and the engine has not noticed.
    pub(super) fn resumable(&self) -> ConsumerState {
        let mut state = self.state.clone();
        state.disconnect();
        state
    }

    /// Connects in place of a lost connection, and resumes from the state of its consumer.
    pub(super) fn resume(engine: &Engine, session: &Session, mut state: ConsumerState) -> Result<Self, ConnectError> {
        let lost = state.lost().and_then(|hello| hello.connection.clone());
        state.resume(lost.as_deref());
        let mut consumer = Self::with_state(engine, session, state)?;
        while let Some(message) = consumer.state.next_message() {
            consumer.connection.receive(&message);
        }
        Ok(consumer)
    }

    pub(super) fn sender(&self) -> Sender {
        Sender(std::sync::Arc::clone(&self.connection))
    }

    pub(super) fn subscribe(&self) {
        self.sender().subscribe();
    }

    /// Receives frames until a condition holds or the connection is closed.
    pub(super) fn receive_until(&mut self, holds: impl Fn(&Self) -> bool) {
        while self.closed.is_none() && !holds(self) {
            let frame = block_on(self.connection.next_frame());
            self.receive(frame);
        }
    }

    /// The next frame as it is, if there is one.
    pub(super) fn next_frame(&self) -> Option<Frame> {
        self.connection.try_next_frame()
    }

    /// Receives the frames that are ready.
    pub(super) fn receive_ready(&mut self) {
        while let Some(frame) = self.connection.try_next_frame() {
            self.receive(frame);
        }
    }

    pub(super) fn receive_until_closed(&mut self) -> CloseCode {
        self.receive_until(|_| false);
        self.closed.expect("the loop ends with the close")
    }

    fn receive(&mut self, frame: Frame) {
        match frame {
            Frame::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                self.receive_message(&message);
            }
            Frame::Ping => self.connection.heard(),
            Frame::Close { code, .. } => self.closed = Some(code),
        }
    }

    fn receive_message(&mut self, message: &Value) {
        let parsed = Message::from_json(message).unwrap_or_else(|error| panic!("{error}: {message}"));
        self.state.receive(parsed).unwrap_or_else(|error| panic!("{error}: {message}"));
        if message["type"] == "event" {
            self.events.push(message.clone());
        }
        let id = message["id"].as_str().filter(|id| *id != "sub");
        if let (Some(id), Some("snapshot" | "result" | "error")) = (id, message["type"].as_str()) {
            let number = self.number();
            self.replies.insert(id.to_owned(), (message.clone(), number));
        }
    }

    fn copy(&self) -> Option<&Node> {
        self.state.tree(&MessageId::from("sub"))
    }

    /// The number that the copy shows; `None` before there is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.copy()?.property("n")?.as_u64()
    }

    pub(super) fn events(&self) -> &[Value] {
        &self.events
    }

    pub(super) fn reply(&self, id: &str) -> Option<&Value> {
        self.replies.get(id).map(|(message, _)| message)
    }

    pub(super) fn replies(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.replies.iter().map(|(id, (message, _))| (id.as_str(), message))
    }

    /// The number that the copy showed when this reply was received.
    pub(super) fn number_at(&self, id: &str) -> Option<u64> {
        self.replies.get(id).and_then(|(_, number)| *number)
    }

    /// Compares the copy with a fresh query.
    pub(super) fn check_copy(&mut self) {
        self.sender().query("check");
        self.receive_until(|consumer| consumer.reply("check").is_some());
        let fresh = self.reply("check").map(|reply| reply["tree"].clone());
        assert_eq!(self.copy().map(Node::to_json), fresh, "the copy differs from a fresh query");
    }
}
