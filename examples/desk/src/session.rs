//! The engine session of a login.

use grove_engine::Session;

use crate::store::Login;

/// The permission that a session has unless its person is a viewer.
pub(crate) const WRITE: &str = "write";

/// The engine's session for a login. It carries the login's public id, never its secret.
pub(crate) fn session_of(login: &Login) -> Session {
    let Login { id, person, expires } = login;
    let session = Session::new(id.as_str())
        .with_user(person.name.as_str())
        .with_attribute("org", person.org.as_str())
        .with_attribute("role", person.role.as_str())
        .with_attribute("display", person.display.as_str());
    let session = if person.role.may_write() { session.with_permission(WRITE) } else { session };
    match expires {
        Some(moment) => session.with_expiry(moment.to_system_time()),
        None => session,
    }
}
