//! What of rooms is kept, and where: records, logs and archives.

pub(crate) mod error;
pub(crate) mod room_store;
pub(crate) mod event_log;
pub(crate) mod archive;
pub(crate) mod store;
pub(crate) mod storage_stats;
pub(crate) mod repair;
pub(crate) mod memory_store;
pub(crate) mod writer;
pub(crate) mod journal;
#[cfg(feature = "storage")]
pub(crate) mod sqlite;
pub(crate) mod choice;
