//! What waits for one socket: replies in order, events, and subscriptions that are behind. Never a queue of patches.

use std::sync::Arc;

use super::delivery::Delivery;
use super::event_lane::EventLane;
use super::frame::{Frame, Next, Wrote};
use super::query::PendingQuery;
use super::released::Released;
use super::replies::{Replies, Reply};
use super::resume_point::ResumePoint;
use super::subscription::{Step, Subscription};
use super::versioned::Versioned;
use crate::model::Text;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::encoded_event::EncodedEvent;
use crate::protocol::message::RequestId;

/// The first frame, and when it goes.
#[derive(Debug)]
struct Greeting {
    text: String,
    /// How long after the writer's first look, in ms, and when that is.
    delay_ms: u64,
    at_ms: Option<u64>,
}

/// What waits apart from patches.
#[derive(Debug, Default)]
struct Waiting {
    replies: Replies,
    events: EventLane,
}

/// The state of one connection's way out. It is told the time and the tree, and returns what to write.
///
/// Nearly always a connection waits with nothing to say, and there are many: what it has only at times stands apart.
/// Whatever may hold something of the application's is handed over as [`Released`] and dropped without the lock.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Absent once it was written.
    greeting: Option<Box<Greeting>>,
    subscriptions: Vec<Subscription>,
    /// Absent if nothing waits.
    waiting: Option<Box<Waiting>>,
    max_reply_bytes: u32,
    /// What the subscriptions keep of what their consumer chose.
    kept_bytes: u32,
    /// How many events were queued since the start.
    events_queued: u64,
    /// Where the search for a subscription that is behind starts, so that none starves.
    turn: u32,
    replies_in_row: u8,
    /// The next frame is an event, if one waits: neither lane delays the other by more than a frame.
    event_turn: bool,
    ending: Option<CloseReason>,
    ended: bool,
}

/// Whether what was queued fits into the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a peer that lets too many replies wait is closed"]
pub(crate) enum Queued {
    Fits,
    /// Too many replies wait: the connection is to be closed.
    TooMuch,
}

/// How many replies may go before a patch has its turn.
const REPLIES_IN_ROW: u8 = 16;

impl Outbox {
    /// An outbox whose first frame, if any, goes out after a delay in ms.
    pub(crate) fn new(greeting: Option<(String, u64)>, max_reply_bytes: usize) -> Self {
        let greeting = greeting.map(|(text, delay_ms)| Box::new(Greeting { text, delay_ms, at_ms: None }));
        Self {
            greeting,
            subscriptions: Vec::new(),
            waiting: None,
            max_reply_bytes: u32::try_from(max_reply_bytes).unwrap_or(u32::MAX),
            kept_bytes: 0,
            events_queued: 0,
            turn: 0,
            replies_in_row: 0,
            event_turn: false,
            ending: None,
            ended: false,
        }
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Bytes that the subscriptions keep of what their consumer chose.
    pub(crate) const fn kept_bytes(&self) -> usize {
        self.kept_bytes as usize
    }

    /// The same without the subscription with this id.
    pub(crate) fn kept_bytes_without(&self, id: &RequestId) -> usize {
        let known = self.subscriptions.iter().find(|subscription| subscription.id == *id);
        self.kept_bytes() - known.map_or(0, Subscription::bytes)
    }

    /// Bytes of replies and events that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.replies.bytes() + waiting.events.bytes())
    }

