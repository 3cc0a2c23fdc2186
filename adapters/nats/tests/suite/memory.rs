//! A bus within one process, so that what the tests expect of a server is what the trait says.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use grove_engine::{Cluster, Inbox, Instance, RequestError, Text, Topic};
use parking_lot::Mutex;
use tokio::time::timeout;

const MOST_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(crate) struct MemoryBus {
    members: Mutex<HashMap<Text, Arc<Member>>>,
}

struct Member {
    inbox: Arc<dyn Inbox>,
    topics: Mutex<HashSet<Topic>>,
    /// Locked while something is handed over.
    has_ended: Mutex<bool>,
}

/// One instance on the bus.
#[derive(Default)]
pub(crate) struct OnMemoryBus {
    bus: Arc<MemoryBus>,
    name: OnceLock<Text>,
}

impl OnMemoryBus {
    pub(crate) fn new(bus: &Arc<MemoryBus>) -> Self {
        Self { bus: Arc::clone(bus), name: OnceLock::new() }
    }

    fn member(&self) -> Option<Arc<Member>> {
        self.bus.members.lock().get(self.name.get()?).cloned()
    }
}

impl std::fmt::Debug for OnMemoryBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnMemoryBus")
    }
}

impl Cluster for OnMemoryBus {
    fn start(&self, this: &Instance, inbox: Arc<dyn Inbox>) {
        self.name.set(this.name.clone()).unwrap();
        let member = Member { inbox: Arc::clone(&inbox), topics: Mutex::default(), has_ended: Mutex::default() };
        self.bus.members.lock().insert(this.name.clone(), Arc::new(member));
        tokio::spawn(async move { inbox.connected() });
    }

    fn subscribe(&self, topic: &Topic) {
        let Some(member) = self.member() else { return };
        member.topics.lock().insert(topic.clone());
        let topic = topic.clone();
        tokio::spawn(async move { member.inbox.subscribed(&topic) });
    }

    fn unsubscribe(&self, topic: &Topic) {
        if let Some(member) = self.member() {
            member.topics.lock().remove(topic);
        }
    }

    fn publish(&self, topic: &Topic, message: Text) {
        let members: Vec<_> = self.bus.members.lock().values().cloned().collect();
        let topic = topic.clone();
        if message.len() > MOST_BYTES {
            return;
        }
        tokio::spawn(async move {
            for member in members {
                let has_ended = member.has_ended.lock();
                if !*has_ended && member.topics.lock().contains(&topic) {
                    member.inbox.published(&topic, &message);
                }
            }
        });
    }

    fn request(&self, to: &str, message: Text, at_most: Duration) -> BoxFuture<'static, Result<Text, RequestError>> {
        if message.len() > MOST_BYTES {
            return ready(Err(RequestError::TooLarge)).boxed();
        }
        let member = self.bus.members.lock().get(to).cloned();
        async move {
            let member = member.ok_or(RequestError::NoInstance)?;
            timeout(at_most, member.inbox.requested(message)).await.map_err(|_| RequestError::TimedOut)
        }
        .boxed()
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let member = self.name.get().and_then(|name| self.bus.members.lock().remove(name));
        if let Some(member) = member {
            *member.has_ended.lock() = true;
        }
        ready(()).boxed()
    }
}
