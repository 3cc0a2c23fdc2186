//! What is kept in a room, as an agent reads and writes it while it runs.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::attempt::Attempt;
use crate::error::ActionError;
use crate::model::room::memory::Expected;
use crate::model::room::memory_entry::MemoryEntry;
use crate::model::room::memory_query::{MemoryPage, MemoryQuery};

/// The memory of the room in which a run takes place. Nothing is read or written for a stale attempt.
pub(crate) trait MemoryHost: Send + Sync {
    fn get(&self, attempt: &Attempt, key: &str) -> Result<MemoryEntry, ActionError>;

    fn list(&self, attempt: &Attempt, query: &MemoryQuery) -> Result<MemoryPage, ActionError>;

    fn put(&self, attempt: &Attempt, entry: (&str, &Value), expected: Expected) -> Result<u64, ActionError>;

    fn delete(&self, attempt: &Attempt, key: &str, expected: Expected) -> Result<(), ActionError>;

    /// Ends when what was done in the room up to now is durable, if the room is kept.
    fn durable(&self) -> BoxFuture<'static, Result<(), ActionError>>;
}

/// What is kept by key in the room in which a run takes place ([`RunContext::memory`](crate::RunContext::memory)). A cheap
/// handle.
///
/// It is what sessions read and write by [`RoomMemory`](crate::RoomMemory): entries are as they are when they are read,
/// whoever has written them, those that the room inherits stand beneath its own with the version 0, and each write is an
/// event `memory.changed`, with the agent as its actor and the trace id of the run.
/// A run that is cancelled, such as because its room ends, still reads and writes until it has ended.
/// In a room that is kept, a write is durable when its future is ready; it was made before the future waits for that.
///
/// Errors of every call are `conflict` when the attempt counts no more: the run has ended, or was dispatched again.
///
/// ```
/// use grove_engine::{Agent, Expected, RunContext, RunResult};
/// use serde_json::{Value, json};
///
/// /// Counts its runs in the room, however many there are at once.
/// async fn count(run: RunContext, _: Value) -> RunResult {
///     let memory = run.memory();
///     loop {
///         let (count, version) = memory.get("count").map_or((0, 0), |entry| (entry.value.as_u64().unwrap_or(0), entry.version));
///         match memory.put_if("count", &json!(count + 1), Expected::Version(version)).await {
///             Err(error) if error.code() == "conflict" && !run.is_cancelled() => {}
///             put => return put.map(|_| json!(count + 1)).map_err(Into::into),
///         }
///     }
/// }
///
/// let agent = Agent::new("count", count);
/// # drop(agent);
/// ```
#[derive(Clone)]
pub struct RunMemory {
    host: Arc<dyn MemoryHost>,
    attempt: Arc<Attempt>,
}

impl RunMemory {
    pub(super) fn new(host: Arc<dyn MemoryHost>, attempt: Arc<Attempt>) -> Self {
        Self { host, attempt }
    }

    /// What is kept under a key: the room's own entry, or the one that it inherits.
    ///
    /// # Errors
    /// `not_found` if there is none, `invalid_params` if nothing can have this key.
    pub fn get(&self, key: &str) -> Result<MemoryEntry, ActionError> {
        self.host.get(&self.attempt, key)
    }

    /// Some of what is kept, in the order of the keys' bytes, with what is inherited.
    ///
    /// # Errors
    /// That of every call.
    pub fn list(&self, query: &MemoryQuery) -> Result<MemoryPage, ActionError> {
        self.host.list(&self.attempt, query)
    }

    /// Keeps a value under a key. Returns the version of the entry.
    ///
    /// # Errors
    /// `invalid_params` if nothing can have this key, or if the value could not be kept even if there were nothing else;
    /// `busy` if there is as much as may be (`rooms.memory_bytes`, `rooms.memory_keys`, `rooms.all_memory_bytes`), or if it
    /// was kept and is not durable in time.
    pub async fn put(&self, key: &str, value: &Value) -> Result<u64, ActionError> {
        self.put_if(key, value, Expected::Anything).await
    }

    /// The same if the room's own entry is the expected one.
    ///
    /// # Errors
    /// `conflict` if it is not; otherwise as [`RunMemory::put`].
    pub async fn put_if(&self, key: &str, value: &Value, expected: Expected) -> Result<u64, ActionError> {
        let version = self.host.put(&self.attempt, (key, value), expected)?;
        self.host.durable().await.map(|()| version)
    }

    /// Removes the room's own entry with this key.
    ///
    /// # Errors
    /// `not_found` if it has none; `busy` if it was removed and that is not durable in time.
    pub async fn delete(&self, key: &str) -> Result<(), ActionError> {
        self.delete_if(key, Expected::Anything).await
    }

    /// The same if the entry is the expected one.
    ///
    /// # Errors
    /// `conflict` if it is not; otherwise as [`RunMemory::delete`].
    pub async fn delete_if(&self, key: &str, expected: Expected) -> Result<(), ActionError> {
        self.host.delete(&self.attempt, key, expected)?;
        self.host.durable().await
    }
}

impl fmt::Debug for RunMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunMemory").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
