//! Who is it? Asked once per connection, before anything is said (wire contract 1.0).

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{FORWARDED, VIA};
use futures_util::FutureExt;
use grove_engine::Session;

use crate::public_address::PublicAddress;
use crate::refusal::Refusal;
use crate::upgrade_request::UpgradeRequest;

/// The session of a request, or why there is none; what [`Authenticator::authenticate`] returns.
pub type Authenticating = Pin<Box<dyn Future<Output = Result<Session, Refusal>> + Send>>;

/// Turns an upgrade request into the session that the connection will show, for good.
///
/// Most applications need only [`authenticate_with`]; implement the trait when the authenticator is a type of its own.
pub trait Authenticator: Send + Sync + 'static {
    /// Finds the session of `request`.
    ///
    /// It may take as long as [`Slop::authenticate_timeout`](crate::Slop::authenticate_timeout) and holds up nobody
    /// else, as long as it waits and does not block its thread: look things up in `tokio::task::spawn_blocking` where
    /// the library blocks. A panic is a 503, and its message goes nowhere near the peer.
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating;
}

impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating {
        (**self).authenticate(request)
    }
}

/// An authenticator of one async function.
///
/// ```
/// use grove_axum::{Refusal, UpgradeRequest, authenticate_with};
/// use grove_engine::Session;
///
/// let authenticator = authenticate_with(|request: UpgradeRequest| async move {
///     let token = request.bearer().ok_or_else(Refusal::unauthorized)?;
///     Ok(Session::new(token).with_user("alice"))
/// });
/// # let _ = authenticator;
/// ```
pub fn authenticate_with<F, Fut>(function: F) -> impl Authenticator
where
    F: Fn(UpgradeRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Session, Refusal>> + Send + 'static,
{
    AuthenticateWith(function)
}

struct AuthenticateWith<F>(F);

impl<F, Fut> Authenticator for AuthenticateWith<F>
where
    F: Fn(UpgradeRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Session, Refusal>> + Send + 'static,
{
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating {
        (self.0)(request).boxed()
    }
}

/// No users: whoever connects from this machine is the one session `local`. For desktop and command-line servers.
///
/// A peer is from this machine when its address is a loopback address *and* the request neither came through a proxy
/// (whose address proves nothing about who is behind it) *nor* was sent to a name other than this machine's (a web page
/// whose host name was made to resolve to 127.0.0.1). All others get 401.
///
/// The address is known only if the router is served with `into_make_service_with_connect_info::<SocketAddr>()`;
/// without it everybody is refused, and the observers are told so.
pub fn anonymous() -> impl Authenticator {
    authenticate_with(|request: UpgradeRequest| async move {
        from_this_machine(&request).map_err(|reason| Refusal::unauthorized().because(reason))?;
        Ok(Session::new("local"))
    })
}

/// # Errors
///
/// What speaks against it.
fn from_this_machine(request: &UpgradeRequest) -> Result<(), &'static str> {
    let peer = request.peer.ok_or(
        "the peer's address is unknown; serve the router with into_make_service_with_connect_info::<SocketAddr>()",
    )?;
    if !peer.ip().to_canonical().is_loopback() {
        return Err("the peer is not on this machine, and there is no authenticator for others");
    }
    let through_proxy = [FORWARDED.as_str(), VIA.as_str(), "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
    if through_proxy.iter().any(|header| request.headers.contains_key(*header)) {
        return Err("the request came through a proxy, so its loopback address proves nothing");
    }
    match PublicAddress::of(&request.headers, &request.uri, false) {
        Some(address) if address.is_loopback() => Ok(()),
        _ => Err("the request was sent to a host name that is not this machine's"),
    }
}

/// Asks `authenticator`, for at most `timeout`.
///
/// # Errors
///
/// Its refusal, or 503 when it took too long or panicked.
pub(crate) async fn run(
    authenticator: &dyn Authenticator,
    request: UpgradeRequest,
    timeout: Duration,
) -> Result<Session, Refusal> {
    // The call is inside the future, so that a panic before the first await is caught as well.
    let asking = AssertUnwindSafe(async { authenticator.authenticate(request).await }).catch_unwind();
    match tokio::time::timeout(timeout, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(Refusal::unavailable().because("the authenticator panicked")),
        Err(_elapsed) => Err(Refusal::unavailable().because("the authenticator took too long")),
    }
}
