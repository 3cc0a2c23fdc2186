//! One endpoint: a provider, its authenticator, and how the outside reaches them. The state of every route.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use grove_engine::Provider;

use crate::authenticate::Authenticator;
use crate::origin::Origins;
use crate::public_address::{self, PublicAddress};

/// Where the endpoint is unless [`Slop::path`](crate::Slop::path) says otherwise (wire contract 1.0).
pub(crate) const DEFAULT_PATH: &str = "/slop";

/// The path of the discovery document below the endpoint's directory (RFC 8615).
const WELL_KNOWN: &str = "/.well-known/slop";

/// What the handlers of one endpoint share. Built by [`Slop`](crate::Slop).
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) path: String,
    /// Where the discovery document is, if not beside the endpoint.
    pub(crate) discovery_path: Option<String>,
    /// The public path in front of all routes, if it was given instead of read from requests.
    pub(crate) public_prefix: Option<String>,
    pub(crate) origins: Origins,
    pub(crate) authenticate_timeout: Duration,
    /// Announced instead of what the request suggests.
    pub(crate) announced_url: Option<String>,
    pub(crate) trust_forwarded: bool,
    /// Present if they are served over HTTP as well.
    #[cfg(feature = "rooms")]
    pub(crate) rooms: Option<grove_engine::Rooms>,
}

impl Endpoint {
    pub(crate) fn new(provider: impl Provider, authenticator: impl Authenticator) -> Self {
        let authenticate_timeout = provider.config().times.authentication_timeout;
        Self {
            provider: Arc::new(provider),
            authenticator: Arc::new(authenticator),
            path: DEFAULT_PATH.to_owned(),
            discovery_path: None,
            public_prefix: None,
            origins: Origins::default(),
            authenticate_timeout,
            announced_url: None,
            trust_forwarded: false,
            #[cfg(feature = "rooms")]
            rooms: None,
        }
    }

    /// The scheme and host under which the sender of a request sees this server.
    pub(crate) fn public_address(&self, headers: &HeaderMap, uri: &Uri) -> Option<PublicAddress> {
        PublicAddress::of(headers, uri, self.trust_forwarded)
    }

    /// The URL of the WebSocket endpoint, for the sender of a request. `mount` is the path under which these routes are
    /// nested in the application.
    pub(crate) fn public_url(&self, headers: &HeaderMap, uri: &Uri, mount: &str) -> Option<String> {
        if let Some(url) = &self.announced_url {
            return Some(url.clone());
        }
        let address = self.public_address(headers, uri)?;
        Some(address.websocket_url(&format!("{}{}", self.public_prefix(headers, mount), self.path)))
    }

    /// The public path in front of routes that are nested under `mount`.
    pub(crate) fn public_prefix(&self, headers: &HeaderMap, mount: &str) -> String {
        match &self.public_prefix {
            Some(prefix) => prefix.clone(),
            None => format!("{}{mount}", self.forwarded_prefix(headers).unwrap_or_default()),
        }
    }

    /// The path that a proxy has removed from the request, if it says so and is trusted.
    fn forwarded_prefix<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        if self.trust_forwarded { public_address::forwarded_prefix(headers) } else { None }
    }

    /// The path of the discovery document: beside the endpoint, so that two endpoints in one application have one each.
    pub(crate) fn discovery_path(&self) -> String {
        let beside = || format!("{}{WELL_KNOWN}", self.directory());
        self.discovery_path.clone().unwrap_or_else(beside)
    }

    /// The directory that the endpoint is in, without a `/` at its end: empty for `/slop`.
    pub(crate) fn directory(&self) -> &str {
        self.path.trim_end_matches('/').rsplit_once('/').unwrap_or_default().0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("path", &self.path)
            .field("discovery_path", &self.discovery_path)
            .field("public_prefix", &self.public_prefix)
            .field("origins", &self.origins)
            .field("authenticate_timeout", &self.authenticate_timeout)
            .field("announced_url", &self.announced_url)
            .field("trust_forwarded", &self.trust_forwarded)
            .finish_non_exhaustive()
    }
}
