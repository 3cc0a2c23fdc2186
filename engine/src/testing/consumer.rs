//! A consumer in memory. It copies every subscription's tree and checks each message as it arrives.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::writer::Writer;
use crate::client::{ConsumerState, Hello, Message, MessageId, Node, Received};
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
    writer: Writer,
    state: ConsumerState,
    /// The copies as JSON, written when a test looks at them.
    trees: BTreeMap<String, OnceLock<Value>>,
    session: Session,
    closed: Option<u16>,
}

impl TestConsumer {
    /// Connects and takes `hello`, which must be first.
    ///
    /// # Panics
    /// If the session is refused, or something else comes first.
    pub async fn connect(engine: &Engine, session: Session) -> Self {
        let mut consumer = Self::silent(engine, session);
        consumer.next_hello().await;
        consumer
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
            writer: Writer::new(),
            state: ConsumerState::strict(),
            trees: BTreeMap::new(),
            session,
            closed: None,
        }
    }

    async fn next_hello(&mut self) {
        let hello = self.next().await;
        assert_eq!(hello["type"], "hello", "hello is first: {hello}");
    }

    /// Loses the connection and makes another: every subscription goes on from its copy, or starts anew if the engine does
    /// not know where it stood.
    ///
    /// # Panics
    /// If the session is refused.
    pub async fn reconnect(&mut self) {
        drop(self.dial().await);
        self.resume(None);
    }

    /// Makes another connection while the engine still takes the old one to be alive, and names it as the one that is
    /// replaced. Returns the old connection.
    ///
    /// # Panics
    /// If the session is refused.
    pub async fn supersede(&mut self) -> Connection {
        let name = self.name().to_owned();
        self.come_back_for(Some(&name)).await
    }

    /// Makes another connection while the engine still takes the old one to be alive, and names `lost` as the one that is
    /// replaced, or none. Returns the old connection.
    ///
    /// # Panics
    /// If the session is refused.
    pub async fn come_back_for(&mut self, lost: Option<&str>) -> Connection {
        let old = self.dial().await;
        self.resume(lost);
        old
    }

    /// Makes a new connection. Returns the one before.
    async fn dial(&mut self) -> Connection {
        let new = self.engine.connect(&self.session).unwrap_or_else(|error| panic!("refused: {error}"));
        let old = std::mem::replace(&mut self.connection, new);
        (self.writer, self.closed) = (Writer::new(), None);
        self.state.disconnect();
        self.next_hello().await;
        old
    }

    fn resume(&mut self, replaces: Option<&str>) {
        self.state.resume(replaces);
        self.send_all();
    }

    /// By whose versions this consumer knows its copies.
    #[must_use]
    pub fn epoch(&self) -> &str {
        self.hello_field(|hello| hello.epoch.as_deref())
    }

    /// What the provider calls this connection.
    #[must_use]
    pub fn name(&self) -> &str {
        self.hello_field(|hello| hello.connection.as_deref())
    }

    fn hello_field<'h>(&'h self, field: impl FnOnce(&'h Hello) -> Option<&'h str>) -> &'h str {
        self.state.hello().and_then(field).unwrap_or_default()
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

    /// Sends any message, whether it makes sense or not.
    pub fn send(&mut self, message: &Value) {
        self.state.sent(message);
        self.connection.receive(&message.to_string());
    }

    fn send_all(&mut self) {
        while let Some(message) = self.state.next_message() {
            self.connection.receive(&message);
        }
    }

    /// The next message, checked against the copies. Pings are answered.
    ///
    /// # Panics
    /// If nothing comes for a long time, or the message breaks a rule.
    pub async fn next(&mut self) -> Value {
        loop {
            let frame = poll_fn(|context| self.writer.poll_next(&self.connection, context));
            let frame = tokio::time::timeout(PATIENCE, frame).await.unwrap_or_else(|_| panic!("nothing came"));
            if let Some(message) = self.take(frame) {
                return message;
            }
        }
    }

    /// Everything that the engine has to send after it has come to rest, if it has woken the connection for it.
    ///
    /// # Panics
    /// If a message breaks a rule.
    pub async fn settled(&mut self) -> Vec<Value> {
        self.engine.settle().await;
        self.ready()
    }

    /// Everything that the engine has to send now, whatever it is doing, if it has woken the connection for it.
    ///
    /// # Panics
    /// If a message breaks a rule.
    pub fn ready(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(frame) = self.writer.next_if_woken(&self.connection) {
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
        check_no_nulls(&message["tree"]);
        let operations = message["ops"].as_array().into_iter().flatten();
        operations.filter(|operation| is_about_child(operation)).for_each(|child| check_no_nulls(&child["value"]));
        let parsed = Message::from_json(message).unwrap_or_else(|error| panic!("{error}: {message}"));
        let received = self.state.receive(parsed).unwrap_or_else(|error| panic!("{error}: {message}"));
        if let Received::Snapshot(id) | Received::Patched(id) | Received::Absent(id, _) = received {
            self.trees.insert(id.as_str().to_owned(), OnceLock::new());
        }
    }

    /// Subscribes to a path with all that is below it. Returns the id and the first tree.
    ///
    /// # Panics
    /// If the first message for it is not a snapshot.
    pub async fn subscribe(&mut self, path: &str) -> (String, Value) {
        self.subscribe_with(json!({"path": path, "depth": -1})).await
    }

    /// Subscribes with options (`path`, `depth`, `filter`, `max_nodes`). Returns the id and the first tree.
    ///
    /// # Panics
    /// If the first message for it is not a snapshot.
    pub async fn subscribe_with(&mut self, options: Value) -> (String, Value) {
        let id = self.start_subscription(options);
        let message = self.answer(&id).await;
        assert_eq!(message["type"], "snapshot", "a subscription starts with a snapshot: {message}");
        (id, message["tree"].clone())
    }

    /// Sends a subscription and takes nothing yet.
    pub fn start_subscription(&mut self, options: Value) -> String {
        let id = self.state.subscribe(options).as_str().to_owned();
        self.trees.insert(id.clone(), OnceLock::new());
        self.send_all();
        id
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, id: &str) {
        self.trees.remove(id);
        self.state.unsubscribe(&id.into());
        self.send_all();
    }

    /// The copy of a subscription's tree as it is now; null while there is nothing to show.
    ///
    /// # Panics
    /// If there is no such subscription.
    #[must_use]
    pub fn tree(&self, subscription: &str) -> &Value {
        let tree = || self.state.tree(&subscription.into()).map_or(Value::Null, Node::to_json);
        self.trees[subscription].get_or_init(tree)
    }

    /// Queries. Returns the whole message.
    pub async fn query_with(&mut self, options: Value) -> Value {
        let id = self.state.query(options);
        self.request(&id).await
    }

    /// Queries a path with all that is below it. Returns the tree; null if there is no such path.
    pub async fn query(&mut self, path: &str) -> Value {
        self.query_with(json!({"path": path, "depth": -1})).await["tree"].clone()
    }

    /// Invokes. Returns the result.
    pub async fn invoke(&mut self, path: &str, action: &str, params: Value) -> Value {
        let id = self.state.invoke(path, action, params);
        self.request(&id).await
    }

    /// Sends an invocation and takes nothing yet.
    pub fn start_invoke(&mut self, path: &str, action: &str, params: Value) -> String {
        let id = self.state.invoke(path, action, params);
        self.send_all();
        id.as_str().to_owned()
    }

    async fn request(&mut self, id: &MessageId) -> Value {
        self.send_all();
        self.answer(id.as_str()).await
    }

    /// Takes messages until the one that answers a request.
    ///
    /// # Panics
    /// If the connection is closed.
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
        let subscriptions = self.state.subscriptions();
        let copies = subscriptions.map(|(id, of)| (id.clone(), of.options().clone(), of.tree().cloned()));
        for (id, options, copy) in copies.collect::<Vec<_>>() {
            let fresh = self.query_with(options).await["tree"].clone();
            let fresh = (!fresh.is_null()).then(|| Node::try_from(fresh).unwrap_or_else(|error| panic!("{error}")));
            assert_eq!(copy, fresh, "the copy of {id} differs from a fresh query");
        }
    }
}

const FIELDS: [&str; 5] = ["properties", "meta", "affordances", "content_ref", "children"];

/// Whether the value of an operation is a node.
fn is_about_child(operation: &Value) -> bool {
    operation["path"].as_str().is_some_and(|path| !path.split('/').any(|segment| FIELDS.contains(&segment)))
}

/// What is absent must be left out, although consumers can read null as well.
fn check_no_nulls(node: &Value) {
    for field in FIELDS {
        assert!(node.get(field).is_none_or(|value| !value.is_null()), "`{field}` is null: {node}");
    }
    node["children"].as_array().into_iter().flatten().for_each(check_no_nulls);
}
