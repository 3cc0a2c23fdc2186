//! What an application serves.

use axum::Router;
use grove_axum::Authenticator;

use super::Peers;
use crate::routes;

impl Peers {
    /// The routes: the link `GET /peers`, and `GET /v1/peers` and `DELETE /v1/peers/{participant}` for those whom the
    /// authenticator knows; usually that of [`Peers::authenticator`].
    pub fn routes<S: Clone + Send + Sync + 'static>(&self, authenticator: impl Authenticator) -> Router<S> {
        routes::routes(&self.inner, authenticator)
    }
}
