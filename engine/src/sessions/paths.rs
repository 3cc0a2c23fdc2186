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
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
            (Self::Only(mine), Self::Only(theirs)) => {
                for path in theirs {
                    if !mine.contains(&path) {
                        mine.push(path);
                    }
                }
            }
        }
    }
}
