//! What was wrong with something that an application or a tab gave.

use std::fmt::{self, Write as _};

use crate::render::node_position::NodePosition;

/// How many are kept of one fragment; those beyond are counted.
const KEPT: usize = 32;

/// How long a path or a sentence may be, in bytes. What is longer is cut: it may quote what a tab sent.
const LONGEST: usize = 256;

/// A rule of the protocol, or a bound of the configuration, that something an application gave breaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The node, from the root.
    pub(crate) path: String,
    /// What was wrong, and what was done.
    pub(crate) what: String,
}

/// All that were found in one fragment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Violations {
    pub(crate) kept: Vec<Violation>,
    /// How many there are beside those that are kept.
    pub(crate) more: u64,
}

impl Violations {
    pub(super) fn add(&mut self, at: &NodePosition<'_>, what: fmt::Arguments<'_>) {
        if self.kept.len() == KEPT {
            self.more += 1;
            return;
        }
        self.kept.push(Violation { path: cut(format_args!("/{}", at.path())), what: cut(what) });
    }
}

/// A text that ends where it becomes too long.
struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = LONGEST - self.0.len();
        if text.len() <= left {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(&text[..text.floor_char_boundary(left)]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

/// A text for the log, cut where it becomes too long.
pub(crate) fn cut(text: fmt::Arguments<'_>) -> String {
    let mut cut = Cut(String::new());
    // The error only ends the writing.
    let _ = cut.write_fmt(text);
    cut.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut(format_args!("{}", "x".repeat(256))), "x".repeat(256));
        assert_eq!(cut(format_args!("{} {}", "ä".repeat(200), "late")), format!("{}…", "ä".repeat(128)));
        assert_eq!(cut(format_args!("the child `{}` was dropped", "x".repeat(300))).len(), 256 + '…'.len_utf8());
    }
}
