//! From a request to a connection: every check before the 101, in order (wire contract 1.0).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::RequestExt;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use grove_engine::{Connection, Role};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tracing::Instrument;

use crate::authenticate;
use crate::refusal::Refusal;
use crate::router::Slop;
use crate::socket;
use crate::upgrade_request::UpgradeRequest;

/// The mount of a tab that names none (wire contract 3.1).
const DEFAULT_MOUNT: &str = "ui";

/// Answers `GET /slop`.
pub(crate) async fn upgrade(State(slop): State<Arc<Slop>>, request: Request) -> Response {
    match admit(&slop, request).await {
        Ok((handshake, connection)) => handshake.accept(connection),
        Err(refusal) => {
            slop.provider.note(refusal.event());
            refusal.into_response()
        }
    }
}

/// The checks. Only when all have passed does a [`Connection`] exist.
async fn admit(slop: &Slop, mut request: Request) -> Result<(Handshake, Connection), Refusal> {
    let handshake = Handshake::of(&mut request)?;
    let asked = receive(slop, request).await?;
    let role = role(&asked);
    let session = authenticate::run(&*slop.authenticator, asked, slop.authenticate_timeout).await?;
    let connection = slop.provider.connect(session, role)?;
    Ok((handshake, connection))
}

/// The request as an authenticator sees it, if it may be asked about it.
///
/// # Errors
///
/// 503 while shutting down, 403 for a page of a foreign origin.
pub(crate) async fn receive(slop: &Slop, mut request: Request) -> Result<UpgradeRequest, Refusal> {
    if slop.provider.is_closing() {
        return Err(Refusal::unavailable().because("the provider is shutting down"));
    }
    let peer = request.extract_parts::<ConnectInfo<SocketAddr>>().await.ok().map(|ConnectInfo(peer)| peer);
    let asked = UpgradeRequest::new(request.into_parts().0, peer);
    let address = slop.public_address(&asked.headers, &asked.uri);
    slop.origins.check(&asked.headers, address.as_ref())?;
    Ok(asked)
}

/// What the URL asks to be: `?slop_role=provider&mount=ui` is a browser tab, all else consumes.
fn role(request: &UpgradeRequest) -> Role {
    match request.query("slop_role").as_deref() {
        Some("provider") => Role::Tab { mount: request.query("mount").unwrap_or_else(|| DEFAULT_MOUNT.to_owned()) },
        _ => Role::Consumer,
    }
}

/// A valid WebSocket handshake: the 101 that answers it, and the socket that is there once it has been written.
struct Handshake {
    switching: Response,
    upgrade: OnUpgrade,
}

impl Handshake {
    /// # Errors
    ///
    /// 426 when the request does not ask for a WebSocket, or came over something that cannot become one.
    fn of(request: &mut Request) -> Result<Self, Refusal> {
        let switching = create_response_with_body(request, Body::empty).map_err(|_| Refusal::upgrade_required())?;
        let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(Refusal::upgrade_required)?;
        Ok(Self { switching, upgrade })
    }

    /// The 101. The connection is served by one task of its own; if the peer is gone by then, it just ends.
    fn accept(self, connection: Connection) -> Response {
        let (max_message_bytes, span) = (connection.max_message_bytes(), connection.span());
        let Self { switching, upgrade } = self;
        let served = async move {
            if let Ok(upgraded) = upgrade.await {
                socket::serve(socket::open(upgraded, max_message_bytes).await, connection).await;
            }
        };
        // A span that nobody listens to would be memory of every connection.
        match span.is_disabled() {
            true => tokio::spawn(served),
            false => tokio::spawn(served.instrument(span)),
        };
        switching
    }
}
