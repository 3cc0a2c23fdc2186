//! The verdict of a scenario.

use crate::output::console;

/// How many problems are printed.
const PRINTED: usize = 20;

/// Prints the first problems and the verdict. Returns whether there is no problem.
pub(super) fn print(problems: &[String]) -> bool {
    problems.iter().take(PRINTED).for_each(|problem| console::print(&format!("FAILED: {problem}")));
    if problems.len() > PRINTED {
        console::print(&format!("and {} more problems", problems.len() - PRINTED));
    }
    console::print(if problems.is_empty() { "passed" } else { "failed" });
    problems.is_empty()
}
