//! Credentials that say nothing by themselves: the application looks them up.

use futures_util::FutureExt;
use grove_engine::Session;

use crate::authenticate::{Authenticating, Authenticator};
use crate::refusal::Refusal;
use crate::upgrade_request::UpgradeRequest;

/// An authenticator for session cookies and API tokens: it finds the credential, and `lookup` finds whose it is.
///
/// The credential is taken from `?token=`, else from `Authorization: Bearer`, else from the cookie `cookie_name`. If
/// there is none, or `lookup` knows no session for it, the answer is a 401 that does not say which. `lookup` may also
/// fail with a [`Refusal`], such as [`Refusal::unavailable`] when the database cannot be reached.
///
/// Give the session an id of its own. The credential must not be the id: ids are in logs and events.
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

/// What a lookup may return: `Option<Session>`, or `Result<Option<Session>, Refusal>` if it can fail.
pub trait IntoLookup {
    /// The session, if there is one.
    ///
    /// # Errors
    ///
    /// Why it cannot be said.
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
        let looking = request.secret(&self.cookie_name).map(&self.lookup);
        async move {
            let looking = looking.ok_or_else(|| Refusal::unauthorized().because("there is no credential"))?;
            let found = looking.await.into_lookup()?;
            found.ok_or_else(|| Refusal::unauthorized().because("nobody has this credential"))
        }
        .boxed()
    }
}
