//! What a server asks of a peer.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::hex;

/// For how long a challenge can be answered, in ms (SEC18).
const VALID_MS: u64 = 60_000;

/// The version of the link (peers 3).
const VERSION: u32 = 1;

/// 32 random bytes that are answered once, on one connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce(pub(crate) [u8; 32]);

/// What a server asks of one connection (peers 3): to sign something that was never signed before.
#[derive(Debug)]
pub struct Challenge {
    nonce: Nonce,
    audience: String,
    at_ms: u64,
    is_used: bool,
}

/// The system has no randomness.
#[derive(Debug, Clone, Copy, Error)]
#[error("the system has no randomness")]
pub struct NotRandom;

/// The frame with a challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "challenge")]
pub struct ChallengeFrame {
    pub(crate) nonce: Nonce,
    /// The name of the server.
    pub audience: String,
    /// The version of the link; 1.
    pub version: u32,
}

impl Challenge {
    /// A challenge of the server with this name, made at this time in ms since 1970.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(audience: impl Into<String>, now_ms: u64) -> Result<Self, NotRandom> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| NotRandom)?;
        Ok(Self { nonce: Nonce(nonce), audience: audience.into(), at_ms: now_ms, is_used: false })
    }

    /// The frame that the server sends.
    #[must_use]
    pub fn frame(&self) -> ChallengeFrame {
        ChallengeFrame { nonce: self.nonce, audience: self.audience.clone(), version: VERSION }
    }

    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    pub(crate) const fn nonce(&self) -> &[u8; 32] {
        &self.nonce.0
    }

    /// It is answered. Returns whether it could be: once, and not too late.
    pub(crate) fn answer(&mut self, now_ms: u64) -> bool {
        let is_first = !std::mem::replace(&mut self.is_used, true);
        is_first && now_ms.saturating_sub(self.at_ms) < VALID_MS
    }
}

impl ChallengeFrame {
    /// The text of the frame.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a challenge serialises")
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(text.as_bytes());
        bytes.map(Self).ok_or_else(|| de::Error::custom("a nonce is 64 lower-case hex digits"))
    }
}
