//! What is known of a room that has ended, beside its events.

use serde::{Deserialize, Serialize};

use crate::model::Text;
use crate::model::room::handle::Room;
use crate::model::room::policy::ArchiveFor;

/// What is known of a room that has ended, beside its events: who may read them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ArchivedRoom {
    project: Text,
    owner: Text,
    archive_for: ArchiveFor,
    /// The users who took part.
    readers: Vec<Text>,
}

impl ArchivedRoom {
    pub(super) fn new<'r>(room: &Room, took_part: impl Iterator<Item = &'r Text>) -> Self {
        Self {
            project: room.project().clone(),
            owner: room.owner().clone(),
            archive_for: room.archive_for(),
            readers: took_part.cloned().collect(),
        }
    }

    /// Everything in it serialises.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an archive serialises")
    }

    /// Whether a user of a project may read the events.
    pub(super) fn is_for(&self, project: &str, user: &str) -> bool {
        let took_part = || self.owner == user || self.readers.iter().any(|reader| reader == user);
        self.project == project && (self.archive_for == ArchiveFor::Project || took_part())
    }
}
