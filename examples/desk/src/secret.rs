//! Secrets that cannot be guessed.

use std::fmt::Write as _;

/// 192 random bits from the operating system, as 48 hexadecimal digits. A token for a login.
pub(crate) fn token() -> String {
    hexadecimal(&random::<24>())
}

/// 128 random bits: a name that must be unique, and opens nothing.
pub(crate) fn name() -> String {
    hexadecimal(&random::<16>())
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
