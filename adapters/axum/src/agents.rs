//! `/agents`: agents elsewhere connect by WebSocket, and rooms have them run (rooms 6).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, http::Version};
use grove_engine::{Connection, Rooms};

use crate::admission;
use crate::authenticate;
use crate::endpoint::Endpoint;
use crate::handshake::Handshake;
use crate::refusal::Refusal;

/// The path, beside the endpoint's.
const PATH: &str = "/agents";

/// What the handler works with.
struct AgentsEndpoint {
    endpoint: Arc<Endpoint>,
    rooms: Rooms,
}

/// The route, as it is without a prefix.
pub(crate) fn route<S>(endpoint: Arc<Endpoint>, rooms: Rooms) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new().route(PATH, get(upgrade).connect(upgrade)).with_state(Arc::new(AgentsEndpoint { endpoint, rooms }))
}

/// Handles `GET /agents`, and `CONNECT /agents` over HTTP/2.
async fn upgrade(State(state): State<Arc<AgentsEndpoint>>, request: Request) -> Response {
    let version: Version = request.version();
    let admitted = admit(&state, request).await;
    admission::respond(&state.endpoint, version, admitted)
}

/// The checks of any upgrade. Which agents the session may be is checked as soon as the link says which it is.
async fn admit(state: &AgentsEndpoint, mut request: Request) -> Result<(Handshake, Connection), Refusal> {
    let handshake = Handshake::of(&mut request)?;
    let endpoint = &state.endpoint;
    let request = admission::receive(endpoint, request).await?;
    let session = authenticate::run(&*endpoint.authenticator, request, endpoint.authenticate_timeout).await?;
    Ok((handshake, state.rooms.connect_agent(&session)?))
}
