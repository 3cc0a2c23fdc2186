//! What the handlers of all forms have in common.

use axum::response::Redirect;

use crate::desk::Desk;
use crate::error::Result;
use crate::people::Person;
use crate::site::Site;
use crate::store::Login;

/// The handler of every form: writes as the person who is logged in, then redirects to the page.
pub(super) async fn write(
    site: Site,
    login: Login,
    work: impl FnOnce(&Desk, &Person) -> Result<()> + Send + 'static,
) -> Result<Redirect> {
    site.desk.run(move |desk| work(desk, &login.person)).await?;
    Ok(Redirect::to("/"))
}
