//! What waits for one socket: answers in order, and subscriptions that are behind. Never a queue of patches.

use std::collections::VecDeque;

use super::query::PendingQuery;
use super::subscription::{Delivery, ResumePoint, Step, Subscription, Versioned};
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::{CloseCode, ErrorCode};
use crate::protocol::encode;
use crate::protocol::message::RequestId;

/// One thing to write to the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One message.
    Text(String),
    /// A WebSocket ping, or whatever shows on this transport that the peer lives.
    Ping,
    /// The end: nothing follows.
    Close {
        /// The close code.
        code: CloseCode,
        /// A sentence for the peer.
        reason: &'static str,
    },
}

/// What the writer shall do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Write(Frame, Wrote),
    /// Nothing before this time, in ms.
    At(u64),
    /// Nothing until something happens.
    Idle,
}

/// What kind of message was made, for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// With the number of nodes that the view had, if it was compacted.
    Snapshot(Option<usize>),
    Patch,
    /// The answer to a query, and how many nodes the view had if it had to be compacted.
    Answer(Option<usize>),
    /// An error in place of a view that fits no frame.
    TooLarge,
    Other,
}

/// An answer that waits.
#[derive(Debug)]
enum Reply {
    Text(String),
    /// Goes out when every subscription has what was committed up to this version (contract 1.8, rule 3). What is
    /// committed later does not hold it up.
    AfterPatches(String, u64),
    /// A query, answered from the tree at its turn.
    PendingQuery(PendingQuery),
    /// The first snapshot of a subscription, made when it is its turn.
    Start(RequestId),
    /// A subscription goes on from its consumer's copy.
    Resume(RequestId),
}

/// The first frame, and when it goes.
#[derive(Debug)]
struct Greeting {
    text: String,
    /// How long after the writer's first look, in ms, and when that is.
    delay_ms: u64,
    at_ms: Option<u64>,
}

/// Answers that wait, in order.
#[derive(Debug, Default)]
struct Waiting {
    replies: VecDeque<Reply>,
    bytes: usize,
}

/// The state of one connection's way out. Told the time and the tree; answers what to write.
///
/// Nearly always a connection waits with nothing to say, and there are many: what it has only at times stands apart.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Absent once it was written.
    greeting: Option<Box<Greeting>>,
    subscriptions: Vec<Subscription>,
    /// Absent if nothing waits.
    waiting: Option<Box<Waiting>>,
    max_reply_bytes: usize,
    ending: Option<CloseReason>,
    /// Where the search for a subscription that is behind starts, so that none starves.
    turn: u32,
    answers_in_row: u8,
    ended: bool,
}

/// How many answers may go before a patch has its turn.
const ANSWERS_IN_ROW: u8 = 16;

