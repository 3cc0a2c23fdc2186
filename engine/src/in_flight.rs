//! How much the engine is doing right now; shutting down and tests wait until it is nothing.

use std::sync::Arc;

use crate::sync::{AtomicUsize, Listening, Ordering, Signal};

/// Counts work that was started and has not ended.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    /// How many pieces were started, ever.
    #[cfg(feature = "testing")]
    started: AtomicUsize,
    idle: Signal,
}

/// One piece of work; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Work(Arc<InFlight>);

impl InFlight {
    pub(crate) fn begin(self: &Arc<Self>) -> Work {
        self.count.fetch_add(1, Ordering::SeqCst);
        #[cfg(feature = "testing")]
        self.started.fetch_add(1, Ordering::SeqCst);
        Work(Arc::clone(self))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn is_idle(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// How many pieces were started, ever.
    #[cfg(feature = "testing")]
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    /// Tells whoever listens to look again.
    pub(crate) fn notify(&self) {
        self.idle.notify(usize::MAX);
    }

    /// Told each time the last piece of work ends.
    pub(crate) fn listen(&self) -> Listening {
        self.idle.listen()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify(usize::MAX);
        }
    }
}
