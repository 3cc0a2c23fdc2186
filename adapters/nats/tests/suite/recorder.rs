//! An inbox that writes down what it gets.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};
use grove_engine::{Inbox, Text, Topic};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::LONG;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Published(Topic, String),
    Requested(String),
    Subscribed(Topic),
    Refused(Topic),
    Connected,
    Disconnected(String),
    Lost,
}

/// An inbox that writes down what it gets. It replies to a request with what was asked; to `silence` never.
#[derive(Default)]
pub(crate) struct Recorder {
    seen: Mutex<Vec<Seen>>,
    more: Notify,
    /// While it is locked, what is published waits.
    pub(crate) busy: Mutex<()>,
}

impl Recorder {
    fn add(&self, seen: Seen) {
        self.seen.lock().push(seen);
        self.more.notify_waiters();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// Everything published on a topic.
    pub(crate) fn published_on(&self, topic: &Topic) -> Vec<String> {
        let of = |seen: Seen| match seen {
            Seen::Published(on, message) if on == *topic => Some(message),
            _ => None,
        };
        self.seen().into_iter().filter_map(of).collect()
    }

    /// Waits until what was seen fulfils a condition.
    pub(crate) async fn until(&self, what: &str, fulfils: impl Fn(&[Seen]) -> bool) {
        let waiting = async {
            loop {
                let mut more = std::pin::pin!(self.more.notified());
                more.as_mut().enable();
                if fulfils(&self.seen.lock()) {
                    return;
                }
                more.await;
            }
        };
        let seen = || format!("{:?}", self.seen().iter().rev().take(20).collect::<Vec<_>>());
        assert!(timeout(LONG, waiting).await.is_ok(), "{what} is not seen; at last: {}", seen());
    }

    pub(crate) async fn saw(&self, wanted: &Seen) {
        self.until(&format!("{wanted:?}"), |seen| seen.contains(wanted)).await;
    }

    pub(crate) async fn saw_times(&self, wanted: &Seen, times: usize) {
        let counted = |seen: &[Seen]| seen.iter().filter(|one| *one == wanted).count() >= times;
        self.until(&format!("{wanted:?} {times} times"), counted).await;
    }

    pub(crate) async fn connected(&self) {
        self.saw(&Seen::Connected).await;
    }

    pub(crate) async fn disconnected(&self) -> String {
        let ended = |seen: &Seen| match seen {
            Seen::Disconnected(why) => Some(why.clone()),
            _ => None,
        };
        self.until("the end of the connection", |seen| seen.iter().any(|seen| ended(seen).is_some())).await;
        self.seen().iter().rev().find_map(ended).unwrap()
    }

    pub(crate) async fn received(&self, topic: &Topic, message: &str) {
        self.saw(&Seen::Published(topic.clone(), message.to_owned())).await;
    }
}

impl Inbox for Recorder {
    fn published(&self, topic: &Topic, message: &str) {
        drop(self.busy.lock());
        self.add(Seen::Published(topic.clone(), message.to_owned()));
    }

    fn requested(&self, message: Text) -> BoxFuture<'static, Text> {
        self.add(Seen::Requested(message.to_string()));
        if message == "silence" {
            return pending().boxed();
        }
        ready(message).boxed()
    }

    fn subscribed(&self, topic: &Topic) {
        self.add(Seen::Subscribed(topic.clone()));
    }

    fn refused(&self, topic: &Topic, _: &str) {
        self.add(Seen::Refused(topic.clone()));
    }

    fn connected(&self) {
        self.add(Seen::Connected);
    }

    fn disconnected(&self, why: &str) {
        self.add(Seen::Disconnected(why.to_owned()));
    }

    fn lost(&self, _: &str) {
        self.add(Seen::Lost);
    }
}
