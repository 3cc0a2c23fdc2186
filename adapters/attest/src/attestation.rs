//! What a member says about a session key.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::public_key::PublicKey;
use crate::rfc3339;
use crate::secret_key::SecretKey;
use crate::signature::Signature;
use crate::signed::Attested;

/// The longest time for which a member vouches, in ms (S4.21).
pub(crate) const MAX_TTL_MS: u64 = 24 * 3_600_000;

/// For how long a member vouches if nothing else is said.
const DEFAULT_TTL: Duration = Duration::from_secs(12 * 3_600);

/// How far clocks may be apart, in ms.
pub(crate) const CLOCK_SKEW_MS: u64 = 30_000;

/// A member vouches for a session key, for a time, with some of the member's rights (peers 2). Its JSON is the object that
/// is sent; the audience and the project are signed and not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    pub(crate) session_public_key: PublicKey,
    pub(crate) member_public_key: PublicKey,
    #[serde(rename = "not_before", with = "rfc3339")]
    pub(crate) not_before_ms: u64,
    #[serde(rename = "expires_at", with = "rfc3339")]
    pub(crate) expires_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "rights")]
    pub(crate) rights: Option<Vec<String>>,
    pub(crate) signature: Signature,
}

/// What is to be attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttestation {
    audience: String,
    project: String,
    session: PublicKey,
    not_before_ms: u64,
    ttl: Duration,
    rights: Option<Vec<String>>,
}

impl NewAttestation {
    /// That a session key acts for the member in a project of the server with this name, from this time on (in ms since 1970)
    /// for 12 hours, with all rights of the member.
    pub fn new(
        audience: impl Into<String>,
        project: impl Into<String>,
        session: PublicKey,
        not_before_ms: u64,
    ) -> Self {
        let (audience, project) = (audience.into(), project.into());
        Self { audience, project, session, not_before_ms, ttl: DEFAULT_TTL, rights: None }
    }

    /// With no other rights than these, of those that the member has.
    #[must_use]
    pub fn rights<R: Into<String>>(mut self, rights: impl IntoIterator<Item = R>) -> Self {
        self.rights = Some(sorted(rights.into_iter().map(Into::into).collect()));
        self
    }

    /// For so long. Servers take 24 hours at most.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }
}

impl Attestation {
    /// The member with this key vouches.
    #[must_use]
    pub fn sign(member: &SecretKey, new: &NewAttestation) -> Self {
        let ttl_ms = u64::try_from(new.ttl.as_millis()).unwrap_or(u64::MAX);
        let unsigned = Self {
            session_public_key: new.session,
            member_public_key: member.public_key(),
            not_before_ms: new.not_before_ms,
            expires_at_ms: new.not_before_ms.saturating_add(ttl_ms),
            rights: new.rights.clone(),
            signature: Signature::new([0; 64]),
        };
        let signature = member.sign(&unsigned.signed(&new.audience, &new.project));
        Self { signature, ..unsigned }
    }

    /// Until when it is valid, in ms since 1970.
    #[must_use]
    pub const fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }

    /// The key for which it vouches.
    #[must_use]
    pub const fn session_public_key(&self) -> &PublicKey {
        &self.session_public_key
    }

    /// Whether it is what its own keys say, for that audience and project.
    pub(crate) fn is_signed(&self, audience: &str, project: &str) -> bool {
        self.member_public_key.verifies(&self.signed(audience, project), &self.signature)
    }

    fn signed(&self, audience: &str, project: &str) -> Vec<u8> {
        let attested = Attested {
            audience,
            project,
            member: &self.member_public_key,
            session: &self.session_public_key,
            not_before_ms: self.not_before_ms,
            expires_at_ms: self.expires_at_ms,
            rights: self.rights.as_deref(),
        };
        attested.bytes()
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// A list of names; they are signed in order, so in which order they are sent does not matter.
fn rights<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let count = names.len();
    let names = sorted(names);
    if names.len() == count { Ok(Some(names)) } else { Err(serde::de::Error::custom("a right occurs twice")) }
}
