//! What is read from the connection, one task for each subscription.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use grove_engine::{Inbox, Topic};
use tokio::sync::Semaphore;

use crate::stats::{Counters, count};
use crate::task::Task;

/// What is read from the connection.
pub(crate) struct Readers {
    client: Client,
    inbox: Arc<dyn Inbox>,
    counters: Arc<Counters>,
    topics: HashMap<Topic, Task>,
    /// The one that serves requests.
    serving: Option<Task>,
}

impl Readers {
    pub(crate) fn new(client: Client, inbox: Arc<dyn Inbox>, counters: Arc<Counters>) -> Self {
        Self { client, inbox, counters, topics: HashMap::new(), serving: None }
    }

    pub(crate) fn has(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// Hands what is published on a topic to the engine.
    pub(crate) fn add(&mut self, topic: &Topic, mut messages: Subscriber) {
        let (inbox, counters, of) = (Arc::clone(&self.inbox), Arc::clone(&self.counters), topic.clone());
        let reader = Task::spawn(async move {
            while let Some(message) = messages.next().await {
                if let Some(text) = text(&message, &counters) {
                    inbox.published(&of, text);
                }
            }
        });
        self.topics.insert(topic.clone(), reader);
    }

    /// Ends the subscription with the task that reads from it.
    pub(crate) fn remove(&mut self, topic: &Topic) {
        self.topics.remove(topic);
    }

    /// Hands requests to the engine, so many at once, and sends its replies.
    pub(crate) fn serve(&mut self, mut requests: Subscriber, at_once: usize) {
        let (inbox, counters, client) = (Arc::clone(&self.inbox), Arc::clone(&self.counters), self.client.clone());
        let places = Arc::new(Semaphore::new(at_once));
        self.serving = Some(Task::spawn(async move {
            while let Some(request) = requests.next().await {
                let Some(to) = request.reply.clone() else { continue };
                let Some(text) = text(&request, &counters) else { continue };
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let (reply, client, counters) = (inbox.requested(text.into()), client.clone(), Arc::clone(&counters));
                tokio::spawn(async move {
                    let reply = reply.await;
                    if client.publish(to, String::from(reply).into()).await.is_err() {
                        count(&counters.dropped_too_large);
                    }
                    drop(place);
                });
            }
        }));
    }

    /// Ends all of them: afterwards nothing more is handed to the engine.
    pub(crate) async fn end(self) {
        let all: Vec<_> = self.topics.into_values().chain(self.serving).collect();
        all.iter().for_each(Task::abort);
        for reader in all {
            reader.ended().await;
        }
    }
}

fn text<'a>(message: &'a Message, counters: &Counters) -> Option<&'a str> {
    let text = std::str::from_utf8(&message.payload).ok();
    count(if text.is_some() { &counters.received } else { &counters.malformed });
    text
}
