//! Something that happens once, and is waited for.

use crate::sync::{AtomicBool, Ordering, Signal};

/// Set once, by anybody; from then on nobody waits.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    is_set: AtomicBool,
    signal: Signal,
}

impl Latch {
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::SeqCst);
        self.signal.notify(usize::MAX);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    pub(crate) async fn wait(&self) {
        loop {
            let listener = self.signal.listen();
            if self.is_set() {
                return;
            }
            listener.await;
        }
    }
}
