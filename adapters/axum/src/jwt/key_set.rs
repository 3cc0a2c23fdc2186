//! The keys that tokens may be signed with, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// A secret that is shorter can be guessed from one token (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Keys by `kid`, the name that a token gives its key. Immutable: rotation replaces the whole set, see
/// [`JwtKeys::replace`](crate::JwtKeys::replace).
#[derive(Clone, Default)]
pub struct JwtKeySet(BTreeMap<String, Arc<Key>>);

/// One key, and what it may be used for.
pub(super) struct Key {
    pub(super) key: DecodingKey,
    /// The only algorithm for it, if whoever published it said so.
    algorithm: Option<Algorithm>,
}

/// Why a published key set cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwksError {
    /// It is not a JSON object with a list `keys`.
    Malformed(serde_json::Error),
    /// None of its keys has a `kid`, is meant for signatures, and is of a kind that is known here.
    NoUsableKey,
}

impl JwtKeySet {
    /// No keys. Every token is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this key, for tokens whose header names it `kid`.
    ///
    /// # Panics
    ///
    /// If it is a secret of less than 32 bytes.
    #[must_use]
    #[track_caller]
    pub fn key(mut self, kid: impl Into<String>, key: DecodingKey) -> Self {
        if key.family() == AlgorithmFamily::Hmac {
            let bytes = key.try_get_as_bytes().map_or(0, <[u8]>::len);
            assert!(bytes >= MIN_SECRET_BYTES, "a secret for tokens needs {MIN_SECRET_BYTES} bytes; this has {bytes}");
        }
        self.0.insert(kid.into(), Arc::new(Key { key, algorithm: None }));
        self
    }

    /// The public keys of a published set (RFC 7517), as an identity provider serves it.
    ///
    /// Keys that have no `kid`, are not for signatures or of an unknown kind are passed over, and so are secrets, which
    /// nobody publishes on purpose.
    ///
    /// # Errors
    ///
    /// When it is malformed, or no key is left. Then keep the keys that you have.
    pub fn from_jwks(json: &str) -> Result<Self, JwksError> {
        #[derive(Deserialize)]
        struct Jwks {
            keys: Vec<Value>,
        }

        let jwks: Jwks = serde_json::from_str(json).map_err(JwksError::Malformed)?;
        let keys: BTreeMap<_, _> = jwks.keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(Self(keys)) }
    }

    pub(super) fn find(&self, kid: &str) -> Option<Arc<Key>> {
        self.0.get(kid).cloned()
    }
}

/// A published key with its name, if tokens can be verified with it.
fn usable(published: Value) -> Option<(String, Arc<Key>)> {
    let jwk: Jwk = serde_json::from_value(published).ok()?;
    let is_secret = matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
    let for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    if is_secret || !for_signatures {
        return None;
    }
    let algorithm = match jwk.common.key_algorithm {
        Some(algorithm) => Some(algorithm.try_into().ok()?),
        None => None,
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id?, Arc::new(Key { key, algorithm })))
}

impl Key {
    /// Whether a token signed with this algorithm can be of this key.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.key.family() == algorithm.family() && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

impl fmt::Debug for JwtKeySet {
    /// The names, and nothing of the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "this is not a key set: {why}"),
            Self::NoUsableKey => f.write_str("the key set has no key that tokens can be verified with"),
        }
    }
}

impl std::error::Error for JwksError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(why) => Some(why),
            Self::NoUsableKey => None,
        }
    }
}
