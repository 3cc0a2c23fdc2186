//! On what instances publish.

use serde::{Deserialize, Serialize};

use crate::model::Text;

/// On what instances publish. Projects and rooms may have any name: an implementation encodes them so that no two collide
/// (SEC5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Topic {
    /// Who is alive, and how far each has counted its notices.
    Heartbeats,
    /// Notices that concern sessions of any project.
    Notices,
    /// Notices that concern sessions of one project; the one without a name is the empty text.
    ProjectNotices(Text),
    /// Who is present in a project.
    Presence(Text),
    /// What happens in a room.
    Room {
        /// The room's project.
        project: Text,
        /// The room's id.
        room: Text,
    },
}

impl Topic {
    /// Which kind it is, for events and logs: `heartbeats`, `notices`, `project_notices`, `presence` or `room`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Heartbeats => "heartbeats",
            Self::Notices => "notices",
            Self::ProjectNotices(_) => "project_notices",
            Self::Presence(_) => "presence",
            Self::Room { .. } => "room",
        }
    }
}
