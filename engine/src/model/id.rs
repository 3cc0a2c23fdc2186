//! Which node ids may go on the wire (contract 2.5).

use std::fmt;

/// Words that mean a field of a node inside a patch path, and can therefore never be node ids.
const RESERVED: [&str; 7] = ["properties", "children", "affordances", "meta", "content_ref", "id", "type"];

/// Why a string cannot be a node id, or a path cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdError {
    /// The id has no characters.
    Empty,
    /// The id is a word that patch paths reserve for a field.
    Reserved,
    /// The id holds `/` or `~`, which patch paths give a meaning.
    Character,
    /// The id is longer than [`MAX_BYTES`].
    Long,
    /// The path has more segments than [`path::MAX_SEGMENTS`](super::path::MAX_SEGMENTS).
    Deep,
}

/// The longest id that is accepted, in bytes.
pub(crate) const MAX_BYTES: usize = 512;

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a node id must not be empty",
            Self::Reserved => {
                "a node id must not be one of properties, children, affordances, meta, content_ref, id, type"
            }
            Self::Character => "a node id must not contain `/` or `~`",
            Self::Long => "a node id must not be longer than 512 bytes",
            Self::Deep => "a registered path must not have more than 32 segments",
        })
    }
}

impl std::error::Error for IdError {}

/// Checks one node id.
///
/// # Errors
/// Says which rule of contract 2.5 the id breaks.
pub fn check(id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        Err(IdError::Empty)
    } else if id.len() > MAX_BYTES {
        Err(IdError::Long)
    } else if id.contains(['/', '~']) {
        Err(IdError::Character)
    } else if RESERVED.contains(&id) {
        Err(IdError::Reserved)
    } else {
        Ok(())
    }
}
