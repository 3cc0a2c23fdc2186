//! That something has been done, for whoever waits for it.

use crate::sync::{AtomicBool, Ordering, Signal};

/// Told when a waiting pass has committed.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    done: AtomicBool,
    signal: Signal,
}

impl Latch {
    pub(crate) fn set(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.signal.notify(usize::MAX);
    }

    pub(crate) async fn wait(&self) {
        loop {
            let listener = self.signal.listen();
            if self.done.load(Ordering::SeqCst) {
                return;
            }
            listener.await;
        }
    }
}
