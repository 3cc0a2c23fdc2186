//! What is kept for each session, and how sessions are found.

pub(crate) mod evict;
pub(crate) mod slot;
pub(crate) mod table;
