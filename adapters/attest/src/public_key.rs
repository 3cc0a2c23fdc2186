//! Keys by which members and sessions are known.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::hex;
use crate::signature::Signature;

/// An Ed25519 public key; in text form, 64 lower-case hex digits (peers 1). Any 32 bytes are one: those that are no point of
/// the curve, or one of small order, verify nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key is 64 lower-case hex digits")]
pub struct KeyError;

/// 2^255 - 19, of which coordinates are remainders: its lowest byte, and its highest; all others are 255.
const PRIME: (u8, u8) = (0xed, 0x7f);

#[cfg(test)]
std::thread_local! {
    /// How many signatures this thread has verified.
    pub(crate) static VERIFIED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

impl PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it can verify anything: it is the only encoding of a point that is not of small order.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable().is_some()
    }

    fn usable(&self) -> Option<VerifyingKey> {
        let key = VerifyingKey::from_bytes(&self.0).ok()?;
        (self.is_canonical() && !key.is_weak()).then_some(key)
    }

    /// Whether the coordinate is less than the prime. Without that, a point would have two encodings, and a member two keys.
    fn is_canonical(&self) -> bool {
        let [low, middle @ .., high] = &self.0;
        high & 0x7f < PRIME.1 || middle.iter().any(|byte| *byte != 0xff) || *low < PRIME.0
    }

    /// Whether this key signed the bytes, verified strictly: one signature of one message by one key has one form.
    pub(crate) fn verifies(&self, bytes: &[u8], signature: &Signature) -> bool {
        #[cfg(test)]
        VERIFIED.set(VERIFIED.get() + 1);
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        self.usable().is_some_and(|key| key.verify_strict(bytes, &signature).is_ok())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        hex::decode(text.as_bytes()).map(Self).ok_or(KeyError)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_text_form() {
        let text = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let key: PublicKey = text.parse().unwrap();
        assert_eq!((key.to_string().as_str(), key.is_usable()), (text, true));
        for wrong in ["", &text[1..], &format!("{text}0"), &text.to_uppercase(), &text.replace('3', "g"), "é"] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(KeyError), "{wrong}");
        }
    }

    #[test]
    fn keys_of_small_order_and_other_encodings_of_a_point_are_not_usable() {
        // The eight points of small order, as RFC 7748 and its readers list them, and their other encodings.
        let small = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for text in small {
            assert!(!text.parse::<PublicKey>().unwrap().is_usable(), "{text}");
        }
        let other_encodings = (0xed..=0xff).map(|low| {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, 0x7f);
            PublicKey::from_bytes(bytes)
        });
        assert!(other_encodings.into_iter().all(|key| !key.is_usable()));
    }
}
