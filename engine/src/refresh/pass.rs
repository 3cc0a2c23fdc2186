//! One pass: its place in the order of passes, and what its sessions share.

use std::sync::Arc;

use hashbrown::HashMap;

use super::classes::Classes;
use super::source_trace::SourceTrace;
use super::tickets::HeldTicket;
use crate::event::Event;
use crate::model::session::Context;
use crate::render::evaluate::Rendered;
use crate::render::registry::Registry;
use crate::render::source::Source;
use crate::sessions::slot::Slot;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// What an async source rendered, and for which claims.
type Awaited = (Arc<Context>, Rendered);

/// One pass. It holds its slots as long as it runs.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) held: HeldTicket,
    pub(super) started_ms: u64,
    /// What was registered when it began.
    pub(super) registry: Arc<Registry>,
    /// By the source's number.
    traces: Mutex<HashMap<u64, Arc<SourceTrace<Rendered>>>>,
    /// Results of async sources, by slot and the source's number.
    awaited: Mutex<HashMap<(usize, u64), Awaited>>,
    pub(super) classes: Classes,
    pub(super) stats: PassStats,
}

/// What one pass did.
#[derive(Debug, Default)]
pub(super) struct PassStats {
    evaluated: AtomicUsize,
    shared: AtomicUsize,
    committed: AtomicUsize,
}

impl Pass {
    pub(super) fn new(held: HeldTicket, started_ms: u64, registry: Arc<Registry>) -> Self {
        Self {
            held,
            started_ms,
            registry,
            traces: Mutex::default(),
            awaited: Mutex::default(),
            classes: Classes::default(),
            stats: PassStats::default(),
        }
    }

    pub(super) fn trace(&self, source: &Source) -> Arc<SourceTrace<Rendered>> {
        Arc::clone(self.traces.lock().entry(source.number).or_default())
    }

    /// Keeps what an async source rendered until the slot's turn.
    pub(super) fn keep_awaited(&self, slot: &Arc<Slot>, source: &Source, awaited: Awaited) {
        let replaced = self.awaited.lock().insert(key(slot, source), awaited);
        drop(replaced);
    }

    pub(super) fn take_awaited(&self, slot: &Arc<Slot>, source: &Source) -> Option<Awaited> {
        self.awaited.lock().remove(&key(slot, source))
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

    pub(super) fn event(&self, sessions: usize, took_us: u64) -> Event {
        Event::PassFinished {
            sessions,
            evaluated: self.evaluated.load(Ordering::Relaxed),
            shared: self.shared(),
            committed: self.committed.load(Ordering::Relaxed),
            took_us,
        }
    }
}

/// The pass holds the slot, so the address is this slot's alone.
fn key(slot: &Arc<Slot>, source: &Source) -> (usize, u64) {
    (Arc::as_ptr(slot) as usize, source.number)
}
