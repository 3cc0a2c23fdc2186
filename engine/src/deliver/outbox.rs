//! What waits for one socket: answers in order, and subscriptions that are behind. Never a queue of patches.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::answer::Question;
use super::subscription::{Delivery, Kept, Step, Subscription, Versioned};
use crate::protocol::code::{close, error};
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
        /// The WebSocket close code; see [`close`](crate::protocol::code::close).
        code: u16,
        /// A few words.
        reason: Cow<'static, str>,
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
    Question(Question),
    /// The first snapshot of a subscription, made when it is its turn.
    Start(RequestId),
}

/// How a connection is to end.
#[derive(Debug, Clone)]
struct Ending {
    code: u16,
    reason: &'static str,
}

/// The state of one connection's way out. Told the time and the tree; answers what to write.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// The first frame.
    greeting: Option<String>,
    /// How long after the writer's first look it goes, in ms, and when that is.
    greeting_delay_ms: u64,
    greeting_at_ms: Option<u64>,
    subscriptions: Vec<Subscription>,
    replies: VecDeque<Reply>,
    reply_bytes: usize,
    max_reply_bytes: usize,
    ending: Option<Ending>,
    ended: bool,
    /// Where the search for a subscription that is behind starts, so that none starves.
    turn: usize,
    answers_in_row: u32,
}

/// How many answers may go before a patch has its turn.
const ANSWERS_IN_ROW: u32 = 16;

impl Outbox {
    pub(crate) const fn new(greeting: String, greeting_delay_ms: u64, max_reply_bytes: usize) -> Self {
        Self {
            greeting: Some(greeting),
            greeting_delay_ms,
            greeting_at_ms: None,
            subscriptions: Vec::new(),
            replies: VecDeque::new(),
            reply_bytes: 0,
            max_reply_bytes,
            ending: None,
            ended: false,
            turn: 0,
            answers_in_row: 0,
        }
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.reply_bytes
    }

    /// Whether an end was ordered. Then nothing more is taken.
    pub(crate) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Replaces a subscription with the same id (contract 1.9). Its snapshot takes its place among the answers.
    pub(crate) fn subscribe(&mut self, subscription: Subscription) {
        self.unsubscribe(&subscription.id);
        self.replies.push_back(Reply::Start(subscription.id.clone()));
        self.add(subscription);
    }

    /// Adds a subscription that goes on where an earlier connection's ended.
    pub(crate) fn resume(&mut self, subscription: Subscription, resumed: String) -> bool {
        self.unsubscribe(&subscription.id);
        self.add(subscription);
        self.reply(resumed)
    }

    /// Most connections have one subscription, and there are many connections: no room is made for more.
    fn add(&mut self, subscription: Subscription) {
        self.subscriptions.reserve_exact(1);
        self.subscriptions.push(subscription);
    }

