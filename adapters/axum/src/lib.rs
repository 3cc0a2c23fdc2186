//! Serves a [Grove](grove_engine) provider in an [axum] application: one WebSocket endpoint for AI consumers and
//! browser tabs, the module that makes a page such a tab, and one discovery document.
//!
//! ```
//! use grove_axum::{Refusal, UpgradeRequest, authenticate_with};
//! use grove_engine::{Descriptor, Engine, Session};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let engine = Engine::builder("desk", "Desk").build();
//! engine.register("greeting", |session: &Session| {
//!     Descriptor::new("status").prop("for", session.user().unwrap_or("nobody"))
//! });
//! let authenticator = authenticate_with(|request: UpgradeRequest| async move {
//!     match request.credential("session").as_deref() {
//!         Some("s3cret") => Ok(Session::new("s3cret").with_user("alice")),
//!         _ => Err(Refusal::unauthorized()),
//!     }
//! });
//! let app: axum::Router = axum::Router::new().merge(grove_axum::router(engine, authenticator));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let server = tokio::spawn(async { axum::serve(listener, app).await });
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! `ws://…/slop?token=s3cret` now shows alice her tree, and nobody else anything.
//!
//! # Pages
//!
//! A page publishes nodes of its own, which only its own session's AI sees, under `/ui/tab-N`. It needs no build step:
//!
//! ```html
//! <script type="module">
//!   import { publish } from "/slop/tab.js";
//!   const tab = publish({ name: "Inbox" });
//!   tab.set("route", {
//!     type: "status",
//!     props: { path: location.pathname },
//!     actions: { navigate: { params: { to: "string" }, handler: ({ to }) => go(to) } },
//!   });
//! </script>
//! ```
//!
//! The manual is `browser/tab.d.ts` of this crate; `examples/tabs` is a whole page.
//!
//! # What happens at an upgrade
//!
//! ```text
//! GET /slop -> is it a WebSocket upgrade?       426
//!           -> is the provider shutting down?   503
//!           -> may this Origin connect?         403   Slop::allow_origin
//!           -> who is it?                       401   Authenticator; 503 if it is slow or panics
//!           -> has the provider room for it?    503   (400 bad mount, 401 expired or revoked)
//!           -> 101, then hello
//! ```
//!
//! Nothing of the protocol, not even `hello`, is written before the last step (wire contract 1.0). Every refusal is
//! also reported to the engine's observers.
//!
//! # What happens at a renewal
//!
//! A connection lives no longer than the authentication behind it. `POST /slop/renew` with a new credential asks the
//! same [`Authenticator`] under the same Origin rule, and the session goes on with the claims and the expiry that it
//! answers, while the sockets stay: 200 and `{"expires_in_ms": N}`, or `{}` if it has no end. 409 says that no such
//! session is open, or that it is somebody else's; the other refusals are those of an upgrade.
//!
//! # Serving it well
//!
//! - [`anonymous`] and [`UpgradeRequest::peer`] need the peer's address: serve the router with
//!   `into_make_service_with_connect_info::<SocketAddr>()`.
//! - End it with [`Drain`], and let an orchestrator ask [`health`].
//! - Give the listener `TCP_NODELAY` (`ListenerExt::tap_io`), else a patch may wait for the acknowledgement of the one
//!   before it.
//! - Behind a proxy that *overwrites* `Forwarded` or `X-Forwarded-*`, say so with [`Slop::trust_forwarded`].
//! - A session cookie should be `SameSite=Lax` or `Strict`, `HttpOnly` and `Secure`. The Origin rule guards the
//!   endpoint even when it is not.
//! - Upgrades are HTTP/1.1. Over HTTP/2 the endpoint answers 426.

mod admission;
mod authenticate;
mod authority;
mod browser;
mod discovery;
mod drain;
mod gate;
mod health;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(unix)]
mod local_descriptor;
#[cfg(feature = "metrics")]
mod metrics;
mod opaque;
mod origin;
mod public_address;
mod refusal;
mod renewal;
mod router;
mod socket;
mod upgrade_request;

pub use authenticate::{Authenticating, Authenticator, anonymous, authenticate_with};
pub use discovery::{meta_tag, public_url};
pub use drain::{Drain, Stop, shutdown_signal};
pub use health::health;
#[cfg(feature = "jwt")]
pub use jwt::{Algorithm, DecodingKey, JwksError, Jwt, JwtKeySet, JwtKeys, JwtRules};
#[cfg(unix)]
pub use local_descriptor::LocalDescriptor;
#[cfg(feature = "metrics")]
pub use metrics::metrics;
pub use opaque::{IntoLookup, opaque};
pub use refusal::Refusal;
pub use router::{Slop, router};
pub use upgrade_request::UpgradeRequest;

/// The code of the guide, compiled and run.
#[cfg(all(doctest, feature = "jwt", feature = "metrics"))]
mod guide {
    #[doc = include_str!("../../../docs/guide/start.md")]
    mod start {}

    #[doc = include_str!("../../../docs/guide/sessions.md")]
    mod sessions {}

    #[doc = include_str!("../../../docs/guide/authentication.md")]
    mod authentication {}

    #[doc = include_str!("../../../docs/guide/tabs.md")]
    mod tabs {}

    #[doc = include_str!("../../../docs/guide/consumers.md")]
    mod consumers {}

    #[doc = include_str!("../../../docs/guide/choosing-a-mode.md")]
    mod choosing_a_mode {}

    #[doc = include_str!("../../../docs/guide/security.md")]
    mod security {}

    #[doc = include_str!("../../../docs/guide/operations.md")]
    mod operations {}

    #[doc = include_str!("../../../docs/testing.md")]
    mod testing {}
}
