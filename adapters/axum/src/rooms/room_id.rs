//! The room that a path names.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::failure::Failure;

/// The id in a path. There is no room whose id is not Unicode.
#[derive(Debug)]
pub(super) struct RoomId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for RoomId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        // The routes may be nested below parameters of the application's.
        let named = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let named = named.map(|Path(named)| named).unwrap_or_default();
        let id = named.into_iter().rev().find_map(|(name, id)| (name == "id").then_some(id));
        let unknown = || Failure::new(StatusCode::NOT_FOUND, "not_found", "there is no such room");
        id.map(Self).ok_or_else(unknown)
    }
}
