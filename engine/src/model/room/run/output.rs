//! What a run has streamed so far.

use serde::{Deserialize, Serialize};

/// How long outputs and their parts may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputBounds {
    pub(crate) bytes: usize,
    pub(crate) chunk_bytes: usize,
}

/// The text that a run has streamed, up to a bound; what is beyond it is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Output {
    text: String,
    /// All characters, those included that were cut off.
    chars: u64,
    truncated: bool,
}

/// A part of an output that was added: at which character it begins, and from where to where in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) offset: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Output {
    /// Adds a text. Returns its parts, each short enough for a chunk.
    pub(crate) fn add(&mut self, text: &str, bounds: OutputBounds) -> Vec<Added> {
        let left = bounds.bytes.saturating_sub(self.text.len());
        let kept = if self.truncated { "" } else { &text[..text.floor_char_boundary(left)] };
        self.truncated |= kept.len() < text.len();
        let (mut added, mut offset, mut rest) = (Vec::new(), self.chars, kept);
        while !rest.is_empty() {
            // A single character may be longer than a chunk should be.
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let (part, later) = rest.split_at(rest.floor_char_boundary(bounds.chunk_bytes).max(first));
            let from = self.text.len();
            self.text.push_str(part);
            added.push(Added { offset, from, to: self.text.len() });
            offset += chars(part);
            rest = later;
        }
        self.chars += chars(text);
        added
    }

    pub(crate) fn part(&self, added: &Added) -> &str {
        &self.text[added.from..added.to]
    }

    /// All characters, those included that were cut off.
    pub(crate) const fn chars(&self) -> u64 {
        self.chars
    }

    pub(crate) const fn is_truncated(&self) -> bool {
        self.truncated
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// So many characters from one on, at most, and which one comes next if there is one.
    pub(crate) fn page(&self, offset: u64, limit: u64) -> (&str, Option<u64>) {
        let from = self.byte_of(offset);
        let to = self.byte_of(offset.saturating_add(limit));
        (&self.text[from..to], (to < self.text.len()).then(|| offset.saturating_add(limit)))
    }

    fn byte_of(&self, char: u64) -> usize {
        let at = usize::try_from(char).unwrap_or(usize::MAX);
        if self.text.is_ascii() {
            return at.min(self.text.len());
        }
        self.text.char_indices().nth(at).map_or(self.text.len(), |(byte, _)| byte)
    }

    /// The text is not needed any more. How long it was stays.
    pub(crate) fn evict(&mut self) {
        *self = self.without_text();
    }

    /// The same without the text.
    pub(crate) fn without_text(&self) -> Self {
        Self { text: String::new(), chars: self.chars, truncated: self.truncated || !self.text.is_empty() }
    }

    /// Gives back what was reserved for more.
    pub(crate) fn end(&mut self) {
        self.text.shrink_to_fit();
    }
}

fn chars(text: &str) -> u64 {
    text.chars().count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: OutputBounds = OutputBounds { bytes: 10, chunk_bytes: 4 };

    fn parts(output: &mut Output, text: &str) -> Vec<(u64, String)> {
        let added = output.add(text, BOUNDS);
        added.iter().map(|added| (added.offset, output.part(added).to_owned())).collect()
    }

    #[test]
    fn long_texts_are_split_and_offsets_count_characters() {
        let mut output = Output::default();
        assert_eq!(parts(&mut output, "äbc"), [(0, "äbc".to_owned())]);
        assert_eq!(parts(&mut output, "déf"), [(3, "déf".to_owned())]);
        assert_eq!((output.chars(), output.is_truncated()), (6, false));
        assert_eq!(output.page(1, 3), ("bcd", Some(4)));
        assert_eq!(output.page(4, 9), ("éf", None));
        assert_eq!(output.page(9, 9), ("", None));
    }

    #[test]
    fn the_excess_is_cut_off_and_counted() {
        let mut output = Output::default();
        assert_eq!(parts(&mut output, "123456789").len(), 3);
        assert_eq!(parts(&mut output, "éé"), []);
        assert_eq!(parts(&mut output, "x"), [], "nothing follows what was cut off");
        assert_eq!((output.chars(), output.is_truncated(), output.bytes()), (12, true, 9));
    }

    #[test]
    fn a_character_longer_than_a_chunk_is_a_chunk() {
        let mut output = Output::default();
        let added = output.add("😀😀", OutputBounds { bytes: 100, chunk_bytes: 1 });
        assert_eq!(added.iter().map(|added| output.part(added)).collect::<Vec<_>>(), ["😀", "😀"]);
    }
}
