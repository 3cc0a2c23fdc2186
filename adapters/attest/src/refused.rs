//! Why a peer is refused.

use thiserror::Error;

/// Why a peer is refused, in the order in which it is checked (peers 3, 7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum Refused {
    /// The frame is not what it should be.
    #[error("the frame is malformed: {0}")]
    Malformed(String),
    /// The frame has a type that this server does not know.
    #[error("the type of the frame is not known here")]
    UnknownMessageType,
    /// There is no such member in that project; nor is it said whether there is such a project.
    #[error("this key is not a member's of that project")]
    Unauthorized,
    /// The peer has proven that it holds a key whose access was taken back.
    #[error("the access of this key was revoked")]
    Revoked,
    /// The attestation is for more than 24 hours.
    #[error("an attestation is for 24 hours at most")]
    TtlTooLong,
    /// The attestation begins later.
    #[error("the attestation is not valid yet")]
    NotYetValid,
    /// The attestation is over.
    #[error("the attestation has expired")]
    Expired,
    /// The attestation was not signed by the member's key, or says something else than what was signed.
    #[error("the signature of the attestation is wrong")]
    BadSignature,
    /// The attestation is for other keys than those of the hello.
    #[error("the attestation is for other keys")]
    AttestationMismatch,
    /// The peer does not hold the key, or the challenge was another one, or was used already, or is older than 60 s.
    #[error("the signature of the challenge is wrong")]
    BadProof,
    /// There are as many peers as there may be, of this member or in all, or the server cannot take one now for another
    /// reason. Later it may.
    #[error("the server takes no more peers now")]
    Capacity,
}

impl Refused {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnknownMessageType => "unknown_message_type",
            Self::Unauthorized => "unauthorized",
            Self::Revoked => "revoked",
            Self::TtlTooLong => "ttl_too_long",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::BadSignature => "bad_signature",
            Self::AttestationMismatch => "attestation_mismatch",
            Self::BadProof => "bad_proof",
            Self::Capacity => "capacity",
        }
    }
}
