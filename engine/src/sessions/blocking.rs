//! How many handlers and loaders that may block run at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::slot::Slot;
use crate::config::{Execution, Limit};
use crate::event::{Event, Observers};

/// Permits for application code that may block a thread. Passes need threads too, and one session must not take those of
/// all.
#[derive(Debug)]
pub(crate) struct BlockingPermits {
    all: Arc<Semaphore>,
    per_session: usize,
    observers: Arc<Observers>,
}

/// What runs holds these.
pub(crate) type BlockingPermit = [Option<OwnedSemaphorePermit>; 2];

impl BlockingPermits {
    pub(crate) fn new(execution: &Execution, observers: Arc<Observers>) -> Self {
        Self {
            all: Arc::new(Semaphore::new(execution.blocking_calls)),
            per_session: execution.blocking_calls_per_session,
            observers,
        }
    }

    /// Waits until a handler or loader of this session may run.
    pub(crate) async fn acquire(&self, slot: &Slot) -> BlockingPermit {
        let own = self.wait(slot, slot.blocking(self.per_session), Limit::BlockingCallsPerSession).await;
        [own, self.wait(slot, Arc::clone(&self.all), Limit::BlockingCalls).await]
    }

    async fn wait(&self, slot: &Slot, permits: Arc<Semaphore>, limit: Limit) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            return Some(permit);
        }
        self.observers.warn(&Event::LimitReached { limit, session: slot.id() });
        // It is never closed, so it gives a permit in the end.
        permits.acquire_owned().await.ok()
    }
}
