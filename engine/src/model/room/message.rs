//! What somebody says in a room.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{Invalid, check, check_name};
use crate::model::Text;
use crate::model::bounded_json;
use crate::model::nesting::{DATA_LEVELS, is_shallow};

/// What somebody says in a room: a text, data, or both.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Message {
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// The participant for whom alone it is. Then it has no `seq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Text>,
    /// What the caller calls the work to which it belongs: `tx-` and a UUID. Another one is made if it has not this form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Text>,
    /// What the caller calls this message: said again within 10 minutes, it does not act twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<Text>,
}

/// How long a call id may be, in bytes.
const CALL_ID_BYTES: usize = 256;

/// How many levels there are between an event's frame and the data of a message.
const EVENT_LEVELS: usize = 3;

impl Message {
    /// A text for everybody in the room.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// Data for everybody in the room.
    #[must_use]
    pub fn data(data: Value) -> Self {
        Self { data: Some(data), ..Self::default() }
    }

    /// For this participant alone.
    #[must_use]
    pub fn to(mut self, participant: impl Into<Text>) -> Self {
        self.to = Some(participant.into());
        self
    }

    /// With the id of the work to which it belongs.
    #[must_use]
    pub fn trace_id(mut self, id: impl Into<Text>) -> Self {
        self.trace_id = Some(id.into());
        self
    }

    /// With an id under which it acts once.
    #[must_use]
    pub fn call_id(mut self, id: impl Into<Text>) -> Self {
        self.call_id = Some(id.into());
        self
    }

    /// Whether its text and data, as JSON, have at most so many bytes.
    #[must_use]
    pub fn fits(&self, max_bytes: usize) -> bool {
        // With the brackets and the comma of a list, or what stands for something that is absent.
        let around = if self.text.is_some() && self.data.is_some() { 3 } else { 7 };
        bounded_json::fits(&(&self.text, &self.data), max_bytes.saturating_add(around))
    }

    /// # Errors
    /// A sentence about what is wrong with it. Its size counts as JSON, since that is what everybody receives.
    pub(crate) fn validate(&self, max_bytes: usize) -> Result<(), Invalid> {
        check(self.text.is_some() || self.data.is_some(), || "a message needs `text` or `data`".to_owned())?;
        self.call_id.as_ref().map_or(Ok(()), |id| check_name("call_id", id, CALL_ID_BYTES))?;
        let is_flat = self.data.as_ref().is_none_or(|data| is_shallow(data, DATA_LEVELS - EVENT_LEVELS));
        check(is_flat, || "`data` is nested too deeply".to_owned())?;
        check(self.fits(max_bytes), || format!("a message must have at most {max_bytes} bytes"))
    }
}

/// The id of the work that a call belongs to, if what the caller says has the form `tx-<uuid>` (S0.17).
pub(crate) fn trace_id(given: Option<&str>) -> Option<&str> {
    given.filter(|given| given.strip_prefix("tx-").is_some_and(is_uuid))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_says_something_and_is_not_too_long() {
        let sentence = |message: &Message| message.validate(20).unwrap_err().0;
        assert!(sentence(&Message::default()).contains("`text` or `data`"));
        assert!(sentence(&Message::text("12345678901234567890")).contains("at most 20 bytes"));
        assert!(sentence(&Message::text("x").call_id("")).contains("`call_id`"));
        let deep = (0..120).fold(json!(1), |below, _| json!([below]));
        assert!(Message::data(deep).validate(10_000).unwrap_err().0.contains("nested"));
        assert_eq!(Message::text("hello").to("p_1").call_id("1").validate(20), Ok(()));
        assert_eq!(Message::data(json!(null)).validate(20), Ok(()));
    }

    #[test]
    fn a_trace_id_has_the_form_of_the_contract_or_counts_as_none() {
        let good = "tx-123e4567-e89b-12d3-A456-426614174000";
        assert_eq!(trace_id(Some(good)), Some(good));
        for bad in ["", "tx-", "123e4567-e89b-12d3-a456-426614174000", "tx-123e4567e89b12d3a456426614174000----"] {
            assert_eq!(trace_id(Some(bad)), None, "{bad}");
        }
    }
}
