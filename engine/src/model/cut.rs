//! Texts that are too long.

use super::Text;

/// The beginning of a text: at most so many bytes of it, and only whole characters.
pub(crate) fn cut(text: impl Into<Text>, max_bytes: usize) -> Text {
    let mut text = text.into();
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
    }
    text
}
