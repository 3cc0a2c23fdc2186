//! What people and AIs type, made fit to keep.

use crate::error::{DeskError, Result};

/// A title on one line, in characters.
const LONGEST_LINE: usize = 200;
/// A message or a signature, in characters.
const LONGEST_TEXT: usize = 2_000;

/// One line with something in it. `what` begins the sentence of a refusal: `A title`.
pub(super) fn line(what: &str, typed: &str) -> Result<String> {
    let line = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    within(what, line, LONGEST_LINE)
}

/// Lines of text with something in them.
pub(super) fn lines(what: &str, typed: &str) -> Result<String> {
    within(what, typed.trim().replace("\r\n", "\n"), LONGEST_TEXT)
}

/// Like [`lines`], and may be empty.
pub(super) fn lines_or_nothing(what: &str, typed: &str) -> Result<String> {
    if typed.trim().is_empty() { Ok(String::new()) } else { lines(what, typed) }
}

fn within(what: &str, text: String, longest: usize) -> Result<String> {
    if text.is_empty() {
        return Err(DeskError::Invalid(format!("{what} cannot be empty.")));
    }
    if text.chars().count() > longest {
        return Err(DeskError::Invalid(format!("{what} cannot be longer than {longest} characters.")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_breaks_and_no_ends() {
        assert_eq!(line("A title", "  one \r\n two\t").expect("a line"), "one two");
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(line("A title", " \n ").is_err());
        assert!(line("A title", &"é".repeat(200)).is_ok());
        assert!(line("A title", &"é".repeat(201)).is_err());
        assert_eq!(lines_or_nothing("A signature", " ").expect("nothing"), "");
    }
}
