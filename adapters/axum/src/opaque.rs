//! Opaque credentials: the application looks them up.

use futures_util::FutureExt;
use grove_engine::Session;

use crate::authenticate::{Authenticating, Authenticator};
use crate::refusal::Refusal;
use crate::upgrade_request::UpgradeRequest;

/// An authenticator for session cookies and API tokens: it extracts the credential, and `lookup` finds its session.
///
/// The credential is taken from `?token=`, else from `Authorization: Bearer`, else from the cookie `cookie_name`. If
/// there is none, or `lookup` knows no session for it, the response is a 401 that does not say which. `lookup` may also
/// fail with a [`Refusal`], such as [`Refusal::unavailable`] when the database cannot be reached.
///
/// Give the session an id of its own. The credential must not be the id: ids appear in logs and events.
///
/// ```
/// use grove_axum::opaque;
/// use grove_engine::Session;
///
/// # async fn session_of(token: String) -> Option<(String, String)> { None }
/// let authenticator = opaque("desk_session", |token: String| async move {
///     let (login, user) = session_of(token).await?;
///     Some(Session::new(login).with_user(user))
/// });
/// # let _ = authenticator;
/// ```
pub fn opaque<F, Fut>(cookie_name: impl Into<String>, lookup: F) -> impl Authenticator
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoLookup> + Send + 'static,
{
    Opaque { cookie_name: cookie_name.into(), lookup }
}

/// A lookup's result: `Option<Session>`, or `Result<Option<Session>, Refusal>` if it can fail.
pub trait IntoLookup {
    /// The session, if there is one.
    ///
    /// # Errors
    ///
    /// Why the lookup failed.
    fn into_lookup(self) -> Result<Option<Session>, Refusal>;
}

impl IntoLookup for Option<Session> {
    fn into_lookup(self) -> Result<Option<Session>, Refusal> {
        Ok(self)
    }
}

impl IntoLookup for Result<Option<Session>, Refusal> {
    fn into_lookup(self) -> Self {
        self
    }
}

struct Opaque<F> {
    cookie_name: String,
    lookup: F,
}

impl<F, Fut> Authenticator for Opaque<F>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoLookup> + Send + 'static,
{
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating {
        let lookup = request.nonempty_credential(&self.cookie_name).map(&self.lookup);
        async move {
            let lookup = lookup.ok_or_else(|| Refusal::unauthorized().because("there is no credential"))?;
            let found = lookup.await.into_lookup()?;
            found.ok_or_else(|| Refusal::unauthorized().because("the credential is not known"))
        }
        .boxed()
    }
}
