//! Why a configuration cannot be used.

use std::fmt;
use std::time::Duration;

/// A field that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The field's path in [`Config`](crate::Config), such as `times.ping_interval`.
    pub field: &'static str,
    /// What is wrong with its value.
    pub problem: &'static str,
}

/// The longest duration that is not taken for a mistake. The engine counts in milliseconds from its start, so what is
/// longer cannot be told from "never".
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// More of anything that runs at once is taken for a mistake.
pub(super) const MOST_PERMITS: usize = 1_000_000;

impl ConfigError {
    pub(crate) const fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }
}

/// A duration that may be zero.
pub(super) fn duration(field: &'static str, value: Duration) -> Result<(), ConfigError> {
    if value > LONGEST { Err(ConfigError::new(field, "must be at most 100 years")) } else { Ok(()) }
}

/// A duration that something waits for again and again: zero would spin.
pub(super) fn interval(field: &'static str, value: Duration) -> Result<(), ConfigError> {
    if value < Duration::from_millis(1) {
        return Err(ConfigError::new(field, "must be at least 1 ms"));
    }
    duration(field, value)
}

/// A count or size of which there must be at least one.
pub(super) fn positive(field: &'static str, value: usize) -> Result<(), ConfigError> {
    at_least(field, value, 1, "must be at least 1")
}

/// A number of permits for something that runs: there must be one, and more than this many could not be counted.
pub(super) fn permits(field: &'static str, value: usize) -> Result<(), ConfigError> {
    positive(field, value)?;
    at_most(field, value, MOST_PERMITS, "must be at most 1,000,000")
}

/// A count or size with a lower bound of its own.
pub(super) fn at_least(
    field: &'static str,
    value: usize,
    least: usize,
    problem: &'static str,
) -> Result<(), ConfigError> {
    if value < least { Err(ConfigError::new(field, problem)) } else { Ok(()) }
}

/// A count or size with an upper bound of its own.
pub(super) fn at_most(
    field: &'static str,
    value: usize,
    most: usize,
    problem: &'static str,
) -> Result<(), ConfigError> {
    if value > most { Err(ConfigError::new(field, problem)) } else { Ok(()) }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.problem)
    }
}

impl std::error::Error for ConfigError {}
