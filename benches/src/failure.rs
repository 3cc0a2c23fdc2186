//! The error of this program.

/// An error that is printed once, as a sentence, and ends the run with exit code 2.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
