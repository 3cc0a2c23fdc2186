//! Why something was not done in a room: the errors of the contract, and the report of each (SEC35).

use crate::error::ActionError;
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::model::room::policy::Invalid;
use crate::model::room::record::Refusal;
use crate::model::session::Session;
use crate::protocol::code::ErrorCode;

/// What a room is like to those who have no role in it (SEC30).
pub(super) fn no_room() -> ActionError {
    ActionError::not_found("there is no such room")
}

pub(super) fn has_ended() -> ActionError {
    ActionError::conflict("the room has ended")
}

/// What an attempt at a run is told that counts no more.
pub(super) fn too_late() -> ActionError {
    ActionError::conflict("the run has ended, or was dispatched again")
}

pub(super) fn invalid(why: Invalid) -> ActionError {
    let Invalid(sentence) = why;
    ActionError::invalid_params(sentence)
}

pub(super) fn busy(sentence: &'static str) -> ActionError {
    ActionError::new(ErrorCode::Busy, sentence)
}

/// Why a step about participants or users was not taken.
pub(super) fn refused(refusal: Refusal, full: &'static str, unknown: &'static str) -> ActionError {
    match refusal {
        Refusal::Ended => has_ended(),
        Refusal::Full => busy(full),
        Refusal::Unknown => ActionError::not_found(unknown),
        Refusal::Owner => ActionError::invalid_params("the owner's role cannot be changed"),
    }
}

/// Reports what was refused.
pub(super) fn report<T>(
    observers: &Observers,
    what: &'static str,
    session: &Session,
    room: &str,
    done: Result<T, ActionError>,
) -> Result<T, ActionError> {
    if let Err(error) = &done {
        let context = session.context();
        observers.warn(&Event::RoomRefused {
            what,
            code: error.code().into(),
            session: context.id().clone(),
            user: context.user().cloned(),
            room: Text::from(room),
        });
    }
    done
}
