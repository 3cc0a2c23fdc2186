//! By what a session shows the daemon which one it is.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// 256 random bits as 64 lower-case hex digits. Its text is overwritten when it is dropped.
#[derive(Clone)]
pub(crate) struct Token(Zeroizing<String>);

/// By what a token is found: how long that takes tells nothing about the token itself (S4.41).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenDigest([u8; 32]);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(Zeroizing::new(HEXLOWER.encode(&*bytes))))
    }

    /// The token with this text, if it can be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_one.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl TokenDigest {
    /// Whether both are of the same token, compared in constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

/// A random id with a prefix.
///
/// # Errors
/// If the system has no randomness.
pub(crate) fn random_id(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}{}", HEXLOWER.encode(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_and_is_found_by_its_digest_alone() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert!(!one.digest().is(&other.digest()));
        let again = Token::parse(one.as_str()).unwrap();
        assert!(one.digest().is(&again.digest()));
        assert!(!format!("{one:?} {:?}", one.digest()).contains(one.as_str()));
        for wrong in ["", &one.as_str()[1..], &one.as_str().to_uppercase(), &format!("{}0", one.as_str())] {
            assert!(Token::parse(wrong).is_none() || wrong == one.as_str(), "{wrong}");
        }
    }
}
