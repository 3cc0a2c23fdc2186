//! Peers: processes that are present in a Grove server, each with its own key.
//!
//! A member of a project has a stable key. Whoever starts a process as a session of that member makes a fresh key pair for
//! it and signs an [`Attestation`] with the member's key; the process proves with its own key that it is the one. So a
//! server knows on whose behalf a process acts, and with which rights, without ever having seen a secret. The contract is
//! `docs/contract/peers.md`; sections are named as "peers N".
//!
//! ```
//! use grove_attest::{Attestation, Card, Challenge, Checking, Member, Members, MemoryMembers, NewAttestation, PeerHello, SecretKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now_ms = 1_775_484_010_123;
//!
//! // The server knows the member.
//! let members = MemoryMembers::new();
//! let member_key = SecretKey::generate()?;
//! members.add("acme", Member::new("ann", member_key.public_key()).right("write"))?;
//!
//! // The launcher vouches for a new session key.
//! let session_key = SecretKey::generate()?;
//! let new = NewAttestation::new("desk", "acme", session_key.public_key(), now_ms).rights(["write", "admin"]);
//! let attestation = Attestation::sign(&member_key, &new);
//!
//! // The process answers the server's challenge.
//! let mut challenge = Challenge::new("desk", now_ms)?;
//! let hello = PeerHello::session(&session_key, &challenge.frame(), "acme", attestation)?.card(Card::new("worker"));
//!
//! let peer = Checking::new(&members).check(&mut challenge, &hello.to_json(), now_ms)?;
//! assert_eq!((peer.member.as_str(), &*peer.rights), ("ann", &["write".to_owned()][..]));
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "axum")]
mod access_token;
mod attestation;
mod card;
mod challenge;
mod checking;
#[cfg(feature = "axum")]
mod changes;
#[cfg(feature = "axum")]
mod feed;
#[cfg(feature = "axum")]
mod frames;
mod hello;
mod hex;
mod left_peer;
#[cfg(feature = "axum")]
mod link;
#[cfg(feature = "axum")]
mod link_handle;
#[cfg(feature = "axum")]
mod mailbox;
mod member;
mod memory_members;
#[cfg(feature = "axum")]
mod peers;
#[cfg(feature = "axum")]
mod project_feed;
mod public_key;
mod refused;
#[cfg(feature = "axum")]
mod registry;
mod rfc3339;
#[cfg(feature = "axum")]
mod routes;
mod secret_key;
mod signature;
mod signed;
#[cfg(feature = "storage")]
mod stored_members;
#[cfg(feature = "axum")]
mod unanswered;

/// The code in the guide, compiled and run.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../../../docs/guide/peers.md")]
mod guide {}

pub use attestation::{Attestation, NewAttestation};
pub use card::Card;
pub use challenge::{Challenge, ChallengeFrame, NotRandom};
pub use checking::{Checking, ProvenPeer};
pub use hello::{PeerHello, WrongChallenge};
pub use left_peer::LeftPeer;
pub use member::{Member, Members, MembersError, Standing};
pub use memory_members::MemoryMembers;
#[cfg(feature = "axum")]
pub use peers::Peers;
pub use public_key::{KeyError, PublicKey};
pub use refused::Refused;
pub use secret_key::{SecretKey, SecretKeyError};
pub use signature::Signature;
#[cfg(feature = "storage")]
pub use stored_members::StoredMembers;
