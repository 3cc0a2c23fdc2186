//! A connection that always answers: the crate's consumer, with an end to every wait and news of every change.

use std::future::Future;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use slop_ai::{PatchOp, SlopConsumer, SlopError, SlopNode, StateMirror, WsClientTransport};
use tokio::sync::{Notify, watch};
use tokio::time;

use crate::failure::Failure;
use crate::remembering::Remembering;
use crate::url;

/// How often to look for a tree that was replaced without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
const GOODBYE: Duration = Duration::from_secs(1);

/// Something that came without being asked for.
pub(crate) enum News {
    /// One operation of a patch.
    Changed(PatchOp),
    /// The provider sent the whole tree again.
    Renewed(Box<SlopNode>),
    /// An event of the application.
    Event { name: String, data: Option<Value> },
    /// An error message, such as `not_found` when the node followed went away.
    Error { code: String, message: String },
}

impl News {
    /// After how many ms a server that goes away wants to be tried again.
    pub(crate) fn retry_in_ms(&self) -> Option<u64> {
        match self {
            Self::Event { name, data: Some(data) } if name == "server.draining" => data["retry_in_ms"].as_u64(),
            Self::Event { .. } | Self::Changed(_) | Self::Renewed(_) | Self::Error { .. } => None,
        }
    }
}

/// What the callbacks leave for us.
#[derive(Default)]
struct Inbox {
    news: Mutex<Vec<News>>,
    /// A patch is missing.
    gap: AtomicBool,
    arrived: Notify,
}

impl Inbox {
    fn put(&self, news: impl IntoIterator<Item = News>) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).extend(news);
        self.arrived.notify_one();
    }

    fn take(&self) -> Vec<News> {
        mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lose_track(&self) {
        self.gap.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
    }
}

/// Where a provider is, and what is remembered of it from one connection to the next.
pub(crate) struct Address {
    url: String,
    full_url: String,
    transport: Remembering<WsClientTransport>,
}

impl Address {
    pub(crate) fn new(url: &str, token: Option<&str>) -> Self {
        let full_url = url::with_token(url, token);
        let transport = Remembering::over(WsClientTransport::new(&full_url));
        Self { url: url.to_owned(), full_url, transport }
    }
}

pub(crate) struct Link {
    consumer: SlopConsumer,
    inbox: Arc<Inbox>,
    closed: watch::Receiver<bool>,
    patience: Duration,
    followed: Option<Followed>,
}

/// The one subscription, and our own copy of its tree, made from the patches we were told of.
///
/// The crate calls nobody when the provider replaces a subscription's tree by a new snapshot; that the crate's
/// mirror is not what the patches make of ours is how we know.
struct Followed {
    subscription: String,
    told: StateMirror,
}

impl Link {
    /// Connects and waits for the hello.
    pub(crate) async fn connect(address: &Address, patience: Duration) -> Result<Self, Failure> {
        let (close, closed) = watch::channel(false);
        let link = Self { consumer: SlopConsumer::new(), inbox: Arc::default(), closed, patience, followed: None };
        link.consumer.on_disconnect(move || _ = close.send(true)).await;
        link.collect_news().await;

        let connecting = time::timeout(patience, link.consumer.connect(&address.transport));
        let hello = connecting.await.map_err(|_| Failure::Timeout(patience))?;
        // The crate's message names the address, token and all.
        let hello = hello.map_err(|error| refusal(&error.to_string().replace(&address.full_url, &address.url)))?;
        if hello["type"] != "hello" {
            return Err(Failure::NotSlop);
        }
        Ok(link)
    }

    async fn collect_news(&self) {
        let inbox = Arc::clone(&self.inbox);
        self.consumer.on_patch(move |_, ops, _| inbox.put(ops.iter().cloned().map(News::Changed))).await;
        let inbox = Arc::clone(&self.inbox);
        self.consumer
            .on_event(move |name, data| inbox.put([News::Event { name: name.to_owned(), data: data.cloned() }]))
            .await;
        let inbox = Arc::clone(&self.inbox);
        self.consumer
            .on_error(move |_, code, message| {
                inbox.put([News::Error { code: code.to_owned(), message: message.to_owned() }]);
            })
            .await;
        let inbox = Arc::clone(&self.inbox);
        self.consumer.on_gap(move |_, _, _| inbox.lose_track()).await;
    }

    /// The tree at a path, once.
    pub(crate) async fn query(&self, path: &str, depth: i32) -> Result<SlopNode, Failure> {
        self.ask(self.consumer.query(path, depth)).await
    }

