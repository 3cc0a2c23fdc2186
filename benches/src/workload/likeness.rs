//! How similar sessions are.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How similar the sessions' content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Likeness {
    /// No two sessions show the same content
    Distinct,
    /// Groups of ten sessions show the same content, which the engine cannot know before it has rendered them, since
    /// the descriptor reads the user
    Tenth,
    /// All sessions show the same content, and the descriptor reads an attribute that they have in common
    One,
}

impl Likeness {
    pub(crate) const ALL: [Self; 3] = [Self::Distinct, Self::Tenth, Self::One];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Distinct => "distinct",
            Self::Tenth => "tenth",
            Self::One => "one",
        }
    }
}
