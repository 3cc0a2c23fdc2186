//! Who acts, and on what.

use std::str::FromStr;

use grove_engine::{ActionError, Session};

use crate::desk::Desk;
use crate::error::{DeskError, Result};
use crate::people::Person;
use crate::session::WRITE;

/// The login name of the session's user. A session without one has an empty desk.
pub(super) fn user(session: &Session) -> &str {
    session.user().unwrap_or_default()
}

/// The person who acts, as the store knows them now. Every handler checks again, although a viewer's tree offers no
/// actions: the tree decides what is shown, not what is allowed.
pub(super) fn actor(desk: &Desk, session: &Session) -> Result<Person, ActionError> {
    if !session.can(WRITE) {
        return Err(DeskError::ViewOnly.into());
    }
    let person = desk.store().person(user(session))?;
    person.ok_or_else(|| ActionError::unauthorized("No one of this name works here any more."))
}

/// Reads the id of a node, as in `/tasks/t12`.
pub(super) fn id<Id: FromStr>(kind: &str, text: &str) -> Result<Id, ActionError> {
    text.parse().map_err(|_| DeskError::no_such(kind, text).into())
}
