//! Where a session and a connection's writer meet.

use std::sync::Arc;
use std::task::Waker;

use super::call_log::{CallKind, CallLog, CallRejected};
use super::outbox::Outbox;
use super::query::PendingQuery;
use super::released::Released;
use super::resume_point::ResumePoint;
use crate::config::Limits;
use crate::error::ActionError;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicWaker, Mutex, Ordering};

/// The shared part of a connection. The session wakes it; its writer looks at the outbox; its reader adds replies.
///
/// The outbox is locked for one look or one frame, never while something is awaited, and never while a slot is locked:
/// the writer reads the session's tree with the outbox locked, so that a reply cannot overtake a tree committed before.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    /// Whether a browser tab is at the other end, not a consumer.
    pub(crate) is_tab: bool,
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
    pub(crate) fn new(number: u64, is_tab: bool, now_ms: u64, outbox: Outbox) -> Self {
        Self {
            number,
            is_tab,
            ping: AtomicBool::new(false),
            aborted: AtomicU8::new(0),
            strikes: AtomicU32::new(0),
            outbox: Mutex::new(outbox),
            writer: AtomicWaker::new(),
            heard_ms: AtomicU64::new(now_ms),
            writing_ms: AtomicU64::new(0),
            calls: Mutex::default(),
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

    /// Ends a call; false if it was answered already.
    pub(crate) fn end_call(&self, id: &RequestId, kind: CallKind) -> bool {
        self.calls.lock().end(id, kind)
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
        self.reject_calls(reason);
        self.outbox.lock().end(reason);
        self.wake();
    }

    /// Another connection takes the place of this one: hands over its resume points, with the number of its subscriptions,
    /// and ends with a last message for the peer, if it still listens.
    pub(crate) fn hand_over(&self, notice: String) -> (usize, Vec<ResumePoint>) {
        self.reject_calls(CloseReason::Superseded);
        let handed_over = self.with_outbox(|outbox, released| {
            let handed_over = outbox.take_subscriptions(released);
            if !outbox.is_ending() {
                outbox.reply(notice);
                outbox.end(CloseReason::Superseded);
            }
            handed_over
        });
        self.wake();
        handed_over
    }

    fn reject_calls(&self, reason: CloseReason) {
        let running = {
            let mut calls = self.calls.lock();
            calls.close(reason);
            calls.take_running()
        };
        for (id, kind) in running {
            self.reply(match kind {
                CallKind::Query => encode::error(Some(&id), ErrorCode::Internal, reason.message()),
                CallKind::Invoke => encode::result(&id, &Err(ActionError::internal(reason.message()))),
            });
        }
    }

    /// Queues a reply and wakes the writer. A peer that lets too many wait is closed.
    pub(crate) fn reply(&self, text: String) {
        self.queue(|outbox| outbox.reply(text));
    }

    /// Queues the result of a call behind its patches and its events.
    pub(crate) fn result(&self, text: String, version: u64, events_before: u64) {
        self.queue(|outbox| outbox.result(text, version, events_before));
    }

    /// Queues a query, to be answered from the tree at its turn.
    pub(crate) fn query(&self, query: PendingQuery) {
        self.queue(|outbox| outbox.query(query));
    }

    fn queue(&self, add: impl FnOnce(&mut Outbox)) {
        let overflowed = {
            let mut outbox = self.outbox.lock();
            let ending = outbox.is_ending();
            add(&mut outbox);
            !ending && outbox.is_ending()
        };
        if overflowed {
            self.reject_calls(CloseReason::Slow);
        }
        self.wake();
    }

    /// Queues an event and wakes the writer. Returns whether older ones were dropped for it.
    pub(crate) fn event(&self, event: Arc<str>, max_bytes: usize) -> bool {
        let dropped = self.outbox.lock().event(event, max_bytes);
        self.wake();
        dropped
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
