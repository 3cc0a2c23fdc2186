//! A connection to a provider: the crate's consumer, with a timeout for every request and a report of every change.

use std::future::Future;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use slop_ai::{PatchOp, SlopConsumer, SlopError, SlopNode, StateMirror};
use tokio::sync::{Notify, watch};
use tokio::time;

use crate::address::Address;
use crate::failure::Failure;
use crate::resuming::Resuming;
use crate::transport::{Ending, Transport};

/// How often to check whether the tree was replaced without a callback.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long the server may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Something that the provider sent without a request.
pub(crate) enum Update {
    /// One operation of a patch.
    Changed(PatchOp),
    /// The provider sent the whole tree again.
    Replaced(Box<SlopNode>),
    /// An event of the application.
    Event { name: String, data: Option<Value> },
    /// An error message, such as `not_found` when the subscribed node was removed.
    Error { code: String, message: String },
}

impl Update {
    /// After how many ms a server that is shutting down wants consumers to reconnect.
    pub(crate) fn retry_in_ms(&self) -> Option<u64> {
        match self {
            Self::Event { name, data: Some(data) } if name == "server.draining" => data["retry_in_ms"].as_u64(),
            Self::Event { .. } | Self::Changed(_) | Self::Replaced(_) | Self::Error { .. } => None,
        }
    }
}

/// What the callbacks have received.
#[derive(Default)]
struct Inbox {
    updates: Mutex<Vec<Update>>,
    /// A patch is missing.
    gap: AtomicBool,
    arrived: Notify,
}

impl Inbox {
    fn put(&self, updates: impl IntoIterator<Item = Update>) {
        self.updates.lock().unwrap_or_else(PoisonError::into_inner).extend(updates);
        self.arrived.notify_one();
    }

