//! How a peer is shown to others.

use serde::{Deserialize, Serialize};

use crate::refused::Refused;

/// How long a name may be, in bytes.
const NAME_BYTES: usize = 256;

/// How many groups a card may name.
const GROUPS: usize = 32;

/// How a peer is shown to others (peers 3). Where it works, and as which process, only other peers of its member see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Card {
    /// The display name.
    pub name: String,
    /// In which folder it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Which process it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// On which machine it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What it does, in a word of the application's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// To which groups it belongs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

impl Card {
    /// A card with this name, and nothing else.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// # Errors
    /// `malformed` if it has no name, or too much of something. Longer texts are cut where they are shown.
    pub(crate) fn check(&self) -> Result<(), Refused> {
        let malformed = |why: &str| Err(Refused::Malformed(why.to_owned()));
        if self.name.is_empty() || self.name.len() > NAME_BYTES {
            return malformed("the name on a card must have 1 to 256 bytes");
        }
        if self.groups.len() > GROUPS {
            return malformed("a card names more than 32 groups");
        }
        Ok(())
    }
}
