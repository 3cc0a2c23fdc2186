//! What a program elsewhere needs to work with a [Grove](https://docs.rs/grove-engine) server. Nothing here depends on the
//! engine; what you do not need stays off.
//!
//! | feature | what it brings |
//! |---|---|
//! | `agent` | [`agent`]: a program that executes runs of the server's rooms |
//! | `peer` | [`peer`]: a process that is present under a key of its own |
//! | `tls` | `wss://`, with the certificates that this machine trusts |

#[cfg(any(feature = "agent", feature = "peer"))]
mod back_off;

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "peer")]
pub mod peer;

#[cfg(any(feature = "agent", feature = "peer"))]
pub use back_off::BackOff;