    fn take(&self) -> Vec<Update> {
        mem::take(&mut self.updates.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_gap(&self) {
        self.gap.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
    }
}

/// A provider, and what is kept from one connection to the next.
pub(crate) struct Provider {
    transport: Resuming<Transport>,
    ending: Ending,
}

impl Provider {
    pub(crate) fn new(address: Address) -> Self {
        let transport = Transport::new(address);
        let ending = transport.ending();
        Self { transport: Resuming::over(transport), ending }
    }
}

/// A connection that has got its hello.
pub(crate) struct Connection {
    consumer: SlopConsumer,
    inbox: Arc<Inbox>,
    closed: watch::Receiver<bool>,
    ending: Ending,
    timeout: Duration,
    subscription: Option<Subscription>,
}

/// The one subscription, and our own copy of its tree, made from the reported patches.
///
/// The crate has no callback for a new snapshot that replaces a subscription's tree. We notice it because the crate's
/// mirror then differs from our copy.
struct Subscription {
    id: String,
    copy: StateMirror,
}

impl Connection {
    /// Connects and waits for the hello.
    pub(crate) async fn open(provider: &Provider, timeout: Duration) -> Result<Self, Failure> {
        let (close, closed) = watch::channel(false);
        let ending = provider.ending.clone();
        let consumer = SlopConsumer::new();
        let connection = Self { consumer, inbox: Arc::default(), closed, ending, timeout, subscription: None };
        connection.consumer.on_disconnect(move || _ = close.send(true)).await;
        connection.collect_updates().await;

        let connecting = time::timeout(timeout, connection.consumer.connect(&provider.transport));
        let hello = connecting.await.map_err(|_| Failure::Timeout(timeout))?;
        let hello = hello.map_err(|_| connection.ending())?;
        if hello["type"] != "hello" {
            return Err(Failure::NotSlop);
        }
        Ok(connection)
    }

    async fn collect_updates(&self) {
        let inbox = Arc::clone(&self.inbox);
        self.consumer.on_patch(move |_, ops, _| inbox.put(ops.iter().cloned().map(Update::Changed))).await;
        let inbox = Arc::clone(&self.inbox);
        self.consumer
            .on_event(move |name, data| inbox.put([Update::Event { name: name.to_owned(), data: data.cloned() }]))
            .await;
        let inbox = Arc::clone(&self.inbox);
        self.consumer
            .on_error(move |_, code, message| {
                inbox.put([Update::Error { code: code.to_owned(), message: message.to_owned() }]);
            })
            .await;
        let inbox = Arc::clone(&self.inbox);
        self.consumer.on_gap(move |_, _, _| inbox.set_gap()).await;
    }

    /// The tree at a path, once.
    pub(crate) async fn query(&self, path: &str, depth: i32) -> Result<SlopNode, Failure> {
        self.request(self.consumer.query(path, depth)).await
    }

    /// Subscribes to the tree at a path; a connection has one subscription.
    pub(crate) async fn subscribe(&mut self, path: &str, depth: i32) -> Result<SlopNode, Failure> {
        let (id, tree) = self.request(self.consumer.subscribe(path, depth)).await?;
        self.subscription = Some(Subscription { id, copy: StateMirror::new(tree.clone(), 0) });
        Ok(tree)
    }

    /// Invokes an action and waits for its result.
    pub(crate) async fn invoke(&self, path: &str, action: &str, params: Option<Value>) -> Result<Value, Failure> {
        self.request(self.consumer.invoke(path, action, params)).await
    }

    /// Waits for updates of the subscription.
    pub(crate) async fn updates(&mut self) -> Result<Vec<Update>, Failure> {
        loop {
            let closed = *self.closed.borrow();
            let updates = self.received_updates().await?;
            if !updates.is_empty() {
                return Ok(updates);
            }
            if closed {
                return Err(self.ending());
            }
            let mut closing = self.closed.clone();
            tokio::select! {
                () = self.inbox.arrived.notified() => {}
                _ = closing.changed() => {}
                () = time::sleep(CHECK_INTERVAL) => {}
            }
        }
    }

    /// The subscribed tree, with all reported updates.
    pub(crate) fn tree(&self) -> Option<&SlopNode> {
        self.subscription.as_ref().map(|subscription| subscription.copy.tree())
    }

    /// The updates since the last call.
    pub(crate) async fn received_updates(&mut self) -> Result<Vec<Update>, Failure> {
        let Some(subscription) = &mut self.subscription else { return Ok(Vec::new()) };
        let tree = self.consumer.tree(&subscription.id).await;
        let (Some(tree), false) = (tree, self.inbox.gap.load(Ordering::Relaxed)) else {
            return Err(Failure::Gap);
        };
        let mut updates = self.inbox.take();
        for update in &updates {
            if let Update::Changed(op) = update {
                subscription.copy.apply_patch(std::slice::from_ref(op), 0);
            }
        }
        if *subscription.copy.tree() != tree {
            subscription.copy = StateMirror::new(tree.clone(), 0);
            updates.push(Update::Replaced(Box::new(tree)));
        }
        Ok(updates)
    }

    /// Closes, and waits a moment for the server to close as well.
    pub(crate) async fn close(mut self) {
        self.consumer.disconnect().await;
        let _ = time::timeout(CLOSE_TIMEOUT, self.closed.wait_for(|closed| *closed)).await;
    }

    /// The crate's requests never complete once the socket is closed, so each has an end of its own.
    async fn request<T>(&self, request: impl Future<Output = Result<T, SlopError>>) -> Result<T, Failure> {
        let mut closed = self.closed.clone();
        let reply = tokio::select! {
            biased;
            reply = time::timeout(self.timeout, request) => reply.map_err(|_| Failure::Timeout(self.timeout))?,
            _ = closed.wait_for(|closed| *closed) => return Err(self.ending()),
        };
        reply.map_err(|error| match error {
            SlopError::ActionFailed { code, message } => Failure::Action { code, message },
            SlopError::ConnectionClosed => self.ending(),
            // The crate reads an error message as a snapshot without a tree; the message itself went to the callback.
            other => self
                .last_error()
                .unwrap_or_else(|| Failure::Provider { code: "unreadable".to_owned(), message: other.to_string() }),
        })
    }

    /// Why there is no connection any more.
    fn ending(&self) -> Failure {
        self.ending.take().unwrap_or(Failure::Closed(None))
    }

    fn last_error(&self) -> Option<Failure> {
        self.inbox.take().into_iter().rev().find_map(|update| match update {
            Update::Error { code, message } => Some(Failure::Provider { code, message }),
            Update::Changed(_) | Update::Replaced(_) | Update::Event { .. } => None,
        })
    }
}
