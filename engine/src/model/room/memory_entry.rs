//! What is kept in a room, as those who read it get it.

use serde_json::Value;

use crate::model::Text;

/// What is kept in a room under one key.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MemoryEntry {
    /// The key.
    pub key: Text,
    /// The value.
    pub value: Value,
    /// Another one with each write in the room; 0 if the entry is inherited.
    pub version: u64,
}
