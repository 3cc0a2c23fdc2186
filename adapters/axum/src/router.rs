//! The routes, and the options they take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::routing::{get, post};
use grove_engine::Provider;

use crate::admission;
#[cfg(feature = "rooms")]
use crate::agents;
use crate::authenticate::Authenticator;
use crate::browser;
use crate::discovery;
use crate::endpoint::Endpoint;
use crate::renewal;
#[cfg(feature = "rooms")]
use crate::rooms;

/// `GET /slop`, `POST /slop/renew`, the modules for pages `/slop/tab.js` and `/slop/consumer.js`, and
/// `GET /.well-known/slop`, with the default options. Merge it into any application.
///
/// [`Slop`] has the options.
pub fn router<S>(provider: impl Provider, authenticator: impl Authenticator) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Slop::new(provider, authenticator).router()
}

/// Builder for the endpoint's routes, with its options.
///
/// ```
/// # use grove_engine::Engine;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let engine = Engine::builder("desk", "Desk").build();
/// let routes: axum::Router = grove_axum::Slop::new(engine, grove_axum::anonymous())
///     .allow_origin("https://desk.example")
///     .allow_origin("chrome-extension://abcdefghijklmnopabcdefghijklmnop")
///     .trust_forwarded(true)
///     .router();
/// # let _ = routes;
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `router` turns them into routes"]
pub struct Slop(Endpoint);

impl Slop {
    /// The endpoint of `provider` at `/slop`, for whoever `authenticator` lets in. Non-browsers and pages of the same
    /// origin may connect, and the authenticator may take as long as the provider's configuration says.
    pub fn new(provider: impl Provider, authenticator: impl Authenticator) -> Self {
        Self(Endpoint::new(provider, authenticator))
    }

