//! Why keys cannot be used.

use std::fmt;

/// Why keys cannot be added to a [`JwtKeySet`](crate::JwtKeySet).
#[derive(Debug)]
#[non_exhaustive]
pub enum JwtKeyError {
    /// A published set is not a JSON object with a list `keys`; with the parser's message.
    NotAKeySet(String),
    /// No key of a published set has a `kid`, is meant for signatures, and is of a known type.
    NoUsableKey,
    /// The text is not a PEM file with a public key of the expected type.
    NotAPublicKey,
    /// The secret has fewer than 32 bytes, and so could be guessed from one token.
    ShortSecret,
}

impl fmt::Display for JwtKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKeySet(why) => write!(f, "this is not a JSON Web Key Set: {why}"),
            Self::NoUsableKey => f.write_str("the key set has no key with which tokens can be verified"),
            Self::NotAPublicKey => f.write_str("this is not a PEM file with a public key of the expected type"),
            Self::ShortSecret => f.write_str("a secret for tokens needs at least 32 bytes"),
        }
    }
}

impl std::error::Error for JwtKeyError {}
