//! Scenarios: what must hold under load. A scenario gives a verdict instead of figures.

mod backoff;
pub(crate) mod cliffs;
pub(crate) mod disturb;
mod message_counts;
mod reconnecting_consumer;
pub(crate) mod restart;
mod secrets;
mod server_process;
pub(crate) mod soak;
mod verdict;
