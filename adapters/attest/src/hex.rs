//! Bytes as lower-case hex digits, of which each sequence has one form (peers 1, 7).

use data_encoding::HEXLOWER;

/// The bytes of a text with exactly as many digits as they need; `None` for any other.
pub(crate) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let fits = text.len() == 2 * N && HEXLOWER.decode_mut(text, &mut bytes).is_ok();
    fits.then_some(bytes)
}