impl Outbox {
    pub(crate) fn new(greeting: String, delay_ms: u64, max_reply_bytes: usize) -> Self {
        Self {
            greeting: Some(Box::new(Greeting { text: greeting, delay_ms, at_ms: None })),
            subscriptions: Vec::new(),
            waiting: None,
            max_reply_bytes,
            ending: None,
            turn: 0,
            answers_in_row: 0,
            ended: false,
        }
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// Whether an end was ordered. Then nothing more is taken.
    pub(crate) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Replaces a subscription with the same id (contract 1.9). Its snapshot takes its place among the answers.
    pub(crate) fn subscribe(&mut self, subscription: Subscription) {
        self.unsubscribe(&subscription.id);
        self.waiting.get_or_insert_default().replies.push_back(Reply::Start(subscription.id.clone()));
        self.add(subscription);
    }

    /// Adds a subscription that goes on where an earlier connection's ended.
    pub(crate) fn resume(&mut self, subscription: Subscription) {
        self.unsubscribe(&subscription.id);
        self.waiting.get_or_insert_default().replies.push_back(Reply::Resume(subscription.id.clone()));
        self.add(subscription);
    }

    /// Most connections have one subscription, and there are many connections: no room is made for more.
    fn add(&mut self, subscription: Subscription) {
        self.subscriptions.reserve_exact(1);
        self.subscriptions.push(subscription);
    }

    /// Takes all subscriptions: how many there were, and where they stand, for a later connection.
    pub(crate) fn keep(&mut self) -> (usize, Vec<ResumePoint>) {
        let subscriptions = std::mem::take(&mut self.subscriptions);
        (subscriptions.len(), subscriptions.into_iter().filter_map(Subscription::keep).collect())
    }

    pub(crate) fn has_subscription(&self, id: &RequestId) -> bool {
        self.subscriptions.iter().any(|subscription| subscription.id == *id)
    }

    pub(crate) fn unsubscribe(&mut self, id: &RequestId) {
        self.subscriptions.retain(|subscription| subscription.id != *id);
        self.retain(|reply| !matches!(reply, Reply::Start(begun) | Reply::Resume(begun) if begun == id));
    }

    fn retain(&mut self, keep: impl FnMut(&Reply) -> bool) {
        if let Some(waiting) = &mut self.waiting {
            waiting.replies.retain(keep);
        }
    }

    /// Queues an answer. False if the peer takes too little: then the connection is ending.
    pub(crate) fn reply(&mut self, text: String) -> bool {
        self.queue(text.len(), Reply::Text(text))
    }

    /// Queues an answer that must not overtake the patches up to a version.
    pub(crate) fn reply_after_patches(&mut self, text: String, version: u64) -> bool {
        self.queue(text.len(), Reply::AfterPatches(text, version))
    }

    /// Queues a query.
    pub(crate) fn ask(&mut self, question: PendingQuery) -> bool {
        self.queue(PendingQuery::COST, Reply::PendingQuery(question))
    }

    fn queue(&mut self, bytes: usize, reply: Reply) -> bool {
        let waiting = self.waiting.get_or_insert_default();
        waiting.bytes += bytes;
        waiting.replies.push_back(reply);
        if waiting.bytes <= self.max_reply_bytes {
            return true;
        }
        self.waiting = None;
        self.end(CloseReason::Slow);
        false
    }

    /// Whether what goes out next shows a tree for the first time: a first snapshot, or the answer to a query.
    pub(crate) fn starts_with_a_view(&self) -> bool {
        matches!(self.front(), Some(Reply::Start(_) | Reply::PendingQuery(_)))
    }

    /// Whether the first frame was taken.
    pub(crate) const fn has_greeted(&self) -> bool {
        self.greeting.is_none()
    }

    /// Orders the end. What was queued before still goes out; the first order counts.
    pub(crate) fn end(&mut self, reason: CloseReason) {
        self.ending.get_or_insert(reason);
    }

    /// Why it ends, or that the peer is simply gone.
    pub(crate) fn close_reason(&self) -> CloseReason {
        self.ending.unwrap_or(CloseReason::Gone)
    }

    /// The next thing to write.
    pub(crate) fn next(&mut self, now_ms: u64, now: Option<&Versioned>, delivery: &Delivery) -> Next {
        if self.ended {
            return Next::Idle;
        }
        if let Some(greeting) = &mut self.greeting {
            let at_ms = *greeting.at_ms.get_or_insert(now_ms.saturating_add(greeting.delay_ms));
            if at_ms > now_ms {
                return if self.ending.is_some() { self.finish() } else { Next::At(at_ms) };
            }
        }
        if let Some(greeting) = self.greeting.take() {
            return Next::Write(Frame::Text(greeting.text), Wrote::Other);
        }
        if self.ending.is_some() && now.is_none() {
            // The session is closed: what waits for its tree waits in vain.
            self.retain(|reply| matches!(reply, Reply::Text(_) | Reply::AfterPatches(..)));
        }
        let next = self.next_of_both(now_ms, now, delivery);
        if self.front().is_none() {
            self.waiting = None;
        }
        match next {
            // Whatever still waits for a tree will not get one; whatever is only held may go unsent.
            Next::Idle | Next::At(_) if self.ending.is_some() && !self.awaits_result() => self.finish(),
            next => next,
        }
    }

    /// Answers go first, but a peer that never stops asking still gets its patches.
    fn next_of_both(&mut self, now_ms: u64, now: Option<&Versioned>, delivery: &Delivery) -> Next {
        if self.answers_in_row >= ANSWERS_IN_ROW {
            self.answers_in_row = 0;
            if let step @ Next::Write(..) = self.next_step(now_ms, now, None, delivery) {
                return step;
            }
        }
        match self.front() {
            Some(_) => {
                self.answers_in_row += 1;
                self.next_reply(now_ms, now, delivery)
            }
            None => self.next_step(now_ms, now, None, delivery),
        }
    }

    fn front(&self) -> Option<&Reply> {
        self.waiting.as_ref()?.replies.front()
    }

    fn pop(&mut self) -> Option<Reply> {
        self.waiting.as_mut()?.replies.pop_front()
    }

    fn awaits_result(&self) -> bool {
        let waiting = self.waiting.iter().flat_map(|waiting| &waiting.replies);
        waiting.into_iter().any(|reply| matches!(reply, Reply::AfterPatches(..)))
    }

    fn finish(&mut self) -> Next {
        let Some(reason) = self.ending else { return Next::Idle };
        let close = Frame::Close { code: reason.code(), reason: reason.message() };
        self.ended = true;
        self.waiting = None;
        Next::Write(close, Wrote::Other)
    }

    fn next_reply(&mut self, now_ms: u64, now: Option<&Versioned>, delivery: &Delivery) -> Next {
        match self.front() {
            Some(Reply::Start(_)) => {
                let Some(now) = now else { return Next::Idle };
                let Some(Reply::Start(id)) = self.pop() else { return Next::Idle };
                self.start(&id, now, now_ms, delivery)
            }
            Some(Reply::AfterPatches(_, version)) => {
                let version = *version;
                match self.next_step(now_ms, now, Some(version), delivery) {
                    Next::Idle => self.pop_text(),
                    first => first,
                }
            }
            Some(Reply::PendingQuery(_)) => {
                let Some(now) = now else { return Next::Idle };
                let Some(Reply::PendingQuery(question)) = self.pop() else { return Next::Idle };
                self.paid(PendingQuery::COST);
                let answer = question.answer(now, delivery);
                let wrote = if answer.too_large { Wrote::TooLarge } else { Wrote::Answer(answer.compacted) };
                Next::Write(Frame::Text(answer.text), wrote)
            }
            Some(Reply::Resume(_)) => {
                let Some(Reply::Resume(id)) = self.pop() else { return Next::Idle };
                let resumed = self.subscriptions.iter_mut().find(|subscription| subscription.id == id);
                match resumed.map(Subscription::resume) {
                    Some(text) => Next::Write(Frame::Text(text), Wrote::Other),
                    // Another connection went on from there meanwhile.
                    None => self.next(now_ms, now, delivery),
                }
            }
            Some(Reply::Text(_)) => self.pop_text(),
            None => Next::Idle,
        }
    }

    fn pop_text(&mut self) -> Next {
        match self.pop() {
            Some(Reply::Text(text) | Reply::AfterPatches(text, _)) => {
                self.paid(text.len());
                Next::Write(Frame::Text(text), Wrote::Other)
            }
            Some(Reply::Start(_) | Reply::Resume(_) | Reply::PendingQuery(_)) | None => Next::Idle,
        }
    }

    /// An answer does not wait any more.
    fn paid(&mut self, bytes: usize) {
        if let Some(waiting) = &mut self.waiting {
            waiting.bytes -= bytes;
        }
    }

    fn start(&mut self, id: &RequestId, now: &Versioned, now_ms: u64, delivery: &Delivery) -> Next {
        let Some(at) = self.subscriptions.iter().position(|subscription| subscription.id == *id) else {
            return self.next(now_ms, Some(now), delivery);
        };
        match self.subscriptions[at].start(now, now_ms, delivery) {
            Some(step) => written(step).unwrap_or(Next::Idle),
            None => {
                self.subscriptions.remove(at);
                let text = encode::error(Some(id), ErrorCode::NotFound, "there is no such path");
                Next::Write(Frame::Text(text), Wrote::Other)
            }
        }
    }

    /// The next patch or re-base of a subscription that is behind; of one that lacks something older than a version, if
    /// that matters.
    fn next_step(&mut self, now_ms: u64, now: Option<&Versioned>, before: Option<u64>, delivery: &Delivery) -> Next {
        let Some(now) = now else { return Next::Idle };
        let count = self.subscriptions.len();
        let mut held = None;
        for offset in 0..count {
            let at = (self.turn as usize + offset) % count;
            let subscription = &mut self.subscriptions[at];
            if !subscription.is_behind(now, before) {
                continue;
            }
            if subscription.held_until() > now_ms {
                let until = subscription.held_until();
                held = Some(held.map_or(until, |other: u64| other.min(until)));
                continue;
            }
            if let Some(next) = written(subscription.step(now, now_ms, delivery)) {
                self.turn = at as u32 + 1;
                return next;
            }
        }
        held.map_or(Next::Idle, Next::At)
    }
}

fn written(step: Step) -> Option<Next> {
    let (text, wrote) = match step {
        Step::Nothing => return None,
        Step::Snapshot(text, compacted) => (text, Wrote::Snapshot(compacted)),
        Step::Patch(text) => (text, Wrote::Patch),
        Step::Error(text) => (text, Wrote::Other),
        Step::TooLarge(text) => (text, Wrote::TooLarge),
    };
    Some(Next::Write(Frame::Text(text), wrote))
}
