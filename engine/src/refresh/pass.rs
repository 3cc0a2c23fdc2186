//! One pass: its place in the order of passes, and what its sessions share.

use std::ops::Deref;
use std::sync::Arc;

use hashbrown::HashMap;

use tracing::Span;

use super::classes::Classes;
use super::gathered::{Job, address};
use super::job_queue::JobQueue;
use super::schedule::Lane;
use super::source_trace::SourceTrace;
use super::tickets::HeldTicket;
use crate::event::Event;
use crate::in_flight::Work;
use crate::model::session::Context;
use crate::render::evaluate::Rendered;
use crate::render::registry::Registry;
use crate::render::source::Source;
use crate::sessions::slot::Slot;
use crate::sessions::waiters::Waiters;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// What an async source rendered, and for which claims.
type Awaited = (Arc<Context>, Rendered);

/// One pass. Whoever works on one of its jobs, or waits for something with it, holds the pass, and with it the ticket; a job
/// holds its slot until it is done.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) ticket: HeldTicket,
    pub(super) lane: Lane,
    /// What was registered when it began.
    pub(super) registry: Arc<Registry>,
    pub(super) started_ms: u64,
    pub(super) span: Span,
    pub(super) jobs: JobQueue,
    /// Who waits for all of it.
    waiters: Mutex<Waiters>,
    sessions: usize,
    /// How many sessions are not done yet.
    left: AtomicUsize,
    /// Of what everybody has, by the source's number, if the pass is for many sessions: looked up without a lock.
    common_traces: HashMap<u64, Arc<SourceTrace<Rendered>>>,
    /// Of other sources, by the source's number.
    traces: Mutex<HashMap<u64, Arc<SourceTrace<Rendered>>>>,
    /// Results of async sources, by slot and the source's number.
    awaited: Mutex<HashMap<(usize, u64), Awaited>>,
    pub(super) classes: Classes,
    pub(super) stats: PassStats,
    /// It counts as work until it is dropped.
    _work: Work,
}

/// What a pass is made of.
pub(super) struct PassParts {
    pub(super) ticket: HeldTicket,
    pub(super) lane: Lane,
    pub(super) registry: Arc<Registry>,
    pub(super) started_ms: u64,
    pub(super) span: Span,
    /// What can be rendered at once.
    pub(super) jobs: Vec<Job>,
    pub(super) waiters: Waiters,
    /// How many threads render.
    pub(super) threads: usize,
    /// How many jobs come later, when async functions have ended.
    pub(super) later: usize,
    pub(super) work: Work,
}

/// The trace of one source in a pass.
#[derive(Debug)]
pub(super) enum Trace<'a> {
    Common(&'a Arc<SourceTrace<Rendered>>),
    Other(Arc<SourceTrace<Rendered>>),
}

/// A pass for fewer sessions does not prepare the traces of all sources.
const MANY_SESSIONS: usize = 64;

/// What one pass did.
#[derive(Debug, Default)]
pub(super) struct PassStats {
    evaluated: AtomicUsize,
    shared: AtomicUsize,
    committed: AtomicUsize,
}

impl Pass {
    pub(super) fn new(parts: PassParts) -> Arc<Self> {
        let sessions = parts.jobs.len() + parts.later;
        Arc::new(Self {
            ticket: parts.ticket,
            lane: parts.lane,
            common_traces: common_traces(&parts.registry, sessions),
            registry: parts.registry,
            started_ms: parts.started_ms,
            span: parts.span,
            jobs: JobQueue::new(parts.jobs, parts.threads),
            waiters: Mutex::new(parts.waiters),
            sessions,
            left: AtomicUsize::new(sessions),
            traces: Mutex::default(),
            awaited: Mutex::default(),
            classes: Classes::default(),
            stats: PassStats::default(),
            _work: parts.work,
        })
    }

    /// Sessions are done. True if the last one is among them.
    pub(super) fn sessions_done(&self, count: usize) -> bool {
        count > 0 && self.left.fetch_sub(count, Ordering::SeqCst) == count
    }

    /// Those who wait for the whole pass wait for one share more.
    pub(super) fn share_waiters(&self) -> Waiters {
        self.waiters.lock().again()
    }

    /// Releases those who wait for the whole pass.
    pub(super) fn release_waiters(&self) {
        let released = std::mem::take(&mut *self.waiters.lock());
        drop(released);
    }

    /// How many sessions are not done yet.
    pub(super) fn sessions_left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    pub(super) fn trace(&self, source: &Source) -> Trace<'_> {
        match self.common_traces.get(&source.number) {
            Some(trace) => Trace::Common(trace),
            None => Trace::Other(Arc::clone(self.traces.lock().entry(source.number).or_default())),
        }
    }

    /// Keeps what an async source rendered until the slot's turn.
    pub(super) fn keep_awaited(&self, slot: &Arc<Slot>, source: &Source, awaited: Awaited) {
        let replaced = self.awaited.lock().insert(key(slot, source), awaited);
        drop(replaced);
    }

    /// What an async source rendered for a slot. It is kept, since the slot may have to wait for something else.
    pub(super) fn awaited(&self, slot: &Arc<Slot>, source: &Source) -> Option<Awaited> {
        self.awaited.lock().get(&key(slot, source)).cloned()
    }

    /// A result is taken from another session of the same class.
    pub(super) fn share(&self, rendered: Rendered) -> Rendered {
        self.stats.shared.fetch_add(1, Ordering::Relaxed);
        if let Rendered::Fragment(fragment) = &rendered {
            fragment.share();
        }
        rendered
    }
}

impl Pass {
    /// What it did, when it ended.
    pub(super) fn event(&self, now_ms: u64) -> Event {
        let stats = &self.stats;
        Event::PassFinished {
            sessions: self.sessions,
            evaluated: stats.evaluated.load(Ordering::Relaxed),
            shared: stats.shared(),
            committed: stats.committed.load(Ordering::Relaxed),
            took_us: now_ms.saturating_sub(self.started_ms) * 1000,
        }
    }
}

impl PassStats {
    pub(super) fn evaluated(&self) {
        self.evaluated.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn committed(&self) {
        self.committed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn shared(&self) -> usize {
        self.shared.load(Ordering::Relaxed)
    }
}

impl Deref for Trace<'_> {
    type Target = Arc<SourceTrace<Rendered>>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Common(trace) => trace,
            Self::Other(trace) => trace,
        }
    }
}

fn common_traces(registry: &Registry, sessions: usize) -> HashMap<u64, Arc<SourceTrace<Rendered>>> {
    if sessions < MANY_SESSIONS {
        return HashMap::new();
    }
    registry.layout_of(None).entries().iter().map(|entry| (entry.source.number, Arc::default())).collect()
}

/// A job of the pass holds the slot, so the address is this slot's alone.
fn key(slot: &Arc<Slot>, source: &Source) -> (usize, u64) {
    (address(slot), source.number)
}