    /// Follows the tree at a path; a link follows one.
    pub(crate) async fn subscribe(&mut self, path: &str, depth: i32) -> Result<SlopNode, Failure> {
        let (subscription, tree) = self.ask(self.consumer.subscribe(path, depth)).await?;
        self.followed = Some(Followed { subscription, told: StateMirror::new(tree.clone(), 0) });
        Ok(tree)
    }

    /// Invokes an action and waits for its result.
    pub(crate) async fn invoke(&self, path: &str, action: &str, params: Option<Value>) -> Result<Value, Failure> {
        self.ask(self.consumer.invoke(path, action, params)).await
    }

    /// Waits for news of what is followed.
    pub(crate) async fn news(&mut self) -> Result<Vec<News>, Failure> {
        loop {
            let closed = *self.closed.borrow();
            let news = self.news_so_far().await?;
            if !news.is_empty() {
                return Ok(news);
            }
            if closed {
                return Err(Failure::Closed);
            }
            let mut closing = self.closed.clone();
            tokio::select! {
                () = self.inbox.arrived.notified() => {}
                _ = closing.changed() => {}
                () = time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// The tree that is followed, with all that there was news of.
    pub(crate) fn shown(&self) -> Option<&SlopNode> {
        self.followed.as_ref().map(|followed| followed.told.tree())
    }

    /// What has come since the last time.
    pub(crate) async fn news_so_far(&mut self) -> Result<Vec<News>, Failure> {
        let Some(followed) = &mut self.followed else { return Ok(Vec::new()) };
        let tree = self.consumer.tree(&followed.subscription).await;
        let (Some(tree), false) = (tree, self.inbox.gap.load(Ordering::Relaxed)) else {
            return Err(Failure::LostTrack);
        };
        let mut news = self.inbox.take();
        for one in &news {
            if let News::Changed(op) = one {
                followed.told.apply_patch(std::slice::from_ref(op), 0);
            }
        }
        if *followed.told.tree() != tree {
            followed.told = StateMirror::new(tree.clone(), 0);
            news.push(News::Renewed(Box::new(tree)));
        }
        Ok(news)
    }

    /// Says goodbye, and waits a moment for the server to say it too.
    pub(crate) async fn close(mut self) {
        self.consumer.disconnect().await;
        let _ = time::timeout(GOODBYE, self.closed.wait_for(|closed| *closed)).await;
    }

    /// The crate's requests never end once the socket is closed, so every wait has an end of its own.
    async fn ask<T>(&self, request: impl Future<Output = Result<T, SlopError>>) -> Result<T, Failure> {
        let mut closed = self.closed.clone();
        let answer = tokio::select! {
            biased;
            answer = time::timeout(self.patience, request) => answer.map_err(|_| Failure::Timeout(self.patience))?,
            _ = closed.wait_for(|closed| *closed) => return Err(Failure::Closed),
        };
        answer.map_err(|error| match error {
            SlopError::ActionFailed { code, message } => Failure::Action { code, message },
            SlopError::ConnectionClosed => Failure::Closed,
            // The crate takes an error message for a snapshot without a tree; what it said went to the callback.
            other => self
                .last_error()
                .unwrap_or_else(|| Failure::Provider { code: "unreadable".to_owned(), message: other.to_string() }),
        })
    }

    fn last_error(&self) -> Option<Failure> {
        self.inbox.take().into_iter().rev().find_map(|one| match one {
            News::Error { code, message } => Some(Failure::Provider { code, message }),
            News::Changed(_) | News::Renewed(_) | News::Event { .. } => None,
        })
    }
}

/// What the crate's transport error means; it has the HTTP status only in its text.
fn refusal(why: &str) -> Failure {
    let status = why.split_once("HTTP error: ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
    match status {
        Some(status) => Failure::Refused(status),
        None => Failure::Unreachable(why.strip_prefix("transport error: ").unwrap_or(why).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_upgrade_is_told_from_a_dead_address() {
        let said = "transport error: WebSocket connect to ws://h/slop: HTTP error: 401 Unauthorized";
        assert!(matches!(refusal(said), Failure::Refused(401)));
        let said = "transport error: WebSocket connect to ws://h/slop: IO error: Connection refused";
        assert!(matches!(refusal(said), Failure::Unreachable(why) if why.contains("Connection refused")));
    }

    #[tokio::test]
    async fn a_dead_address_is_named_without_the_token() {
        let address = Address::new("ws://127.0.0.1:1/slop", Some("secret"));
        let dead = Link::connect(&address, Duration::from_secs(5)).await;
        let Err(Failure::Unreachable(why)) = dead else { panic!("connected to nothing") };
        assert!(why.contains("ws://127.0.0.1:1/slop") && !why.contains("secret"), "{why}");
    }
}
