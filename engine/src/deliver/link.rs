//! Where a session and a connection's writer meet.

use std::task::Waker;

use super::call_log::{CallLog, CallRejected};
use super::outbox::Outbox;
use super::query::PendingQuery;
use super::subscription::ResumePoint;
use crate::config::Config;
use crate::error::ActionError;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicWaker, Mutex, Ordering};

/// The shared part of a connection. The session wakes it; its writer looks at the outbox; its reader adds answers.
///
/// The outbox is locked for one look or one frame, never while something is awaited, and never while a slot is locked:
/// the writer reads the session's tree with the outbox locked, so that an answer cannot overtake a tree committed before.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    /// Whether a browser tab is at the other end, not a consumer.
    pub(crate) is_tab: bool,
    ping: AtomicBool,
    /// By [`Aborted`]; 0 if it goes on.
    aborted: AtomicU8,
    /// Set with the calls locked: its turn to leave has come, and no call begins any more.
    leaving: AtomicBool,
    /// Messages over the rate, less those within it.
    strikes: AtomicU32,
    pub(crate) outbox: Mutex<Outbox>,
    writer: AtomicWaker,
    /// When the peer last showed that it lives, in ms.
    heard_ms: AtomicU64,
    /// Since when the socket has not taken the last frame, in ms plus 1; 0 if it has.
    writing_ms: AtomicU64,
    calls: Mutex<CallLog>,
}

/// Why a peer is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Aborted {
    /// It did not show that it lives.
    Silent = 1,
    /// It took nothing of what it was given.
    Slow,
    /// It was ended, and had time enough to leave.
    Ended,
}

/// What kind of request runs, and therefore how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    Query,
    Invoke,
}

impl Link {
    pub(crate) fn new(number: u64, is_tab: bool, now_ms: u64, outbox: Outbox) -> Self {
        Self {
            number,
            is_tab,
            ping: AtomicBool::new(false),
            aborted: AtomicU8::new(0),
            leaving: AtomicBool::new(false),
            strikes: AtomicU32::new(0),
            outbox: Mutex::new(outbox),
            writer: AtomicWaker::new(),
            heard_ms: AtomicU64::new(now_ms),
            writing_ms: AtomicU64::new(0),
            calls: Mutex::default(),
        }
    }

    /// Wakes the writer. Wakes are never lost: the writer says that it waits before it looks.
    pub(crate) fn wake(&self) {
        self.writer.wake();
    }

    /// The writer is about to look, and wants to be woken by whatever comes then. There is one writer.
    pub(crate) fn wait(&self, writer: &Waker) {
        self.writer.register(writer);
    }

    /// A message came over the rate. Answers how many did, less those that did not.
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

    /// Begins a call, if it may run and the turn to leave has not come.
    pub(crate) fn begin_call(&self, id: &RequestId, kind: CallKind, config: &Config) -> Result<(), CallRejected> {
        let mut calls = self.calls.lock();
        if self.is_leaving() { Err(CallRejected::Leaving) } else { calls.begin(id, kind, config) }
    }

    /// Ends a call; false if it was answered by somebody else already.
    pub(crate) fn end_call(&self, id: &RequestId, kind: CallKind) -> bool {
        self.calls.lock().end(id, kind)
    }

    /// Takes all calls that run, to be answered in their place.
    fn take_calls(&self) -> Vec<(RequestId, CallKind)> {
        self.calls.lock().take()
    }

    pub(crate) fn has_calls(&self) -> bool {
        self.calls.lock().are_running()
    }

    /// Its turn to leave has come: what runs is still answered, and nothing begins.
    pub(crate) fn leave(&self) {
        let _calls = self.calls.lock();
        self.leaving.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    pub(crate) fn close_reason(&self) -> CloseReason {
        match self.aborted.load(Ordering::SeqCst) {
            0 => self.outbox.lock().close_reason(),
            ended if ended == Aborted::Ended as u8 => self.outbox.lock().close_reason(),
            silent if silent == Aborted::Silent as u8 => CloseReason::Silent,
            _ => CloseReason::Slow,
        }
    }

    /// The peer is given up: the socket shall be dropped, whatever it is doing.
    pub(crate) fn abort(&self, why: Aborted) {
        self.aborted.store(why as u8, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst) != 0
    }

    /// Orders the end of the connection.
    pub(crate) fn end(&self, reason: CloseReason) {
        self.outbox.lock().end(reason);
        self.wake();
    }

    /// Another connection takes the place of this one: hands over where its subscriptions stand, and how many there
    /// were, and ends with a last message for the peer, if it still listens.
    pub(crate) fn hand_over(&self, notice: String) -> (usize, Vec<ResumePoint>) {
        let mut outbox = self.outbox.lock();
        let kept = outbox.keep();
        if !outbox.is_ending() {
            outbox.reply(notice);
            outbox.end(CloseReason::Superseded);
        }
        drop(outbox);
        self.wake();
        kept
    }

    /// Answers whatever runs in its place, so that nobody waits for ever (contract T25).
    pub(crate) fn settle(&self, words: &'static str) {
        for (id, kind) in self.take_calls() {
            self.reply(match kind {
                CallKind::Query => encode::error(Some(&id), ErrorCode::Internal, words),
                CallKind::Invoke => encode::result(&id, &Err(ActionError::internal(words))),
            });
        }
    }

    /// Queues an answer and wakes the writer. A peer that lets too many wait is closed.
    pub(crate) fn reply(&self, text: String) {
        self.outbox.lock().reply(text);
        self.wake();
    }

    /// Queues an answer that must not overtake patches.
    pub(crate) fn reply_after_patches(&self, text: String, version: u64) {
        self.outbox.lock().reply_after_patches(text, version);
        self.wake();
    }

    /// Queues a query, to be answered from the tree at its turn.
    pub(crate) fn ask(&self, question: PendingQuery) {
        self.outbox.lock().ask(question);
        self.wake();
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
