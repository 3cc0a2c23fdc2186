//! A consumer on a real socket that loses it, comes back, and goes on from its copy.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::backoff::Backoff;
use super::secrets::Secrets;
use crate::consumer::QUERY;
use crate::mirror::Mirror;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long a connection may take to stand.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes read at once; there are many visitors.
const READ_BUFFER_BYTES: usize = 4096;

/// How often, and after which time each, a copy is compared again while the last patch is on its way.
const LOOKS: u32 = 100;
const LOOK: Duration = Duration::from_millis(100);

/// What is heard from the server.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message; the copy has taken it already.
    Message(Value),
    /// The connection is over; with its code, if the server said one.
    Closed(Option<u16>),
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    /// The server answered the upgrade with this status.
    Refused(u16),
    Unreachable,
}

/// How often what happened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) connects: u64,
    pub(super) resumed: u64,
    pub(super) snapshots: u64,
    pub(super) patches: u64,
}

/// One consumer, subscribed to the whole tree whenever it is connected.
pub(super) struct Visitor {
    url: String,
    socket: Option<Socket>,
    mirror: Mirror,
    epoch: String,
    /// Which connection it was, so that the next one takes its place.
    connection: String,
    pub(super) backoff: Backoff,
    pub(super) counts: Counts,
    /// What must not be received, if anything.
    secrets: Option<Secrets>,
    /// What was not as it has to be.
    pub(super) problems: Vec<String>,
}

/// Opens a socket.
pub(super) async fn dial(url: &str) -> Result<Socket, Away> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    match timeout(PATIENCE, connect_async_with_config(url, Some(config), true)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(Error::Http(answer))) => Err(Away::Refused(answer.status().as_u16())),
        Ok(Err(_)) | Err(_) => Err(Away::Unreachable),
    }
}

impl Visitor {
    pub(super) fn new(url: String, secrets: Option<Secrets>) -> Self {
        Self {
            url,
            socket: None,
            mirror: Mirror::default(),
            epoch: String::new(),
            connection: String::new(),
            backoff: Backoff::default(),
            counts: Counts::default(),
            secrets,
            problems: Vec::new(),
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Connects and subscribes; the answer to that is heard later.
    pub(super) async fn connect(&mut self) -> Result<(), Away> {
        self.socket = Some(dial(&self.url).await?);
        match timeout(PATIENCE, self.next()).await {
            Ok(Heard::Message(hello)) if hello["type"] == "hello" => self.subscribe(&hello).await,
            Ok(Heard::Message(other)) => {
                self.problems.push(format!("instead of hello came {other}"));
                self.drop_socket();
            }
            Ok(Heard::Closed(_)) => {}
            Err(_) => self.drop_socket(),
        }
        if !self.is_connected() {
            return Err(Away::Unreachable);
        }
        self.counts.connects += 1;
        self.backoff.reset();
        Ok(())
    }

    /// Asks to go on from the copy, if there is one.
    async fn subscribe(&mut self, hello: &Value) {
        let mut message = json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1});
        if let Some(version) = self.mirror.version() {
            message["resume"] = json!({
                "epoch": self.epoch,
                "version": version,
                "connection": self.connection,
            });
        }
        hello["provider"]["connection"].as_str().unwrap_or_default().clone_into(&mut self.connection);
        let epoch = hello["provider"]["epoch"].as_str().unwrap_or_default();
        if epoch != self.epoch {
            epoch.clone_into(&mut self.epoch);
            self.mirror.begin_epoch();
        }
        self.send(&message).await;
    }

    /// Sends a message, if it is connected. A socket that fails is noticed when it is read.
    pub(super) async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    async fn send_text(&mut self, text: &str) {
        if let Some(socket) = &mut self.socket {
            let _ = socket.send(Message::text(text)).await;
        }
    }

    /// Waits for what comes next. May be dropped and called again: nothing is lost.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            let Some(socket) = &mut self.socket else { return Heard::Closed(None) };
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    if let Some(message) = self.take(text.as_str()) {
                        return Heard::Message(message);
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    self.drop_socket();
                    return Heard::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.drop_socket();
                    return Heard::Closed(None);
                }
            }
        }
    }

    fn take(&mut self, text: &str) -> Option<Value> {
        if let Some(owner) = self.secrets.as_ref().and_then(|secrets| secrets.foreign(text)) {
            self.problems.push(format!("{:?} received a secret of {owner}", self.secrets));
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            self.problems.push("a frame is not JSON".to_owned());
            return None;
        };
        match message["type"].as_str() {
            Some("patch") => self.counts.patches += 1,
            Some("resumed") => self.counts.resumed += 1,
            Some("snapshot") if message["seq"] == 0 => self.counts.snapshots += 1,
            Some("event") if message["name"] == "server.draining" => {
                self.backoff.ask(message["data"]["retry_in_ms"].as_u64().unwrap_or_default());
            }
            _ => {}
        }
        if let Err(why) = self.mirror.follow(&message) {
            self.problems.push(why);
        }
        Some(message)
    }

    /// Loses the socket without a word.
    pub(super) fn drop_socket(&mut self) {
        self.socket = None;
        self.mirror.lose();
    }

    /// Leaves like a peer that has time for it.
    pub(super) async fn leave(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            let _ = timeout(PATIENCE, socket.close(None)).await;
        }
        self.mirror.lose();
    }

    /// Whether the copy comes to show what a fresh query is answered, while nothing changes. `None` if the connection is
    /// over.
    pub(super) async fn shows_the_truth(&mut self) -> Option<bool> {
        for _ in 0..LOOKS {
            self.send_text(QUERY).await;
            let fresh = self.answer("fresh").await?;
            if self.mirror.shows(&fresh["tree"]) {
                return Some(true);
            }
            // Meanwhile what is missing may come.
            let reading = async { while let Heard::Message(_) = self.next().await {} };
            let _ = timeout(LOOK, reading).await;
            if !self.is_connected() {
                sleep(LOOK).await;
                return None;
            }
        }
        Some(false)
    }

    /// Waits for the answer to a request. `None` if the connection is over.
    pub(super) async fn answer(&mut self, id: &str) -> Option<Value> {
        let waiting = async {
            loop {
                match self.next().await {
                    Heard::Message(message) if message["id"] == id => return Some(message),
                    Heard::Message(_) => {}
                    Heard::Closed(_) => return None,
                }
            }
        };
        let answered = timeout(PATIENCE, waiting).await;
        if answered.is_err() {
            self.problems.push(format!("`{id}` was not answered"));
            self.drop_socket();
        }
        answered.ok().flatten()
    }
}
