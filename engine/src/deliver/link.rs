//! Where a session and a connection's writer meet.

use std::sync::Arc;
use std::task::Waker;

use super::call_log::{CallKind, CallLog, CallRejected};
use super::inbox::Inbox;
use super::outbox::{Outbox, Queued};
use super::outbox_counts::OutboxCounts;
use super::peer_kind::PeerKind;
use super::query::PendingQuery;
use super::released::Released;
use super::resume_point::ResumePoint;
use crate::config::Limits;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::encoded_event::EncodedEvent;
use crate::protocol::message::RequestId;
use crate::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicWaker, Listening, Mutex, Ordering, Signal};

/// The shared part of a connection. The session wakes it; its writer looks at the outbox; its reader adds replies.
///
/// The outbox is locked for one look or one frame, never while something is awaited, and never while a slot is locked:
/// the writer reads the session's tree with the outbox locked, so that a reply cannot overtake a tree committed before.
/// It may be locked while the calls are, and never the other way round: so a call is either running or answered. Nobody
/// waits for it with the calls locked.
///
/// A frame may take long. So what comes from outside of the connection, for all connections at once or from the timer task
/// (notices, events, the end), waits in the inbox if somebody has the outbox, and whoever has that next takes it over.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) kind: PeerKind,
    /// Why it was given up, by [`AbortReason`], 0 if it goes on; whether a [`PING`] is wanted, and whether the peer
    /// [`LEFT`]. There are many connections, and these eight bytes hold four fields.
    flags: AtomicU8,
    /// Messages over the rate, less those within it.
    strikes: AtomicU16,
    outbox: Mutex<Outbox>,
    inbox: Mutex<Option<Box<Inbox>>>,
    /// How many subscriptions are in the outbox.
    subscriptions: AtomicU32,
    /// What all outboxes hold.
    counts: Arc<OutboxCounts>,
    writer: AtomicWaker,
    /// When the peer last showed a sign of life, in ms.
    heard_ms: AtomicU64,
    /// Since when the socket has not taken the last frame, in ms plus 1; 0 if it has.
    writing_ms: AtomicU64,
    calls: Mutex<CallLog>,
    /// Notified when an end is ordered.
    ended: Signal,
}

/// The flag of a wanted ping, beside the reason for giving up.
const PING: u8 = 0x80;

/// The flag of a peer that closed the connection.
const LEFT: u8 = 0x40;

/// The flag of a peer that is offline: whatever it sends next is waited for.
const AWAITED: u8 = 0x20;

const MARKS: u8 = PING | LEFT | AWAITED;

/// Why a peer is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum AbortReason {
    /// It showed no sign of life.
    Silent = 1,
    /// It accepted nothing of what it was sent.
    Slow,
    /// It was ended, and had time enough to leave.
    Ended,
}

impl Link {
    pub(crate) fn new(number: u64, kind: PeerKind, now_ms: u64, outbox: Outbox, counts: Arc<OutboxCounts>) -> Self {
        Self {
            number,
            kind,
            flags: AtomicU8::new(0),
            strikes: AtomicU16::new(0),
            outbox: Mutex::new(outbox),
            inbox: Mutex::new(None),
            subscriptions: AtomicU32::new(0),
            counts,
            writer: AtomicWaker::new(),
            heard_ms: AtomicU64::new(now_ms),
            writing_ms: AtomicU64::new(0),
            calls: Mutex::default(),
            ended: Signal::new(),
        }
    }

    /// Looks at the outbox, or changes it. Whatever is released meanwhile is dropped after the lock is: it may be the last
    /// handle of something of the application's, whose `Drop` may call the engine.
    pub(crate) fn with_outbox<T>(&self, look: impl FnOnce(&mut Outbox, &mut Released) -> T) -> T {
        self.end_if_ordered();
        let mut released = Released::default();
        let seen = self.step(&mut self.outbox.lock(), |outbox| look(outbox, &mut released));
        drop(released);
        seen
    }

    /// One step with the outbox locked: what waits in the inbox goes first, and what changes is counted.
    fn step<T>(&self, outbox: &mut Outbox, step: impl FnOnce(&mut Outbox) -> T) -> T {
        let (waiting, events, kept) = (outbox.bytes(), outbox.event_bytes(), outbox.kept_bytes());
        self.empty_inbox(outbox);
        let done = step(outbox);
        let subscriptions = u32::try_from(outbox.subscriptions()).unwrap_or(u32::MAX);
        self.counts.waiting.change(waiting, outbox.bytes());
        self.counts.events.change(events, outbox.event_bytes());
        self.counts.kept.change(kept, outbox.kept_bytes());
        self.subscriptions.store(subscriptions, Ordering::Relaxed);
        done
    }

