//! Where a session and a connection's writer meet.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use event_listener::Event as Signal;
use parking_lot::Mutex;

use super::answer::Question;
use super::outbox::Outbox;
use crate::protocol::message::RequestId;

/// The shared part of a connection. The session wakes it; its writer looks at the outbox; its reader adds answers.
///
/// The outbox is locked for one look or one frame, never while something is awaited, and never while a slot is locked:
/// the writer reads the session's tree with the outbox locked, so that an answer cannot overtake a tree committed before.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    /// Whether a browser tab is at the other end, not a consumer.
    pub(crate) is_tab: bool,
    pub(crate) outbox: Mutex<Outbox>,
    ready: Signal,
    ping: AtomicBool,
    aborted: AtomicBool,
    abort: Signal,
    /// When the peer last showed that it lives, in ms.
    heard_ms: AtomicU64,
    /// Since when the socket has not taken the last frame, in ms plus 1; 0 if it has.
    writing_ms: AtomicU64,
    /// Messages over the rate, less those within it.
    strikes: AtomicU64,
    /// Calls that run.
    calls: Mutex<Vec<(RequestId, Request)>>,
    /// Why it ended, for the event.
    reason: Mutex<&'static str>,
}

/// What kind of request runs, and therefore how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Query,
    Invoke,
}

impl Link {
    pub(crate) fn new(number: u64, is_tab: bool, now_ms: u64, outbox: Outbox) -> Self {
        Self {
            number,
            is_tab,
            outbox: Mutex::new(outbox),
            ready: Signal::new(),
            ping: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            abort: Signal::new(),
            heard_ms: AtomicU64::new(now_ms),
            writing_ms: AtomicU64::new(0),
            strikes: AtomicU64::new(0),
            calls: Mutex::default(),
            reason: Mutex::new("gone"),
        }
    }

    /// Wakes the writer. Wakes are never lost: the writer listens before it looks.
    pub(crate) fn wake(&self) {
        self.ready.notify(usize::MAX);
    }

    pub(crate) fn listen(&self) -> event_listener::EventListener {
        self.ready.listen()
    }

    /// A message came over the rate. Answers how many did, less those that did not.
    pub(crate) fn strike(&self) -> u64 {
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

    /// Begins a call, if fewer than `max` run.
    pub(crate) fn begin_call(&self, id: &RequestId, kind: Request, max: usize) -> bool {
        let mut calls = self.calls.lock();
        if calls.len() >= max {
            return false;
        }
        calls.push((id.clone(), kind));
        true
    }

    /// Ends a call; false if it was answered by somebody else already.
    pub(crate) fn end_call(&self, id: &RequestId) -> bool {
        let mut calls = self.calls.lock();
        let at = calls.iter().position(|(known, _)| known == id);
        at.map(|at| calls.swap_remove(at)).is_some()
    }

    /// Takes all calls that run, to be answered in their place.
    pub(crate) fn take_calls(&self) -> Vec<(RequestId, Request)> {
        std::mem::take(&mut *self.calls.lock())
    }

    pub(crate) fn has_calls(&self) -> bool {
        !self.calls.lock().is_empty()
    }

    pub(crate) fn reason(&self) -> &'static str {
        *self.reason.lock()
    }

    /// The peer takes nothing any more: the socket shall be dropped, whatever it is doing.
    pub(crate) fn abort(&self, why: &'static str) {
        *self.reason.lock() = why;
        self.aborted.store(true, Ordering::SeqCst);
        self.abort.notify(usize::MAX);
    }

    pub(crate) async fn aborted(&self) {
        loop {
            let listener = self.abort.listen();
            if self.aborted.load(Ordering::SeqCst) {
                return;
            }
            listener.await;
        }
    }

    /// Orders the end of the connection: with a close code and a few words for the peer, and a word for the event.
    pub(crate) fn end(&self, code: u16, words: &'static str, why: &'static str) {
        let mut outbox = self.outbox.lock();
        if !outbox.is_ending() {
            *self.reason.lock() = why;
            outbox.end(code, words);
        }
        drop(outbox);
        self.wake();
    }

    /// Queues an answer and wakes the writer. A peer that lets too many wait is closed.
    pub(crate) fn reply(&self, text: String) {
        let fits = self.outbox.lock().reply(text);
        self.after_reply(fits);
    }

    /// Queues an answer that must not overtake patches.
    pub(crate) fn reply_after_patches(&self, text: String, version: u64) {
        let fits = self.outbox.lock().reply_after_patches(text, version);
        self.after_reply(fits);
    }

    /// Queues a query, to be answered from the tree at its turn.
    pub(crate) fn ask(&self, question: Question) {
        let fits = self.outbox.lock().ask(question);
        self.after_reply(fits);
    }

    /// A ping is due. It goes out before anything else: a peer that takes little must still be seen to live.
    pub(crate) fn ping(&self) {
        self.ping.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn take_ping(&self) -> bool {
        self.ping.swap(false, Ordering::SeqCst)
    }

    fn after_reply(&self, fits: bool) {
        if !fits {
            *self.reason.lock() = "slow";
        }
        self.wake();
    }
}
