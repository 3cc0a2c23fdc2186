//! One connection of the unmodified consumer with its subscriptions.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use slop_ai::{SlopConsumer, SlopError, WsClientTransport};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time;

use crate::compare::{brief, differences, plain};
use crate::script::{Script, Wanted};

pub(crate) const REQUEST: Duration = Duration::from_secs(30);
pub(crate) const SETTLE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(25);
const SHOWN_DIFFERENCES: usize = 20;
const KEPT_MESSAGES: usize = 1024;

/// The server, or the peer's view of it, is not what the script expects.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn fail<T>(why: impl Into<String>) -> Result<T, Failed> {
    Err(Failed(why.into()))
}

/// The lines, up to the number that a reader wants to see.
pub(crate) fn list(found: &[String]) -> String {
    found[..found.len().min(SHOWN_DIFFERENCES)].join("\n  ")
}

pub(crate) struct Peer {
    consumer: SlopConsumer,
    subscriptions: Vec<(String, Wanted)>,
    closed: watch::Receiver<bool>,
    leaving: AtomicBool,
    gap: Arc<AtomicBool>,
    /// `(id, code)` of every error message.
    errors: Mutex<mpsc::Receiver<(String, String)>>,
    events: Mutex<mpsc::Receiver<String>>,
}

impl Peer {
    /// Connects and makes the subscriptions of the script.
    pub(crate) async fn connect(url: &str, script: &Script) -> Result<Self, Failed> {
        let (close, closed) = watch::channel(false);
        let (error_in, errors) = mpsc::channel(KEPT_MESSAGES);
        let (event_in, events) = mpsc::channel(KEPT_MESSAGES);
        let mut peer = Self {
            consumer: SlopConsumer::new(),
            subscriptions: Vec::new(),
            closed,
            leaving: AtomicBool::new(false),
            gap: Arc::default(),
            errors: Mutex::new(errors),
            events: Mutex::new(events),
        };
        let gap = Arc::clone(&peer.gap);
        peer.consumer.on_disconnect(move || _ = close.send(true)).await;
        peer.consumer.on_gap(move |_, _, _| gap.store(true, Ordering::Relaxed)).await;
        peer.consumer.on_error(move |id, code, _| drop(error_in.try_send((id.to_owned(), code.to_owned())))).await;
        peer.consumer.on_event(move |name, _| drop(event_in.try_send(name.to_owned()))).await;

        let transport = WsClientTransport::new(url);
        // The crate's message contains the URL with the token.
        let hello = peer.ask(peer.consumer.connect(&transport)).await?;
        let hello = hello.map_err(|error| Failed(error.to_string().replace(url, "the server")))?;
        if hello["type"] != "hello" || hello["provider"]["slop_version"] != "0.1" {
            return fail(format!("the first message is not a hello: {}", brief(Some(&hello))));
        }
        for wanted in &script.subscriptions {
            let request = peer.consumer.subscribe(&wanted.path, wanted.depth);
            let (id, _) = peer.ask(request).await?.map_err(|e| Failed(format!("subscribe {}: {e}", wanted.path)))?;
            peer.subscriptions.push((id, wanted.clone()));
        }
        Ok(peer)
    }

    /// A request of this peer never completes once the socket has closed, so wait for that too.
    async fn ask<T>(&self, request: impl Future<Output = T>) -> Result<T, Failed> {
        let mut closed = self.closed.clone();
        tokio::select! {
            biased;
            answer = time::timeout(REQUEST, request) => {
                answer.map_err(|_| Failed(format!("no reply within {} s", REQUEST.as_secs())))
            }
            _ = closed.wait_for(|closed| *closed) => fail("the server closed the connection during a request"),
        }
    }

    /// The result message of an action, also of a failed one.
    pub(crate) async fn invoke(&self, path: &str, action: &str, params: Option<Value>) -> Result<Value, Failed> {
        match self.ask(self.consumer.invoke(path, action, params)).await? {
            Ok(result) => Ok(result),
            Err(SlopError::ActionFailed { code, message }) => {
                Ok(json!({"status": "error", "error": {"code": code, "message": message}}))
            }
            Err(other) => fail(other.to_string()),
        }
    }

