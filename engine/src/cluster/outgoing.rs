//! What goes to the other instances, in order.

use std::collections::VecDeque;

use super::decision::Decision;
use super::gathering::Gathering;
use super::instance::Instance;
use super::interest::{Interest, Step};
use super::notice::Notice;
use super::numbers::Numbers;
use super::topic::Topic;
use super::wire::{Heartbeat, Notices};
use crate::model::Text;

/// How much longer a list of notices may be as JSON than its texts are.
const ESCAPED: usize = 8;

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutgoingLimits {
    pub(crate) gather_ms: u64,
    pub(crate) notices: usize,
    pub(crate) message_bytes: usize,
}

/// What is asked of a cluster.
#[derive(Debug)]
pub(crate) enum Order {
    Publish(Topic, Text),
    Subscribe(Topic),
    Unsubscribe(Topic),
}

/// What has still to go. Messages are numbered in the order in which they go.
#[derive(Debug)]
pub(crate) struct Outgoing {
    this: Instance,
    limits: OutgoingLimits,
    gathering: Gathering,
    /// Until when further notices gather, in ms.
    gathers_until_ms: u64,
    numbers: Numbers,
    encoded: VecDeque<(Topic, Text)>,
    pub(crate) interest: Interest,
    /// Whether somebody hands orders over.
    is_sending: bool,
}

impl Outgoing {
    pub(crate) fn new(this: Instance, limits: OutgoingLimits) -> Self {
        Self {
            this,
            limits,
            gathering: Gathering::default(),
            gathers_until_ms: 0,
            numbers: Numbers::default(),
            encoded: VecDeque::new(),
            interest: Interest::default(),
            is_sending: false,
        }
    }

    /// Adds a notice. Returns when it goes, if not at once.
    pub(crate) fn add(&mut self, topic: &Topic, notice: Notice, now_ms: u64) -> Option<u64> {
        self.gathering.add(topic, notice, self.limits.notices);
        // While a cluster does not take what is handed over, the rest gathers as well.
        if now_ms < self.gathers_until_ms || self.encoded.len() >= self.limits.notices {
            return Some(self.gathers_until_ms.max(now_ms + 1));
        }
        self.encode(now_ms);
        None
    }

    /// Encodes what has gathered, if it is time. Returns when it will be, if not.
    pub(crate) fn look(&mut self, now_ms: u64) -> Option<u64> {
        if self.gathering.is_empty() {
            return None;
        }
        if now_ms < self.gathers_until_ms || self.encoded.len() >= self.limits.notices {
            return Some(self.gathers_until_ms.max(now_ms + 1));
        }
        self.encode(now_ms);
        None
    }

    fn encode(&mut self, now_ms: u64) {
        for (topic, notices) in self.gathering.take(self.limits.message_bytes / ESCAPED) {
            self.push(topic, notices, Vec::new(), now_ms);
        }
        self.gathers_until_ms = now_ms.saturating_add(self.limits.gather_ms);
    }

    /// A decision does not wait for others.
    pub(crate) fn decide(&mut self, decision: Decision, now_ms: u64) {
        self.push(Topic::Notices, Vec::new(), vec![decision], now_ms);
    }

    fn push(&mut self, topic: Topic, notices: Vec<Notice>, decisions: Vec<Decision>, now_ms: u64) {
        let at = self.numbers.next(&topic, now_ms);
        let message = Notices { from: self.this.clone(), at, notices, decisions };
        self.encoded.push_back((topic, message.encode()));
    }

    /// Heartbeats with the marks of what was published since then; more than one if there are many.
    pub(crate) fn beat(&mut self, since_ms: u64, fill: impl Fn(&mut Heartbeat)) {
        let new = || {
            let mut heartbeat = Heartbeat::new(self.this.clone());
            fill(&mut heartbeat);
            heartbeat
        };
        let (mut heartbeat, mut bytes, mut all) = (new(), 0, Vec::new());
        for (topic, number) in self.numbers.marks(since_ms) {
            if bytes > self.limits.message_bytes / ESCAPED {
                all.push(std::mem::replace(&mut heartbeat, new()));
                bytes = 0;
            }
            bytes += 24 + if let Topic::ProjectNotices(project) = topic { project.len() } else { 0 };
            heartbeat.mark(topic, number);
        }
        all.push(heartbeat);
        self.encoded.extend(all.iter().map(|heartbeat| (Topic::Heartbeats, heartbeat.encode())));
    }

    pub(crate) fn forget_before(&mut self, since_ms: u64) {
        self.numbers.forget_before(since_ms);
    }

    pub(crate) fn latest_ms(&self) -> Option<u64> {
        self.numbers.latest_ms()
    }

    /// The next order, for whoever hands it over; nothing while somebody else does.
    pub(crate) fn begin(&mut self) -> Option<Order> {
        if self.is_sending {
            return None;
        }
        let order = match self.interest.next() {
            Some(Step::Subscribe(project)) => Order::Subscribe(Topic::ProjectNotices(project)),
            Some(Step::Unsubscribe(project)) => Order::Unsubscribe(Topic::ProjectNotices(project)),
            None => self.encoded.pop_front().map(|(topic, message)| Order::Publish(topic, message))?,
        };
        self.is_sending = true;
        Some(order)
    }

    /// It was handed over.
    pub(crate) const fn end(&mut self) {
        self.is_sending = false;
    }
}
