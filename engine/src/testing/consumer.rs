//! A consumer in memory. It keeps a mirror of every subscription and checks each message as it arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::mirror::{Mirror, same};
use crate::connection::Connection;
use crate::deliver::frame::Frame;
use crate::engine::Engine;
use crate::model::session::Session;

/// How long a message may take, in real time, before a test is said to hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// One consumer of one session.
#[derive(Debug)]
pub struct TestConsumer {
    engine: Engine,
    connection: Connection,
    mirrors: BTreeMap<String, (Value, Mirror)>,
    session: Session,
    epoch: String,
    /// What the provider calls the connection.
    name: String,
    next_id: u64,
    closed: Option<u16>,
}

impl TestConsumer {
    /// Connects, and takes `hello`, which must be first.
    ///
    /// # Panics
    /// If the session is refused, or something else comes first.
    pub async fn connect(engine: &Engine, session: Session) -> Self {
        let mut consumer = Self::silent(engine, session);
        let hello = consumer.next().await;
        consumer.greeted(&hello);
        consumer
    }

    fn greeted(&mut self, hello: &Value) {
        assert_eq!(hello["type"], "hello", "hello is first: {hello}");
        let field = |name: &str| hello["provider"][name].as_str().unwrap_or_default().to_owned();
        (self.epoch, self.name) = (field("epoch"), field("connection"));
    }

    /// Loses the socket and comes back: every subscription goes on from its copy, or starts anew if the engine does not
    /// know where it stood.
    ///
    /// # Panics
    /// If the session is refused.
    pub async fn reconnect(&mut self) {
        let epoch = std::mem::take(&mut self.epoch);
        drop(self.dial().await);
        self.resume(&epoch, None);
    }

    /// Comes back while the engine still takes the old connection for alive, and names it as the one that is replaced.
    /// Answers the old connection.
    ///
    /// # Panics
    /// If the session is refused.
    pub async fn supersede(&mut self) -> Connection {
        let name = std::mem::take(&mut self.name);
        self.come_back_for(Some(&name)).await
    }

    /// Comes back while the engine still takes the old connection for alive, and names `lost` as the one that is
    /// replaced, or none. Answers the old connection.
    ///
    /// # Panics
    /// If the session is refused.
    pub async fn come_back_for(&mut self, lost: Option<&str>) -> Connection {
        let epoch = std::mem::take(&mut self.epoch);
        let old = self.dial().await;
        self.resume(&epoch, lost);
        old
    }

    /// Which provider's versions this consumer knows.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// What the provider calls this connection.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new connection; answers the one before.
    async fn dial(&mut self) -> Connection {
        let new = self.engine.connect(&self.session).unwrap_or_else(|error| panic!("refused: {error}"));
        let old = std::mem::replace(&mut self.connection, new);
        self.closed = None;
        let hello = self.next().await;
        self.greeted(&hello);
        old
    }

    /// Subscribes again to everything, with where each copy stands.
    fn resume(&mut self, epoch: &str, lost: Option<&str>) {
        for (id, (options, copy)) in &mut self.mirrors {
            copy.reconnect();
            let mut position = json!({"epoch": epoch, "version": copy.version()});
            if let Some(lost) = lost {
                position["connection"] = lost.into();
            }
            let message = with(options.clone(), json!({"type": "subscribe", "id": id, "resume": position}));
            self.connection.receive(&message.to_string());
        }
    }

    /// Connects and takes nothing yet.
    ///
    /// # Panics
    /// If the session is refused.
    #[must_use]
    pub fn silent(engine: &Engine, session: Session) -> Self {
        let connection = engine.connect(&session).unwrap_or_else(|error| panic!("the session is refused: {error}"));
        Self {
            engine: engine.clone(),
            connection,
            mirrors: BTreeMap::new(),
            session,
            epoch: String::new(),
            name: String::new(),
            next_id: 0,
            closed: None,
        }
    }

    /// The connection itself, for what this kit has no word for.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The close code, once the connection was closed.
    #[must_use]
    pub const fn closed(&self) -> Option<u16> {
        self.closed
    }

    /// Sends any message.
    pub fn send(&self, message: &Value) {
        self.connection.receive(&message.to_string());
    }

    fn id(&mut self, prefix: &str) -> String {
        self.next_id += 1;
        format!("{prefix}-{}", self.next_id)
    }

