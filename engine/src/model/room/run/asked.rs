//! What was asked for, and by whom.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::delivery::Delivery;
use crate::model::Text;
use crate::model::room::participant::ParticipantKind;
use crate::model::room::role::Role;

/// Who started a run, as the server knows it from the verified session (SEC8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunActor {
    /// The user.
    pub user: Text,
    /// The display name.
    pub name: Text,
    /// The participant; absent for a member who had not joined.
    pub participant: Option<Text>,
    /// What it is.
    pub kind: ParticipantKind,
    /// What it may do in the room.
    pub role: Role,
}

/// What is fixed about a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) id: Text,
    pub(crate) agent: Text,
    pub(crate) input: Value,
    pub(crate) by: RunActor,
    pub(crate) delivery: Option<Delivery>,
    pub(crate) trace_id: Text,
    pub(crate) call_id: Option<Text>,
    /// Whose call id it is.
    #[serde(default)]
    pub(crate) caller: Option<Text>,
    /// In ms since 1970.
    pub(crate) created_ms: u64,
    /// The run in whose place it is, of the same agent or of another.
    pub(crate) rerun_of: Option<Text>,
    pub(crate) fallback_of: Option<Text>,
}

#[cfg(test)]
impl Asked {
    /// What ann, an owner who has not joined, asked of the agent `a`.
    pub(in crate::model::room) fn example(id: &str, input: Value) -> Self {
        let kind = ParticipantKind::Person;
        Self {
            id: id.into(),
            agent: "a".into(),
            input,
            by: RunActor { user: "ann".into(), name: "Ann".into(), participant: None, kind, role: Role::Owner },
            delivery: None,
            trace_id: "tx-1".into(),
            call_id: None,
            caller: None,
            created_ms: 0,
            rerun_of: None,
            fallback_of: None,
        }
    }
}

impl Asked {
    /// Whose call asked for it, under which id. That of a run that continues another asked for the other.
    pub(crate) fn call(&self) -> Option<(&Text, &Text)> {
        self.caller.as_ref().zip(self.call_id.as_ref()).filter(|_| !self.is_successor())
    }

    /// Whether it continues the work of another run.
    pub(crate) const fn is_successor(&self) -> bool {
        self.rerun_of.is_some() || self.fallback_of.is_some()
    }
}
