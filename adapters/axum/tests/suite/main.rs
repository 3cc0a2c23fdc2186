//! The adapter over real sockets: every test starts a server on a free port.

mod discovery;
mod origins;
mod server;
mod serving;
mod who_is_it;
