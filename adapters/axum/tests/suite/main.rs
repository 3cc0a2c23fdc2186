//! The adapter over real sockets: every test starts a server on a free port.

#[cfg(feature = "rooms")]
mod agents;
mod authenticating;
mod browser_module;
mod discovery;
mod draining;
#[cfg(feature = "http2")]
mod http2;
#[cfg(feature = "jwt")]
mod jwt;
mod limits;
#[cfg(unix)]
mod local_descriptor;
#[cfg(feature = "metrics")]
mod metrics;
mod mounting;
mod opaque;
mod origins;
mod per_session;
#[cfg(unix)]
mod process_end;
mod refusing_store;
mod renewal;
#[cfg(feature = "rooms")]
mod room_events;
mod room_leases;
#[cfg(feature = "rooms")]
mod rooms_http;
mod rooms_memory_http;
mod runs_http;
#[cfg(feature = "rooms")]
mod rooms_server;
mod serve;
mod server;
mod serving;
mod spans;
mod undisturbed;
