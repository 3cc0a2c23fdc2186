//! The `meta` of a node: what deserves a consumer's attention.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Text;

/// How soon something wants attention; peers reject any other word (contract 1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Nothing to do.
    None,
    /// Some day.
    Low,
    /// Soon.
    Medium,
    /// Now.
    High,
    /// Before anything else.
    Critical,
}

impl Urgency {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The urgency that a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::None, Self::Low, Self::Medium, Self::High, Self::Critical].into_iter().find(|u| u.as_str() == word)
    }
}

/// The `meta` of a node. Absent fields are not sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Meta {
    /// One line about what is inside.
    pub summary: Option<Text>,
    /// How much the node matters, from 0 to 1; peers read an absent one as 0.5.
    pub salience: Option<f64>,
    /// Keeps the node, what is below and what is above it from being compacted away.
    pub pinned: Option<bool>,
    /// Whether the user looks at it now.
    pub focus: Option<bool>,
    /// Whether it changed lately.
    pub changed: Option<bool>,
    /// How soon it wants attention.
    pub urgency: Option<Urgency>,
    /// Why salience or urgency are what they are.
    pub reason: Option<Text>,
    /// How many children there really are, when not all are inline.
    pub total_children: Option<u64>,
    /// Which slice of the children is inline: offset and count.
    pub window: Option<[u64; 2]>,
    /// Fields that the protocol does not name.
    pub extra: Option<Box<serde_json::Map<String, serde_json::Value>>>,
}

impl Meta {
    /// Whether nothing would be sent.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `meta` as it goes on the wire.
impl Serialize for Meta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(summary) = &self.summary {
            map.serialize_entry("summary", summary)?;
        }
        if let Some(salience) = self.salience {
            map.serialize_entry("salience", &salience)?;
        }
        for (name, flag) in [("pinned", self.pinned), ("changed", self.changed), ("focus", self.focus)] {
            if let Some(flag) = flag {
                map.serialize_entry(name, &flag)?;
            }
        }
        if let Some(urgency) = self.urgency {
            map.serialize_entry("urgency", &urgency)?;
        }
        if let Some(reason) = &self.reason {
            map.serialize_entry("reason", reason)?;
        }
        if let Some(total) = self.total_children {
            map.serialize_entry("total_children", &total)?;
        }
        if let Some(window) = self.window {
            map.serialize_entry("window", &window)?;
        }
        for (key, value) in self.extra.iter().flat_map(|extra| extra.iter()) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
