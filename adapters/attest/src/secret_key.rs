//! Keys that sign.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::public_key::PublicKey;
use crate::signature::Signature;

/// A secret key, which is never shown and is overwritten when it is dropped (SEC20).
pub struct SecretKey(SigningKey);

/// Why a secret key cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretKeyError {
    /// The system has no randomness.
    #[error("the system has no randomness: {0}")]
    NotRandom(getrandom::Error),
    /// The file cannot be read or written.
    #[error("the key file cannot be used: {0}")]
    File(#[from] io::Error),
    /// Others may read the file.
    #[error("the key file is readable by others (mode {0:03o}): run `chmod 600` on it")]
    ReadableByOthers(u32),
    /// The file holds something else.
    #[error("the key file does not hold 64 lower-case hex digits and a newline")]
    NoKey,
}

/// A key file holds so many bytes: 64 hex digits and a newline (peers 7).
const FILE_BYTES: usize = 65;

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn generate() -> Result<Self, SecretKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(SecretKeyError::NotRandom)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key with this seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a key file: the seed as 64 lower-case hex digits, and a newline.
    ///
    /// # Errors
    /// If it cannot be read, others may read it, or it holds something else.
    pub fn read(path: &Path) -> Result<Self, SecretKeyError> {
        let mut file = File::open(path)?;
        check_private(&file)?;
        // One byte more tells that the file is longer.
        let mut text = Zeroizing::new([0; FILE_BYTES + 1]);
        let mut len = 0;
        while len < text.len() {
            match file.read(&mut text[len..])? {
                0 => break,
                read => len += read,
            }
        }
        let digits = text[..len].strip_suffix(b"\n").unwrap_or(&text[..len]);
        let mut seed = Zeroizing::new([0; 32]);
        let is_key = digits.len() == 64 && HEXLOWER.decode_mut(digits, &mut *seed).is_ok();
        if is_key { Ok(Self::from_seed(&seed)) } else { Err(SecretKeyError::NoKey) }
    }

    /// Writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// If there is such a file already, or it cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), SecretKeyError> {
        let mut text = Zeroizing::new([b'\n'; FILE_BYTES]);
        let seed = Zeroizing::new(self.0.to_bytes());
        HEXLOWER.encode_mut(&*seed, &mut text[..FILE_BYTES - 1]);
        let mut file = private_options().write(true).create_new(true).open(path)?;
        file.write_all(&*text)?;
        Ok(file.sync_all()?)
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        Signature::new(self.0.sign(bytes).to_bytes())
    }
}

#[cfg(unix)]
fn private_options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private_options() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn check_private(file: &File) -> Result<(), SecretKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(SecretKeyError::ReadableByOthers(mode)) }
}

#[cfg(not(unix))]
fn check_private(_: &File) -> Result<(), SecretKeyError> {
    Ok(())
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public_key())
    }
}
