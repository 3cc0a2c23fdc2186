//! Carries what crosses between the instances of a [Grove](https://docs.rs/grove-engine) application over NATS: hints,
//! calls and who is there, never trees.
//!
//! [`NatsCluster`] is the engine's `Cluster` on core NATS. It knows subjects and connections, and understands nothing of
//! what it carries.
//!
//! | feature | what it brings |
//! |---|---|
//! | `testing` | for tests of applications: a cluster that drops a share of what it carries, and servers that can be killed |

mod secret;
mod config_error;
mod token;
mod subjects;
mod version;
mod event;
mod stats;
mod identity;
mod options;
mod news;
mod outgoing;
mod requests;
mod task;
mod readers;
mod link;
mod cluster;
mod permissions;
mod mint;
#[cfg(feature = "testing")]
pub mod testing;

pub use cluster::NatsCluster;
pub use config_error::ConfigError;
pub use event::NatsEvent;
pub use mint::{AccountKey, MintError, Minted};
pub use options::NatsOptions;
pub use permissions::{ParticipantUser, Permissions, server_configuration};
pub use stats::NatsStats;
pub use subjects::Subjects;
pub use token::{decode as decode_token, encode as encode_token};
pub use version::too_old_for;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/nats.md")]
mod guide {}
