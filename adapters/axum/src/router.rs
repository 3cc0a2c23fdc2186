//! The routes, and the options they take.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::routing::{get, post};
use grove_engine::Provider;

use crate::admission;
use crate::authenticate::Authenticator;
use crate::browser;
use crate::discovery;
use crate::origin::Origins;
use crate::public_address::PublicAddress;
use crate::renewal;

/// Where the endpoint is unless [`Slop::path`] says otherwise (wire contract 1.0).
pub(crate) const DEFAULT_PATH: &str = "/slop";

/// `GET /slop`, `POST /slop/renew`, its pages' modules `/slop/tab.js` and `/slop/consumer.js`, and
/// `GET /.well-known/slop` with the default options; merge it into any application.
///
/// The options are those of [`Slop`].
pub fn router<S>(provider: impl Provider, authenticator: impl Authenticator) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Slop::new(provider, authenticator).router()
}

/// The endpoint with its options; [`Slop::router`] makes it routes.
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
#[derive(Clone)]
#[must_use = "options do nothing until `router` makes routes of them"]
pub struct Slop {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) path: String,
    pub(crate) origins: Origins,
    pub(crate) authenticate_timeout: Duration,
    pub(crate) announced: Option<String>,
    pub(crate) trust_forwarded: bool,
}

impl Slop {
    /// The endpoint of `provider` for whom `authenticator` lets in, at `/slop`, for non-browsers and pages of the same
    /// origin, with the authentication time of the provider's configuration.
    pub fn new(provider: impl Provider, authenticator: impl Authenticator) -> Self {
        let authenticate_timeout = provider.config().times.authentication_timeout;
        Self {
            provider: Arc::new(provider),
            authenticator: Arc::new(authenticator),
            path: DEFAULT_PATH.to_owned(),
            origins: Origins::default(),
            authenticate_timeout,
            announced: None,
            trust_forwarded: false,
        }
    }

    /// Serves the WebSocket endpoint at `path` instead of `/slop`, renewals at `{path}/renew`, and the pages' modules at
    /// `{path}/tab.js` and `{path}/consumer.js`. The discovery document stays where it is.
    ///
    /// # Panics
    ///
    /// If `path` does not start with `/` or holds route parameters: its URL is announced, so it must be one path.
    #[track_caller]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        let literal = path.starts_with('/') && !path.contains(['{', '}', '?', '#', ' ']);
        assert!(literal, "the endpoint's path must be literal and start with `/`, such as `/slop`; it is `{path}`");
        self.path = path;
        self
    }

    /// Lets browser pages or extensions of another origin connect, such as `https://app.example` or
    /// `chrome-extension://<id>`. Call it once per origin; `null` lets sandboxed pages and local files in.
    ///
    /// Requests without an `Origin` (they are not from browsers) and those of the same origin need no entry.
    ///
    /// # Panics
    ///
    /// If `origin` is not `scheme://host[:port]` or `null`. There are no wildcards.
    #[track_caller]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.origins.allow(origin);
        self
    }

    /// How long the authenticator may take; then the upgrade is refused with 503.
    pub fn authenticate_timeout(mut self, timeout: Duration) -> Self {
        self.authenticate_timeout = timeout;
        self
    }

    /// Believes `Forwarded` and `X-Forwarded-Proto`/`-Host` about the public scheme and host, in the discovery
    /// document and when origins are compared.
    ///
    /// Only for servers that are reached through a proxy alone, one which *overwrites* these headers: whoever may set
    /// them may name any host as ours.
    pub fn trust_forwarded(mut self, trust: bool) -> Self {
        self.trust_forwarded = trust;
        self
    }

    /// Announces this URL in the discovery document, whatever host a request names. The way to say `wss` when this
    /// process speaks TLS itself.
    ///
    /// # Panics
    ///
    /// If `url` does not start with `ws://` or `wss://`.
    #[track_caller]
    pub fn announce(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        let socket = url.starts_with("ws://") || url.starts_with("wss://");
        assert!(socket, "the announced URL must be absolute and start with `ws://` or `wss://`; it is `{url}`");
        self.announced = Some(url);
        self
    }

    /// The endpoint's URL as a page's visitor must dial it, from that page's request; for [`meta_tag`].
    ///
    /// `None` when the request names no valid host.
    ///
    /// [`meta_tag`]: crate::meta_tag
    #[must_use]
    pub fn public_url(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        match &self.announced {
            Some(url) => Some(url.clone()),
            None => self.public_address(headers, uri).map(|address| address.websocket_url(&self.path)),
        }
    }

    /// The routes, ready to be merged into an application with any state.
    pub fn router<S>(self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let path = self.path.clone();
        Router::new()
            .route(&path, get(admission::upgrade))
            .route(&renewal::path(&path), post(renewal::renew))
            .route(discovery::PATH, get(discovery::describe))
            .with_state(Arc::new(self))
            .merge(browser::modules(&path))
    }

    /// Under which scheme and host the sender of a request sees this server.
    pub(crate) fn public_address(&self, headers: &HeaderMap, uri: &Uri) -> Option<PublicAddress> {
        PublicAddress::of(headers, uri, self.trust_forwarded)
    }
}

impl fmt::Debug for Slop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slop")
            .field("path", &self.path)
            .field("origins", &self.origins)
            .field("authenticate_timeout", &self.authenticate_timeout)
            .field("announced", &self.announced)
            .field("trust_forwarded", &self.trust_forwarded)
            .finish_non_exhaustive()
    }
}
