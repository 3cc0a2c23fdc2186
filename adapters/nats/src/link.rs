//! The one task that keeps subscriptions as they are wanted, and tells the engine how the connection is.

use std::collections::HashSet;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use grove_engine::{Inbox, Topic};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use crate::event::NatsEvent;
use crate::news::News;
use crate::options::Observer;
use crate::outgoing::Outgoing;
use crate::readers::Readers;
use crate::requests::Requests;
use crate::stats::{Counters, NatsStats, count};
use crate::subjects::Subjects;
use crate::task::Task;
use crate::version::too_old_for;

/// How long the server may take to return a message to its sender.
const ROUND_TRIP: Duration = Duration::from_secs(5);
/// The same at the end, when nothing depends on it.
const LAST_TRIP: Duration = Duration::from_secs(1);
/// After this time, what was not confirmed is tried again; and this often it is told what was not sent.
const AGAIN: Duration = Duration::from_secs(1);

/// What the task and those who call it share.
pub(crate) struct Shared {
    pub(crate) subjects: Subjects,
    pub(crate) outgoing: Outgoing,
    pub(crate) counters: Arc<Counters>,
    pub(crate) observer: Option<Observer>,
    news: Mutex<News>,
    /// What the engine has asked for.
    wanted: Mutex<HashSet<Topic>>,
    rang: Notify,
    /// The connection has ended.
    ended: Notify,
}

impl Shared {
    pub(crate) fn new(
        subjects: Subjects,
        outgoing: Outgoing,
        counters: Arc<Counters>,
        observer: Option<Observer>,
    ) -> Self {
        let (news, wanted, rang, ended) = (Mutex::default(), Mutex::default(), Notify::new(), Notify::new());
        Self { subjects, outgoing, counters, observer, news, wanted, rang, ended }
    }

    /// Takes what the client reports. Nothing waits here.
    pub(crate) fn report(&self, event: async_nats::Event) {
        let mut news = self.news.lock();
        news.add(event);
        self.outgoing.set_up(news.up);
        if !news.up {
            self.ended.notify_waiters();
        }
        drop(news);
        self.rang.notify_one();
    }

    pub(crate) fn want(&self, topic: &Topic, wanted: bool) {
        if wanted {
            self.wanted.lock().insert(topic.clone());
        } else {
            self.wanted.lock().remove(topic);
        }
        self.news.lock().changed.insert(topic.clone());
        self.rang.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.news.lock().stopping = true;
        self.rang.notify_one();
    }

    /// Why there is no connection, if there is none and one was tried.
    pub(crate) fn failure(&self) -> Option<String> {
        let news = self.news.lock();
        (!news.up).then(|| news.why.clone())
    }

    fn take_news(&self) -> News {
        let mut news = self.news.lock();
        let kept = News { connections: news.connections, up: news.up, stopping: news.stopping, ..News::default() };
        let mut taken = mem::replace(&mut *news, kept);
        if !taken.failed {
            // Nothing has ended yet: the reason waits for that.
            news.why = mem::take(&mut taken.why);
        }
        taken
    }

    pub(crate) fn tell(&self, event: &NatsEvent) {
        match event {
            NatsEvent::Connected { .. } => tracing::info!("{event}"),
            _ => tracing::warn!("{event}"),
        }
        if let Some(observer) = &self.observer {
            // What an observer does wrong must not end the connection; the hook has told of it.
            let _ = catch_unwind(AssertUnwindSafe(|| observer(event)));
        }
    }
}

/// The task.
pub(crate) struct Link {
    shared: Arc<Shared>,
    client: Client,
    inbox: Arc<dyn Inbox>,
    requests: Arc<Requests>,
    readers: Readers,
    /// Hands out replies.
    _replies: Task,
    /// Which connection the engine was told of.
    told: Told,
    /// What is subscribed to, but not known to have reached the server.
    unconfirmed: HashSet<Topic>,
    counted: NatsStats,
    count_again: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Away,
    /// The number of the connection.
    Connected(u64),
}

