//! A pointer to content that is too large to be inline.

use serde::Serialize;

use super::Text;

/// What kind of content a reference points to; peers reject any other word (contract 1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentKind {
    /// Readable as text.
    Text,
    /// Bytes.
    Binary,
    /// Something that goes on.
    Stream,
}

/// The `content_ref` of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContentRef {
    #[serde(rename = "type")]
    pub(crate) kind: ContentKind,
    pub(crate) mime: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// Filled from the node's path when the application gives none (contract 2.1).
    pub(crate) uri: Option<Text>,
    pub(crate) summary: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preview: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<Text>,
}

impl ContentRef {
    /// A reference of any kind. Peers need the MIME type and the one-line summary.
    pub fn new(kind: ContentKind, mime: impl Into<Text>, summary: impl Into<Text>) -> Self {
        Self {
            kind,
            mime: mime.into(),
            size: None,
            uri: None,
            summary: summary.into(),
            preview: None,
            encoding: None,
            hash: None,
        }
    }

    /// A reference to text.
    pub fn text(mime: impl Into<Text>, summary: impl Into<Text>) -> Self {
        Self::new(ContentKind::Text, mime, summary)
    }

    /// A reference to bytes.
    pub fn binary(mime: impl Into<Text>, summary: impl Into<Text>) -> Self {
        Self::new(ContentKind::Binary, mime, summary)
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Where the content is; without it `slop://content/{path}`.
    #[must_use]
    pub fn uri(mut self, uri: impl Into<Text>) -> Self {
        self.uri = Some(uri.into());
        self
    }

    /// The first lines.
    #[must_use]
    pub fn preview(mut self, preview: impl Into<Text>) -> Self {
        self.preview = Some(preview.into());
        self
    }

    /// How the content is encoded, such as `utf-8` or `base64`.
    #[must_use]
    pub fn encoding(mut self, encoding: impl Into<Text>) -> Self {
        self.encoding = Some(encoding.into());
        self
    }

    /// A hash that changes when the content does.
    #[must_use]
    pub fn hash(mut self, hash: impl Into<Text>) -> Self {
        self.hash = Some(hash.into());
        self
    }
}
