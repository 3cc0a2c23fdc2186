//! Why a run failed.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::Text;
use crate::model::cut::cut;

/// What can be done about the failure of a run (rooms 6, U24).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// Trying again may help: it is handled like an expired window of the run's delivery, after a while.
    Retryable,
    /// Trying again does not help.
    #[default]
    Permanent,
    /// Something was refused for reasons of security. Nothing is tried again.
    Security,
}

/// Why a run failed. Everybody in the room reads code and message: no internals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    code: Text,
    message: Text,
    class: ErrorClass,
}

/// How long the code of an error may be, in bytes.
const CODE_BYTES: usize = 128;

/// How long its message may be, in bytes.
const MESSAGE_BYTES: usize = 1_024;

impl RunError {
    /// A permanent error. What is longer than 128 or 1,024 bytes is cut.
    pub fn new(code: impl Into<Text>, message: impl Into<Text>) -> Self {
        let (code, message) = (cut(code, CODE_BYTES), cut(message, MESSAGE_BYTES));
        Self { code, message, class: ErrorClass::Permanent }
    }

    /// An error after which trying again may help.
    pub fn retryable(code: impl Into<Text>, message: impl Into<Text>) -> Self {
        Self { class: ErrorClass::Retryable, ..Self::new(code, message) }
    }

    /// With another class.
    #[must_use]
    pub const fn class(mut self, class: ErrorClass) -> Self {
        self.class = class;
        self
    }

    /// The code that everybody in the room sees.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence that everybody in the room sees.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.class, ErrorClass::Retryable)
    }

    /// As events and the tree show it.
    pub(crate) fn to_json(&self) -> Value {
        json!({"code": self.code.as_str(), "message": self.message.as_str()})
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for RunError {}
