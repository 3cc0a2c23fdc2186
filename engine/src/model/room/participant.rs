//! Who takes part in a room.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::role::Role;
use crate::model::Text;
use crate::model::cut::cut;

/// What takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParticipantKind {
    /// A human being.
    #[default]
    Person,
    /// An AI, or another program that acts on its own.
    Agent,
    /// A session of a program, such as a terminal.
    Session,
    /// A program without anybody in front of it.
    Daemon,
}

impl ParticipantKind {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Daemon => "daemon",
        }
    }
}

impl fmt::Display for ParticipantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a participant shows signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does.
    Online,
    /// It has not for a while.
    Offline,
}

impl Status {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// How a session is shown to others: its presence card. Names are cut at 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Presence {
    name: Text,
    kind: ParticipantKind,
    role: Option<Text>,
    groups: Vec<Text>,
    cwd: Option<Text>,
    pid: Option<u32>,
    host: Option<Text>,
}

/// How long each text of a presence card may be, in bytes.
const CARD_BYTES: usize = 256;

/// In how many groups a session may be.
const GROUPS: usize = 32;

impl Presence {
    /// A person with this display name.
    pub fn new(name: impl Into<Text>) -> Self {
        let (kind, groups) = (ParticipantKind::Person, Vec::new());
        Self { name: cut(name, CARD_BYTES), kind, role: None, groups, cwd: None, pid: None, host: None }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(mut self, kind: ParticipantKind) -> Self {
        self.kind = kind;
        self
    }

    /// What it does, in a word of the application's, such as `reviewer`.
    #[must_use]
    pub fn role(mut self, role: impl Into<Text>) -> Self {
        self.role = Some(cut(role, CARD_BYTES));
        self
    }

    /// To which groups it belongs. Those after the first 32 are left out.
    #[must_use]
    pub fn groups<G: Into<Text>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        self.groups = groups.into_iter().take(GROUPS).map(|group| cut(group, CARD_BYTES)).collect();
        self
    }

    /// In which folder it works. Only sessions of the same user see it (SEC27).
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<Text>) -> Self {
        self.cwd = Some(cut(cwd, CARD_BYTES));
        self
    }

    /// Which process it is. Only sessions of the same user see it (SEC27).
    #[must_use]
    pub const fn pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// On which machine it is. Only sessions of the same user see it (SEC27).
    #[must_use]
    pub fn host(mut self, host: impl Into<Text>) -> Self {
        self.host = Some(cut(host, CARD_BYTES));
        self
    }

    pub(crate) const fn shown_name(&self) -> &Text {
        &self.name
    }

    pub(crate) const fn shown_kind(&self) -> ParticipantKind {
        self.kind
    }

    pub(crate) const fn shown_role(&self) -> Option<&Text> {
        self.role.as_ref()
    }

    pub(crate) fn shown_groups(&self) -> &[Text] {
        &self.groups
    }

    /// Whether it has something that only sessions of the same user see (SEC27).
    pub(crate) const fn has_details(&self) -> bool {
        self.cwd.is_some() || self.pid.is_some() || self.host.is_some()
    }

    pub(crate) const fn shown_cwd(&self) -> Option<&Text> {
        self.cwd.as_ref()
    }

    pub(crate) const fn shown_pid(&self) -> Option<u32> {
        self.pid
    }

    pub(crate) const fn shown_host(&self) -> Option<&Text> {
        self.host.as_ref()
    }
}

/// One session's participation in one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Participant {
    pub(crate) id: Text,
    pub(crate) session: Text,
    /// Absent for a session without a user.
    pub(crate) user: Option<Text>,
    pub(crate) name: Text,
    pub(crate) kind: ParticipantKind,
    pub(crate) role: Role,
    pub(crate) status: Status,
    /// When it joined, in ms since 1970.
    pub(crate) since_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_bounded() {
        let long = "ü".repeat(200);
        let card = Presence::new(&*long).groups((0..100).map(|number| number.to_string())).host("a");
        assert_eq!((card.shown_name().len(), card.shown_groups().len()), (256, 32));
        assert_eq!(Presence::new(format!("a{long}")).shown_name().len(), 255);
    }
}
