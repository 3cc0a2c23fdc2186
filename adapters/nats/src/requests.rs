//! Requests to other instances, and their replies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, Message, PublishErrorKind, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use grove_engine::{RequestError, Text};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

type Reply = Result<Text, RequestError>;

/// Who waits for which reply. The client library has such a table as well, but nothing leaves that one without a reply.
#[derive(Debug)]
pub(crate) struct Requests {
    /// What the subjects of replies begin with.
    prefix: String,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Pending>>,
}

#[derive(Debug)]
struct Pending {
    subject: String,
    reply: oneshot::Sender<Reply>,
}

impl Requests {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix, next: AtomicU64::new(1), waiting: Mutex::default() }
    }

    /// The subject of all replies.
    pub(crate) fn subject(&self) -> String {
        format!("{}.*", self.prefix)
    }

    /// Hands each reply to whoever waits for it, until the subscription ends.
    pub(crate) async fn route(self: Arc<Self>, mut replies: async_nats::Subscriber) {
        while let Some(message) = replies.next().await {
            let number = message.subject.strip_prefix(self.prefix.as_str()).and_then(|rest| rest.strip_prefix('.'));
            let pending = number.and_then(|number| self.waiting.lock().remove(&number.parse().ok()?));
            if let Some(pending) = pending {
                let _ = pending.reply.send(reply(&message));
            }
        }
    }

    /// The server does not allow to publish on this subject.
    pub(crate) fn refuse(&self, subject: &str) {
        let mut waiting = self.waiting.lock();
        let refused: Vec<_> = waiting.extract_if(|_, pending| pending.subject == subject).collect();
        drop(waiting);
        for (_, pending) in refused {
            let _ = pending.reply.send(Err(RequestError::Away));
        }
    }

    pub(crate) async fn ask(&self, client: &Client, subject: String, message: Bytes, at_most: Duration) -> Reply {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(number, Pending { subject: subject.clone(), reply: sender });
        let _forget = Forget { requests: self, number };
        let reply_to = format!("{}.{number}", self.prefix);
        let exchange = async {
            client.publish_with_reply(subject, reply_to, message).await.map_err(|error| match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => RequestError::TooLarge,
                _ => RequestError::Away,
            })?;
            receiver.await.unwrap_or(Err(RequestError::TimedOut))
        };
        timeout(at_most, exchange).await.unwrap_or(Err(RequestError::TimedOut))
    }

    /// Sends a message to itself and waits for it: whatever was sent before on this connection has reached the server
    /// then, and so has what the server said about it reached this client. A flush would only say that it was written.
    pub(crate) async fn round_trip(&self, client: &Client, at_most: Duration) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(number, Pending { subject: String::new(), reply: sender });
        let _forget = Forget { requests: self, number };
        let trip = async {
            client.publish(format!("{}.{number}", self.prefix), Bytes::new()).await.is_ok() && receiver.await.is_ok()
        };
        timeout(at_most, trip).await.unwrap_or(false)
    }
}

fn reply(message: &Message) -> Reply {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(RequestError::NoInstance);
    }
    // A reply that is no text is none.
    std::str::from_utf8(&message.payload).map(Text::from).map_err(|_| RequestError::TimedOut)
}

/// Nobody waits any more, whatever the reason.
struct Forget<'a> {
    requests: &'a Requests,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.requests.waiting.lock().remove(&self.number);
    }
}
