//! A process that is present in a server under a key of its own: the other end of `/peers` (peers 3).
//!
//! ```no_run
//! use grove_attest::{Card, ChallengeFrame, PeerHello, SecretKey};
//! use grove_client::peer::{FromServer, PeerLink, ToServer};
//!
//! # async fn present(member: &SecretKey) -> Result<(), Box<dyn std::error::Error>> {
//! let hello = |challenge: &ChallengeFrame| Ok(PeerHello::member(member, challenge, "acme")?.card(Card::new("ann's tool")));
//! let (mut link, welcome) = PeerLink::connect("wss://app.example/peers", hello).await?;
//! println!("others see it as {:?}", welcome.participant);
//! while let FromServer::Message(mail) = link.next().await? {
//!     println!("{}", mail.body);
//!     link.send(&ToServer::ack(mail.message)).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A link is one connection. Whoever wants to stay present connects again when it ends, after the pauses of
//! [`BackOff`](crate::BackOff), with a new hello; within its lease it is the same peer.

mod message;
mod peer_error;
mod peer_link;

pub use message::{FromServer, Mail, ToServer, Welcome};
pub use peer_error::{PeerError, PeerLinkEnded};
pub use peer_link::PeerLink;
