//! Where what happens in rooms is written, and read again.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::error::StorageError;
use super::memory_store::MemoryStore;
use super::storage_stats::StorageStats;
use super::store::{Store, Write};
use super::writer::{HealthObserver, Writer};
use crate::panics;
use crate::sync::Runtime;

/// Where what happens in rooms is written, in the order in which it happened: whoever writes has the room locked, and never
/// waits. What was written can be read as soon as it is durable.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    way: Way,
    /// How often what was kept was repaired.
    repairs: usize,
    runtime: Runtime,
}

#[derive(Debug)]
enum Way {
    /// It is memory, so whatever is written is there at once.
    Memory(Arc<MemoryStore>),
    Thread(Writer),
}

/// What a write led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Fine,
    /// Older events had to go for it.
    DroppedOlder,
}

impl Journal {
    pub(crate) fn in_memory(max_bytes: usize, runtime: Runtime) -> Self {
        let memory = Arc::new(MemoryStore::new(max_bytes));
        Self { store: Arc::clone(&memory) as Arc<dyn Store>, way: Way::Memory(memory), repairs: 0, runtime }
    }

    /// Writes to a store that may block.
    pub(crate) fn new(store: Arc<dyn Store>, repairs: usize, observer: HealthObserver, runtime: Runtime) -> Self {
        let way = Way::Thread(Writer::start(Arc::clone(&store), observer));
        Self { store, way, repairs, runtime }
    }

    /// Whether anything is still there when the process starts again.
    pub(crate) fn survives(&self) -> bool {
        self.store.survives()
    }

    /// What was kept, for when the engine starts. It may block.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Makes a change some time soon, after those before it.
    pub(crate) fn write(&self, write: Write) -> Written {
        self.write_step(vec![write])
    }

    /// Makes changes some time soon, after those before them, and all of them at once: what is there after the process was
    /// killed is never a part of a step.
    pub(crate) fn write_step(&self, step: Vec<Write>) -> Written {
        match &self.way {
            Way::Memory(memory) => {
                let dropped = step.iter().filter(|write| memory.write(write)).count();
                if dropped > 0 { Written::DroppedOlder } else { Written::Fine }
            }
            Way::Thread(writer) => {
                if !step.is_empty() {
                    writer.write(step);
                }
                Written::Fine
            }
        }
    }

    /// Ends when everything that was written up to now is durable.
    ///
    /// # Errors
    /// If it will not be any more, since the engine has ended.
    pub(crate) fn confirmed(&self) -> BoxFuture<'static, Result<(), StorageError>> {
        match &self.way {
            Way::Memory(_) => std::future::ready(Ok(())).boxed(),
            Way::Thread(writer) => {
                let confirmed = writer.confirm();
                confirmed.map(|done| done.map_err(|_| StorageError::Unavailable("the engine has ended".into()))).boxed()
            }
        }
    }

    /// Does something that waits for the storage.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }

    /// How many bytes wait to be written.
    pub(crate) fn waiting_bytes(&self) -> usize {
        match &self.way {
            Way::Memory(_) => 0,
            Way::Thread(writer) => writer.waiting_bytes(),
        }
    }

    pub(crate) fn stats(&self) -> StorageStats {
        match &self.way {
            Way::Memory(_) => StorageStats::default(),
            Way::Thread(writer) => StorageStats { repairs: self.repairs, ..writer.stats() },
        }
    }

    /// A commit that failed may succeed now.
    pub(crate) fn retry(&self) {
        if let Way::Thread(writer) = &self.way {
            writer.retry();
        }
    }

    /// Reads something, on a thread on which that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        if let Way::Memory(memory) = &self.way {
            return read(&**memory);
        }
        let store = Arc::clone(&self.store);
        let reading = self.runtime.spawn_blocking(move || panics::catch(|| read(&*store)));
        let read = reading.await.map_err(|_| StorageError::Unavailable("the runtime has ended".into()))?;
        read.unwrap_or_else(|why| Err(StorageError::Unavailable(why)))
    }
}