    /// Serves the WebSocket endpoint at `path` instead of `/slop`, renewals at `{path}/renew`, and the modules for pages
    /// at `{path}/tab.js` and `{path}/consumer.js`. The discovery document is beside it: for `/mail/slop`, at
    /// `/mail/.well-known/slop`. So several endpoints can be merged into one application:
    ///
    /// ```
    /// # use grove_axum::{Slop, anonymous, router};
    /// # use grove_engine::Engine;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (desk, mail) = (Engine::builder("desk", "Desk").build(), Engine::builder("mail", "Mail").build());
    /// let app: axum::Router =
    ///     router(desk, anonymous()).merge(Slop::new(mail, anonymous()).path("/mail/slop").router());
    /// # let _ = app;
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `path` does not start with `/` or has route parameters: its URL is announced, so it must be one path.
    #[track_caller]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.0.path = literal("the endpoint's path", path.into());
        self
    }

    /// Serves the discovery document at `path` instead of beside the endpoint.
    ///
    /// # Panics
    ///
    /// If `path` does not start with `/` or has route parameters.
    #[track_caller]
    pub fn discovery_path(mut self, path: impl Into<String>) -> Self {
        self.0.discovery_path = Some(literal("the discovery document's path", path.into()));
        self
    }

    /// The public path in front of these routes, such as `/app`, for announced URLs.
    ///
    /// The discovery document needs it only behind a proxy that removes a prefix from the path without setting
    /// `X-Forwarded-Prefix`; the path of `Router::nest` is known from the request. [`Slop::public_url`] needs it in both
    /// cases, since the request for a page does not show where these routes are nested.
    ///
    /// # Panics
    ///
    /// If `prefix` does not start with `/` or has route parameters.
    #[track_caller]
    pub fn public_prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix = literal("the public prefix", prefix.into());
        self.0.public_prefix = Some(prefix.trim_end_matches('/').to_owned());
        self
    }

    /// Lets browser pages or extensions of another origin connect, such as `https://app.example` or
    /// `chrome-extension://<id>`. Call it once per origin; `null` lets sandboxed pages and local files in.
    ///
    /// Requests without an `Origin` (which do not come from browsers) and those of the same origin need no entry.
    ///
    /// # Panics
    ///
    /// If `origin` is not `scheme://host[:port]` or `null`. There are no wildcards.
    #[track_caller]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.0.origins.allow(origin);
        self
    }

    /// How long the authenticator may take. After that the upgrade is refused with 503.
    ///
    /// # Panics
    ///
    /// If it is zero: nobody could connect.
    #[track_caller]
    pub fn authenticate_timeout(mut self, timeout: Duration) -> Self {
        assert!(timeout > Duration::ZERO, "`authenticate_timeout` must be longer than zero: nobody could connect");
        self.0.authenticate_timeout = timeout;
        self
    }

    /// Trusts `Forwarded` and `X-Forwarded-Proto`/`-Host`/`-Prefix` for the public scheme, host and path, in the discovery
    /// document and when origins are compared.
    ///
    /// Only for servers that can be reached through a proxy alone, and only if that proxy *overwrites* these headers:
    /// whoever can set them can name any host as ours.
    pub fn trust_forwarded(mut self, trust: bool) -> Self {
        self.0.trust_forwarded = trust;
        self
    }

    /// Announces this URL in the discovery document, whatever host a request names. Use it to announce `wss` when this
    /// process speaks TLS itself.
    ///
    /// # Panics
    ///
    /// If `url` does not start with `ws://` or `wss://`.
    #[track_caller]
    pub fn announce(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        let websocket = url.starts_with("ws://") || url.starts_with("wss://");
        assert!(websocket, "the announced URL must be absolute and start with `ws://` or `wss://`; it is `{url}`");
        self.0.announced_url = Some(url);
        self
    }

    /// Serves rooms over HTTP as well: `/v1/rooms`, `/v1/presence` and what is below them, with streams of events, and
    /// `/v1/openapi.json`, which describes it all. Like the discovery document they are beside the endpoint: for
    /// `/mail/slop`, at `/mail/v1`.
    ///
    /// Whatever else is asked for below `/v1` is refused with 404 and a body; routes of the application may stand there if
    /// they begin with a literal segment of their own.
    ///
    /// Agents that run elsewhere connect to `/agents`, beside it as well: a session that may be the agent NAME has the
    /// permission `agent:NAME`, or `agent:*`.
    ///
    /// The same authenticator decides, under the same Origin rule. A cookie counts for a request that changes something
    /// only if the request names the origin of the page that sent it, as browsers do.
    ///
    /// ```
    /// # use grove_axum::{Slop, anonymous};
    /// # use grove_engine::{Engine, RoomOptions};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let engine = Engine::builder("desk", "Desk").rooms(RoomOptions::new()).build();
    /// let rooms = engine.rooms();
    /// let routes: axum::Router = Slop::new(engine, anonymous()).rooms(rooms).router();
    /// # let _ = routes;
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the engine was built without rooms.
    #[cfg(feature = "rooms")]
    #[track_caller]
    pub fn rooms(mut self, rooms: grove_engine::Rooms) -> Self {
        assert!(rooms.are_enabled(), "there are no rooms to serve: build the engine with `.rooms(RoomOptions::new())`");
        self.0.rooms = Some(rooms);
        self
    }

    /// The endpoint's URL as the visitor of a page must dial it, from the request for that page; for [`meta_tag`].
    ///
    /// `None` when the request names no valid host.
    ///
    /// [`meta_tag`]: crate::meta_tag
    #[must_use]
    pub fn public_url(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        self.0.public_url(headers, uri, "")
    }

    /// The routes, ready to be merged into an application with any state.
    pub fn router<S>(self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let path = self.0.path.clone();
        let endpoint = Arc::new(self.0);
        let routes = Router::new()
            .route(&path, get(admission::upgrade).connect(admission::upgrade))
            .route(&renewal::path(&path), post(renewal::renew))
            .route(&endpoint.discovery_path(), get(discovery::describe))
            .with_state(Arc::clone(&endpoint))
            .merge(browser::modules(&path));
        with_rooms(routes, &endpoint)
    }
}

/// Adds the routes of the rooms, if they are served.
#[cfg(feature = "rooms")]
fn with_rooms<S>(routes: Router<S>, endpoint: &Arc<Endpoint>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let Some(rooms) = endpoint.rooms.clone() else { return routes };
    let linked = agents::route(Arc::clone(endpoint), rooms.clone());
    let served = rooms::routes(Arc::clone(endpoint), rooms).merge(linked);
    match endpoint.directory() {
        "" => routes.merge(served),
        directory => routes.nest(directory, served),
    }
}

#[cfg(not(feature = "rooms"))]
fn with_rooms<S>(routes: Router<S>, _: &Arc<Endpoint>) -> Router<S> {
    routes
}

/// # Panics
///
/// If `path` is not a literal path.
#[track_caller]
fn literal(what: &str, path: String) -> String {
    let literal = path.starts_with('/') && !path.contains(['{', '}', '?', '#', ' ']);
    assert!(literal, "{what} must be literal and start with `/`, such as `/slop`; it is `{path}`");
    path
}
