//! One peer, in memory or over a socket. It copies the tree of every subscription and checks each message on receipt.

use std::time::Duration;

use conformance::{Running, session_of};
use futures_util::{SinkExt, StreamExt};
use grove_engine::client::{ConsumerState, Message as Parsed, MessageId, Node};
use grove_engine::{Connection, Frame, Provider, Role};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::case::PeerOptions;

/// Longer than any step takes; only a failing case waits this long.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How often an inexact mirror is checked again, since a change may be in flight.
const ATTEMPTS: u32 = 40;

/// How a peer is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Memory,
    Socket,
}

enum Channel {
    Memory(Box<Connection>),
    Socket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
}

/// A message, or the close of the connection.
#[derive(Debug)]
pub(crate) enum Received {
    Message(Value),
    Closed(u16),
}

pub(crate) struct Peer {
    channel: Channel,
    is_tab: bool,
    state: ConsumerState,
    fences: u64,
}

impl Peer {
    pub(crate) async fn connect(app: &Running, transport: Transport, options: &PeerOptions) -> Self {
        let channel = match transport {
            Transport::Memory => {
                let role = options.tab.clone().map_or(Role::Consumer, |mount| Role::Tab { mount });
                let connection = Provider::connect(app.engine(), session_of(&options.token), role);
                Channel::Memory(Box::new(connection.unwrap_or_else(|error| panic!("{options:?} was refused: {error}"))))
            }
            Transport::Socket => {
                let tab =
                    options.tab.as_ref().map_or_else(String::new, |mount| format!("&slop_role=provider&mount={mount}"));
                let url = format!("ws://{}/slop?token={}{tab}", app.address(), options.token);
                let connected = timeout(TIMEOUT, tokio_tungstenite::connect_async(url)).await.expect("a response");
                let (socket, _) = connected.unwrap_or_else(|error| panic!("{options:?} was refused: {error}"));
                Channel::Socket(Box::new(socket))
            }
        };
        let mut peer = Self { channel, is_tab: options.tab.is_some(), state: ConsumerState::strict(), fences: 0 };
        if !options.silent {
            let first = peer.message().await;
            let expected = if peer.is_tab { "connect" } else { "hello" };
            assert_eq!(first["type"], expected, "the first message: {first}");
        }
        peer
    }

    pub(crate) async fn send(&mut self, text: &str) {
        if let Ok(message) = serde_json::from_str::<Value>(text) {
            self.state.sent(&message);
        }
        match &mut self.channel {
            Channel::Memory(connection) => connection.receive(text),
            Channel::Socket(socket) => socket.send(Message::text(text)).await.unwrap(),
        }
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        match &mut self.channel {
            Channel::Memory(connection) => connection.receive_binary(bytes),
            Channel::Socket(socket) => socket.send(Message::binary(bytes.to_vec())).await.unwrap(),
        }
    }

    /// Receives the next message or close. Pings are answered automatically.
    pub(crate) async fn receive(&mut self) -> Received {
        let received = timeout(TIMEOUT, Self::next(&mut self.channel)).await.expect("a message");
        if let Received::Message(message) = &received
            && !self.is_tab
        {
            self.check(message);
        }
        received
    }

    async fn next(channel: &mut Channel) -> Received {
        loop {
            let text = match channel {
                Channel::Memory(connection) => match connection.next_frame().await {
                    Frame::Text(text) => text,
                    Frame::Close { code, .. } => return Received::Closed(code.as_u16()),
                    Frame::Ping => {
                        connection.heard();
                        continue;
                    }
                },
                Channel::Socket(socket) => match socket.next().await.expect("an open connection").unwrap() {
                    Message::Text(text) => text.to_string(),
                    Message::Close(frame) => return Received::Closed(frame.expect("a code").code.into()),
                    Message::Ping(_) => continue,
                    other => panic!("a frame is one JSON text: {other:?}"),
                },
            };
            let message: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(message.is_object(), "one frame is one object: {text}");
            return Received::Message(message);
        }
    }

    pub(crate) async fn message(&mut self) -> Value {
        match self.receive().await {
            Received::Message(message) => message,
            Received::Closed(code) => panic!("closed with {code}"),
        }
    }

    fn check(&mut self, message: &Value) {
        assert!(!message.as_object().unwrap().values().any(Value::is_null), "an absent field is omitted: {message}");
        let parsed = Parsed::from_json(message).unwrap_or_else(|error| panic!("{error}: {message}"));
        if let Parsed::Resumed { id, .. } = &parsed
            && self.state.tree(id).is_none()
        {
            // The case resumes another peer's copy, which this one does not have: there is nothing to check.
            self.state.sent(&json!({"type": "unsubscribe", "id": id}));
            return;
        }
        self.state.receive(parsed).unwrap_or_else(|error| panic!("{error}: {message}"));
    }

    /// Returns the copy of a subscription; null while there is none.
    pub(crate) fn mirror(&self, subscription: &Value) -> Value {
        let id = MessageId::from_json(subscription);
        id.and_then(|id| self.state.tree(&id)).map_or(Value::Null, Node::to_json)
    }

    fn fence(&mut self) -> String {
        self.fences += 1;
        format!("~fence-{}", self.fences)
    }

    /// Waits; then the reply to a query must be the next message.
    pub(crate) async fn quiet(&mut self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let id = self.fence();
        self.send(&json!({"type": "query", "id": id, "path": "/me", "depth": 0}).to_string()).await;
        let next = self.message().await;
        assert_eq!(next["id"], id.as_str(), "nothing was expected, but {next} was received");
    }

    /// Returns the reply to a query; earlier messages are only checked.
    pub(crate) async fn query(&mut self, options: &Value) -> Value {
        let id = self.fence();
        let mut query = options.clone();
        query["type"] = json!("query");
        query["id"] = json!(id);
        self.send(&query.to_string()).await;
        loop {
            let message = self.message().await;
            if message["id"] == id.as_str() {
                return message;
            }
        }
    }

    /// Asserts that every copy equals a fresh query with the same options, at once or after messages in flight.
    pub(crate) async fn check_mirrors(&mut self) {
        if self.is_tab {
            return;
        }
        let subscriptions = self.state.subscriptions();
        let requested: Vec<_> = subscriptions.map(|(id, of)| (id.clone(), of.options().clone())).collect();
        for (id, options) in requested {
            let mut attempts = 0;
            loop {
                let fresh = self.query(&options).await;
                let expected = fresh.get("tree").map(|tree| Node::try_from(tree).unwrap());
                let copy = self.state.tree(&id);
                if copy == expected.as_ref() {
                    break;
                }
                attempts += 1;
                assert!(attempts < ATTEMPTS, "the copy of {id}\n  is       {copy:?}\n  and not  {expected:?}");
                self.listen(Duration::from_millis(50)).await;
            }
        }
    }

    /// Checks all messages that are received within this time.
    async fn listen(&mut self, wait: Duration) {
        while let Ok(received) = timeout(wait, Self::next(&mut self.channel)).await {
            match received {
                Received::Message(message) => self.check(&message),
                Received::Closed(code) => panic!("closed with {code}"),
            }
        }
    }
}
