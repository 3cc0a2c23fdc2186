//! The run that a path names, and its room.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::failure::Failure;
use super::room_id::RoomId;

/// The ids in a path, of the room and of the run.
#[derive(Debug)]
pub(super) struct RunId {
    pub(super) room: String,
    pub(super) run: String,
}

impl<S: Send + Sync> FromRequestParts<S> for RunId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let RoomId(room) = RoomId::from_request_parts(parts, state).await?;
        let named = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let named = named.map(|Path(named)| named).unwrap_or_default();
        let run = named.into_iter().rev().find_map(|(name, id)| (name == "run").then_some(id));
        let unknown = || Failure::new(StatusCode::NOT_FOUND, "not_found", "there is no such run");
        Ok(Self { room, run: run.ok_or_else(unknown)? })
    }
}
