//! The state of one room, and its legal steps.

use crate::model::Text;

/// What a room is and what happened to it: a pure type.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) title: Text,
}
