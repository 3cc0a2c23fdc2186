//! An event, encoded once for all who receive it.

use std::sync::Arc;

use serde_json::Value;

use super::encode;
use crate::config::sizes::SMALLEST_FRAME;
use crate::error::FrameError;
use crate::model::Text;

/// An event with its text on the wire. Receivers in this process take the parts.
#[derive(Debug)]
pub(crate) struct EncodedEvent {
    pub(crate) name: Text,
    pub(crate) data: Option<Value>,
    pub(crate) text: String,
}

impl EncodedEvent {
    /// An event of the application's.
    ///
    /// # Errors
    /// [`FrameError`] if it does not fit a frame.
    pub(crate) fn new(name: &str, data: Option<&Value>, max_bytes: usize) -> Result<Arc<Self>, FrameError> {
        // Copied only when it is known to be shallow: the copy of a value is made level by level.
        let text = encode::event(name, data, max_bytes)?;
        Ok(Arc::new(Self { name: name.into(), data: data.cloned(), text }))
    }

    /// An event of the engine's own, which fits every frame.
    pub(crate) fn own(name: &str, data: Option<&Value>) -> Arc<Self> {
        Self::new(name, data, SMALLEST_FRAME).expect("the engine's events are short")
    }

    /// In place of events that a consumer did not read fast enough.
    pub(crate) fn dropped(count: u64) -> Arc<Self> {
        Self::own("events.dropped", Some(&serde_json::json!({ "count": count })))
    }
}
