//! A WebSocket consumer that loses its socket, reconnects and resumes.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::backoff::Backoff;
use super::message_counts::MessageCounts;
use super::secrets::Secrets;
use crate::consumer::QUERY;
use crate::mirror::Mirror;
use crate::websocket::{ConnectError, Socket, dial};

/// How long a reply and a close may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often, and in which interval, a copy is compared again while the last patch is under way.
const COMPARISONS: u32 = 100;
const COMPARISON_INTERVAL: Duration = Duration::from_millis(100);

/// What comes from the server.
#[derive(Debug)]
pub(super) enum Received {
    /// A message, which is applied to the copy already.
    Message(Value),
    /// The connection is closed, with its close code if the server gave one.
    Closed(Option<u16>),
}

/// A consumer that is subscribed to the whole tree whenever it is connected.
pub(super) struct ReconnectingConsumer {
    url: String,
    socket: Option<Socket>,
    mirror: Mirror,
    epoch: String,
    /// The id of the last connection, so that the next one replaces it.
    connection: String,
    pub(super) backoff: Backoff,
    pub(super) counts: MessageCounts,
    /// If given, secrets of others must not be received.
    secrets: Option<Secrets>,
    /// Checks that failed.
    pub(super) problems: Vec<String>,
}

impl ReconnectingConsumer {
    pub(super) fn new(url: String, secrets: Option<Secrets>) -> Self {
        Self {
            url,
            socket: None,
            mirror: Mirror::default(),
            epoch: String::new(),
            connection: String::new(),
            backoff: Backoff::default(),
            counts: MessageCounts::default(),
            secrets,
            problems: Vec::new(),
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Connects and subscribes, without waiting for the snapshot or for `resumed`.
    pub(super) async fn connect(&mut self) -> Result<(), ConnectError> {
        self.socket = Some(dial(&self.url).await?);
        match timeout(REPLY_TIMEOUT, self.next()).await {
            Ok(Received::Message(hello)) if hello["type"] == "hello" => self.subscribe(&hello).await,
            Ok(Received::Message(other)) => {
                self.problems.push(format!("expected hello as the first message, but received {other}"));
                self.drop_socket();
            }
            Ok(Received::Closed(_)) => {}
            Err(_) => self.drop_socket(),
        }
        if !self.is_connected() {
            return Err(ConnectError::Unreachable);
        }
        self.counts.connects += 1;
        self.backoff.reset();
        Ok(())
    }

    /// Subscribes, and resumes from the copy if there is one.
    async fn subscribe(&mut self, hello: &Value) {
        let mut message = json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1});
        if let Some(version) = self.mirror.version() {
            message["resume"] = json!({"epoch": self.epoch, "version": version, "connection": self.connection});
        }
        hello["provider"]["connection"].as_str().unwrap_or_default().clone_into(&mut self.connection);
        let epoch = hello["provider"]["epoch"].as_str().unwrap_or_default();
        if epoch != self.epoch {
            epoch.clone_into(&mut self.epoch);
            self.mirror.begin_epoch();
        }
        self.send(&message).await;
    }

    /// Sends a message if connected. A broken socket is noticed when it is read.
    pub(super) async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    async fn send_text(&mut self, text: &str) {
        if let Some(socket) = &mut self.socket {
            let _ = socket.send(Message::text(text)).await;
        }
    }

    /// Waits for the next message. Cancel-safe: nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Received {
        loop {
            let Some(socket) = &mut self.socket else { return Received::Closed(None) };
            let code = match socket.next().await {
                Some(Ok(Message::Text(text))) => match self.receive(text.as_str()) {
                    Some(message) => return Received::Message(message),
                    None => continue,
                },
                Some(Ok(Message::Close(frame))) => frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => None,
            };
            self.drop_socket();
            return Received::Closed(code);
        }
    }

    /// Checks a message, counts it and applies it to the copy.
    fn receive(&mut self, text: &str) -> Option<Value> {
        if let Some(owner) = self.secrets.as_ref().and_then(|secrets| secrets.foreign(text)) {
            self.problems.push(format!("{:?} received a secret of {owner}", self.secrets));
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            self.problems.push("received a frame that is not JSON".to_owned());
            return None;
        };
        match message["type"].as_str() {
            Some("patch") => self.counts.patches += 1,
            Some("resumed") => self.counts.resumed += 1,
            Some("snapshot") if message["seq"] == 0 => self.counts.snapshots += 1,
            Some("event") if message["name"] == "server.draining" => {
                self.backoff.request(message["data"]["retry_in_ms"].as_u64().unwrap_or_default());
            }
            _ => {}
        }
        self.problems.extend(self.mirror.follow(&message).err());
        Some(message)
    }

    /// Drops the socket without closing it properly.
    pub(super) fn drop_socket(&mut self) {
        self.socket = None;
        self.mirror.lose();
    }

    /// Closes the socket with a close handshake.
    pub(super) async fn close(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            let _ = timeout(REPLY_TIMEOUT, socket.close(None)).await;
        }
        self.mirror.lose();
    }

    /// Whether the copy becomes equal to a fresh query, while nothing changes. `None` if the connection is closed.
    pub(super) async fn becomes_exact(&mut self) -> Option<bool> {
        for _ in 0..COMPARISONS {
            self.send_text(QUERY).await;
            let fresh = self.reply("fresh").await?;
            if self.mirror.shows(&fresh["tree"]) {
                return Some(true);
            }
            // The missing patch may come meanwhile.
            let reading = async { while let Received::Message(_) = self.next().await {} };
            let _ = timeout(COMPARISON_INTERVAL, reading).await;
            if !self.is_connected() {
                sleep(COMPARISON_INTERVAL).await;
                return None;
            }
        }
        Some(false)
    }

    /// Waits for the reply to a request. `None` if the connection is closed.
    pub(super) async fn reply(&mut self, id: &str) -> Option<Value> {
        let waiting = async {
            loop {
                match self.next().await {
                    Received::Message(message) if message["id"] == id => return Some(message),
                    Received::Message(_) => {}
                    Received::Closed(_) => return None,
                }
            }
        };
        let reply = timeout(REPLY_TIMEOUT, waiting).await;
        if reply.is_err() {
            self.problems.push(format!("the request `{id}` got no reply within {REPLY_TIMEOUT:?}"));
            self.drop_socket();
        }
        reply.ok().flatten()
    }
}
