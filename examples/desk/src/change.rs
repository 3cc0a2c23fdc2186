//! What changed, and who is notified: as sections of pages, and as scopes of the engine.

use grove_engine::Scope;

use crate::board_room;
use crate::people::Person;

/// A part of the desk: a section of the page and, under the same name, a path of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    Tasks,
    Inbox,
    Board,
    Settings,
}

impl Area {
    pub(crate) const ALL: [Self; 4] = [Self::Tasks, Self::Inbox, Self::Board, Self::Settings];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Inbox => "inbox",
            Self::Board => "board",
            Self::Settings => "settings",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|area| area.as_str() == name)
    }
}

/// Something that was written; announced after it was written.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// One person's own area: everything but the board.
    Own { area: Area, person: String },
    /// The board that an org shares.
    Board { org: String },
    /// The date: what was due tomorrow is due today, for everybody.
    Date,
    /// A login ended: its pages go to the login page, and its engine session must never be used again.
    LoggedOut { login: String },
    /// The desk is shutting down; the streams of all pages end.
    Closing,
}

impl Change {
    /// The trees to refresh; `None` when no tree shows it.
    pub(crate) fn scope(&self) -> Option<Scope> {
        match self {
            Self::Own { area, person } => Some(Scope::user(person).paths([area.as_str()])),
            Self::Board { org } => {
                let paths = [Area::Board.as_str().to_owned(), board_room::board_path(org)];
                Some(Scope::attribute("org", org).paths(paths))
            }
            Self::Date => Some(Scope::all().paths([Area::Tasks.as_str()])),
            Self::LoggedOut { .. } | Self::Closing => None,
        }
    }

    /// The section of `reader`'s page to reload; `None` when the page does not show it.
    pub(crate) fn area_for(&self, reader: &Person) -> Option<Area> {
        match self {
            Self::Own { area, person } => (*person == reader.name).then_some(*area),
            Self::Board { org } => (*org == reader.org).then_some(Area::Board),
            Self::Date => Some(Area::Tasks),
            Self::LoggedOut { .. } | Self::Closing => None,
        }
    }

    /// The login that ended, and with it the engine session.
    pub(crate) fn ended_login(&self) -> Option<&str> {
        match self {
            Self::LoggedOut { login } => Some(login),
            Self::Own { .. } | Self::Board { .. } | Self::Date | Self::Closing => None,
        }
    }

    /// Whether the stream of `login`'s page ends.
    pub(crate) fn ends(&self, login: &str) -> bool {
        matches!(self, Self::Closing) || self.ended_login() == Some(login)
    }
}
