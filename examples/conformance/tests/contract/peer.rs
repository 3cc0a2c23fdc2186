//! One peer on either way in. It keeps a mirror of every subscription and checks each message as it comes.

use std::collections::BTreeMap;
use std::time::Duration;

use conformance::{Running, session_of};
use futures_util::{SinkExt, StreamExt};
use grove_engine::{Connection, Frame, Provider, provider::Role};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::case::Who;
use crate::mirror::{Mirror, without_empty_lists};

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
    hellos: usize,
    version: u64,
    /// What was asked for and not answered yet, by the id's JSON.
    asked: BTreeMap<String, Value>,
    /// What was asked for, and the copy; none while the path is gone.
    mirrors: BTreeMap<String, (Value, Option<Mirror>)>,
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
        let mut peer = Self {
            link,
            is_tab: who.tab.is_some(),
            hellos: 0,
            version: 0,
            asked: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            fences: 0,
        };
        if !who.silent {
            let first = peer.message().await;
            let wanted = if peer.is_tab { "connect" } else { "hello" };
            assert_eq!(first["type"], wanted, "what comes first: {first}");
        }
        peer
    }

    pub(crate) async fn say(&mut self, text: &str) {
        if let Ok(message) = serde_json::from_str::<Value>(text) {
            self.remember(&message);
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

    fn remember(&mut self, message: &Value) {
        let id = message["id"].to_string();
        match message["type"].as_str() {
            Some("subscribe") => {
                let mut options = message.clone();
                options.as_object_mut().unwrap().retain(|key, _| !["type", "id", "resume"].contains(&key.as_str()));
                self.asked.insert(id, options);
            }
            Some("unsubscribe") => {
                self.mirrors.remove(&id);
                self.asked.remove(&id);
            }
            Some("batch") => message["messages"].as_array().into_iter().flatten().for_each(|one| self.remember(one)),
            Some("connect") => self.hellos = self.hellos.saturating_sub(1),
            _ => {}
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
        let kind = message["type"].as_str().unwrap_or_default();
        let id = message["id"].to_string();
        if kind == "hello" {
            self.hellos += 1;
            assert!(self.hellos <= 1, "hello comes once, and again only for whoever asks");
        }
        if let Some(version) = message.get("version") {
            let version = version.as_u64().unwrap_or_else(|| panic!("a version is a whole number: {message}"));
            // An answer to a query may be from the tree before the one that is on its way.
            assert!(version >= self.version, "a version never goes back: {message}");
            self.version = version;
        }
        assert!(!message.as_object().unwrap().values().any(Value::is_null), "what is absent is left out: {message}");
        match kind {
            "snapshot" if message.get("seq").is_some() => {
                if let Some(options) = self.asked.remove(&id) {
                    self.mirrors.insert(id.clone(), (options, None));
                }
                let mirror = self.mirrors.get_mut(&id).unwrap_or_else(|| panic!("for nobody: {message}"));
                mirror.1 = Some(Mirror::of_snapshot(message));
            }
            "patch" => {
                let known = self.mirrors.get_mut(&message["subscription"].to_string());
                let mirror = known.and_then(|(_, mirror)| mirror.as_mut());
                mirror.unwrap_or_else(|| panic!("a patch for nothing: {message}")).patch(message);
            }
            "error" if self.asked.remove(&id).is_none() => {
                if let Some(known) = self.mirrors.get_mut(&id) {
                    known.1 = None;
                }
            }
            _ => {}
        }
    }

    /// The mirror of a subscription; null while there is nothing.
    pub(crate) fn mirror(&self, subscription: &Value) -> Value {
        let known = self.mirrors.get(&subscription.to_string());
        known.and_then(|(_, mirror)| mirror.as_ref()).map_or(Value::Null, |mirror| mirror.tree.clone())
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

    /// Every mirror equals a fresh query with the same options, at once or when what is on its way has come.
    pub(crate) async fn check_mirrors(&mut self) {
        if self.is_tab {
            return;
        }
        let ids: Vec<String> = self.mirrors.keys().cloned().collect();
        for id in ids {
            let mut looks = 0;
            loop {
                let options = self.mirrors[&id].0.clone();
                let fresh = self.query(&options).await;
                let mirror = self.mirrors[&id].1.as_ref().map(|mirror| without_empty_lists(&mirror.tree));
                let wanted = fresh.get("tree").map(without_empty_lists);
                if mirror == wanted {
                    break;
                }
                looks += 1;
                assert!(looks < LOOKS, "the mirror of {id}\n  shows {mirror:?}\n  not   {wanted:?}");
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
