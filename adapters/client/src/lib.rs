//! What a program elsewhere needs to work with a [Grove](https://docs.rs/grove-engine) server. Nothing here depends on the
//! engine; what you do not need stays off.
//!
//! | feature | what it brings |
//! |---|---|
//! | `agent` | [`agent`]: a program that executes runs of the server's rooms |
//! | `tls` | `wss://`, with the certificates that this machine trusts |

#[cfg(feature = "agent")]
pub mod agent;
