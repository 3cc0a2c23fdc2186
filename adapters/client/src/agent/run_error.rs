//! Why a run failed.

use std::fmt;

use serde::Serialize;

/// What can be done about the failure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// Trying again may help: the server does what the run's delivery says, after a while.
    Retryable,
    /// Trying again does not help.
    #[default]
    Permanent,
    /// Something was refused for reasons of security. Nothing is tried again.
    Security,
}

/// Why a run failed. Everybody in the room reads code and message: no internals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) class: ErrorClass,
}

impl RunError {
    /// A permanent error.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), class: ErrorClass::Permanent }
    }

    /// An error after which trying again may help.
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Retryable, ..Self::new(code, message) }
    }

    /// With another class.
    #[must_use]
    pub const fn class(mut self, class: ErrorClass) -> Self {
        self.class = class;
        self
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for RunError {}
