//! From a request to a connection: every check before the 101, in order (wire contract 1.0).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::RequestExt;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Version;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::response::{IntoResponse, Response};
use grove_engine::{Connection, Role};

use crate::authenticate;
use crate::endpoint::Endpoint;
use crate::handshake::Handshake;
use crate::refusal::Refusal;
use crate::upgrade_request::UpgradeRequest;

/// The mount of a tab that names none (wire contract 3.1).
const DEFAULT_MOUNT: &str = "ui";

/// Handles `GET /slop`, and `CONNECT /slop` over HTTP/2.
pub(crate) async fn upgrade(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let version = request.version();
    let admitted = admit(&endpoint, request).await;
    respond(&endpoint, version, admitted)
}

/// Accepts the handshake, or says why not.
pub(crate) fn respond(
    endpoint: &Endpoint,
    version: Version,
    admitted: Result<(Handshake, Connection), Refusal>,
) -> Response {
    match admitted {
        Ok((handshake, connection)) => handshake.accept(connection),
        Err(refusal) => {
            endpoint.provider.note(refusal.event());
            let mut response = refusal.into_response();
            if version == Version::HTTP_2 {
                // These two exist in HTTP/1.1 only (RFC 9113, 8.2.2).
                response.headers_mut().remove(CONNECTION);
                response.headers_mut().remove(UPGRADE);
            }
            response
        }
    }
}

/// The checks. A [`Connection`] exists only when all have passed.
async fn admit(endpoint: &Endpoint, mut request: Request) -> Result<(Handshake, Connection), Refusal> {
    let handshake = Handshake::of(&mut request)?;
    let request = receive(endpoint, request).await?;
    let role = role(&request);
    let session = authenticate::run(&*endpoint.authenticator, request, endpoint.authenticate_timeout).await?;
    let connection = endpoint.provider.connect(session, role)?;
    Ok((handshake, connection))
}

/// The request as the authenticator sees it, if the authenticator may be asked at all.
///
/// # Errors
///
/// 503 while shutting down, 403 for a page of a foreign origin.
pub(crate) async fn receive(endpoint: &Endpoint, mut request: Request) -> Result<UpgradeRequest, Refusal> {
    if endpoint.provider.is_closing() {
        return Err(Refusal::unavailable().because("the provider is shutting down"));
    }
    let peer = request.extract_parts::<ConnectInfo<SocketAddr>>().await.ok().map(|ConnectInfo(peer)| peer);
    let request = UpgradeRequest::new(request.into_parts().0, peer);
    let address = endpoint.public_address(&request.headers, &request.uri);
    endpoint.origins.check(&request.headers, address.as_ref())?;
    Ok(request)
}

/// The role that the URL asks for: `?slop_role=provider&mount=ui` is a browser tab, anything else is a consumer.
fn role(request: &UpgradeRequest) -> Role {
    match request.query("slop_role").as_deref() {
        Some("provider") => Role::Tab { mount: request.query("mount").unwrap_or_else(|| DEFAULT_MOUNT.to_owned()) },
        _ => Role::Consumer,
    }
}
