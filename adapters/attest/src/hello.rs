//! How a peer answers a challenge.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::attestation::{Attestation, MAX_TTL_MS};
use crate::card::Card;
use crate::challenge::ChallengeFrame;
use crate::public_key::PublicKey;
use crate::refused::Refused;
use crate::secret_key::SecretKey;
use crate::signature::Signature;
use crate::signed;

/// The first frame of a peer (peers 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum PeerHello {
    /// A session, for which a member vouches.
    #[serde(rename = "session_hello")]
    Session {
        /// In which project.
        project: String,
        /// The key of the session.
        session_public_key: PublicKey,
        /// The key of the member.
        member_public_key: PublicKey,
        /// What the member says about the session's key.
        attestation: Attestation,
        /// The proof that the peer holds the session's key.
        signature: Signature,
        /// How it is shown.
        card: Card,
    },
    /// A member's own program.
    #[serde(rename = "hello")]
    Member {
        /// In which project.
        project: String,
        /// The key of the member.
        member_public_key: PublicKey,
        /// The proof that the peer holds it.
        signature: Signature,
        /// How it is shown; it is not without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        card: Option<Card>,
    },
}

/// What a peer was asked to sign is not for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WrongChallenge {
    /// The attestation is for another key.
    #[error("the attestation is for another session key")]
    OtherKey,
    /// The attestation would be refused.
    #[error("the attestation is for more than 24 hours")]
    TooLong,
    /// The server speaks another version.
    #[error("the server speaks another version of the link")]
    OtherVersion,
}

/// How long the name of a project may be, in bytes.
const NAME_BYTES: usize = 256;

/// How many rights an attestation may name.
const NAMES: usize = 256;

impl PeerHello {
    /// A session with this key answers, for which a member vouches. It needs a [`card`](Self::card).
    ///
    /// # Errors
    /// If the attestation is for another key, or the server would refuse it.
    pub fn session(
        key: &SecretKey,
        challenge: &ChallengeFrame,
        project: impl Into<String>,
        attestation: Attestation,
    ) -> Result<Self, WrongChallenge> {
        check_version(challenge)?;
        let (project, session_public_key) = (project.into(), key.public_key());
        if attestation.session_public_key != session_public_key {
            return Err(WrongChallenge::OtherKey);
        }
        if attestation.expires_at_ms.saturating_sub(attestation.not_before_ms) > MAX_TTL_MS {
            return Err(WrongChallenge::TooLong);
        }
        let proof = signed::session_proof(&challenge.audience, &project, &session_public_key, &challenge.nonce.0);
        let (member_public_key, signature) = (attestation.member_public_key, key.sign(&proof));
        let card = Card::default();
        Ok(Self::Session { project, session_public_key, member_public_key, attestation, signature, card })
    }

    /// A member's own program answers. It is shown if it has a [`card`](Self::card).
    ///
    /// # Errors
    /// If the server speaks another version.
    pub fn member(
        key: &SecretKey,
        challenge: &ChallengeFrame,
        project: impl Into<String>,
    ) -> Result<Self, WrongChallenge> {
        check_version(challenge)?;
        let (project, member_public_key) = (project.into(), key.public_key());
        let proof = signed::member_proof(&challenge.audience, &project, &member_public_key, &challenge.nonce.0);
        Ok(Self::Member { project, member_public_key, signature: key.sign(&proof), card: None })
    }

    /// How it is shown.
    #[must_use]
    pub fn card(mut self, shown: Card) -> Self {
        match &mut self {
            Self::Session { card, .. } => *card = shown,
            Self::Member { card, .. } => *card = Some(shown),
        }
        self
    }

    /// The text of the frame.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a hello serialises")
    }

    /// # Errors
    /// `malformed`, `unknown_message_type`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        let frame: Value = serde_json::from_str(text).map_err(|_| malformed("it is not JSON"))?;
        let kind = frame.get("type").and_then(Value::as_str).ok_or_else(|| malformed("it has no `type`"))?;
        if !matches!(kind, "session_hello" | "hello") {
            return Err(Refused::UnknownMessageType);
        }
        let hello: Self =
            serde_json::from_value(frame).map_err(|_| malformed("a field is missing or has another form"))?;
        hello.check()?;
        Ok(hello)
    }

    fn check(&self) -> Result<(), Refused> {
        let (project, card) = match self {
            Self::Session { project, attestation, card, .. } => {
                if attestation.expires_at_ms < attestation.not_before_ms {
                    return Err(malformed("the attestation ends before it begins"));
                }
                if attestation.rights.as_ref().is_some_and(|rights| rights.len() > NAMES) {
                    return Err(malformed("the attestation has more than 256 rights"));
                }
                (project, Some(card))
            }
            Self::Member { project, card, .. } => (project, card.as_ref()),
        };
        if project.len() > NAME_BYTES {
            return Err(malformed("`project` has more than 256 bytes"));
        }
        card.map_or(Ok(()), Card::check)
    }
}

fn check_version(challenge: &ChallengeFrame) -> Result<(), WrongChallenge> {
    if challenge.version == 1 { Ok(()) } else { Err(WrongChallenge::OtherVersion) }
}

fn malformed(why: &str) -> Refused {
    Refused::Malformed(why.to_owned())
}
