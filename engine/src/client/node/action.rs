//! What can be done with a node.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::model::affordance::Estimate;

/// One of a node's `affordances`, as it was sent. A field of a wrong type reads as absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct NodeAction(Map<String, Value>);

impl NodeAction {
    /// The name to invoke.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("action").unwrap_or_default()
    }

    /// What a person would read on a button.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.text("label")
    }

    /// What it does.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.text("description")
    }

    /// JSON Schema of the parameters.
    #[must_use]
    pub fn params(&self) -> Option<&Value> {
        self.0.get("params")
    }

    /// Whether it should be confirmed first.
    #[must_use]
    pub fn is_dangerous(&self) -> bool {
        self.flag("dangerous")
    }

    /// Whether doing it twice is the same as once.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.flag("idempotent")
    }

    /// How long it takes.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        Estimate::from_word(self.text("estimate")?)
    }

    /// All fields, those included that the protocol does not name.
    #[must_use]
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for NodeAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        match fields.get("action") {
            Some(Value::String(_)) => Ok(Self(fields)),
            _ => Err(D::Error::custom("an affordance must have a string `action`")),
        }
    }
}
