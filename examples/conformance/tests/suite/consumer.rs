//! A hand-written consumer that checks everything it receives.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use grove_engine::client::{ConsumerState, Message as Parsed, MessageId, Node, Received};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::mirror;
use crate::running::soon;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects a WebSocket; the error is the status of the response.
pub(crate) async fn upgrade(url: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match soon("an upgrade", tokio_tungstenite::connect_async(request)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("neither a connection nor a refusal: {other}"),
    }
}

/// One connection with its subscriptions.
pub(crate) struct Consumer {
    socket: Socket,
    state: ConsumerState,
    /// The copies of the subscriptions as JSON.
    trees: BTreeMap<MessageId, Value>,
    /// The data of all events, in the order in which they were received.
    events: Vec<Value>,
    /// What the server said of itself.
    hello: Value,
}

/// A completed call: all messages received before the result, and the result.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) before: Vec<Value>,
    pub(crate) result: Value,
}

impl Call {
    /// The operations of the patches for one subscription.
    pub(crate) fn ops(&self, subscription: &str) -> Vec<Value> {
        let patches = self.before.iter().filter(|message| message["subscription"] == subscription);
        patches.flat_map(|patch| patch["ops"].as_array().unwrap().clone()).collect()
    }

    /// How many messages were received for one subscription.
    pub(crate) fn messages(&self, subscription: &str) -> usize {
        let of = |message: &&Value| message["subscription"] == subscription || message["id"] == subscription;
        self.before.iter().filter(of).count()
    }

    pub(crate) fn code(&self) -> &str {
        self.result["error"]["code"].as_str().unwrap_or("none")
    }
}

impl Consumer {
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Self {
        let socket = upgrade(&format!("ws://{address}/slop?token={token}"), &[]).await.expect("to be accepted");
        let (state, trees, events) = (ConsumerState::strict(), BTreeMap::new(), Vec::new());
        let mut consumer = Self { socket, state, trees, events, hello: Value::Null };
        let hello = consumer.receive().await;
        assert_eq!(hello["type"], "hello");
        assert_eq!(hello["provider"]["id"], "app");
        assert_eq!(hello["provider"]["name"], "Conf App");
        Self { hello, ..consumer }
    }

    /// What another connection of the same session says to take over from this one.
    pub(crate) fn resume(&self) -> Value {
        let provider = &self.hello["provider"];
        json!({"epoch": provider["epoch"], "version": 0, "connection": provider["connection"]})
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.state.sent(message);
        soon("to be sent", self.socket.send(Message::text(message.to_string()))).await.unwrap();
    }

    async fn send_pending(&mut self) {
        while let Some(message) = self.state.next_message() {
            soon("to be sent", self.socket.send(Message::text(message))).await.unwrap();
        }
    }

