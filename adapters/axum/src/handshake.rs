//! The WebSocket handshake (RFC 6455, 4.2).

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use grove_engine::Connection;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tracing::Instrument;

use crate::refusal::Refusal;
use crate::socket;

/// A valid handshake: the response that accepts it, and the socket that exists once that response has been written.
pub(crate) struct Handshake {
    response: Response,
    upgrade: OnUpgrade,
}

impl Handshake {
    /// # Errors
    ///
    /// 426 when the request does not ask for a WebSocket, or came over something that cannot become one.
    pub(crate) fn of(request: &mut Request) -> Result<Self, Refusal> {
        let response = create_response_with_body(request, Body::empty).map_err(|_| Refusal::upgrade_required())?;
        let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(Refusal::upgrade_required)?;
        Ok(Self { response, upgrade })
    }

    /// The response. One task of its own serves the connection; if the peer is gone by then, the task just ends.
    pub(crate) fn accept(self, connection: Connection) -> Response {
        let (max_message_bytes, span) = (connection.max_message_bytes(), connection.span());
        let Self { response, upgrade } = self;
        let serve = async move {
            if let Ok(upgraded) = upgrade.await {
                socket::serve(socket::open(upgraded, max_message_bytes).await, connection).await;
            }
        };
        // A span that nobody listens to would cost every connection memory.
        match span.is_disabled() {
            true => tokio::spawn(serve),
            false => tokio::spawn(serve.instrument(span)),
        };
        response
    }
}
