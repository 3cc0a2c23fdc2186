//! An event, encoded once for all who receive it.

use std::sync::Arc;

use serde_json::Value;

use super::encode;
use crate::model::Text;

/// An event with its text on the wire. Receivers in this process take the parts.
#[derive(Debug)]
pub(crate) struct EncodedEvent {
    pub(crate) name: Text,
    pub(crate) data: Option<Value>,
    pub(crate) text: String,
}

impl EncodedEvent {
    pub(crate) fn new(name: &str, data: Option<Value>) -> Arc<Self> {
        let text = encode::event(name, data.as_ref());
        Arc::new(Self { name: name.into(), data, text })
    }

    /// In place of events that a consumer did not read fast enough.
    pub(crate) fn dropped(count: u64) -> Arc<Self> {
        Self::new("events.dropped", Some(serde_json::json!({ "count": count })))
    }
}
