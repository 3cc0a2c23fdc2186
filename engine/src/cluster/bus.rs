//! This instance's end of the cluster.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::Cluster;
use super::alarm::Alarm;
use super::decision::Decision;
use super::inbox::Inbox;
use super::instance::Instance;
use super::notice::Notice;
use super::outgoing::{Order, Outgoing, OutgoingLimits};
use super::request_error::RequestError;
use super::topic::Topic;
use super::wire::Heartbeat;
use crate::clock::{Clock, millis};
use crate::config::ClusterLimits;
use crate::count::Count;
use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::panics;
use crate::panics::guarded::Guarded;
use crate::sync::Mutex;

/// What this instance says to the others. Alone, it says nothing, and nothing is encoded.
pub(crate) struct Bus {
    pub(crate) this: Instance,
    cluster: Guarded<Arc<dyn Cluster>>,
    is_alone: bool,
    outgoing: Mutex<Outgoing>,
    pub(crate) alarm: Alarm,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
    pub(crate) counts: BusCounts,
    repeat_ms: u64,
}

/// What has crossed since the start.
#[derive(Debug, Default)]
pub(crate) struct BusCounts {
    pub(crate) notices_in: Count,
    pub(crate) notices_out: Count,
    pub(crate) resyncs: Count,
}

impl Bus {
    pub(crate) fn new(
        (name, cluster): (Text, Arc<dyn Cluster>),
        limits: &ClusterLimits,
        clock: Arc<dyn Clock>,
        observers: Arc<Observers>,
        alarm: Alarm,
    ) -> Self {
        let since = clock.wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let this = Instance { name, incarnation: millis(since) };
        let outgoing = OutgoingLimits {
            gather_ms: millis(limits.gather),
            notices: limits.waiting_notices,
            message_bytes: limits.message_bytes,
        };
        let is_alone = cluster.is_alone();
        let cluster = Guarded::new(cluster);
        cluster.belongs_to(&observers.owner());
        Self {
            outgoing: Mutex::new(Outgoing::new(this.clone(), outgoing)),
            this,
            cluster,
            is_alone,
            alarm,
            clock,
            observers,
            counts: BusCounts::default(),
            repeat_ms: millis(limits.repeat_interval),
        }
    }

    /// Whether there can be no other instance.
    pub(crate) const fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Whatever arrives from now on goes to the inbox.
    pub(crate) fn start(&self, inbox: Arc<dyn Inbox>) {
        self.guard(|| {
            self.cluster.start(&self.this, inbox);
            self.cluster.subscribe(&Topic::Heartbeats);
            self.cluster.subscribe(&Topic::Notices);
        });
    }

    /// Tells the other instances that something has changed: those with sessions of the project, if it is known. What
    /// there is to tell is not asked for if nobody hears it.
    pub(crate) fn notify(&self, what: impl FnOnce() -> Option<(Notice, Option<Text>)>) {
        let told = if self.is_alone { None } else { what() };
        let Some((notice, project)) = told else { return };
        let (topic, now_ms) = (notice.topic(project.as_ref()), self.clock.now_ms());
        self.counts.notices_out.add(1);
        let mut outgoing = self.outgoing.lock();
        let at_ms = outgoing.add(&topic, notice, now_ms);
        // Whatever was lost is noticed by the marks that follow soon.
        drop(outgoing);
        self.alarm.set(at_ms.unwrap_or(u64::MAX).min(now_ms.saturating_add(self.repeat_ms)));
        self.send();
    }

    /// Tells all other instances what was decided. Nothing is, if nobody hears it.
    pub(crate) fn decide(&self, what: impl FnOnce() -> Decision) {
        if self.is_alone {
            return;
        }
        let (decision, now_ms) = (what(), self.clock.now_ms());
        self.outgoing.lock().decide(decision, now_ms);
        self.alarm.set(now_ms.saturating_add(self.repeat_ms));
        self.send();
    }

    /// A session of the project was opened, or given to it.
    pub(crate) fn opened(&self, project: Option<&Text>) {
        let changed = !self.is_alone && self.outgoing.lock().interest.opened(project.unwrap_or(&Text::default()));
        if changed {
            self.send();
        }
    }

    /// A session of the project ended, or was given to another.
    pub(crate) fn closed(&self, project: Option<&Text>) {
        let changed = !self.is_alone && self.outgoing.lock().interest.closed(project.unwrap_or(&Text::default()));
        if changed {
            self.send();
        }
    }

    /// Whether what is published on a topic is received here.
    pub(crate) fn receives(&self, topic: &Topic) -> bool {
        match topic {
            Topic::ProjectNotices(project) => self.outgoing.lock().interest.holds(project),
            _ => true,
        }
    }

    /// Time has passed: what has gathered goes. Returns when what still gathers will.
    pub(crate) fn look(&self, now_ms: u64) -> Option<u64> {
        let due_ms = self.outgoing.lock().look(now_ms);
        self.send();
        due_ms
    }

    /// Says that this instance lives, and how far it has counted in what it published since then.
    pub(crate) fn beat(&self, since_ms: u64, fill: impl Fn(&mut Heartbeat)) {
        self.outgoing.lock().beat(since_ms, fill);
        self.send();
    }

    /// Forgets on which topics something was published before.
    pub(crate) fn forget_before(&self, since_ms: u64) {
        self.outgoing.lock().forget_before(since_ms);
    }

    /// When something was published last.
    pub(crate) fn latest_ms(&self) -> Option<u64> {
        self.outgoing.lock().latest_ms()
    }

    /// Asks one instance.
    pub(crate) fn request(
        &self,
        to: &str,
        message: Text,
        at_most: Duration,
    ) -> BoxFuture<'static, Result<Text, RequestError>> {
        let asked = self.guard(|| self.cluster.request(to, message, at_most));
        asked.unwrap_or_else(|| ready(Err(RequestError::Away)).boxed())
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.guard(|| self.cluster.is_connected()).unwrap_or(false)
    }

    /// Sends what waits, and ends.
    pub(crate) fn stop(&self) -> BoxFuture<'static, ()> {
        self.guard(|| self.cluster.stop()).unwrap_or_else(|| ready(()).boxed())
    }

    /// Hands over what waits, in order, one thread at a time; whoever comes meanwhile leaves it to the one that does.
    fn send(&self) {
        loop {
            let Some(order) = self.outgoing.lock().begin() else { return };
            self.guard(|| match order {
                Order::Publish(topic, message) => self.cluster.publish(&topic, message),
                Order::Subscribe(topic) => self.cluster.subscribe(&topic),
                Order::Unsubscribe(topic) => self.cluster.unsubscribe(&topic),
            });
            self.outgoing.lock().end();
        }
    }

    /// Calls the application's cluster.
    fn guard<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let report = |why| self.observers.warn(&Event::Panicked { what: PanicSite::Cluster, why });
        panics::catch(call).map_err(report).ok()
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("this", &self.this).finish_non_exhaustive()
    }
}
