//! What comes of calling a tool.

use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

use crate::error::ActionError;

pub(crate) type ToolFuture = Pin<Box<dyn Future<Output = Result<Value, ActionError>> + Send>>;

/// What a tool returned: a failure is data for the agent, and does not fail its run (U21).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolResult {
    /// Whether it did what it was asked.
    pub ok: bool,
    /// The result, or `{"code", "message"}` of the failure.
    pub result: Value,
}

impl ToolResult {
    pub(crate) fn of(returned: Result<Value, ActionError>) -> Self {
        match returned {
            Ok(result) => Self { ok: true, result },
            Err(error) => Self { ok: false, result: json!({"code": error.code(), "message": error.message()}) },
        }
    }
}
