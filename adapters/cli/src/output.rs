//! What is printed: text for people, or JSON for programs.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::failure::Failure;

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

/// Something that turns while a command waits, on a terminal only.
#[derive(Debug)]
pub(crate) struct Spinner(Option<ProgressBar>);

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a result: the value as one line, or the text.
    pub(crate) fn result(&self, value: &Value, text: impl FnOnce() -> String) {
        let text = if self.json { value.to_string() } else { text() };
        // Whoever has closed the pipe does not want to know.
        let _ = writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush());
    }

    /// Tells people something that is not the result.
    pub(crate) fn note(&self, text: &str) {
        if self.json {
            let _ = writeln!(io::stderr(), "{}", json!({ "note": text }));
        } else {
            let _ = writeln!(io::stderr(), "grove: {text}");
        }
    }

    /// Says why a command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = if self.json {
            let mut error = json!({"code": failure.kind.as_str(), "message": failure.message});
            failure.advice.iter().for_each(|advice| error["advice"] = advice.as_str().into());
            json!({ "error": error }).to_string()
        } else {
            format!("grove: {failure}")
        };
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Shows that a command waits, until the spinner is dropped.
    pub(crate) fn spinner(&self, text: &'static str) -> Spinner {
        if self.json || !io::stderr().is_terminal() {
            return Spinner(None);
        }
        let bar = ProgressBar::new_spinner().with_message(text);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TURN);
        Spinner(Some(bar))
    }
}

impl Spinner {
    /// Prints something while it turns.
    pub(crate) fn suspended<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Rows under headings, each column as wide as its widest cell. What is not printable is left out: it comes from others.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let clean = |cell: &str| cell.chars().filter(|c| !c.is_control()).collect::<String>();
    let heading = headings.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> =
        std::iter::once(&heading).chain(rows).map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let width = |column: usize| lines.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..headings.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_shows_no_control_characters() {
        let rows = [vec!["A".to_owned(), "é\u{1b}[2J".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&["NAME", "ROLE"], &rows), "NAME  ROLE\nA     é[2J\nlong");
    }
}