    /// The tree, or the code of the error that arrived instead.
    pub(crate) async fn query(&self, path: &str, depth: i32) -> Result<Result<Value, String>, Failed> {
        let answer = self.ask(self.consumer.query(path, depth)).await?;
        // This peer reads an error message as a snapshot without a tree (wire contract T24); the code is in the
        // error callback, which may run a moment later.
        let code = async {
            let mut errors = self.errors.lock().await;
            while let Some((id, code)) = errors.recv().await {
                if id.starts_with("q-") {
                    return code;
                }
            }
            "none".to_owned()
        };
        match answer {
            Ok(node) => Ok(Ok(plain(&node))),
            Err(SlopError::Serialization(bad)) => match time::timeout(SETTLE, code).await {
                Ok(code) => Ok(Err(code)),
                Err(_) => fail(format!("the reply to a query of {path} has a tree that this peer cannot read: {bad}")),
            },
            Err(other) => fail(format!("query {path}: {other}")),
        }
    }

    pub(crate) async fn event(&self, name: &str) -> Result<(), Failed> {
        let mut events = self.events.lock().await;
        let arrived = async { while events.recv().await.is_some_and(|event| event != name) {} };
        time::timeout(SETTLE, arrived).await.map_err(|_| Failed(format!("event {name} did not arrive")))
    }

    /// The current mirror of a subscription.
    pub(crate) async fn mirror(&self, number: usize) -> Result<Value, Failed> {
        let (id, wanted) = &self.subscriptions[number];
        if self.gap.load(Ordering::Relaxed) {
            return fail("a patch is missing: the sequence numbers have a gap");
        }
        if *self.closed.borrow() && !self.leaving.load(Ordering::Relaxed) {
            return fail("the server closed the connection");
        }
        match self.consumer.tree(id).await {
            Some(tree) => Ok(plain(&tree)),
            None => fail(format!("no mirror for {} depth {}", wanted.path, wanted.depth)),
        }
    }

    pub(crate) async fn mirrors(&self) -> Result<Vec<Value>, Failed> {
        let mut all = Vec::new();
        for number in 0..self.subscriptions.len() {
            all.push(self.mirror(number).await?);
        }
        Ok(all)
    }

    /// Every mirror equals a fresh query: `seen` at once, or the mirror within `patience`.
    pub(crate) async fn check_mirrors(&self, seen: Vec<Value>, patience: Duration) -> Result<(), Failed> {
        for (number, mut mirror) in seen.into_iter().enumerate() {
            let wanted = &self.subscriptions[number].1;
            let found = eventually(patience, async || {
                let found = match self.query(&wanted.path, wanted.depth).await? {
                    Ok(fresh) => differences(&mirror, &fresh),
                    // A subscription whose node is gone keeps its mirror and gets a new snapshot when the node is back
                    // (wire contract 1.5).
                    Err(code) if code == "not_found" && wanted.vanishes => Vec::new(),
                    Err(code) => vec![format!("the query failed: {code}")],
                };
                mirror = self.mirror(number).await?;
                Ok(found)
            })
            .await?;
            if !found.is_empty() {
                let Wanted { path, depth, .. } = wanted;
                return fail(format!("the mirror of {path} depth {depth} differs from a query:\n  {}", list(&found)));
            }
        }
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<(), Failed> {
        self.leaving.store(true, Ordering::Relaxed);
        self.consumer.disconnect().await;
        let mut closed = self.closed.clone();
        match time::timeout(REQUEST, closed.wait_for(|closed| *closed)).await {
            Ok(_) => Ok(()),
            Err(_) => fail("the server did not finish the close"),
        }
    }
}

/// What `look` still finds wrong after `patience`; without patience it looks once.
pub(crate) async fn eventually(
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Vec<String>, Failed>,
) -> Result<Vec<String>, Failed> {
    let mut found = look().await?;
    if patience.is_zero() {
        return Ok(found);
    }
    let settled = async {
        while !found.is_empty() {
            time::sleep(LOOK_AGAIN).await;
            found = look().await?;
        }
        Ok(())
    };
    match time::timeout(patience, settled).await {
        Ok(Err(failed)) => Err(failed),
        Ok(Ok(())) | Err(_) => Ok(found),
    }
}
