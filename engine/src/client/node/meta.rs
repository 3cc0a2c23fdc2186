//! What a node says about itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::meta::Urgency;

/// The `meta` of a node, as it was sent. A field of a wrong type reads as absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeMeta(pub(crate) Map<String, Value>);

impl NodeMeta {
    /// One line about what is inside.
    #[must_use]
    pub fn summary(&self) -> Option<&str> {
        self.0.get("summary")?.as_str()
    }

    /// How much the node matters, from 0 to 1. An absent one counts as 0.5.
    #[must_use]
    pub fn salience(&self) -> Option<f64> {
        self.0.get("salience")?.as_f64()
    }

    /// How soon it wants attention.
    #[must_use]
    pub fn urgency(&self) -> Option<Urgency> {
        Urgency::from_word(self.0.get("urgency")?.as_str()?)
    }

    /// Why salience or urgency are what they are.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.get("reason")?.as_str()
    }

    /// Whether the node is protected from being compacted away.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.flag("pinned")
    }

    /// Whether the user looks at it now.
    #[must_use]
    pub fn has_focus(&self) -> bool {
        self.flag("focus")
    }

    /// Whether it changed lately.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.flag("changed")
    }

    /// How many children there are in truth when not all are inline.
    #[must_use]
    pub fn total_children(&self) -> Option<u64> {
        self.0.get("total_children")?.as_u64()
    }

    /// Which slice of the children is inline: offset and count.
    #[must_use]
    pub fn window(&self) -> Option<[u64; 2]> {
        match self.0.get("window")?.as_array()?.as_slice() {
            [offset, count] => Some([offset.as_u64()?, count.as_u64()?]),
            _ => None,
        }
    }

    /// All fields, those included that the protocol does not name.
    #[must_use]
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }
}
