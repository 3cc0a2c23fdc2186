//! What a peer and its server say to each other once it is welcome.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a server says to a peer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FromServer {
    /// The peer is welcome.
    Welcome(Welcome),
    /// A sign of life.
    Pong,
    /// The rows of the project.
    Peers {
        /// Of the request.
        id: Value,
        /// Who is there.
        peers: Vec<Value>,
    },
    /// A message waits for its receiver, or was taken already.
    Sent {
        /// Of the request.
        id: Value,
        /// The message's id.
        message: String,
        /// `queued` or `delivered`.
        status: String,
    },
    /// A message for this peer, which is sent again on each link until it is acknowledged.
    Message(Mail),
    /// The receiver of a message has taken it.
    Acked {
        /// The message's id.
        message: String,
    },
    /// Another peer came.
    Joined {
        /// Who.
        row: Value,
    },
    /// Another peer is shown otherwise.
    Changed {
        /// How.
        row: Value,
    },
    /// Another peer has left.
    Left {
        /// Who.
        row: Value,
    },
    /// A newer link of this session key takes over; this one is closed.
    Replaced,
    /// Something was refused.
    Error {
        /// Of the request, if it is about one.
        #[serde(default)]
        id: Option<Value>,
        /// Why, for programs.
        code: String,
        /// Why, for people.
        #[serde(default)]
        message: String,
    },
    /// Something that a newer server says.
    #[serde(other)]
    Other,
}

/// What a peer learns when it is welcomed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Welcome {
    /// By which id others know it; none without a card.
    #[serde(default)]
    pub participant: Option<String>,
    /// On whose behalf it acts.
    pub member: String,
    /// The credential for the server's other routes, valid as long as the link or its lease.
    pub access_token: String,
    /// How long the peer may be away and come back as the same, in ms.
    pub lease_ms: u64,
}

impl fmt::Debug for Welcome {
    /// Without the token, which is a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Welcome").field("participant", &self.participant).field("member", &self.member).finish()
    }
}

/// A message between peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mail {
    /// Its id.
    pub message: String,
    /// The row of its sender.
    pub from: Value,
    /// What it says.
    pub body: Value,
    /// When it was sent, as RFC 3339.
    #[serde(default)]
    pub at: Value,
}

/// What a peer says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToServer {
    /// A sign of life.
    Ping,
    /// Who is there?
    List {
        /// Comes back with the rows.
        id: u64,
    },
    /// A message for another peer.
    Send {
        /// Comes back with the message's id.
        id: u64,
        /// A participant id or a session key.
        to: String,
        /// What it says, at most 16 KiB.
        body: Value,
    },
    /// A message was taken.
    Ack {
        /// The message's id.
        message: String,
    },
    /// The peer is shown otherwise from now on.
    Card {
        /// How.
        card: grove_attest::Card,
    },
    /// The peer leaves.
    Bye,
}

impl ToServer {
    /// A message was taken.
    #[must_use]
    pub const fn ack(message: String) -> Self {
        Self::Ack { message }
    }

    pub(super) fn encode(&self) -> String {
        serde_json::to_string(self).expect("a frame serialises")
    }
}