    /// Where the subscriptions stand, for a later connection.
    pub(crate) fn keep(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.subscriptions).into_iter().filter_map(Subscription::keep).collect()
    }

    pub(crate) fn has_subscription(&self, id: &RequestId) -> bool {
        self.subscriptions.iter().any(|subscription| subscription.id == *id)
    }

    pub(crate) fn unsubscribe(&mut self, id: &RequestId) {
        self.subscriptions.retain(|subscription| subscription.id != *id);
        self.replies.retain(|reply| !matches!(reply, Reply::Start(starting) if starting == id));
    }

    /// Queues an answer. False if the peer takes too little: then the connection is ending.
    pub(crate) fn reply(&mut self, text: String) -> bool {
        self.reply_bytes += text.len();
        self.replies.push_back(Reply::Text(text));
        self.within_bounds()
    }

    /// Queues an answer that must not overtake the patches up to a version.
    pub(crate) fn reply_after_patches(&mut self, text: String, version: u64) -> bool {
        self.reply_bytes += text.len();
        self.replies.push_back(Reply::AfterPatches(text, version));
        self.within_bounds()
    }

    /// Queues a query.
    pub(crate) fn ask(&mut self, question: Question) -> bool {
        self.reply_bytes += Question::COST;
        self.replies.push_back(Reply::Question(question));
        self.within_bounds()
    }

    /// Whether the first frame was taken.
    pub(crate) const fn has_greeted(&self) -> bool {
        self.greeting.is_none()
    }

    fn within_bounds(&mut self) -> bool {
        if self.reply_bytes <= self.max_reply_bytes {
            return true;
        }
        self.replies.clear();
        self.reply_bytes = 0;
        self.end(close::TRY_LATER, "too many answers are waiting");
        false
    }

    /// Orders the end. What was queued before still goes out; the first order counts.
    pub(crate) fn end(&mut self, code: u16, reason: &'static str) {
        self.ending.get_or_insert(Ending { code, reason });
    }

    /// The next thing to write.
    pub(crate) fn next(&mut self, now_ms: u64, now: Option<&Versioned>, delivery: &Delivery) -> Next {
        if self.ended {
            return Next::Idle;
        }
        if self.greeting.is_some() {
            let at_ms = *self.greeting_at_ms.get_or_insert(now_ms.saturating_add(self.greeting_delay_ms));
            if at_ms > now_ms {
                return if self.ending.is_some() { self.finish() } else { Next::At(at_ms) };
            }
        }
        if let Some(hello) = self.greeting.take() {
            return Next::Write(Frame::Text(hello), Wrote::Other);
        }
        if self.ending.is_some() && now.is_none() {
            // The session is closed: what waits for its tree waits in vain.
            self.replies.retain(|reply| matches!(reply, Reply::Text(_) | Reply::AfterPatches(..)));
        }
        let next = self.next_of_both(now_ms, now, delivery);
        if self.replies.is_empty() && self.replies.capacity() > 0 {
            self.replies = VecDeque::new();
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
        match self.replies.front() {
            Some(_) => {
                self.answers_in_row += 1;
                self.next_reply(now_ms, now, delivery)
            }
            None => self.next_step(now_ms, now, None, delivery),
        }
    }

    fn awaits_result(&self) -> bool {
        self.replies.iter().any(|reply| matches!(reply, Reply::AfterPatches(..)))
    }

    fn finish(&mut self) -> Next {
        let Some(Ending { code, reason }) = self.ending.clone() else { return Next::Idle };
        self.ended = true;
        self.replies.clear();
        Next::Write(Frame::Close { code, reason: reason.into() }, Wrote::Other)
    }

    fn next_reply(&mut self, now_ms: u64, now: Option<&Versioned>, delivery: &Delivery) -> Next {
        match self.replies.front() {
            Some(Reply::Start(_)) => {
                let Some(now) = now else { return Next::Idle };
                let Some(Reply::Start(id)) = self.replies.pop_front() else { return Next::Idle };
                self.start(&id, now, now_ms, delivery)
            }
            Some(Reply::AfterPatches(_, version)) => {
                let version = *version;
                match self.next_step(now_ms, now, Some(version), delivery) {
                    Next::Idle => self.pop_text(),
                    first => first,
                }
            }
            Some(Reply::Question(_)) => {
                let Some(now) = now else { return Next::Idle };
                let Some(Reply::Question(question)) = self.replies.pop_front() else { return Next::Idle };
                self.reply_bytes -= Question::COST;
                let answer = question.answer(now, delivery);
                Next::Write(Frame::Text(answer.text), Wrote::Answer(answer.compacted))
            }
            Some(Reply::Text(_)) => self.pop_text(),
            None => Next::Idle,
        }
    }

    fn pop_text(&mut self) -> Next {
        match self.replies.pop_front() {
            Some(Reply::Text(text) | Reply::AfterPatches(text, _)) => {
                self.reply_bytes -= text.len();
                Next::Write(Frame::Text(text), Wrote::Other)
            }
            Some(Reply::Start(_) | Reply::Question(_)) | None => Next::Idle,
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
                let text = encode::error(Some(id), error::NOT_FOUND, "there is no such path");
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
            let at = (self.turn + offset) % count;
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
                self.turn = at + 1;
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
    };
    Some(Next::Write(Frame::Text(text), wrote))
}
