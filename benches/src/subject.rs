//! What is measured: an engine of Grove, or servers of the peer.

pub(crate) mod databases;
pub(crate) mod event_log;
#[cfg(feature = "databases")]
mod fjall_log;
pub(crate) mod grove;
pub(crate) mod house;
pub(crate) mod manual_clock;
pub(crate) mod nats;
#[cfg(feature = "databases")]
mod redb_log;
pub(crate) mod slop_ai;
pub(crate) mod sqlite_log;
pub(crate) mod work;
