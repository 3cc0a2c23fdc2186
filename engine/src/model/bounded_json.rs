//! Writes JSON up to a bound, and stops there: what is too long costs no more than what just fits.

use std::io;

use serde::Serialize;

/// Why a value was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The JSON text of a value, if it has at most `max` bytes.
///
/// # Errors
/// [`TooLong`] if it has more.
pub(crate) fn write(value: &impl Serialize, max: usize) -> Result<String, TooLong> {
    let mut text = Vec::with_capacity(128.min(max));
    serde_json::to_writer(Bounded { left: max, out: Some(&mut text) }, value).map_err(|_| TooLong)?;
    String::from_utf8(text).map_err(|_| TooLong)
}

/// Whether the JSON text of a value has at most `max` bytes.
pub(crate) fn fits(value: &impl Serialize, max: usize) -> bool {
    serde_json::to_writer(Bounded { left: max, out: None }, value).is_ok()
}

/// Takes so many bytes, and refuses the next one.
struct Bounded<'o> {
    left: usize,
    out: Option<&'o mut Vec<u8>>,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
        if let Some(out) = &mut self.out {
            out.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_if_it_is_not_longer_than_the_bound() {
        let value = json!({"text": "ü\n", "list": [1, null, true]});
        let text = value.to_string();
        for max in 0..text.len() {
            assert_eq!((write(&value, max), fits(&value, max)), (Err(TooLong), false), "{max}");
        }
        assert_eq!((write(&value, text.len()), fits(&value, text.len())), (Ok(text), true));
    }

    #[test]
    fn nothing_behind_the_bound_is_looked_at() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(std::iter::repeat("x"))
            }
        }
        assert_eq!(write(&Endless, 1_000), Err(TooLong));
        assert!(!fits(&Endless, 1_000));
    }
}
