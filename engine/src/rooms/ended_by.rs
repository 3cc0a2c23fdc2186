//! Who ends a room, and why.

use serde::{Deserialize, Serialize};

use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::event::Actor;

/// Why a room is about to end, and who ends it.
pub(crate) type StoredEnding = (EndReason, EndedBy);

/// Who ends a room, and with which words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EndedBy {
    pub(crate) actor: Actor,
    pub(crate) note: Option<String>,
    /// That of the call.
    pub(crate) trace_id: Option<Text>,
}

impl EndedBy {
    /// Nobody but the engine, or the application.
    pub(crate) fn system() -> Self {
        Self { actor: Actor::system(), note: None, trace_id: None }
    }
}
