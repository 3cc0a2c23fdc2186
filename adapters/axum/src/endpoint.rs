//! One endpoint: a provider, its authenticator, and how the outside reaches them. The state of every route.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use grove_engine::Provider;

use crate::authenticate::Authenticator;
use crate::origin::Origins;
use crate::public_address::PublicAddress;

/// Where the endpoint is unless [`Slop::path`](crate::Slop::path) says otherwise (wire contract 1.0).
pub(crate) const DEFAULT_PATH: &str = "/slop";

/// What the handlers of one endpoint share. Built by [`Slop`](crate::Slop).
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) path: String,
    pub(crate) origins: Origins,
    pub(crate) authenticate_timeout: Duration,
    /// Announced instead of what the request suggests.
    pub(crate) announced_url: Option<String>,
    pub(crate) trust_forwarded: bool,
}

impl Endpoint {
    pub(crate) fn new(provider: impl Provider, authenticator: impl Authenticator) -> Self {
        let authenticate_timeout = provider.config().times.authentication_timeout;
        Self {
            provider: Arc::new(provider),
            authenticator: Arc::new(authenticator),
            path: DEFAULT_PATH.to_owned(),
            origins: Origins::default(),
            authenticate_timeout,
            announced_url: None,
            trust_forwarded: false,
        }
    }

    /// The scheme and host under which the sender of a request sees this server.
    pub(crate) fn public_address(&self, headers: &HeaderMap, uri: &Uri) -> Option<PublicAddress> {
        PublicAddress::of(headers, uri, self.trust_forwarded)
    }

    /// The URL of the WebSocket endpoint, for the sender of a request.
    pub(crate) fn public_url(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        match &self.announced_url {
            Some(url) => Some(url.clone()),
            None => self.public_address(headers, uri).map(|address| address.websocket_url(&self.path)),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("path", &self.path)
            .field("origins", &self.origins)
            .field("authenticate_timeout", &self.authenticate_timeout)
            .field("announced_url", &self.announced_url)
            .field("trust_forwarded", &self.trust_forwarded)
            .finish_non_exhaustive()
    }
}
