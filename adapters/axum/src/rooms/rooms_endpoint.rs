//! What the handlers of these routes share.

use std::sync::Arc;

use grove_engine::Rooms;
use serde_json::Value;

use crate::endpoint::Endpoint;

/// The rooms of one provider, and who may come to them.
#[derive(Debug)]
pub(super) struct RoomsEndpoint {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) rooms: Rooms,
    /// The OpenAPI document, without the address of the server.
    pub(super) document: Value,
}
