//! The keys with which tokens may be signed, by key id.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::key_error::JwtKeyError;

/// A secret that is shorter can be guessed from one token (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Keys by `kid`, the key id in a token's header. Immutable: rotation replaces the whole set, see
/// [`JwtKeys::replace`](crate::JwtKeys::replace).
#[derive(Clone, Default)]
pub struct JwtKeySet(BTreeMap<String, Arc<Key>>);

/// One key, and what it may be used for.
pub(super) struct Key {
    pub(super) key: DecodingKey,
    /// The only algorithm for this key, if its publisher named one.
    algorithm: Option<Algorithm>,
}

impl JwtKeySet {
    /// A set without keys. Every token is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret that the issuer knows too, for the HMAC algorithms and tokens whose header has this `kid`.
    ///
    /// # Errors
    ///
    /// When it has fewer than 32 bytes.
    pub fn with_secret(self, kid: impl Into<String>, secret: &[u8]) -> Result<Self, JwtKeyError> {
        match secret.len() {
            ..MIN_SECRET_BYTES => Err(JwtKeyError::ShortSecret),
            _ => Ok(self.with(kid, DecodingKey::from_secret(secret))),
        }
    }

    /// Adds an RSA public key in PEM, for tokens whose header has this `kid`.
    ///
    /// # Errors
    ///
    /// When it is not such a key.
    pub fn with_rsa_pem(self, kid: impl Into<String>, pem: &[u8]) -> Result<Self, JwtKeyError> {
        Ok(self.with(kid, DecodingKey::from_rsa_pem(pem).map_err(|_| JwtKeyError::NotAPublicKey)?))
    }

    /// Adds an ECDSA public key in PEM, for tokens whose header has this `kid`.
    ///
    /// # Errors
    ///
    /// When it is not such a key.
    pub fn with_ec_pem(self, kid: impl Into<String>, pem: &[u8]) -> Result<Self, JwtKeyError> {
        Ok(self.with(kid, DecodingKey::from_ec_pem(pem).map_err(|_| JwtKeyError::NotAPublicKey)?))
    }

    /// Adds an Ed25519 public key in PEM, for tokens whose header has this `kid`.
    ///
    /// # Errors
    ///
    /// When it is not such a key.
    pub fn with_ed_pem(self, kid: impl Into<String>, pem: &[u8]) -> Result<Self, JwtKeyError> {
        Ok(self.with(kid, DecodingKey::from_ed_pem(pem).map_err(|_| JwtKeyError::NotAPublicKey)?))
    }

    fn with(mut self, kid: impl Into<String>, key: DecodingKey) -> Self {
        self.0.insert(kid.into(), Arc::new(Key { key, algorithm: None }));
        self
    }

    /// The public keys of a published set (RFC 7517), as an identity provider serves it.
    ///
    /// Keys that have no `kid`, are not for signatures or are of an unknown type are skipped, and so are secrets, which
    /// no one publishes on purpose.
    ///
    /// # Errors
    ///
    /// When it is malformed, or has no usable key. Keep your current keys in that case.
    pub fn from_jwks(json: &str) -> Result<Self, JwtKeyError> {
        #[derive(Deserialize)]
        struct Jwks {
            keys: Vec<Value>,
        }

        let jwks: Jwks = serde_json::from_str(json).map_err(|error| JwtKeyError::NotAKeySet(error.to_string()))?;
        let keys: BTreeMap<_, _> = jwks.keys.into_iter().filter_map(verification_key).collect();
        if keys.is_empty() { Err(JwtKeyError::NoUsableKey) } else { Ok(Self(keys)) }
    }

    pub(super) fn find(&self, kid: &str) -> Option<Arc<Key>> {
        self.0.get(kid).cloned()
    }
}

/// A published key with its id, if tokens can be verified with it.
fn verification_key(published: Value) -> Option<(String, Arc<Key>)> {
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
    /// Whether a token signed with this algorithm can have been signed with this key.
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.key.family() == algorithm.family() && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

impl fmt::Debug for JwtKeySet {
    /// Prints the key ids and nothing of the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
