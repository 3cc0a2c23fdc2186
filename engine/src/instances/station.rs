//! Hears the other instances, and says that this one lives.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::commits::Commits;
use super::decider::Decider;
use super::hearing::Hearing;
use crate::clock::Clock;
use crate::cluster::bus::Bus;
use crate::cluster::follower::Follower;
use crate::cluster::handlers::Handlers;
use crate::cluster::inbox::Inbox;
use crate::cluster::instance::Instance;
use crate::cluster::membership::{Change, Heard};
use crate::cluster::repairs::Repair;
use crate::cluster::topic::Topic;
use crate::cluster::wire::{Heartbeat, Malformed, Notices};
use crate::config::{ClusterLimits, Limit};
use crate::event::{ClusterEvent, Event, Observers, RepairCause};
use crate::model::Text;
use crate::model::selector::Selector;
use crate::refresh::refresher::{Refresher, Urgency};
use crate::refresh::scope::Target;
use crate::sessions::paths::Paths;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// This instance among the others. Alone, it does nothing.
pub(crate) struct Station {
    pub(crate) bus: Arc<Bus>,
    hearing: Mutex<Hearing>,
    commits: Arc<Commits>,
    pub(crate) decider: Arc<Decider>,
    handlers: Handlers,
    followers: Vec<Arc<dyn Follower>>,
    refresher: Arc<Refresher>,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
    max_bytes: usize,
    /// It has said that it leaves.
    has_left: AtomicBool,
}

/// What a station works with.
pub(crate) struct StationParts {
    pub(crate) bus: Arc<Bus>,
    pub(crate) commits: Commits,
    pub(crate) decider: Arc<Decider>,
    pub(crate) handlers: Handlers,
    pub(crate) followers: Vec<Arc<dyn Follower>>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observers: Arc<Observers>,
}

impl Station {
    pub(crate) fn new(parts: StationParts, limits: &ClusterLimits) -> Arc<Self> {
        Arc::new(Self {
            hearing: Mutex::new(Hearing::new(parts.bus.this.clone(), limits)),
            bus: parts.bus,
            commits: Arc::new(parts.commits),
            decider: parts.decider,
            handlers: parts.handlers,
            followers: parts.followers,
            refresher: parts.refresher,
            clock: parts.clock,
            observers: parts.observers,
            max_bytes: limits.message_bytes,
            has_left: AtomicBool::new(false),
        })
    }

    /// Begins to hear and to speak.
    pub(crate) fn start(&self, inbox: Arc<dyn Inbox>) {
        self.bus.start(inbox);
        self.look();
    }

    /// A timer fired.
    pub(crate) fn look_if_due(&self) {
        if self.bus.alarm.rings(self.clock.now_ms()) {
            self.look();
        }
    }

    /// Time has passed, or something has come that makes something due.
    fn look(&self) {
        if self.bus.is_alone() || self.has_left.load(Ordering::SeqCst) {
            return;
        }
        let now_ms = self.clock.now_ms();
        let gathered_ms = self.bus.look(now_ms);
        let again_ms = self.commits.look(now_ms);
        let latest_ms = self.bus.latest_ms();
        let mut hearing = self.hearing.lock();
        let changes = hearing.look(now_ms);
        let repairs = hearing.repairs.take_due(now_ms);
        let beat_since_ms = hearing.beat(latest_ms, now_ms);
        let due_ms = hearing.beat_due_ms(latest_ms, now_ms);
        let others_ms = [hearing.membership.due_ms(), hearing.repairs.due_ms(), gathered_ms, again_ms];
        let marked_since_ms = hearing.marked_since_ms(now_ms);
        if beat_since_ms.is_some() {
            hearing.retain_topics(|topic| self.bus.receives(topic));
        }
        drop(hearing);
        if let Some(since_ms) = beat_since_ms {
            self.bus.forget_before(marked_since_ms);
            let known = self.decider.known();
            self.bus.beat(since_ms, |beat| beat.decisions = Some(known));
        }
        changes.iter().for_each(|change| self.follow(change));
        repairs.into_iter().for_each(|(what, cause)| self.repair(what, cause));
        self.bus.alarm.set(others_ms.into_iter().flatten().fold(due_ms, u64::min));
    }

    fn repair(&self, what: Repair, cause: RepairCause) {
        self.bus.counts.resyncs.add(1);
        let (selector, project) = match what {
            Repair::All => (Selector::All, None),
            Repair::Project(project) => (Selector::Project(project.clone()), Some(project)),
        };
        self.report(ClusterEvent::Resynced { project, cause });
        self.refresher.request(&Target::Selected(selector), &Paths::All, Urgency::Debounced);
    }

    fn follow(&self, change: &Change) {
        self.report(match change {
            Change::Joined(of) | Change::Returned(of) | Change::Restarted(of) => {
                ClusterEvent::InstanceSeen { instance: of.name.clone(), incarnation: of.incarnation }
            }
            Change::Suspect(of) => ClusterEvent::InstanceSuspect { instance: of.name.clone() },
            Change::Gone(of) => ClusterEvent::InstanceGone { instance: of.name.clone() },
        });
        self.followers.iter().for_each(|follower| follower.changed(change));
    }

