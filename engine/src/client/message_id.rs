//! The id of a request or subscription.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

use crate::model::Text;

/// The id of a request or subscription: a string or a number, and `7` and `"7"` are two (contract 1.9).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Inner);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Inner {
    Text(Text),
    /// As JSON spells it.
    Number(Text),
}

impl MessageId {
    /// The id that a JSON value is; only strings and numbers are ids.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text.as_str().into()),
            Value::Number(number) => Some(Self(Inner::Number(number.to_string().into()))),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The id as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.0 {
            Inner::Text(text) => Value::String(text.to_string()),
            Inner::Number(number) => number.parse::<Number>().map_or(Value::Null, Value::Number),
        }
    }

    /// The id without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Inner::Text(text) | Inner::Number(text) => text,
        }
    }
}

impl From<&str> for MessageId {
    fn from(text: &str) -> Self {
        Self(Inner::Text(text.into()))
    }
}

impl From<String> for MessageId {
    fn from(text: String) -> Self {
        Self(Inner::Text(text.into()))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| D::Error::custom("an id must be a string or a number"))
    }
}