impl Link {
    pub(crate) fn new(
        shared: Arc<Shared>,
        client: Client,
        inbox: Arc<dyn Inbox>,
        (requests, _replies): (Arc<Requests>, Task),
        readers: Readers,
    ) -> Self {
        let (unconfirmed, counted) = (HashSet::new(), NatsStats::default());
        let count_again = Instant::now();
        Self {
            shared,
            client,
            inbox,
            requests,
            _replies,
            readers,
            told: Told::Nothing,
            unconfirmed,
            counted,
            count_again,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut again = Instant::now() + AGAIN;
        loop {
            tokio::select! {
                () = self.shared.rang.notified() => {}
                () = sleep_until(again) => {}
            }
            let news = self.shared.take_news();
            if news.stopping {
                break;
            }
            self.follow(news).await;
            self.tell_what_was_not_sent();
            again = Instant::now() + AGAIN;
        }
        self.readers.end().await;
        // When it has come back, the server knows that nobody is here any more.
        if self.shared.outgoing.is_up() {
            self.requests.round_trip(&self.client, LAST_TRIP).await;
        }
    }

    async fn follow(&mut self, news: News) {
        self.tell_of_trouble(&news);
        self.tell_if_it_was_lost(&news);
        for topic in news.changed {
            self.subscribe_or_not(topic).await;
        }
        if news.up && (self.told != Told::Connected(news.connections) || !self.unconfirmed.is_empty()) {
            self.confirm(news.connections).await;
        }
    }

    fn tell_of_trouble(&mut self, news: &News) {
        if news.lost {
            count(&self.shared.counters.too_slow);
            self.inbox.lost("messages were not taken fast enough");
            self.shared.tell(&NatsEvent::TooSlow);
        }
        if news.ending {
            self.shared.tell(&NatsEvent::ServerEnding);
        }
        for what in &news.errors {
            self.shared.tell(&NatsEvent::Error { what: what.clone() });
        }
        for (subject, subscribe) in &news.refused {
            self.refuse(subject, *subscribe);
        }
    }

    fn refuse(&mut self, subject: &str, subscribe: bool) {
        count(&self.shared.counters.refused);
        let subject = subject.to_owned();
        if !subscribe {
            self.requests.refuse(&subject);
            return self.shared.tell(&NatsEvent::PublishRefused { subject });
        }
        if let Some(topic) = self.shared.subjects.topic(&subject).filter(|topic| self.readers.has(topic)) {
            self.readers.remove(&topic);
            self.unconfirmed.remove(&topic);
            self.shared.wanted.lock().remove(&topic);
            self.inbox.refused(&topic, "the permissions at the server do not allow it");
        }
        self.shared.tell(&NatsEvent::SubscribeRefused { subject });
    }

    fn tell_if_it_was_lost(&mut self, news: &News) {
        let another = matches!(self.told, Told::Connected(number) if number != news.connections);
        if !(news.failed && self.told != Told::Away || another) {
            return;
        }
        // The first connection may have come and failed already, or the second come: the engine is told of each step.
        self.told = Told::Away;
        let why = if news.why.is_empty() { "the connection ended" } else { &news.why };
        self.inbox.disconnected(why);
        self.shared.tell(&NatsEvent::Disconnected { why: why.to_owned() });
    }

    async fn subscribe_or_not(&mut self, topic: Topic) {
        if !self.shared.wanted.lock().contains(&topic) {
            self.readers.remove(&topic);
            self.unconfirmed.remove(&topic);
            return;
        }
        if !self.readers.has(&topic) {
            let Some(subject) = self.shared.subjects.of(&topic) else {
                return self.inbox.refused(&topic, "this version does not carry such a topic");
            };
            match self.client.subscribe(subject).await {
                Ok(messages) => self.readers.add(&topic, messages),
                Err(error) => return self.inbox.refused(&topic, &error.to_string()),
            }
        }
        self.unconfirmed.insert(topic);
    }

    /// A subscription that was written is not yet one that the server has: only after a round trip on the same connection
    /// is it, or its refusal is known. The refusal is read by another task than the one that completes the trip; the second
    /// trip gives that one the time.
    async fn confirm(&mut self, connection: u64) {
        for _ in 0..2 {
            if !self.round_trip().await {
                return;
            }
        }
        let refused = mem::take(&mut self.shared.news.lock().refused);
        for (subject, subscribe) in refused {
            self.refuse(&subject, subscribe);
        }
        let news = self.shared.news.lock();
        let still = news.up && news.connections == connection;
        drop(news);
        if !still {
            return;
        }
        if self.told != Told::Connected(connection) {
            self.told = Told::Connected(connection);
            self.tell_connected();
        }
        for topic in mem::take(&mut self.unconfirmed) {
            self.inbox.subscribed(&topic);
        }
    }

    /// Ends early if the connection does.
    async fn round_trip(&self) -> bool {
        let mut ended = pin!(self.shared.ended.notified());
        ended.as_mut().enable();
        if !self.shared.outgoing.is_up() {
            return false;
        }
        tokio::select! {
            came_back = self.requests.round_trip(&self.client, ROUND_TRIP) => came_back,
            () = ended => false,
        }
    }

    fn tell_connected(&self) {
        self.shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        self.inbox.connected();
        let info = self.client.server_info();
        let what = too_old_for(&info.version);
        self.shared.tell(&NatsEvent::Connected { server: info.server_name, version: info.version.clone() });
        if let Some(what) = what {
            self.shared.tell(&NatsEvent::OldServer { version: info.version, what });
        }
    }

    fn tell_what_was_not_sent(&mut self) {
        if Instant::now() < self.count_again {
            return;
        }
        self.count_again = Instant::now() + AGAIN;
        let (now, before) = (self.shared.counters.read(), self.counted);
        self.counted = now;
        let full = now.dropped_full - before.dropped_full;
        let away = now.dropped_away - before.dropped_away;
        let too_large = now.dropped_too_large - before.dropped_too_large;
        if full + away + too_large > 0 {
            self.shared.tell(&NatsEvent::NotSent { full, away, too_large });
        }
    }
}

/// Waits for what is written, but not for ever.
pub(crate) async fn flush(client: &Client, at_most: Duration) {
    let _ = timeout(at_most, client.flush()).await;
}