    fn report(&self, what: ClusterEvent) {
        self.observers.warn(&Event::Cluster(what));
    }

    /// Something was published on a topic.
    pub(super) fn published(&self, topic: &Topic, message: &str) {
        let read = match topic {
            Topic::Heartbeats => Heartbeat::decode(message, self.max_bytes).map(|beat| self.heartbeat(&beat)),
            Topic::Notices | Topic::ProjectNotices(_) => {
                Notices::decode(topic, message, self.max_bytes).map(|notices| self.notices(topic, notices))
            }
            Topic::Presence(_) | Topic::Room { .. } => Ok(()),
        };
        if let Err(malformed) = read {
            self.dropped(topic, &malformed);
        }
    }

    fn dropped(&self, topic: &Topic, malformed: &Malformed) {
        let now_ms = self.clock.now_ms();
        self.observers.bus_message_dropped(topic.kind(), malformed.as_str(), now_ms);
        self.missed(topic, RepairCause::Malformed);
    }

    fn heartbeat(&self, beat: &Heartbeat) {
        let now_ms = self.clock.now_ms();
        let heard = self.hearing.lock().heartbeat(beat, now_ms, |topic| self.bus.receives(topic));
        // First: whoever follows forgets what an earlier life has said.
        if let Heard::Changed(change) = &heard {
            self.follow(change);
        }
        if let (Heard::Known | Heard::Changed(_), false, Some(known)) = (&heard, beat.leaves, beat.decisions)
            && beat.from != self.bus.this
        {
            self.decider.heard(&beat.from, known);
        }
        match heard {
            Heard::Changed(_) => self.look(),
            Heard::Known => self.remind(),
            Heard::Outlived => {}
            Heard::Namesake => {
                let why = "another instance has the name of this one";
                self.observers.bus_message_dropped(Topic::Heartbeats.kind(), why, now_ms);
            }
            Heard::TooMany => {
                let limit = Limit::Instances;
                self.observers.warn(&Event::LimitReached { limit, session: Text::default() });
            }
        }
    }

    fn notices(&self, topic: &Topic, message: Notices) {
        let Notices { from, at, notices, decisions } = message;
        if from.name == self.bus.this.name {
            return;
        }
        self.bus.counts.notices_in.add(notices.len());
        let now_ms = self.clock.now_ms();
        self.hearing.lock().message(&from, topic, at, now_ms);
        decisions.into_iter().for_each(|decision| self.decider.learn(decision.into(), &from));
        let again_ms = notices.into_iter().filter_map(|notice| self.commits.follow(topic, notice, now_ms)).min();
        again_ms.into_iter().for_each(|at_ms| self.bus.alarm.set(at_ms));
        self.remind();
    }

    /// What is published on a topic may have been missed.
    pub(super) fn missed(&self, topic: &Topic, cause: RepairCause) {
        let now_ms = self.clock.now_ms();
        self.hearing.lock().repair(topic, cause, now_ms);
        self.remind();
    }

    /// Sees to it that what is due by now is done in time.
    fn remind(&self) {
        let due_ms = self.hearing.lock().repairs.due_ms();
        due_ms.into_iter().for_each(|due_ms| self.bus.alarm.set(due_ms));
    }

    /// Nothing of a topic is missed from now on.
    pub(super) fn subscribed(&self, topic: &Topic) {
        self.missed(topic, RepairCause::Subscribed);
    }

    pub(super) fn refused(&self, topic: &Topic, why: &str) {
        self.report(ClusterEvent::Refused { topic: topic.kind(), why: why.to_owned() });
    }

    /// There is a connection. Whatever was published meanwhile is lost.
    pub(super) fn connected(&self) {
        self.report(ClusterEvent::Connected);
        self.hearing.lock().speak_soon();
        self.missed(&Topic::Notices, RepairCause::Reconnected);
        self.look();
    }

    pub(super) fn disconnected(&self, why: &str) {
        self.report(ClusterEvent::Disconnected { why: why.to_owned() });
    }

    pub(super) fn lost(&self) {
        self.missed(&Topic::Notices, RepairCause::Lost);
    }

    /// Another instance asks.
    pub(super) fn requested(&self, message: &Text) -> BoxFuture<'static, Text> {
        self.handlers.serve(message)
    }

    /// The instances that are there, this one included, by name.
    pub(crate) fn instances(&self) -> Vec<Instance> {
        let mut all = self.hearing.lock().membership.present();
        all.push(self.bus.this.clone());
        all.sort_unstable();
        all
    }

    /// Says that this instance leaves, and ends.
    pub(crate) fn leave(&self) -> BoxFuture<'static, ()> {
        if !self.bus.is_alone() {
            // A heartbeat after that would say that it is there.
            self.has_left.store(true, Ordering::SeqCst);
            self.bus.look(u64::MAX);
            self.bus.beat(0, |beat| beat.leaves = true);
        }
        self.bus.stop()
    }
}

impl fmt::Debug for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Station").field("this", &self.bus.this).finish_non_exhaustive()
    }
}
