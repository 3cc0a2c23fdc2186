//! The adapter over real sockets: every test starts a server on a free port.

mod authenticating;
mod browser_module;
mod discovery;
mod draining;
#[cfg(feature = "jwt")]
mod jwt;
mod limits;
#[cfg(unix)]
mod local_descriptor;
#[cfg(feature = "metrics")]
mod metrics;
mod opaque;
mod origins;
mod per_session;
mod renewal;
mod server;
mod serving;
mod spans;
