//! A server in its own process, and WebSocket consumers in this one.

pub(crate) mod server;
pub(crate) mod server_handle;
pub(crate) mod listeners;
pub(crate) mod peer_server;
pub(crate) mod peer_links;
pub(crate) mod room_server;
mod server_usage;
mod socket_consumer;
pub(crate) mod socket_consumers;
pub(crate) mod timed_changes;
