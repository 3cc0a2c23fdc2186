//! Lines on standard output and standard error.

use std::io::Write as _;

/// Prints a line of the result.
pub(crate) fn print(line: &str) {
    // Nothing can be done about a closed standard output.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints a note that is not part of the result.
pub(crate) fn note(line: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "{line}");
}
