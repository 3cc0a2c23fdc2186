//! A run to be started.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{Invalid, check_name};
use super::run::delivery::Delivery;
use crate::model::Text;
use crate::model::bounded_json;

/// A run to be started. Its fields are those of the action `run` (rooms 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// What the agent takes.
    pub(crate) input: Value,
    /// What is done if the agent does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<Delivery>,
    /// Started again under the same id within 10 minutes, it does not act twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call_id: Option<String>,
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) trace_id: Option<Text>,
}

/// How long a call id may be, in bytes.
const CALL_ID_BYTES: usize = 256;

impl NewRun {
    /// A run with this input.
    #[must_use]
    pub const fn new(input: Value) -> Self {
        Self { input, delivery: None, call_id: None, trace_id: None }
    }

    /// What is done if the agent does not answer.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// With an id under which it acts once.
    #[must_use]
    pub fn call_id(mut self, id: impl Into<String>) -> Self {
        self.call_id = Some(id.into());
        self
    }

    /// With the id of the work to which it belongs, if it is `tx-` and a UUID.
    #[must_use]
    pub fn trace_id(mut self, id: impl Into<Text>) -> Self {
        self.trace_id = Some(id.into());
        self
    }

    /// Whether its input, as JSON, has at most so many bytes.
    #[must_use]
    pub fn fits(&self, max_bytes: usize) -> bool {
        bounded_json::fits(&self.input, max_bytes)
    }

    /// # Errors
    /// A sentence about the first field that cannot be used.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        self.call_id.as_ref().map_or(Ok(()), |id| check_name("call_id", id, CALL_ID_BYTES))?;
        self.delivery.as_ref().map_or(Ok(()), Delivery::validate)
    }
}
