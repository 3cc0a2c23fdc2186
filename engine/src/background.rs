//! Work that goes on by itself, counted until it ends.

use std::sync::Arc;

use crate::in_flight::InFlight;
use crate::sync::{AtomicBool, Ordering, Runtime};

/// The runtime, and how much of the engine's own work runs on it.
#[derive(Debug)]
pub(crate) struct Background {
    pub(crate) runtime: Runtime,
    pub(crate) in_flight: Arc<InFlight>,
    /// The runtime has ended: what is spawned on it is dropped.
    ended: AtomicBool,
}

impl Background {
    pub(crate) fn new(runtime: Runtime) -> Arc<Self> {
        Arc::new(Self { runtime, in_flight: Arc::new(InFlight::default()), ended: AtomicBool::new(false) })
    }

    /// Whether the runtime still runs.
    pub(crate) fn is_alive(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
    }

    /// The runtime has dropped the engine's own task.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Runs in the background and counts as work until it ends.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let token = self.in_flight.begin();
        self.runtime.spawn(async move {
            work.await;
            drop(token);
        });
    }
}
