//! What one consumer gets to see and when. The deciding half knows no clock and no socket: it is told the time.

pub(crate) mod call_log;
pub(crate) mod connection_name;
mod fit;
pub(crate) mod link;
pub(crate) mod outbox;
pub(crate) mod query;
pub(crate) mod subscription;
