//! Access tokens as credentials beside others.

use std::sync::Arc;

use futures_util::FutureExt;
use grove_axum::{Authenticating, Authenticator, Refusal, UpgradeRequest};

use super::{Inner, Peers};
use crate::access_token::{PREFIX, digest};

impl Peers {
    /// An authenticator that knows the access tokens of peers, and asks another one about every other credential.
    pub fn authenticator<A: Authenticator>(&self, other: A) -> impl Authenticator + use<A> {
        PeersOr { inner: Arc::clone(&self.inner), other: Arc::new(other) }
    }
}

/// The authenticator that knows access tokens.
struct PeersOr<A> {
    inner: Arc<Inner>,
    other: Arc<A>,
}

impl<A: Authenticator> Authenticator for PeersOr<A> {
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating {
        let token = request.query("token").or_else(|| request.bearer()).filter(|token| token.starts_with(PREFIX));
        let Some(token) = token else { return self.other.authenticate(request) };
        let registry = self.inner.registry.lock();
        let entry = registry.of_token(&digest(&token)).and_then(|number| registry.get(number));
        let session = entry.map(|entry| entry.session.clone());
        let unknown = || Refusal::unauthorized().because("the access token is not known");
        std::future::ready(session.ok_or_else(unknown)).boxed()
    }
}
