//! A hint that something has changed.

use serde::{Deserialize, Serialize};

use super::topic::Topic;
use crate::model::Text;
use crate::model::selector::Selector;

/// A hint that what some sessions see has changed (cluster 2). It says whose and where, and nothing of what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Notice {
    pub(crate) whom: Selector,
    /// Registered paths; `None` means all.
    pub(crate) paths: Option<Vec<Text>>,
    pub(crate) reason: Reason,
    /// What the application calls the commit that the change is in: whoever reads a replica waits for it.
    pub(crate) after: Option<Text>,
}

/// What has changed it, for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The application said so.
    Refresh,
    /// A call may have changed something.
    Call,
    /// What a newer version calls it.
    #[serde(other)]
    Other,
}

impl Notice {
    /// On which topic it goes, if the project of the sessions that it means is known.
    pub(crate) fn topic(&self, project: Option<&Text>) -> Topic {
        match (&self.whom, project) {
            (Selector::Project(project), _) | (_, Some(project)) => Topic::ProjectNotices(project.clone()),
            _ => Topic::Notices,
        }
    }

    /// Everybody whom a topic can concern: what is meant by whatever cannot be understood, or said.
    pub(crate) fn everybody(topic: &Topic) -> Selector {
        match topic {
            Topic::ProjectNotices(project) => Selector::Project(project.clone()),
            _ => Selector::All,
        }
    }

    /// About how long it is when it is encoded, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let paths = self.paths.iter().flatten().map(|path| path.len() + 3).sum::<usize>();
        let whom = match &self.whom {
            Selector::All => 0,
            Selector::Attribute { name, value } => name.len() + value.len(),
            Selector::Session(text)
            | Selector::User(text)
            | Selector::Project(text)
            | Selector::Room(text)
            | Selector::RoomViewers(text)
            | Selector::Named(text) => text.len(),
        };
        64 + whom + paths + self.after.as_ref().map_or(0, Text::len)
    }
}
