//! What the owner of a room decides: who has access, and when it ends.

use std::sync::Arc;

use super::ended_by::EndedBy;
use super::ending::Ending;
use super::living::LivingRoom;
use super::premises::Premises;
use super::refusal::{busy, has_ended, no_room, refused};
use super::roles::{Roles, USER_BYTES, check_names, project_of};
use super::saying::actor;
use super::step::Step;
use super::stored_room::StoredRecord;
use crate::config::Limit;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::record::{Record, Refusal};
use crate::model::room::role::Role;
use crate::model::session::Session;

/// Lets owners decide.
#[derive(Debug)]
pub(crate) struct Managing {
    premises: Arc<Premises>,
    roles: Arc<Roles>,
    ending: Arc<Ending>,
}

/// The permission of a user who may close any room of the project (C35).
const ADMIN: &str = "rooms:admin";

/// How long the note with which a room is closed may be, in bytes.
const NOTE_BYTES: usize = 1_024;

impl Managing {
    pub(crate) const fn new(premises: Arc<Premises>, roles: Arc<Roles>, ending: Arc<Ending>) -> Self {
        Self { premises, roles, ending }
    }

    /// The owner gives a user a role in a room.
    pub(crate) fn admit(
        &self,
        session: &Session,
        (living, mine): (&Arc<LivingRoom>, Role),
        (user, role): (&Text, Role),
        trace_id: Option<&str>,
    ) -> Result<(), ActionError> {
        check_owner(session, living, mine)?;
        if role == Role::Owner {
            return Err(ActionError::invalid_params("`role` must be member or observer"));
        }
        if user.is_empty() || user.len() > USER_BYTES {
            return Err(ActionError::invalid_params("`user` must have 1 to 1024 bytes"));
        }
        let max = self.premises.limits.users_per_room;
        let admitted = Step::take(&self.premises, living, |step, record| {
            let decided = record.decided(user);
            record.admit(user, role, max)?;
            let fits = self.premises.directory.admit(living, user);
            if !fits {
                record.withdraw(user, decided);
            }
            keep(step, living, record);
            Ok(fits)
        });
        let fits = admitted.map_err(|refusal| self.not_decided(session, refusal))?;
        if !fits {
            self.premises.limit_reached(Limit::AdmissionsPerUser, session.context().id());
            return Err(busy("the owner has admitted the user to as many rooms as may be"));
        }
        self.roles.update_user(user, living, trace_id);
        Ok(())
    }

    /// The owner takes a user's role in a room away; whoever is there leaves.
    pub(crate) fn dismiss(
        &self,
        session: &Session,
        (living, mine): (&Arc<LivingRoom>, Role),
        user: &Text,
        trace_id: Option<&str>,
    ) -> Result<(), ActionError> {
        check_owner(session, living, mine)?;
        let max = self.premises.limits.users_per_room;
        let dismissed = Step::take(&self.premises, living, |step, record| {
            record.dismiss(user, max)?;
            self.premises.directory.dismiss(living, user);
            keep(step, living, record);
            Ok(())
        });
        dismissed.map_err(|refusal| self.not_decided(session, refusal))?;
        self.roles.update_user(user, living, trace_id);
        // No session of the user need be open.
        Step::take(&self.premises, living, |step, record| step.loses_access(record, user));
        Ok(())
    }

    fn not_decided(&self, session: &Session, refusal: Refusal) -> ActionError {
        if refusal == Refusal::Full {
            self.premises.limit_reached(Limit::UsersPerRoom, session.context().id());
        }
        refused(refusal, "the owner has decided about as many users as may be", "the user has no role in this room")
    }

    /// The owner, or an admin of the project, ends a room, as soon as its runs have ended.
    pub(crate) fn close(
        &self,
        session: &Session,
        living: &Arc<LivingRoom>,
        (note, trace_id): (Option<&str>, Option<&str>),
    ) -> Result<(), ActionError> {
        if !is_admin(session, living) {
            check_owner(session, living, self.roles.decide(session, living).ok_or_else(no_room)?)?;
        }
        check_names(session.context())?;
        if note.is_some_and(|note| note.len() > NOTE_BYTES) {
            return Err(ActionError::invalid_params("`reason` must have at most 1024 bytes"));
        }
        let actor = living.room.with(|record| actor(session.context(), record));
        let (note, trace_id) = (note.map(str::to_owned), trace_id.map(Text::from));
        self.ending.begin(living, EndReason::Close, EndedBy { actor, note, trace_id })
    }
}

/// What the owner has decided is kept.
fn keep(step: &mut Step<'_>, living: &LivingRoom, record: &Record) {
    if step.keeps_parts() {
        step.put(StoredRecord::new(living.room.about(), record).into_part());
    }
}

/// Whether a session may close a room without a role in it.
fn is_admin(session: &Session, living: &LivingRoom) -> bool {
    let context = session.context();
    let is_user = context.user().is_some() && context.can(ADMIN);
    is_user && project_of(context) == living.room.project()
}

/// Identity, role and state, in this order (rooms 10).
fn check_owner(session: &Session, living: &LivingRoom, role: Role) -> Result<(), ActionError> {
    if session.context().user().is_none() || !role.may_manage() {
        return Err(ActionError::unauthorized("only the owner of the room may do this"));
    }
    let takes_no_more = living.room.with(|record| record.takes_no_more());
    if takes_no_more { Err(has_ended()) } else { Ok(()) }
}
