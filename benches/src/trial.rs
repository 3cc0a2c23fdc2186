//! What has to hold whatever happens. A trial ends with a verdict and not with a figure.
//!
//! `restart` has a file for its consumers and one for what they were promised; `soak` has one for each kind of peer and
//! one for the server. `visitor` is a consumer that loses its socket and comes back; `process` is a server to be ended.

mod backoff;
mod process;
pub(crate) mod restart;
mod secrets;
pub(crate) mod soak;
mod visitor;

use std::io::Write as _;

/// What is told to the person who waits, line by line.
fn say(words: &str) {
    // Nothing can be done about a closed standard output.
    let _ = writeln!(std::io::stdout().lock(), "{words}");
}

/// Shows the first problems. True if there is none.
fn verdict(problems: &[String]) -> bool {
    const SHOWN: usize = 20;
    problems.iter().take(SHOWN).for_each(|problem| say(&format!("WRONG: {problem}")));
    if problems.len() > SHOWN {
        say(&format!("and {} more", problems.len() - SHOWN));
    }
    say(if problems.is_empty() { "passed" } else { "FAILED" });
    problems.is_empty()
}