    /// Receives the next message and applies it to the mirrors.
    pub(crate) async fn receive(&mut self) -> Value {
        loop {
            match soon("a message", self.socket.next()).await.expect("an open connection").unwrap() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    self.apply(&message);
                    return message;
                }
                Message::Ping(_) => {}
                other => panic!("not a message of the protocol: {other:?}"),
            }
        }
    }

    /// Receives messages until one is as wanted. Returns all of them.
    pub(crate) async fn receive_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut received = Vec::new();
        loop {
            received.push(self.receive().await);
            if wanted(&received[received.len() - 1]) {
                return received;
            }
        }
    }

    /// Receives messages until the mirror of the first subscription is as wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) {
        while !wanted(self.tree()) {
            self.receive().await;
        }
    }

    /// The data of all events that were received so far.
    pub(crate) fn events(&self) -> &[Value] {
        &self.events
    }

    /// Receives messages until there is an event as wanted. Returns its data.
    pub(crate) async fn event(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(event) = self.events.iter().find(|event| wanted(event)) {
                return event.clone();
            }
            self.receive().await;
        }
    }

    /// Receives messages until the server closes. Returns the code.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match soon("a close frame", self.socket.next()).await.expect("a close frame").unwrap() {
                Message::Close(frame) => return frame.expect("a code").code.into(),
                Message::Text(text) => self.apply(&serde_json::from_str(&text).unwrap()),
                _ => {}
            }
        }
    }

    pub(crate) async fn leave(mut self) {
        soon("to close", self.socket.close(None)).await.unwrap();
        while let Some(Ok(_)) = soon("the end", self.socket.next()).await {}
    }

    fn apply(&mut self, message: &Value) {
        let parsed = Parsed::from_json(message).unwrap_or_else(|error| panic!("{error}: {message}"));
        let received = self.state.receive(parsed).unwrap_or_else(|error| panic!("{error}: {message}"));
        if message["type"] == "event" {
            self.events.push(message["data"].clone());
        }
        if let Received::Snapshot(id) | Received::Patched(id) | Received::Absent(id, _) = received {
            let tree = self.state.tree(&id).map_or(Value::Null, Node::to_json);
            self.trees.insert(id, tree);
        }
    }

    /// Sends the pending request. Returns all messages received before its reply, and the reply.
    async fn request(&mut self, id: &MessageId) -> (Vec<Value>, Value) {
        self.send_pending().await;
        let mut received = self.receive_until(|message| message["id"] == id.as_str()).await;
        let reply = received.pop().unwrap();
        (received, reply)
    }

    /// Subscribes. Returns the id.
    pub(crate) async fn subscribe(&mut self, path: &str, depth: i64) -> String {
        let id = self.state.subscribe(json!({"path": path, "depth": depth}));
        let (_, snapshot) = self.request(&id).await;
        assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
        id.as_str().to_owned()
    }

    /// Ends a subscription.
    pub(crate) async fn unsubscribe(&mut self, subscription: &str) {
        self.trees.remove(&MessageId::from(subscription));
        self.send(&json!({"type": "unsubscribe", "id": subscription})).await;
    }

    /// Returns the reply to a query: a snapshot, or an error.
    pub(crate) async fn query(&mut self, options: &Value) -> Value {
        let id = self.state.query(options.clone());
        self.request(&id).await.1
    }

    /// Returns the tree at a path by a fresh query.
    pub(crate) async fn query_tree(&mut self, path: &str) -> Value {
        let reply = self.query(&json!({"path": path, "depth": -1})).await;
        assert_eq!(reply["type"], "snapshot", "{reply}");
        reply["tree"].clone()
    }

    /// Returns the first subscription's mirror.
    pub(crate) fn tree(&self) -> &Value {
        self.trees.values().next().expect("a subscription")
    }

    /// Returns a node of the first subscription's mirror; `Null` if there is none.
    pub(crate) fn at(&self, path: &str) -> Value {
        mirror::at(self.tree(), path)
    }

    pub(crate) fn mirror(&self, subscription: &str) -> &Value {
        &self.trees[&subscription.into()]
    }

    pub(crate) async fn invoke(&mut self, path: &str, action: &str, params: Value) -> Call {
        let id = self.state.invoke(path, action, params);
        let (before, result) = self.request(&id).await;
        assert_eq!(result["type"], "result", "{result}");
        Call { before, result }
    }

    /// Invokes a driver action. The mirrors must be exact when the result is received.
    pub(crate) async fn drive(&mut self, action: &str, params: Value) -> Call {
        let done = self.invoke("/ctl", action, params).await;
        self.check().await;
        done
    }

    /// Invokes a driver action that must succeed.
    pub(crate) async fn drive_ok(&mut self, action: &str, params: Value) -> Call {
        let done = self.drive(action, params).await;
        assert_eq!(done.result["status"], "ok", "{}", done.result);
        done
    }

    /// Asserts that every mirror equals a fresh query of the same path and depth.
    pub(crate) async fn check(&mut self) {
        let views: Vec<_> = self.state.subscriptions().map(|(id, of)| (id.clone(), of.options().clone())).collect();
        for (id, view) in views {
            // Cloned before the query, whose reply may follow further patches.
            let copy = self.state.tree(&id).cloned();
            let fresh = self.query(&view).await;
            if fresh["error"]["code"] != "not_found" {
                assert_eq!(copy, Some(Node::try_from(&fresh["tree"]).unwrap()), "the mirror of {view}");
            }
        }
    }
}
