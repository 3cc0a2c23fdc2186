//! One peer on either way in. It copies the tree of every subscription and checks each message as it comes.

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

use crate::case::Who;

/// Longer than anything takes; only a failing case waits so long.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often an inexact mirror is looked at again: a change may be on its way.
const LOOKS: u32 = 40;

/// How a peer is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Memory,
    Socket,
}

enum Link {
    Memory(Box<Connection>),
    Socket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
}

/// A message, or the end.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Value),
    Closed(u16),
}

pub(crate) struct Peer {
    link: Link,
    is_tab: bool,
    state: ConsumerState,
    fences: u64,
}

impl Peer {
    pub(crate) async fn connect(app: &Running, way: Way, who: &Who) -> Self {
        let link = match way {
            Way::Memory => {
                let role = who.tab.clone().map_or(Role::Consumer, |mount| Role::Tab { mount });
                let connection = Provider::connect(app.engine(), session_of(&who.token), role);
                Link::Memory(Box::new(connection.unwrap_or_else(|error| panic!("{who:?} is refused: {error}"))))
            }
            Way::Socket => {
                let tab =
                    who.tab.as_ref().map_or_else(String::new, |mount| format!("&slop_role=provider&mount={mount}"));
                let url = format!("ws://{}/slop?token={}{tab}", app.address(), who.token);
                let connected = timeout(PATIENCE, tokio_tungstenite::connect_async(url)).await.expect("an answer");
                let (socket, _) = connected.unwrap_or_else(|error| panic!("{who:?} is refused: {error}"));
                Link::Socket(Box::new(socket))
            }
        };
        let mut peer = Self { link, is_tab: who.tab.is_some(), state: ConsumerState::strict(), fences: 0 };
        if !who.silent {
            let first = peer.message().await;
            let wanted = if peer.is_tab { "connect" } else { "hello" };
            assert_eq!(first["type"], wanted, "what comes first: {first}");
        }
        peer
    }

    pub(crate) async fn say(&mut self, text: &str) {
        if let Ok(message) = serde_json::from_str::<Value>(text) {
            self.state.sent(&message);
        }
        match &mut self.link {
            Link::Memory(connection) => connection.receive(text),
            Link::Socket(socket) => socket.send(Message::text(text)).await.unwrap(),
        }
    }

    pub(crate) async fn say_binary(&mut self, bytes: &[u8]) {
        match &mut self.link {
            Link::Memory(connection) => connection.receive_binary(bytes),
            Link::Socket(socket) => socket.send(Message::binary(bytes.to_vec())).await.unwrap(),
        }
    }

    /// The next thing that comes. Pings are answered along the way.
    pub(crate) async fn hear(&mut self) -> Heard {
        let heard = timeout(PATIENCE, Self::next(&mut self.link)).await.expect("a message");
        if let Heard::Message(message) = &heard
            && !self.is_tab
        {
            self.take(message);
        }
        heard
    }

    async fn next(link: &mut Link) -> Heard {
        loop {
            let text = match link {
                Link::Memory(connection) => match connection.next_frame().await {
                    Frame::Text(text) => text,
                    Frame::Close { code, .. } => return Heard::Closed(code.as_u16()),
                    Frame::Ping => {
                        connection.heard();
                        continue;
                    }
                },
                Link::Socket(socket) => match socket.next().await.expect("an open connection").unwrap() {
                    Message::Text(text) => text.to_string(),
                    Message::Close(frame) => return Heard::Closed(frame.expect("a code").code.into()),
                    Message::Ping(_) => continue,
                    other => panic!("a frame is one JSON text: {other:?}"),
                },
            };
            let message: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(message.is_object(), "one frame is one object: {text}");
            return Heard::Message(message);
        }
    }

    pub(crate) async fn message(&mut self) -> Value {
        match self.hear().await {
            Heard::Message(message) => message,
            Heard::Closed(code) => panic!("closed with {code}"),
        }
    }

    fn take(&mut self, message: &Value) {
        assert!(!message.as_object().unwrap().values().any(Value::is_null), "what is absent is left out: {message}");
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

    /// The copy of a subscription; null while there is nothing.
    pub(crate) fn mirror(&self, subscription: &Value) -> Value {
        let id = MessageId::from_json(subscription);
        id.and_then(|id| self.state.tree(&id)).map_or(Value::Null, Node::to_json)
    }

    fn fence(&mut self) -> String {
        self.fences += 1;
        format!("~fence-{}", self.fences)
    }

    /// Waits a while; then the answer to a query must be the next thing that comes.
    pub(crate) async fn quiet(&mut self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let id = self.fence();
        self.say(&json!({"type": "query", "id": id, "path": "/me", "depth": 0}).to_string()).await;
        let next = self.message().await;
        assert_eq!(next["id"], id.as_str(), "nothing was to come, but there is {next}");
    }

    /// The answer to a query; what comes before it is only taken in.
    pub(crate) async fn query(&mut self, options: &Value) -> Value {
        let id = self.fence();
        let mut query = options.clone();
        query["type"] = json!("query");
        query["id"] = json!(id);
        self.say(&query.to_string()).await;
        loop {
            let message = self.message().await;
            if message["id"] == id.as_str() {
                return message;
            }
        }
    }

    /// Every copy equals a fresh query with the same options, at once or when what is on its way has come.
    pub(crate) async fn check_mirrors(&mut self) {
        if self.is_tab {
            return;
        }
        let subscriptions = self.state.subscriptions();
        let asked: Vec<_> = subscriptions.map(|(id, of)| (id.clone(), of.options().clone())).collect();
        for (id, options) in asked {
            let mut looks = 0;
            loop {
                let fresh = self.query(&options).await;
                let wanted = fresh.get("tree").map(|tree| Node::try_from(tree).unwrap());
                let copy = self.state.tree(&id);
                if copy == wanted.as_ref() {
                    break;
                }
                looks += 1;
                assert!(looks < LOOKS, "the copy of {id}\n  shows {copy:?}\n  not   {wanted:?}");
                self.listen(Duration::from_millis(50)).await;
            }
        }
    }

    /// Takes in whatever comes for a while.
    async fn listen(&mut self, wait: Duration) {
        while let Ok(heard) = timeout(wait, Self::next(&mut self.link)).await {
            match heard {
                Heard::Message(message) => self.take(&message),
                Heard::Closed(code) => panic!("closed with {code}"),
            }
        }
    }
}
