//! How a peer is shown to others.

use serde::{Deserialize, Serialize};

use crate::refused::Refused;

/// How long a name may be, and how much is kept of every other text, in bytes.
const TEXT_BYTES: usize = 256;

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

    /// As it is kept: as much of every text as is shown of it (peers 8).
    #[must_use]
    pub(crate) fn cut(mut self) -> Self {
        let details = [&mut self.cwd, &mut self.host, &mut self.role].into_iter().flatten();
        for text in details.chain(&mut self.groups).chain([&mut self.name]) {
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
            text.shrink_to_fit();
        }
        self
    }

    /// # Errors
    /// `malformed` if it has no name, or too much of something. Longer texts are cut.
    pub(crate) fn check(&self) -> Result<(), Refused> {
        let malformed = |why: &str| Err(Refused::Malformed(why.to_owned()));
        if self.name.is_empty() || self.name.len() > TEXT_BYTES {
            return malformed("the name on a card must have 1 to 256 bytes");
        }
        if self.groups.len() > GROUPS {
            return malformed("a card names more than 32 groups");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_card_is_kept_beyond_256_bytes() {
        // Two bytes each, so the 256th byte is in the middle of a character if one goes before.
        let long = format!("a{}", "\u{e4}".repeat(60_000));
        let some = || Some(long.clone());
        let groups = vec![long.clone(), "short".to_owned()];
        let card = Card { cwd: some(), host: some(), role: some(), groups, ..Card::new("ann") }.cut();
        let cut = format!("a{}", "\u{e4}".repeat(127));
        assert_eq!((&card.cwd, &card.host, &card.role), (&Some(cut.clone()), &Some(cut.clone()), &Some(cut.clone())));
        assert_eq!((card.groups, card.name.as_str()), (vec![cut, "short".to_owned()], "ann"));
    }
}