    /// Bytes of events that wait.
    pub(crate) fn event_bytes(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.events.bytes())
    }

    /// Whether an end was ordered. Then nothing more is received.
    pub(crate) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Why an end was ordered, if it was.
    pub(crate) const fn ending(&self) -> Option<CloseReason> {
        self.ending
    }

    /// Replaces a subscription with the same id (contract 1.9). Its snapshot takes its turn among the replies.
    pub(crate) fn subscribe(&mut self, subscription: Subscription, released: &mut Released) {
        let start = Reply::Start(subscription.id.clone());
        self.add(subscription, start, released);
    }

    /// Adds a subscription that resumes from where an earlier connection's ended.
    pub(crate) fn resume(&mut self, subscription: Subscription, released: &mut Released) {
        let resume = Reply::Resume(subscription.id.clone());
        self.add(subscription, resume, released);
    }

    /// Most connections have one subscription, and there are many connections: no room is made for more.
    fn add(&mut self, subscription: Subscription, first: Reply, released: &mut Released) {
        self.unsubscribe(&subscription.id, released);
        self.waiting.get_or_insert_default().replies.push(first);
        self.subscriptions.reserve_exact(1);
        self.kept_bytes += subscription.bytes() as u32;
        self.subscriptions.push(subscription);
    }

    /// Takes all subscriptions: how many there were, and from where a later connection may resume.
    pub(crate) fn take_subscriptions(&mut self, released: &mut Released) -> (usize, Vec<ResumePoint>) {
        let subscriptions = std::mem::take(&mut self.subscriptions);
        let count = subscriptions.len();
        self.kept_bytes = 0;
        let points = subscriptions.into_iter().filter_map(|subscription| subscription.into_resume_point(released));
        (count, points.collect())
    }

    /// Another connection goes on with the subscriptions: takes them. Whoever waits here for one to begin is told.
    pub(crate) fn hand_over(&mut self, reason: CloseReason, released: &mut Released) -> (usize, Vec<ResumePoint>) {
        if let Some(waiting) = &mut self.waiting {
            waiting.replies.reject_starts(reason, released);
        }
        self.take_subscriptions(released)
    }

    pub(crate) fn has_subscription(&self, id: &RequestId) -> bool {
        self.subscriptions.iter().any(|subscription| subscription.id == *id)
    }

    /// The path at which the subscription with this id is.
    pub(crate) fn subscribed_path(&self, id: &RequestId) -> Option<Text> {
        let subscription = self.subscriptions.iter().find(|subscription| subscription.id == *id)?;
        Some(subscription.path().clone())
    }

    /// Whether there is a subscription at such a path.
    pub(crate) fn is_subscribed_at(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.subscriptions.iter().any(|subscription| wanted(subscription.path()))
    }

    pub(crate) fn unsubscribe(&mut self, id: &RequestId, released: &mut Released) {
        if let Some(at) = self.subscriptions.iter().position(|subscription| subscription.id == *id) {
            self.remove(at, released);
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.replies.cancel_start(id);
        }
    }

    fn remove(&mut self, at: usize, released: &mut Released) {
        let subscription = self.subscriptions.remove(at);
        self.kept_bytes -= subscription.bytes() as u32;
        subscription.release(released);
    }

    /// Queues a reply.
    pub(crate) fn reply(&mut self, text: String) -> Queued {
        self.queue(Reply::Text(text))
    }

    /// Queues a reply of a connection that is about to end, whatever else waits.
    pub(crate) fn last_reply(&mut self, text: String) {
        self.waiting.get_or_insert_default().replies.push(Reply::Text(text));
    }

    /// Queues the result of a call, which must not overtake the patches up to a version, nor the events that were queued
    /// while the call ran.
    pub(crate) fn result(&mut self, text: String, version: u64, events_before: u64) -> Queued {
        let event = if self.events_queued > events_before { self.places() } else { 0 };
        self.queue(Reply::Result { text, version, event })
    }

    /// Queues a query.
    pub(crate) fn query(&mut self, query: PendingQuery) -> Queued {
        self.queue(Reply::Query(query))
    }

    /// Queues a query for which something was loaded, if that fits beside what waits; if nothing waits, it fits. What does
    /// not is refused, and handed over to be dropped.
    pub(crate) fn loaded_query(&mut self, query: PendingQuery, released: &mut Released) -> Queued {
        let waiting = self.waiting.as_ref().map_or(0, |waiting| waiting.replies.bytes());
        if waiting == 0 {
            self.waiting.get_or_insert_default().replies.push(Reply::Query(query));
            return Queued::Fits;
        }
        if waiting + query.cost() <= self.max_reply_bytes as usize {
            return self.query(query);
        }
        let refused = encode::error(Some(&query.id), ErrorCode::Busy, "too much waits to be read: read it first");
        released.query(query);
        self.reply(refused)
    }

    fn queue(&mut self, reply: Reply) -> Queued {
        let replies = &mut self.waiting.get_or_insert_default().replies;
        replies.push(reply);
        let too_much = replies.bytes() > self.max_reply_bytes as usize && !self.is_ending();
        if too_much { Queued::TooMuch } else { Queued::Fits }
    }

    /// Queues an event, unless an end was ordered: a stream of events must not put the close off. Returns whether older
    /// ones were dropped for it.
    pub(crate) fn event(&mut self, event: Arc<EncodedEvent>, max_bytes: usize) -> bool {
        if self.is_ending() {
            return false;
        }
        self.events_queued += 1;
        self.waiting.get_or_insert_default().events.push(event, max_bytes)
    }

    /// Queues events that came while somebody had the outbox.
    pub(super) fn events(&mut self, later: EventLane, max_bytes: usize) {
        if !later.is_empty() && !self.is_ending() {
            self.events_queued += self.waiting.get_or_insert_default().events.append(later, max_bytes);
        }
    }

    /// How many events were queued since the start, less those that were merged with others. If nothing waits, nothing
    /// refers to an earlier number.
    fn places(&self) -> u64 {
        self.events_queued - self.waiting.as_ref().map_or(0, |waiting| waiting.events.merged())
    }

    /// How many events were queued since the start.
    pub(crate) const fn events_queued(&self) -> u64 {
        self.events_queued
    }

    /// Whether what goes out next shows a tree for the first time: a first snapshot, or the reply to a query.
    pub(crate) fn starts_with_a_view(&self) -> bool {
        matches!(self.front(), Some(Reply::Start(_) | Reply::Query(_)))
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
    pub(crate) fn next(
        &mut self,
        now_ms: u64,
        now: Option<&Versioned>,
        delivery: &Delivery,
        released: &mut Released,
    ) -> Next {
        if self.ended {
            return Next::Idle;
        }
        if let Some(greeting) = self.greet(now_ms) {
            return greeting;
        }
        if let (Some(reason), None, Some(waiting)) = (self.ending, now, &mut self.waiting) {
            waiting.replies.reject_views(reason, released);
        }
        let next = self.next_of_all(&mut Turn { now_ms, now, delivery, released });
        if self.waiting.as_ref().is_some_and(|waiting| waiting.replies.is_empty() && waiting.events.is_empty()) {
            self.waiting = None;
        }
        match next {
            // Whatever still waits for a tree will not get one; whatever is only held may go unsent.
            Next::Idle | Next::At(_) if self.ending.is_some() && !self.awaits_result() => self.finish(),
            next => next,
        }
    }

    /// The first frame goes out before anything else. Its delay ends early if the connection does.
    fn greet(&mut self, now_ms: u64) -> Option<Next> {
        let greeting = self.greeting.as_mut()?;
        let at_ms = *greeting.at_ms.get_or_insert(now_ms.saturating_add(greeting.delay_ms));
        if at_ms > now_ms && self.ending.is_none() {
            return Some(Next::At(at_ms));
        }
        self.greeting.take().map(|greeting| Next::other(greeting.text))
    }

    /// Events and the rest take turns. A result that has to follow an event waits for it.
    fn next_of_all(&mut self, turn: &mut Turn<'_>) -> Next {
        if (self.event_turn || self.result_awaits_event())
            && let Some(event) = self.next_event()
        {
            return event;
        }
        match self.next_reply_or_step(turn) {
            written @ Next::Write(..) => {
                self.event_turn = true;
                written
            }
            nothing => self.next_event().unwrap_or(nothing),
        }
    }

    fn next_event(&mut self) -> Option<Next> {
        self.event_turn = false;
        Some(Next::other(self.take_event()?.text.clone()))
    }

    /// The next event, for a receiver that takes nothing else.
    pub(crate) fn take_event(&mut self) -> Option<Arc<EncodedEvent>> {
        self.waiting.as_mut()?.events.pop()
    }

    fn result_awaits_event(&self) -> bool {
        let outstanding = self.waiting.as_ref().map_or(0, |waiting| waiting.events.outstanding());
        matches!(self.front(), Some(Reply::Result { event, .. }) if self.places() - outstanding < *event)
    }

    /// Replies go first, but a peer that never stops asking still gets its patches.
    fn next_reply_or_step(&mut self, turn: &mut Turn<'_>) -> Next {
        if self.replies_in_row >= REPLIES_IN_ROW {
            self.replies_in_row = 0;
            if let step @ Next::Write(..) = self.next_step(turn, None) {
                return step;
            }
        }
        match self.front() {
            Some(_) => {
                self.replies_in_row += 1;
                self.next_reply(turn)
            }
            None => self.next_step(turn, None),
        }
    }

    fn front(&self) -> Option<&Reply> {
        self.waiting.as_ref()?.replies.front()
    }

    fn pop(&mut self) -> Option<Reply> {
        self.waiting.as_mut()?.replies.pop()
    }

    fn awaits_result(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.replies.has_result())
    }

    fn finish(&mut self) -> Next {
        let Some(reason) = self.ending else { return Next::Idle };
        self.ended = true;
        Next::Write(Frame::Close { code: reason.code(), reason: reason.message() }, Wrote::Other)
    }

    fn next_reply(&mut self, turn: &mut Turn<'_>) -> Next {
        match self.front() {
            Some(Reply::Start(_) | Reply::Query(_)) if turn.now.is_none() => return Next::Idle,
            Some(Reply::Result { version, .. }) => {
                let version = *version;
                match self.next_step(turn, Some(version)) {
                    Next::Idle => {}
                    first => return first,
                }
            }
            _ => {}
        }
        match (self.pop(), turn.now) {
            (Some(Reply::Text(text) | Reply::Result { text, .. }), _) => Next::other(text),
            (Some(Reply::Start(id)), Some(now)) => self.start(&id, now, turn),
            (Some(Reply::Query(query)), Some(now)) => answer(query, now, turn),
            (Some(Reply::Resume(id)), _) => self.resumed(&id, turn),
            (Some(Reply::Start(_) | Reply::Query(_)) | None, _) => Next::Idle,
        }
    }

    fn resumed(&mut self, id: &RequestId, turn: &mut Turn<'_>) -> Next {
        let resumed = self.subscriptions.iter_mut().find(|subscription| subscription.id == *id);
        match resumed.map(Subscription::resume) {
            Some(text) => Next::other(text),
            // Another connection resumed from there meanwhile.
            None => self.next_reply_or_step(turn),
        }
    }

    fn start(&mut self, id: &RequestId, now: &Versioned, turn: &mut Turn<'_>) -> Next {
        let Some(at) = self.subscriptions.iter().position(|subscription| subscription.id == *id) else {
            return self.next_reply_or_step(turn);
        };
        match self.subscriptions[at].start(now, turn.now_ms, turn.delivery, turn.released) {
            Some(step) => written(step).unwrap_or(Next::Idle),
            None => {
                self.remove(at, turn.released);
                Next::other(encode::error(Some(id), ErrorCode::NotFound, "there is no such path"))
            }
        }
    }

    /// The next patch or re-base of a subscription that is behind; of one that lacks something older than a version, if
    /// that matters.
    fn next_step(&mut self, turn: &mut Turn<'_>, before: Option<u64>) -> Next {
        let Some(now) = turn.now else { return Next::Idle };
        let count = self.subscriptions.len();
        let mut held = None;
        for offset in 0..count {
            let at = (self.turn as usize + offset) % count;
            let subscription = &mut self.subscriptions[at];
            if !subscription.is_behind(now, before) {
                continue;
            }
            if subscription.held_until() > turn.now_ms {
                let until = subscription.held_until();
                held = Some(held.map_or(until, |other: u64| other.min(until)));
                continue;
            }
            if let Some(next) = written(subscription.step(now, turn.now_ms, turn.delivery, turn.released)) {
                self.turn = at as u32 + 1;
                return next;
            }
        }
        held.map_or(Next::Idle, Next::At)
    }
}

/// What one look at the outbox goes by.
struct Turn<'a> {
    now_ms: u64,
    now: Option<&'a Versioned>,
    delivery: &'a Delivery,
    released: &'a mut Released,
}

fn answer(query: PendingQuery, now: &Versioned, turn: &mut Turn<'_>) -> Next {
    let reply = query.answer(now, turn.delivery);
    turn.released.query(query);
    let wrote = if reply.too_large { Wrote::TooLarge } else { Wrote::Answer(reply.compacted) };
    Next::Write(Frame::Text(reply.text), wrote)
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