    fn empty_inbox(&self, outbox: &mut Outbox) {
        let mut waiting = self.inbox.lock();
        if let Some(inbox) = waiting.as_deref_mut() {
            inbox.empty_into(outbox);
        }
        if waiting.as_ref().is_some_and(|inbox| !inbox.ends()) {
            *waiting = None;
        }
    }

    /// Leaves something for whoever has the outbox next.
    fn leave_behind(&self, put: impl FnOnce(&mut Inbox)) {
        put(self.inbox.lock().get_or_insert_default());
    }

    /// An end that was ordered while somebody had the outbox comes before whatever else happens.
    fn end_if_ordered(&self) {
        let ordered = self.inbox.lock().as_mut().and_then(|inbox| inbox.take_end());
        if let Some(reason) = ordered {
            self.end_with(reason, |outbox, _| outbox.end(reason));
        }
    }

    /// How many subscriptions there are.
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed) as usize
    }

    /// Wakes the writer. Wakes are never lost: the writer registers before it looks.
    pub(crate) fn wake(&self) {
        self.writer.wake();
    }

    /// The writer is about to look, and wants to be woken by whatever comes then. There is one writer.
    pub(crate) fn wait(&self, writer: &Waker) {
        self.writer.register(writer);
    }

    /// A message came over the rate. Returns how many did, less those that did not.
    pub(crate) fn strike(&self) -> u32 {
        let one_more = |strikes: u16| strikes.checked_add(1);
        // At the largest number the peer has long been closed.
        let before = self.strikes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        u32::from(before.map_or(u16::MAX, |before| before + 1))
    }

    /// How many messages came over the rate, less those that did not.
    pub(crate) fn strikes(&self) -> u32 {
        u32::from(self.strikes.load(Ordering::Relaxed))
    }

    /// A message came within the rate.
    pub(crate) fn forgive(&self) {
        // Only one thread receives for a connection at a time; a lost update would cost one strike.
        let strikes = self.strikes.load(Ordering::Relaxed);
        if strikes > 0 {
            self.strikes.store(strikes - 1, Ordering::Relaxed);
        }
    }

    /// The peer showed a sign of life. Returns whether it was waited for.
    pub(crate) fn heard(&self, now_ms: u64) -> bool {
        self.heard_ms.store(now_ms, Ordering::Relaxed);
        let is_awaited = self.flags.load(Ordering::Relaxed) & AWAITED != 0;
        is_awaited && self.flags.fetch_and(!AWAITED, Ordering::SeqCst) & AWAITED != 0
    }

    /// The next sign of life is waited for.
    pub(crate) fn await_sign(&self) {
        self.flags.fetch_or(AWAITED, Ordering::SeqCst);
    }

    /// The writer has room, or took a frame and has none until it asks again.
    pub(crate) fn writing(&self, since_ms: Option<u64>) {
        self.writing_ms.store(since_ms.map_or(0, |at| at + 1), Ordering::Relaxed);
    }

    pub(crate) fn heard_ms(&self) -> u64 {
        self.heard_ms.load(Ordering::Relaxed)
    }

    /// Since when the socket has not taken the last frame, in ms.
    pub(crate) fn writing_since(&self) -> Option<u64> {
        self.writing_ms.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Begins a call, if it may run and the connection is not about to close.
    pub(crate) fn begin_call(&self, id: &RequestId, kind: CallKind, limits: &Limits) -> Result<(), CallRejected> {
        self.end_if_ordered();
        self.calls.lock().begin(id, kind, limits)
    }

    /// Ends a call and queues its reply in one step: an end of the connection finds the call either running or answered.
    /// Nothing is queued if it was answered already.
    pub(crate) fn answer_call(
        &self,
        id: &RequestId,
        kind: CallKind,
        add: impl FnOnce(&mut Outbox, &mut Released) -> Queued,
    ) {
        self.end_if_ordered();
        let mut released = Released::default();
        let queued = self.with_calls(|calls, outbox| {
            // The reply, which `add` holds, may be handed back, to be dropped when the locks are released.
            if calls.end(id, kind) { Ok(self.step(outbox, |outbox| add(outbox, &mut released))) } else { Err(add) }
        });
        drop(released);
        if let Ok(queued) = queued {
            self.after(queued);
        }
    }

    /// One step with the calls and the outbox locked. It waits for the outbox, but not with the calls locked.
    fn with_calls<T>(&self, step: impl FnOnce(&mut CallLog, &mut Outbox) -> T) -> T {
        loop {
            let mut calls = self.calls.lock();
            if let Some(mut outbox) = self.outbox.try_lock() {
                return step(&mut calls, &mut outbox);
            }
            drop(calls);
            drop(self.outbox.lock());
        }
    }

    pub(crate) fn has_calls(&self) -> bool {
        self.calls.lock().has_running()
    }

    /// Lets no call begin any more. What runs is still answered.
    pub(crate) fn refuse_calls(&self, reason: CloseReason) {
        self.calls.lock().close(reason);
    }

    pub(crate) fn close_reason(&self) -> CloseReason {
        match self.abort_flag() {
            silent if silent == AbortReason::Silent as u8 => CloseReason::Silent,
            slow if slow == AbortReason::Slow as u8 => CloseReason::Slow,
            _ => self.with_outbox(|outbox, _| outbox.close_reason()),
        }
    }

    /// The peer is given up: the socket shall be dropped, whatever it is doing.
    pub(crate) fn abort(&self, why: AbortReason) {
        let replace = |flags: u8| Some(flags & MARKS | why as u8);
        let _always = self.flags.fetch_update(Ordering::SeqCst, Ordering::SeqCst, replace);
        self.wake();
    }

    fn abort_flag(&self) -> u8 {
        self.flags.load(Ordering::SeqCst) & !MARKS
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.abort_flag() != 0
    }

    /// The peer closed the connection, which shows that it does not want to go on.
    pub(crate) fn leave_cleanly(&self) {
        self.flags.fetch_or(LEFT, Ordering::SeqCst);
    }

    /// Whether the peer has left. A program in this process does so by letting its handle go, and so does whoever reads
    /// nothing but events: it can say nothing.
    pub(crate) fn has_left(&self) -> bool {
        self.kind.leaves_by_going() || self.flags.load(Ordering::SeqCst) & LEFT != 0
    }

    /// Orders the end of the connection. Calls that still run are answered with an error first, so that no consumer waits
    /// for ever (contract T25). If somebody has the outbox, the writer does it when it looks next.
    pub(crate) fn end(&self, reason: CloseReason) {
        let mut calls = self.calls.lock();
        if let Some(mut outbox) = self.outbox.try_lock() {
            self.reject_calls(&mut calls, &mut outbox, reason);
            outbox.end(reason);
        } else {
            drop(calls);
            self.leave_behind(|inbox| inbox.end(reason));
        }
        self.ended.notify(usize::MAX);
        self.wake();
    }

    /// Another connection takes the place of this one: hands over its resume points, with the number of its subscriptions,
    /// and ends with a last message for the peer, if it still listens.
    pub(crate) fn hand_over(&self, notice: &EncodedEvent) -> (usize, Vec<ResumePoint>) {
        let reason = CloseReason::Superseded;
        self.end_with(reason, |outbox, released| {
            let handed_over = outbox.hand_over(reason, released);
            if !outbox.is_ending() {
                outbox.last_reply(notice.text.clone());
                outbox.end(reason);
            }
            handed_over
        })
    }

    /// Rejects the calls that run, and orders the end in the same step: no frame goes out in between.
    fn end_with<T>(&self, reason: CloseReason, end: impl FnOnce(&mut Outbox, &mut Released) -> T) -> T {
        let mut released = Released::default();
        let ended = self.with_calls(|calls, outbox| {
            self.reject_calls(calls, outbox, reason);
            self.step(outbox, |outbox| end(outbox, &mut released))
        });
        drop(released);
        self.ended.notify(usize::MAX);
        self.wake();
        ended
    }

    fn reject_calls(&self, calls: &mut CallLog, outbox: &mut Outbox, reason: CloseReason) {
        let rejected = calls.reject(reason);
        self.step(outbox, |outbox| rejected.into_iter().for_each(|text| outbox.last_reply(text)));
    }

    /// Notified when an end is ordered.
    pub(crate) fn listen_for_end(&self) -> Listening {
        self.ended.listen()
    }

    /// Why an end was ordered, if it was.
    pub(crate) fn ending(&self) -> Option<CloseReason> {
        self.with_outbox(|outbox, _| outbox.ending())
    }

    /// Queues a reply and wakes the writer. A peer that lets too many wait is closed.
    pub(crate) fn reply(&self, text: String) {
        let queued = self.with_outbox(|outbox, _| outbox.reply(text));
        self.after(queued);
    }

    /// Queues a query, to be answered from the tree at its turn.
    pub(crate) fn query(&self, query: PendingQuery) {
        let queued = self.with_outbox(|outbox, _| outbox.query(query));
        self.after(queued);
    }

    /// What was queued still goes out before the close, and so do the rejections of calls that run.
    fn after(&self, queued: Queued) {
        match queued {
            Queued::Fits => self.wake(),
            Queued::TooMuch => self.end(CloseReason::Slow),
        }
    }

    /// Queues an event and wakes the writer. Returns whether older ones were dropped for it. Waits for nobody.
    pub(crate) fn event(&self, event: Arc<EncodedEvent>, max_bytes: usize) -> bool {
        let dropped = match self.outbox.try_lock() {
            Some(mut outbox) => self.step(&mut outbox, |outbox| outbox.event(event, max_bytes)),
            None => self.inbox.lock().get_or_insert_default().event(event, max_bytes),
        };
        self.wake();
        dropped
    }

    /// Tells a consumer something about its connection, which must not be dropped for other events. Tabs are not told.
    /// Waits for nobody.
    pub(crate) fn notice(&self, notice: &Arc<EncodedEvent>) {
        match self.kind {
            PeerKind::Consumer => {
                let queued = match self.outbox.try_lock() {
                    Some(mut outbox) => self.step(&mut outbox, |outbox| outbox.reply(notice.text.clone())),
                    None => {
                        self.leave_behind(|inbox| inbox.notice(notice.text.clone()));
                        Queued::Fits
                    }
                };
                self.after(queued);
            }
            PeerKind::InProcess => {
                self.event(Arc::clone(notice), usize::MAX);
            }
            PeerKind::Tab | PeerKind::Agent | PeerKind::Events => {}
        }
    }

    pub(crate) fn is_tab(&self) -> bool {
        self.kind == PeerKind::Tab
    }

    /// Whether it takes events of the application's.
    pub(crate) fn takes_emitted(&self) -> bool {
        matches!(self.kind, PeerKind::Consumer | PeerKind::InProcess)
    }

    /// A ping is due. It goes out before anything else: a peer that takes little must still be seen to live.
    pub(crate) fn ping(&self) {
        self.flags.fetch_or(PING, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn take_ping(&self) -> bool {
        self.flags.fetch_and(!PING, Ordering::SeqCst) & PING != 0
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let outbox = self.outbox.lock();
        self.counts.waiting.subtract(outbox.bytes());
        self.counts.events.subtract(outbox.event_bytes());
        self.counts.kept.subtract(outbox.kept_bytes());
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn whoever_serves_all_waits_for_no_connection_whose_writer_is_busy() {
        let counts = Arc::<OutboxCounts>::default();
        let link = Link::new(1, PeerKind::Consumer, 0, Outbox::new(None, 1_000), Arc::clone(&counts));
        let id = RequestId::from_value(&"c".into()).unwrap();
        link.begin_call(&id, CallKind::Invoke, &Limits::default()).unwrap();
        let event = |name| EncodedEvent::new(name, None, 1_000).unwrap();
        // As long as the writer is at work on a frame.
        let writer = link.outbox.lock();
        link.notice(&event("session.expiring"));
        for _ in 0..10 {
            link.event(event("changed"), 100);
        }
        link.end(CloseReason::Expired);
        assert_eq!((link.subscriptions(), counts.waiting.get(), link.has_calls()), (0, 0, true));
        drop(writer);
        assert_eq!(link.ending(), Some(CloseReason::Expired));
        assert!(!link.has_calls(), "the call was rejected");
        let texts = link.with_outbox(|outbox, _| {
            let mut texts = Vec::new();
            while let Some(event) = outbox.take_event() {
                texts.push(event.text.clone());
            }
            texts
        });
        assert!(texts[0].contains("events.dropped") && texts.len() < 6, "bounded meanwhile: {texts:?}");
        assert!(counts.waiting.get() > 0, "the notice and the result still wait");
        assert_eq!(counts.events.get(), 0, "all events were taken");
        assert!(link.begin_call(&id, CallKind::Invoke, &Limits::default()).is_err());
        drop(link);
        assert_eq!(counts.waiting.get(), 0);
    }
}