    /// The next message, checked against the mirrors. Answers pings by itself.
    ///
    /// # Panics
    /// If nothing comes for a long time, or the message breaks a rule.
    pub async fn next(&mut self) -> Value {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.connection.next_frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("nothing came"));
            if let Some(message) = self.take(frame) {
                return message;
            }
        }
    }

    /// Everything that can be read now, after the engine has come to rest.
    ///
    /// # Panics
    /// If a message breaks a rule.
    pub async fn settled(&mut self) -> Vec<Value> {
        self.engine.settle().await;
        self.ready()
    }

    /// Everything that can be read now, whatever the engine is at.
    ///
    /// # Panics
    /// If a message breaks a rule.
    pub fn ready(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(frame) = self.connection.try_next_frame() {
            messages.extend(self.take(frame));
        }
        messages
    }

    fn take(&mut self, frame: Frame) -> Option<Value> {
        match frame {
            Frame::Text(text) => {
                let message = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                self.check(&message);
                Some(message)
            }
            Frame::Ping => {
                self.connection.heard();
                None
            }
            Frame::Close { code, reason } => {
                let code = code.as_u16();
                self.closed = Some(code);
                Some(json!({"type": "closed", "code": code, "reason": reason}))
            }
        }
    }

    fn check(&mut self, message: &Value) {
        let mirror = |mirrors: &mut BTreeMap<String, (Value, Mirror)>, id: &Value| {
            let id = id.as_str().unwrap_or_default().to_owned();
            mirrors.remove_entry(&id)
        };
        match message["type"].as_str() {
            Some("snapshot") if message.get("seq").is_some() => {
                let (id, (options, mut copy)) = mirror(&mut self.mirrors, &message["id"])
                    .unwrap_or_else(|| panic!("a snapshot that nobody asked for: {message}"));
                copy.snapshot(message);
                self.mirrors.insert(id, (options, copy));
            }
            Some("resumed") => {
                let id = message["id"].as_str().unwrap_or_default();
                let (_, copy) = self.mirrors.get_mut(id).unwrap_or_else(|| panic!("nobody resumed: {message}"));
                copy.resumed(message);
            }
            Some("patch") => {
                let (id, (options, mut copy)) = mirror(&mut self.mirrors, &message["subscription"])
                    .unwrap_or_else(|| panic!("a patch of no subscription: {message}"));
                copy.patch(message);
                self.mirrors.insert(id, (options, copy));
            }
            Some("error") => {
                if let Some((id, (options, mut copy))) = mirror(&mut self.mirrors, &message["id"]) {
                    copy.gone();
                    self.mirrors.insert(id, (options, copy));
                }
            }
            _ => {}
        }
    }

    /// Subscribes to a path with all that is below it, and answers the id and the first tree.
    ///
    /// # Panics
    /// If the first message for it is not a snapshot.
    pub async fn subscribe(&mut self, path: &str) -> (String, Value) {
        self.subscribe_with(json!({"path": path, "depth": -1})).await
    }

    /// Subscribes with options (`path`, `depth`, `filter`, `max_nodes`), and answers the id and the first tree.
    ///
    /// # Panics
    /// If the first message for it is not a snapshot.
    pub async fn subscribe_with(&mut self, options: Value) -> (String, Value) {
        let id = self.start_subscription(options);
        loop {
            let message = self.next().await;
            if message["id"] == id.as_str() {
                assert_eq!(message["type"], "snapshot", "a subscription starts with a snapshot: {message}");
                return (id, message["tree"].clone());
            }
        }
    }

    /// Sends a subscription and takes nothing yet.
    pub fn start_subscription(&mut self, options: Value) -> String {
        let id = self.id("sub");
        self.mirrors.insert(id.clone(), (options.clone(), Mirror::default()));
        self.send(&with(options, json!({"type": "subscribe", "id": id})));
        id
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, id: &str) {
        self.mirrors.remove(id);
        self.send(&json!({"type": "unsubscribe", "id": id}));
    }

    /// The copy of a subscription's tree as it is now.
    ///
    /// # Panics
    /// If there is no such subscription.
    #[must_use]
    pub fn tree(&self, subscription: &str) -> &Value {
        self.mirrors[subscription].1.tree()
    }

    /// Queries, and answers the whole message.
    pub async fn query_with(&mut self, options: Value) -> Value {
        let id = self.id("q");
        self.send(&with(options, json!({"type": "query", "id": id})));
        self.answer(&id).await
    }

    /// Queries a path with all that is below it, and answers the tree; null if there is no such path.
    pub async fn query(&mut self, path: &str) -> Value {
        self.query_with(json!({"path": path, "depth": -1})).await["tree"].clone()
    }

    /// Invokes, and answers the result.
    pub async fn invoke(&mut self, path: &str, action: &str, params: Value) -> Value {
        let id = self.start_invoke(path, action, params);
        self.answer(&id).await
    }

    /// Sends an invocation and takes nothing yet.
    #[expect(clippy::needless_pass_by_value, reason = "written as `start_invoke(.., json!({..}))`")]
    pub fn start_invoke(&mut self, path: &str, action: &str, params: Value) -> String {
        let id = self.id("inv");
        self.send(&json!({"type": "invoke", "id": id, "path": path, "action": action, "params": params}));
        id
    }

    /// Takes messages until the one that answers a request.
    pub async fn answer(&mut self, id: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["id"] == id {
                return message;
            }
            assert_ne!(message["type"], "closed", "closed while waiting for {id}: {message}");
        }
    }

    /// Comes to rest, then compares the copy of every subscription with a fresh query of the same options.
    ///
    /// # Panics
    /// If a copy differs.
    pub async fn check_mirrors(&mut self) {
        self.settled().await;
        let copies: Vec<_> = self
            .mirrors
            .iter()
            .map(|(id, (options, copy))| (id.clone(), options.clone(), copy.tree().clone()))
            .collect();
        for (id, options, copy) in copies {
            let fresh = self.query_with(options).await["tree"].clone();
            assert!(same(&copy, &fresh), "the copy of {id} differs\n copy: {copy}\nfresh: {fresh}");
        }
    }
}

fn with(mut options: Value, more: Value) -> Value {
    if let (Some(options), Value::Object(more)) = (options.as_object_mut(), more) {
        options.extend(more);
    }
    options
}
