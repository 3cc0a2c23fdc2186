//! The WebSocket handshake: an upgrade over HTTP/1.1 (RFC 6455, 4.2), or an extended CONNECT over HTTP/2 (RFC 8441).

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use grove_engine::Connection;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::Instrument;

use crate::header_list;
use crate::refusal::Refusal;
use crate::socket;

/// The only version of the protocol (RFC 6455, 4.1).
const VERSION: &[u8] = b"13";

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
        let response = accepting(request).ok_or_else(Refusal::upgrade_required)?;
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

/// The response that accepts a request for a WebSocket. `None` if it is not one.
fn accepting(request: &Request) -> Option<Response> {
    if request.headers().get(SEC_WEBSOCKET_VERSION)?.as_bytes() != VERSION {
        return None;
    }
    match request.version() {
        Version::HTTP_2 => accepting_connect(request),
        _ => accepting_upgrade(request),
    }
}

/// Over HTTP/2, a request with the method CONNECT and a path is an extended CONNECT, and the version header says that it
/// is for a WebSocket.
fn accepting_connect(request: &Request) -> Option<Response> {
    (request.method() == Method::CONNECT).then(|| Response::new(Body::empty()))
}

fn accepting_upgrade(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let asks = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && header_list::contains(headers, &CONNECTION, "upgrade")
        && header_list::contains(headers, &UPGRADE, "websocket");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| asks)?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
    let headers = [
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    Some((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}
