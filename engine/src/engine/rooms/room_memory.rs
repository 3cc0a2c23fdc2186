//! What is kept in one room, as a session reads and writes it.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::refused::refused;
use crate::engine::parts::Parts;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::memory::Expected;
use crate::model::room::memory_entry::MemoryEntry;
use crate::model::room::memory_query::{MemoryPage, MemoryQuery};
use crate::model::session::{Context, Session};
use crate::rooms::living::LivingRoom;
use crate::rooms::remembering::Writer;
use crate::rooms::service::RoomService;

/// What is kept in a room by key, for as long as the room goes on. Everybody with a role reads it, members write it, and
/// each write is an event for all who are there.
///
/// A room that inherits the memory of its parent reads the parent's entries beneath its own ([`Facet::Memory`]), with the
/// version 0, and writes only its own.
///
/// Every call checks the session again, as those of [`Rooms`](crate::Rooms) do: its errors are `not_found` for a session
/// without a role, and `conflict` if the room has ended.
///
/// ```
/// use grove_engine::{Engine, Expected, MemoryQuery, NewRoom, RoomOptions, Session};
/// use serde_json::json;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::builder("app", "App").rooms(RoomOptions::new()).build();
/// let ann = Session::new("s1").with_user("ann");
/// let room = engine.rooms().create(&ann, &NewRoom::new("Board").memory("goal", json!("launch")))?.room;
/// let memory = engine.rooms().memory(&ann, room.id())?;
///
/// let goal = memory.get("goal")?;
/// let version = memory.put_if("goal", &json!("launch in May"), Expected::Version(goal.version))?;
/// assert_eq!(memory.get("goal")?.version, version);
/// // Somebody who has seen the entry before that does not overwrite it.
/// assert_eq!(memory.delete_if("goal", Expected::Version(goal.version)).unwrap_err().code(), "conflict");
/// assert_eq!(memory.list(&MemoryQuery::default())?.entries.len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// [`Facet::Memory`]: crate::Facet::Memory
#[derive(Clone)]
pub struct RoomMemory {
    parts: Arc<Parts>,
    service: Arc<RoomService>,
    session: Session,
    room: Text,
    trace_id: Option<Text>,
}

impl RoomMemory {
    pub(super) fn new(parts: &Arc<Parts>, service: &Arc<RoomService>, session: &Session, room: &str) -> Self {
        let session = Session::untracked(Arc::clone(session.context()));
        Self { parts: Arc::clone(parts), service: Arc::clone(service), session, room: room.into(), trace_id: None }
    }

    /// What is written belongs to the work with this id: `tx-` and a UUID. Another one is made if it has not this form.
    #[must_use]
    pub fn trace_id(mut self, id: impl Into<Text>) -> Self {
        self.trace_id = Some(id.into());
        self
    }

    fn context(&self) -> &Context {
        self.session.context()
    }

    fn readable(&self) -> Result<Arc<LivingRoom>, ActionError> {
        self.check_access()?;
        self.service.readable(&self.session, &self.room)
    }

    fn writable(&self, what: &'static str) -> Result<Arc<LivingRoom>, ActionError> {
        self.check_access()?;
        self.service.writable(&self.session, &self.room, what)
    }

    fn check_access(&self) -> Result<(), ActionError> {
        self.parts.opener.check_access(self.context()).map_err(|error| refused(&error))
    }

    fn writer(&self) -> Writer<'_> {
        Writer::Session { context: self.context(), trace_id: self.trace_id.as_deref() }
    }

    /// What is kept under a key: the room's own entry, or the one that it inherits.
    ///
    /// # Errors
    /// `not_found` if there is none, `invalid_params` if nothing can have this key.
    pub fn get(&self, key: &str) -> Result<MemoryEntry, ActionError> {
        self.service.memory().get(&self.readable()?, key)
    }

    /// Some of what is kept, in the order of the keys' bytes, with what is inherited.
    ///
    /// # Errors
    /// Those of every call.
    pub fn list(&self, query: &MemoryQuery) -> Result<MemoryPage, ActionError> {
        Ok(self.service.memory().list(&self.readable()?, query))
    }

    /// Keeps a value under a key. Returns the version of the entry.
    ///
    /// # Errors
    /// `unauthorized` for an observer and for a session without a user; `invalid_params` if nothing can have this key, or if
    /// the value could not be kept even if there were nothing else; `busy` if there is as much as may be
    /// (`rooms.memory_bytes`, `rooms.memory_keys`, `rooms.all_memory_bytes`).
    pub fn put(&self, key: &str, value: &Value) -> Result<u64, ActionError> {
        self.put_if(key, value, Expected::Anything)
    }

    /// The same if the room's own entry is the expected one.
    ///
    /// # Errors
    /// `conflict` if it is not; otherwise as [`RoomMemory::put`].
    pub fn put_if(&self, key: &str, value: &Value, expected: Expected) -> Result<u64, ActionError> {
        self.service.memory().put(&self.writable("put")?, &self.writer(), (key, value), expected)
    }

    /// Removes the room's own entry with this key.
    ///
    /// # Errors
    /// `not_found` if it has none; `unauthorized` for an observer and for a session without a user.
    pub fn delete(&self, key: &str) -> Result<(), ActionError> {
        self.delete_if(key, Expected::Anything)
    }

    /// The same if the entry is the expected one.
    ///
    /// # Errors
    /// `conflict` if it is not; otherwise as [`RoomMemory::delete`].
    pub fn delete_if(&self, key: &str, expected: Expected) -> Result<(), ActionError> {
        self.service.memory().delete(&self.writable("delete")?, &self.writer(), key, expected)
    }

    /// Removes all entries of the room's own. Returns how many there were.
    ///
    /// # Errors
    /// `unauthorized` for an observer and for a session without a user.
    pub fn clear(&self) -> Result<usize, ActionError> {
        self.service.memory().clear(&self.writable("clear")?, &self.writer())
    }

    /// Whether a key and a value are short enough to be kept if there were nothing else.
    #[must_use]
    pub fn fits(&self, key: &str, value: &Value) -> bool {
        self.service.memory().fits(key, value)
    }
}

impl fmt::Debug for RoomMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomMemory").field("room", &self.room).finish_non_exhaustive()
    }
}
