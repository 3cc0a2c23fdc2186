//! A reference to content that is not inline.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::content_ref::ContentKind;

/// The `content_ref` of a node, as it was sent. A field of a wrong type reads as absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeContent(pub(crate) Map<String, Value>);

impl NodeContent {
    /// What kind of content it is.
    #[must_use]
    pub fn kind(&self) -> Option<ContentKind> {
        match self.text("type")? {
            "text" => Some(ContentKind::Text),
            "binary" => Some(ContentKind::Binary),
            "stream" => Some(ContentKind::Stream),
            _ => None,
        }
    }

    /// The MIME type.
    #[must_use]
    pub fn mime(&self) -> Option<&str> {
        self.text("mime")
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.0.get("size")?.as_u64()
    }

    /// Where the content is.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        self.text("uri")
    }

    /// One line about the content.
    #[must_use]
    pub fn summary(&self) -> Option<&str> {
        self.text("summary")
    }

    /// The first lines.
    #[must_use]
    pub fn preview(&self) -> Option<&str> {
        self.text("preview")
    }

    /// All fields, those included that the protocol does not name.
    #[must_use]
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}
