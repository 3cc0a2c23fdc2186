//! The credentials that welcomed peers get.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::challenge::NotRandom;

/// How all of them begin, so that they are told from others.
pub(crate) const PREFIX: &str = "pa_";

/// 256 random bits behind [`PREFIX`]. It is looked up by its digest, so how long that takes tells nothing about it.
pub(crate) struct AccessToken(Zeroizing<String>);

/// By what a token is found.
pub(crate) type TokenDigest = [u8; 32];

impl AccessToken {
    pub(crate) fn generate() -> Result<Self, NotRandom> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|_| NotRandom)?;
        Ok(Self(Zeroizing::new(format!("{PREFIX}{}", HEXLOWER.encode(&*bytes)))))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn digest(&self) -> TokenDigest {
        digest(&self.0)
    }
}

pub(crate) fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

/// A random id with a prefix.
pub(crate) fn random_id(prefix: &str) -> Result<String, NotRandom> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| NotRandom)?;
    Ok(format!("{prefix}{}", HEXLOWER.encode(&bytes)))
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}
