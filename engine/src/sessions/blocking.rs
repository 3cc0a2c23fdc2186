//! How many handlers and loaders that may block run at the same time.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::blocking_queue::{BlockingQueue, Caller};
use super::slot::Slot;
use crate::config::Execution;
use crate::event::{Event, Observers};
use crate::sync::Mutex;

/// Permits for application code that may block a thread. Passes need threads too, and one session or user must not take
/// those of all: each has a limit of its own, and those who wait take turns by user.
#[derive(Debug)]
pub(crate) struct BlockingPermits {
    queue: Mutex<BlockingQueue<oneshot::Sender<BlockingPermit>>>,
    observers: Arc<Observers>,
}

/// What runs holds this.
#[derive(Debug)]
pub(crate) struct BlockingPermit {
    permits: Arc<BlockingPermits>,
    caller: Caller,
}

/// A place in the queue; given up when it is dropped.
struct Place<'a> {
    permits: &'a BlockingPermits,
    caller: &'a Caller,
    number: u64,
}

impl BlockingPermits {
    pub(crate) fn new(execution: &Execution, observers: Arc<Observers>) -> Self {
        Self { queue: Mutex::new(BlockingQueue::new(execution)), observers }
    }

    /// Waits until a handler or loader of this session may run.
    pub(crate) async fn acquire(self: &Arc<Self>, slot: &Slot) -> BlockingPermit {
        let caller = Caller::of(&slot.context());
        let permit = |caller| BlockingPermit { permits: Arc::clone(self), caller };
        let (limit, number, granted) = {
            let mut queue = self.queue.lock();
            match queue.begin(&caller) {
                Ok(()) => return permit(caller),
                Err(limit) => {
                    let (grant, granted) = oneshot::channel();
                    (limit, queue.wait(&caller, grant), granted)
                }
            }
        };
        let _place = Place { permits: self, caller: &caller, number };
        self.observers.warn(&Event::LimitReached { limit, session: caller.session().clone() });
        granted.await.unwrap_or_else(|_| unreachable!("who waits keeps the place in the queue"))
    }

    /// What has a permit ends; whoever is next gets one.
    fn end(self: &Arc<Self>, caller: &Caller) {
        let next = self.queue.lock().end(caller);
        if let Some((caller, grant)) = next {
            // If nobody waits any more, the permit comes back and is dropped here, and the next one gets it.
            drop(grant.send(BlockingPermit { permits: Arc::clone(self), caller }));
        }
    }
}

impl Drop for BlockingPermit {
    fn drop(&mut self) {
        self.permits.end(&self.caller);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let cancelled = self.permits.queue.lock().cancel(self.caller, self.number);
        drop(cancelled);
    }
}
