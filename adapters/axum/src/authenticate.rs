//! Authenticators: whose session is a connection? Decided once, before anything is sent (wire contract 1.0).

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

/// The future that [`Authenticator::authenticate`] returns: the session of a request, or why it is refused.
pub type Authenticating = Pin<Box<dyn Future<Output = Result<Session, Refusal>> + Send>>;

/// Turns an upgrade request into the session to which the connection is bound for its whole life.
///
/// Most applications need only [`authenticate_with`]; implement the trait when the authenticator is a type of its own.
pub trait Authenticator: Send + Sync + 'static {
    /// Finds the session of `request`.
    ///
    /// It may take as long as [`Slop::authenticate_timeout`](crate::Slop::authenticate_timeout) and delays no one else,
    /// provided that it does not block its thread: use `tokio::task::spawn_blocking` for libraries that block. A panic
    /// becomes a 503, and its message is never sent to the peer.
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating;
}

impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating {
        (**self).authenticate(request)
    }
}

/// An authenticator made from one async function.
///
/// ```
/// use grove_axum::{Refusal, UpgradeRequest, authenticate_with};
/// use grove_engine::Session;
///
/// let authenticator = authenticate_with(|request: UpgradeRequest| async move {
///     let token = request.bearer().ok_or_else(Refusal::unauthorized)?;
///     let login = find_login(&token).await.ok_or_else(Refusal::unauthorized)?;
///     // The session's id is the login's id, and never the token: ids appear in logs and events.
///     Ok(Session::new(login.id).with_user(login.user))
/// });
/// # let _ = authenticator;
/// # struct Login { id: String, user: String }
/// # async fn find_login(_: &str) -> Option<Login> { None }
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

/// No users: everyone who connects from this machine shares the one session `local`. For desktop and command-line
/// servers.
///
/// A peer is on this machine when its address is a loopback address *and* the request neither came through a proxy
/// (whose address proves nothing about who is behind it) *nor* was sent to a host name other than this machine's (as by
/// a web page whose host name was made to resolve to 127.0.0.1). Everyone else gets 401.
///
/// The address is known only if the application is served with [`serve`](crate::serve), or with
/// `into_make_service_with_connect_info::<SocketAddr>()`. Without it everyone is refused, and the observers are told why.
///
/// # What it cannot see
///
/// A TCP forwarder on this machine, such as `ssh -R`, a published container port or `stunnel`, looks like a local peer,
/// and whoever is behind it can send any `Host`. So do not forward the port of such a server. Every local user can
/// connect as well. If either matters, let an authenticator compare a random token instead, and publish the URL with
/// the token in a [`LocalDescriptor`](crate::LocalDescriptor), which only its user can read.
pub fn anonymous() -> impl Authenticator {
    authenticate_with(|request: UpgradeRequest| async move {
        check_is_local(&request).map_err(|reason| Refusal::unauthorized().because(reason))?;
        Ok(Session::new("local"))
    })
}

/// # Errors
///
/// Why the peer cannot be taken for a local one.
fn check_is_local(request: &UpgradeRequest) -> Result<(), &'static str> {
    let peer = request.peer.ok_or(
        "the peer's address is unknown; use grove_axum::serve, or into_make_service_with_connect_info::<SocketAddr>()",
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

/// Runs `authenticator` for at most `timeout`.
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
    let authenticating = AssertUnwindSafe(async { authenticator.authenticate(request).await }).catch_unwind();
    match tokio::time::timeout(timeout, authenticating).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Refusal::unavailable().because("the authenticator panicked")),
        Err(_elapsed) => Err(Refusal::unavailable().because("the authenticator took too long")),
    }
}
