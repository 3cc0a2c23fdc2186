//! A cluster that loses a share of its messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use grove_engine::{Cluster, Inbox, Instance, RequestError, Text, Topic};
use tokio::time::{Instant, sleep_until};

/// A cluster that loses a share of what it carries, in both directions: what this instance publishes, what it receives,
/// its requests, and the replies to them. Which ones is a matter of the seed and their order.
#[derive(Debug)]
pub struct Dropping {
    cluster: Arc<dyn Cluster>,
    share: Arc<Share>,
}

#[derive(Debug)]
struct Share {
    /// Of 2^32.
    lost: AtomicU64,
    state: AtomicU64,
    dropped: AtomicU64,
}

impl Dropping {
    /// Wraps a cluster. It loses nothing until it is told to.
    #[must_use]
    pub fn new(cluster: Arc<dyn Cluster>, seed: u64) -> Self {
        let share = Share { lost: AtomicU64::new(0), state: AtomicU64::new(seed), dropped: AtomicU64::new(0) };
        Self { cluster, share: Arc::new(share) }
    }

    /// From now on, loses that share of the messages: from 0 for none to 1 for all.
    pub fn lose(&self, share: f64) {
        // It saturates.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the share is between 0 and 1")]
        let lost = (share.clamp(0.0, 1.0) * (1_u64 << 32) as f64) as u64;
        self.share.lost.store(lost, Ordering::Relaxed);
    }

    /// How many messages were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.share.dropped.load(Ordering::Relaxed)
    }
}

impl Share {
    fn loses(&self) -> bool {
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let lost = (mixed(state) >> 32) < self.lost.load(Ordering::Relaxed);
        if lost {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        lost
    }
}

/// The mixing step of SplitMix64.
const fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Stands before the engine's inbox.
struct Leaky {
    inbox: Arc<dyn Inbox>,
    share: Arc<Share>,
}

impl Inbox for Leaky {
    fn published(&self, topic: &Topic, message: &str) {
        if !self.share.loses() {
            self.inbox.published(topic, message);
        }
    }

    // A request cannot be lost here without a trace: whoever sends it loses it.
    fn requested(&self, message: Text) -> BoxFuture<'static, Text> {
        self.inbox.requested(message)
    }

    fn subscribed(&self, topic: &Topic) {
        self.inbox.subscribed(topic);
    }

    fn refused(&self, topic: &Topic, why: &str) {
        self.inbox.refused(topic, why);
    }

    fn connected(&self) {
        self.inbox.connected();
    }

    fn disconnected(&self, why: &str) {
        self.inbox.disconnected(why);
    }

    fn lost(&self, why: &str) {
        self.inbox.lost(why);
    }
}

impl Cluster for Dropping {
    fn start(&self, this: &Instance, inbox: Arc<dyn Inbox>) {
        self.cluster.start(this, Arc::new(Leaky { inbox, share: Arc::clone(&self.share) }));
    }

    fn subscribe(&self, topic: &Topic) {
        self.cluster.subscribe(topic);
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.cluster.unsubscribe(topic);
    }

    fn publish(&self, topic: &Topic, message: Text) {
        if !self.share.loses() {
            self.cluster.publish(topic, message);
        }
    }

    fn request(&self, to: &str, message: Text, at_most: Duration) -> BoxFuture<'static, Result<Text, RequestError>> {
        let until = Instant::now() + at_most;
        let asked = (!self.share.loses()).then(|| self.cluster.request(to, message, at_most));
        let share = Arc::clone(&self.share);
        async move {
            if let Some(asked) = asked {
                let reply = asked.await;
                // What failed without a reply has no reply to lose.
                if reply.is_err() || !share.loses() {
                    return reply;
                }
            }
            sleep_until(until).await;
            Err(RequestError::TimedOut)
        }
        .boxed()
    }

    fn is_connected(&self) -> bool {
        self.cluster.is_connected()
    }

    fn is_alone(&self) -> bool {
        self.cluster.is_alone()
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        self.cluster.stop()
    }
}
