//! A content reference in the parameters of a driver action.

use grove_engine::ContentKind;
use grove_engine::{ActionError, ContentRef};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The fields of a `content_ref` on the wire.
#[derive(Deserialize)]
pub(crate) struct Reference {
    #[serde(rename = "type")]
    kind: String,
    mime: String,
    summary: String,
    size: Option<u64>,
    uri: Option<String>,
    preview: Option<String>,
    encoding: Option<String>,
    hash: Option<String>,
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// `invalid_params` if a field that peers need is missing (wire contract 1.10).
    pub(crate) fn read(fields: Map<String, Value>) -> Result<ContentRef, ActionError> {
        let given: Self = serde_json::from_value(Value::Object(fields))
            .map_err(|error| ActionError::invalid_params(format!("params.ref cannot be read: {error}")))?;
        let kind = match given.kind.as_str() {
            "text" => ContentKind::Text,
            "binary" => ContentKind::Binary,
            "stream" => ContentKind::Stream,
            _ => return Err(ActionError::invalid_params("params.ref.type must be one of text, binary, stream")),
        };
        let content = ContentRef::new(kind, given.mime, given.summary);
        let content = given.size.into_iter().fold(content, ContentRef::size);
        let content = given.uri.into_iter().fold(content, ContentRef::uri);
        let content = given.preview.into_iter().fold(content, ContentRef::preview);
        let content = given.encoding.into_iter().fold(content, ContentRef::encoding);
        Ok(given.hash.into_iter().fold(content, ContentRef::hash))
    }
}
