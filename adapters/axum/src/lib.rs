//! Serves a [Grove](grove_engine) provider in an [axum] application: one WebSocket endpoint for AI consumers and
//! browser tabs, the modules that make a page a tab or a consumer, and a discovery document.
//!
//! ```
//! use grove_axum::opaque;
//! use grove_engine::{Descriptor, Engine, Session};
//!
//! /// Looks up the login to which a session cookie or an API token belongs.
//! async fn session_of(credential: String) -> Option<Session> {
//!     // The session has an id of its own: ids appear in logs and events, a credential must not.
//!     (credential == "s3cret").then(|| Session::new("login-17").with_user("alice"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let engine = Engine::builder("desk", "Desk").build();
//! engine.register("greeting", |session: &Session| {
//!     Descriptor::new("status").prop("for", session.user().unwrap_or("nobody"))
//! });
//! let routes = grove_axum::router(engine, opaque("session", session_of));
//! let app: axum::Router = axum::Router::new().merge(routes);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let server = tokio::spawn(grove_axum::serve(listener, app, grove_axum::shutdown_signal()));
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! `ws://…/slop?token=s3cret` now shows alice her tree, and shows anyone else nothing.
//!
//! # Pages
//!
//! A page publishes nodes of its own under `/ui/tab-N`, which only its own session's AI sees. It needs no build step:
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
//! `browser/tab.d.ts` of this crate documents the module; `examples/tabs` is a complete page.
//!
//! # What happens at an upgrade
//!
//! ```text
//! GET /slop -> is it a WebSocket upgrade?       426
//!           -> is the provider shutting down?   503
//!           -> may this Origin connect?         403   Slop::allow_origin
//!           -> whose session is it?             401   Authenticator; 503 if it is slow or panics
//!           -> is a limit reached?              503   (400 bad mount, 401 expired or revoked)
//!           -> 101, then hello
//! ```
//!
//! Nothing of the protocol, not even `hello`, is sent before the last step (wire contract 1.0). Every refusal is also
//! reported to the engine's observers.
//!
//! # What happens at a renewal
//!
//! A connection lives no longer than its authentication. `POST /slop/renew` with a new credential runs the same
//! [`Authenticator`] under the same Origin rule. The session continues with the claims and the expiry that it returns,
//! and its sockets stay open. The response is 200 with `{"expires_in_ms": N}`, or `{}` if the session does not expire.
//! 409 means that no such session is open, or that it belongs to someone else; the other refusals are those of an
//! upgrade.
//!
//! # Rooms over HTTP
//!
//! With the feature `rooms`, `Slop::rooms` serves the rooms of an engine below `/v1`, with streams of events, and agents
//! that run elsewhere connect to `/agents`.
//!
//! # In production
//!
//! - Use [`serve`]. It sets `TCP_NODELAY`, without which a patch may wait for the acknowledgement of the previous one,
//!   times out clients that send no complete request, and provides the peer's address, which [`anonymous`] and
//!   [`UpgradeRequest::peer`] need.
//! - Shut down with [`Drain`], and let the orchestrator query [`health`].
//! - Behind a proxy that *overwrites* `Forwarded` or `X-Forwarded-*`, use [`Slop::trust_forwarded`].
//! - A session cookie should be `SameSite=Lax` or `Strict`, `HttpOnly` and `Secure`. The Origin rule protects the
//!   endpoint even when it is not.
//! - With the feature `http2`, WebSocket works over HTTP/2 as well (RFC 8441).

mod admission;
#[cfg(feature = "rooms")]
mod agents;
mod authenticate;
mod authority;
mod browser;
mod discovery;
mod drain;
mod endpoint;
mod frame_batch;
mod frame_counter;
mod frame_stream;
mod handshake;
mod header_list;
mod health;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(unix)]
mod local_descriptor;
#[cfg(feature = "metrics")]
mod metrics;
mod opaque;
mod origin;
#[cfg(unix)]
mod private_directory;
mod public_address;
mod refusal;
mod renewal;
#[cfg(feature = "rooms")]
mod rooms;
mod router;
mod serve;
mod shutdown_signal;
mod socket;
mod upgrade_request;

pub use authenticate::{Authenticating, Authenticator, anonymous, authenticate_with};
pub use discovery::{meta_tag, public_url};
pub use drain::{Drain, Stop};
pub use health::health;
#[cfg(feature = "jwt")]
pub use jwt::{Algorithm, Jwt, JwtKeyError, JwtKeySet, JwtKeys, JwtRules};
#[cfg(unix)]
pub use local_descriptor::LocalDescriptor;
#[cfg(feature = "metrics")]
pub use metrics::metrics;
pub use opaque::{IntoLookup, opaque};
pub use refusal::Refusal;
pub use router::{Slop, router};
pub use serve::serve;
pub use shutdown_signal::shutdown_signal;
pub use upgrade_request::UpgradeRequest;

/// The code in the guide, compiled and run.
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

    #[doc = include_str!("../../../docs/guide/rooms.md")]
    mod rooms {}

    #[doc = include_str!("../../../docs/guide/keeping-rooms.md")]
    mod keeping_rooms {}

    #[cfg(feature = "rooms")]
    #[doc = include_str!("../../../docs/guide/agents.md")]
    mod agents {}

    #[doc = include_str!("../../../docs/guide/consumers.md")]
    mod consumers {}

    #[doc = include_str!("../../../docs/guide/choosing-a-mode.md")]
    mod choosing_a_mode {}

    #[doc = include_str!("../../../docs/guide/security.md")]
    mod security {}

    #[doc = include_str!("../../../docs/guide/operations.md")]
    mod operations {}

    #[cfg(feature = "rooms")]
    #[doc = include_str!("../../../docs/guide/rooms-over-http.md")]
    mod rooms_over_http {}

    #[doc = include_str!("../../../docs/guide/clusters.md")]
    mod clusters {}

    #[doc = include_str!("../../../docs/testing.md")]
    mod testing {}
}
