//! Which of a session's paths a refresh means.

use smallvec::SmallVec;

use crate::model::Text;
use crate::model::path;

/// Which registered paths shall be rendered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paths {
    All,
    /// These, what is above and what is below them; in the normal spelling.
    Only(SmallVec<[Text; 1]>),
    /// This one alone; in the normal spelling.
    Exactly(Text),
}

impl Paths {
    /// One path, in the normal spelling.
    pub(crate) fn one(path: Text) -> Self {
        Self::Only([path].into_iter().collect())
    }

    pub(crate) fn touches(&self, registered: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(paths) => {
                paths.iter().any(|wanted| path::covers(registered, wanted) || path::covers(wanted, registered))
            }
            Self::Exactly(path) => registered == path,
        }
    }

    /// Adds what another refresh means, or more.
    pub(crate) fn merge(&mut self, other: Self) {
        if *self == other {
            return;
        }
        match (self.take_list(), other.into_list()) {
            (Some(mut mine), Some(theirs)) => {
                for path in theirs {
                    if !mine.contains(&path) {
                        mine.push(path);
                    }
                }
                *self = Self::Only(mine);
            }
            _ => *self = Self::All,
        }
    }

    fn take_list(&mut self) -> Option<SmallVec<[Text; 1]>> {
        std::mem::replace(self, Self::All).into_list()
    }

    fn into_list(self) -> Option<SmallVec<[Text; 1]>> {
        match self {
            Self::All => None,
            Self::Only(paths) => Some(paths),
            Self::Exactly(path) => Some([path].into_iter().collect()),
        }
    }
}
