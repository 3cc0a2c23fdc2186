//! Where a session and a connection's writer meet.

use std::sync::Arc;
use std::task::Waker;

use super::call_log::{CallKind, CallLog, CallRejected};
use super::outbox::{Outbox, Queued};
use super::peer_kind::PeerKind;
use super::query::PendingQuery;
use super::released::Released;
use super::resume_point::ResumePoint;
use crate::config::Limits;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::encoded_event::EncodedEvent;
use crate::protocol::message::RequestId;
use crate::sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicWaker, Listening, Mutex, Ordering, Signal};

/// The shared part of a connection. The session wakes it; its writer looks at the outbox; its reader adds replies.
///
/// The outbox is locked for one look or one frame, never while something is awaited, and never while a slot is locked:
/// the writer reads the session's tree with the outbox locked, so that a reply cannot overtake a tree committed before.
/// It may be locked while the calls are, and never the other way round: so a call is either running or answered.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) kind: PeerKind,
    ping: AtomicBool,
    /// By [`AbortReason`]; 0 if it goes on.
    aborted: AtomicU8,
    /// Messages over the rate, less those within it.
    strikes: AtomicU32,
    outbox: Mutex<Outbox>,
    writer: AtomicWaker,
    /// When the peer last showed a sign of life, in ms.
    heard_ms: AtomicU64,
    /// Since when the socket has not taken the last frame, in ms plus 1; 0 if it has.
    writing_ms: AtomicU64,
    calls: Mutex<CallLog>,
    /// Notified when an end is ordered.
    ended: Signal,
}

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
    pub(crate) fn new(number: u64, kind: PeerKind, now_ms: u64, outbox: Outbox) -> Self {
        Self {
            number,
            kind,
            ping: AtomicBool::new(false),
            aborted: AtomicU8::new(0),
            strikes: AtomicU32::new(0),
            outbox: Mutex::new(outbox),
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
        let mut released = Released::default();
        let seen = look(&mut self.outbox.lock(), &mut released);
        drop(released);
        seen
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
        self.strikes.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many messages came over the rate, less those that did not.
    pub(crate) fn strikes(&self) -> u32 {
        self.strikes.load(Ordering::Relaxed)
    }

    /// A message came within the rate.
    pub(crate) fn forgive(&self) {
        // Only one thread receives for a connection at a time; a lost update would cost one strike.
        let strikes = self.strikes.load(Ordering::Relaxed);
        if strikes > 0 {
            self.strikes.store(strikes - 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn heard(&self, now_ms: u64) {
        self.heard_ms.store(now_ms, Ordering::Relaxed);
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
        let mut released = Released::default();
        let mut calls = self.calls.lock();
        if !calls.end(id, kind) {
            // The reply, which `add` holds, is dropped when the lock is released.
            drop(calls);
            return;
        }
        let queued = add(&mut self.outbox.lock(), &mut released);
        drop(calls);
        drop(released);
        self.after(queued);
    }

    pub(crate) fn has_calls(&self) -> bool {
        self.calls.lock().has_running()
    }

    /// Lets no call begin any more. What runs is still answered.
    pub(crate) fn refuse_calls(&self, reason: CloseReason) {
        self.calls.lock().close(reason);
    }

    pub(crate) fn close_reason(&self) -> CloseReason {
        match self.aborted.load(Ordering::SeqCst) {
            silent if silent == AbortReason::Silent as u8 => CloseReason::Silent,
            slow if slow == AbortReason::Slow as u8 => CloseReason::Slow,
            _ => self.outbox.lock().close_reason(),
        }
    }

    /// The peer is given up: the socket shall be dropped, whatever it is doing.
    pub(crate) fn abort(&self, why: AbortReason) {
        self.aborted.store(why as u8, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst) != 0
    }

    /// Orders the end of the connection. Calls that still run are answered with an error first, so that no consumer waits
    /// for ever (contract T25).
    pub(crate) fn end(&self, reason: CloseReason) {
        self.end_with(reason, |outbox, _| outbox.end(reason));
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
        let mut calls = self.calls.lock();
        let mut outbox = self.outbox.lock();
        calls.reject(reason).into_iter().for_each(|text| outbox.last_reply(text));
        let ended = end(&mut outbox, &mut released);
        drop(outbox);
        drop(calls);
        drop(released);
        self.ended.notify(usize::MAX);
        self.wake();
        ended
    }

    /// Notified when an end is ordered.
    pub(crate) fn listen_for_end(&self) -> Listening {
        self.ended.listen()
    }

    /// Why an end was ordered, if it was.
    pub(crate) fn ending(&self) -> Option<CloseReason> {
        self.outbox.lock().ending()
    }

    /// Queues a reply and wakes the writer. A peer that lets too many wait is closed.
    pub(crate) fn reply(&self, text: String) {
        let queued = self.outbox.lock().reply(text);
        self.after(queued);
    }

    /// Queues a query, to be answered from the tree at its turn.
    pub(crate) fn query(&self, query: PendingQuery) {
        let queued = self.outbox.lock().query(query);
        self.after(queued);
    }

    /// What was queued still goes out before the close, and so do the rejections of calls that run.
    fn after(&self, queued: Queued) {
        match queued {
            Queued::Fits => self.wake(),
            Queued::TooMuch => self.end(CloseReason::Slow),
        }
    }

    /// Queues an event and wakes the writer. Returns whether older ones were dropped for it.
    pub(crate) fn event(&self, event: Arc<EncodedEvent>, max_bytes: usize) -> bool {
        let dropped = self.outbox.lock().event(event, max_bytes);
        self.wake();
        dropped
    }

    /// Tells a consumer something about its connection, which must not be dropped for other events. Tabs are not told.
    pub(crate) fn notice(&self, notice: &Arc<EncodedEvent>) {
        match self.kind {
            PeerKind::Consumer => self.reply(notice.text.clone()),
            PeerKind::InProcess => {
                self.event(Arc::clone(notice), usize::MAX);
            }
            PeerKind::Tab => {}
        }
    }

    pub(crate) fn is_tab(&self) -> bool {
        self.kind == PeerKind::Tab
    }

    /// A ping is due. It goes out before anything else: a peer that takes little must still be seen to live.
    pub(crate) fn ping(&self) {
        self.ping.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn take_ping(&self) -> bool {
        self.ping.swap(false, Ordering::SeqCst)
    }
}
