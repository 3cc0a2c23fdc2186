//! What became of a message.

use crate::model::Text;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// The id of its event.
    pub event: Text,
    /// The number of its event; a message for one participant has none.
    pub seq: Option<u64>,
}
