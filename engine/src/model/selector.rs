//! Whose sessions something concerns, in a form that another process understands as well.

use serde::{Deserialize, Serialize};

use super::Text;

/// Whose sessions something concerns: a refresh, a revocation, an event.
///
/// It can be encoded and sent to another instance; a closure over the session cannot, and is separate
/// ([`Scope::matching`](crate::Scope::matching)).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Selector {
    /// Every session.
    All,
    /// One session, by its id.
    Session(Text),
    /// All sessions of a user.
    User(Text),
    /// All sessions with an attribute.
    Attribute {
        /// The attribute's name.
        name: Text,
        /// The attribute's value.
        value: Text,
    },
    /// All sessions of a project; those without one belong to the project without a name.
    Project(Text),
    /// The sessions that have joined a room.
    Room(Text),
    /// The sessions that have a role in a room, joined or not.
    RoomViewers(Text),
    /// The sessions for which a predicate of this name holds; everybody, where there is none of this name.
    Named(Text),
}

impl Selector {
    /// Which kind it is, for events and logs: `all`, `session`, `user`, `attribute`, `project`, `room`,
    /// `room_viewers` or `named`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Session(_) => "session",
            Self::User(_) => "user",
            Self::Attribute { .. } => "attribute",
            Self::Project(_) => "project",
            Self::Room(_) => "room",
            Self::RoomViewers(_) => "room_viewers",
            Self::Named(_) => "named",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_survives_encoding() {
        let attribute = Selector::Attribute { name: "org".into(), value: "acme".into() };
        let rooms = [Selector::Project("p".into()), Selector::Room("m".into()), Selector::RoomViewers("m".into())];
        let others = [
            Selector::All,
            Selector::Named("n".into()),
            Selector::Session("s".into()),
            Selector::User("alice".into()),
            attribute,
        ];
        for selector in others.into_iter().chain(rooms) {
            let text = serde_json::to_string(&selector).unwrap();
            assert_eq!(serde_json::from_str::<Selector>(&text).unwrap(), selector, "{text}");
        }
    }
}
