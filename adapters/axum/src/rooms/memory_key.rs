//! The entry of a room's memory that a path names.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::failure::Failure;

/// The key in a path, decoded.
#[derive(Debug)]
pub(super) struct MemoryKey(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for MemoryKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        // The routes may be nested below parameters of the application's.
        let named = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let named = named.map(|Path(named)| named).unwrap_or_default();
        let key = named.into_iter().rev().find_map(|(name, key)| (name == "key").then_some(key));
        key.map(Self).ok_or_else(|| Failure::invalid("a key must be Unicode"))
    }
}
