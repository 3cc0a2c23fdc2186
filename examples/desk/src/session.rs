//! The engine sessions of a login: one for its AIs and tabs, and one for the person at the page of the board.
//!
//! An AI sees the tabs of its login because it is in the same session as they are. In the room of the board the person
//! and the AI stand beside each other, and so the page of the board has a session of its own.

use grove_engine::{ParticipantKind, Presence, Session};

use crate::people::Person;
use crate::store::Login;

/// The permission that a session has unless its person is a viewer.
pub(crate) const WRITE: &str = "write";

/// The session of a login's AIs and tabs. It carries the login's public id, never its secret.
pub(crate) fn session_of(login: &Login) -> Session {
    let card = Presence::new(format!("{}'s AI", login.person.display)).kind(ParticipantKind::Agent);
    claims(login.id.clone(), login).with_presence(card)
}

/// The session of the person in front of the page of the board.
pub(crate) fn person_session_of(login: &Login) -> Session {
    claims(person_session_id(&login.id), login).with_presence(Presence::new(login.person.display.as_str()))
}

/// The id of the person's session, by the login's. No login has such an id.
pub(crate) fn person_session_id(login: &str) -> String {
    format!("{login}-person")
}

/// What every session of a person says about the person.
pub(crate) fn attributes_of(person: &Person) -> [(&'static str, &str); 3] {
    [("org", person.org.as_str()), ("role", person.role.as_str()), ("display", person.display.as_str())]
}

fn claims(id: String, login: &Login) -> Session {
    let Login { person, expires, .. } = login;
    let session = Session::new(id).with_user(person.name.as_str()).with_project(person.org.as_str());
    let session =
        attributes_of(person).into_iter().fold(session, |session, (name, value)| session.with_attribute(name, value));
    let session = if person.role.may_write() { session.with_permission(WRITE) } else { session };
    match expires {
        Some(moment) => session.with_expiry(moment.to_system_time()),
        None => session,
    }
}
