//! Which role a session has in a room.

use std::sync::Arc;

use super::living::LivingRoom;
use super::opening;
use super::premises::Premises;
use super::step::Step;
use crate::error::ActionError;
use crate::event::{Event, PanicSite};
use crate::model::Text;
use crate::model::room::leave_reason::LeaveReason;
use crate::model::room::memberships::{Membership, Memberships};
use crate::model::room::record::Record;
use crate::model::room::role::Role;
use crate::model::selector::Selector;
use crate::model::session::{Context, Session};
use crate::panics;
use crate::refresh::refresher::Urgency;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;

/// Decides about roles, and keeps what sessions know of them up to date.
#[derive(Debug)]
pub(crate) struct Roles {
    premises: Arc<Premises>,
}

/// The project of a session; one without belongs to the project without a name.
pub(super) fn project_of(context: &Context) -> &str {
    context.project().map_or("", Text::as_str)
}

/// How long the name of a user may be who has a part in a room, in bytes: it is in every event about the user.
pub(super) const USER_BYTES: usize = 1_024;

/// Whether events can name a session's user and project. One that does not fit a frame would be missing for everybody.
pub(super) fn check_names(context: &Context) -> Result<(), ActionError> {
    let fits = context.user().is_none_or(|user| user.len() <= USER_BYTES) && project_of(context).len() <= USER_BYTES;
    let too_long = || ActionError::invalid_params("the names of user and project are too long for a room");
    if fits { Ok(()) } else { Err(too_long()) }
}

impl Roles {
    pub(crate) const fn new(premises: Arc<Premises>) -> Self {
        Self { premises }
    }

    /// Whether every session of its project may have a role in a room, by the application's word.
    pub(crate) fn are_the_applications(&self) -> bool {
        self.premises.access.is_some()
    }

    /// The role of a session in a room. May run code of the application, so nothing is locked here. A session of another
    /// project has none, whatever the application says (SEC4).
    pub(crate) fn decide(&self, session: &Session, living: &LivingRoom) -> Option<Role> {
        let context = session.context();
        if project_of(context) != living.room.project() || !self.premises.directory.holds(living) {
            return None;
        }
        match &self.premises.access {
            None => context.user().and_then(|user| living.room.with(|record| record.role_of(user))),
            Some(access) => panics::catch(|| access(session, &living.room)).unwrap_or_else(|why| {
                self.premises.observers.warn(&Event::Panicked { what: PanicSite::Access, why });
                None
            }),
        }
    }

    /// Whether a child of a user's may read what it inherits of a room: the user still has a role in it. If the application
    /// decides about roles, it decides about sessions, and says whether to end the child.
    pub(crate) fn may_inherit(&self, owner: &Text, living: &LivingRoom) -> bool {
        self.are_the_applications() || living.room.with(|record| record.role_of(owner).is_some())
    }

    /// The rooms in which a session of this project and user may have a role, in order of creation. Those that cannot be read
    /// are left out.
    fn candidates(&self, context: &Context) -> Vec<Arc<LivingRoom>> {
        let known = self.premises.directory.candidates(project_of(context), context.user().map(Text::as_str));
        known.into_iter().filter_map(|known| opening::living(&self.premises, known).ok()).collect()
    }

    /// The living rooms in which a session has a role, in order of creation, with the role.
    pub(crate) fn all(&self, session: &Session) -> Vec<(Arc<LivingRoom>, Role)> {
        let context = session.context();
        let candidates = self.candidates(context);
        let with_role = |living: Arc<LivingRoom>| self.decide(session, &living).map(|role| (living, role));
        candidates.into_iter().filter_map(with_role).collect()
    }

    /// A session was opened: it gets its roles in one go.
    pub(crate) fn open(&self, slot: &Arc<Slot>) {
        let context = slot.context();
        let session = Session::untracked(Arc::clone(&context));
        let candidates = self.candidates(&context);
        let mut decided = Vec::new();
        for living in candidates {
            let version = living.room.with(|record| record.roles_version());
            let role = self.decide(&session, &living);
            decided.push((living, version, role));
        }
        let parts = decided.iter().filter_map(|(living, _, role)| {
            Some(Membership { room: living.room.clone(), role: (*role)?, participant: None })
        });
        let mut parts: Vec<_> = parts.collect();
        if !parts.is_empty() {
            self.premises.table.edit_memberships(slot, |held| {
                parts.retain(|part| held.of(&part.room).is_none());
                held.with_all(&parts)
            });
            // Another connection may have come first, and may show a tree without them.
            self.premises.refresher.request_session(slot, &Paths::All, Urgency::Debounced);
        }
        // Whatever changed since it was decided is decided again.
        let is_same = slot.context().same_claims(&context);
        for (living, version, _) in decided {
            if !is_same || living.room.with(|record| record.roles_version()) != version {
                self.update(slot, &living);
            }
        }
    }

    /// A session has other claims: its roles may be others, and it leaves where it has none any more.
    pub(crate) fn claims_changed(&self, slot: &Arc<Slot>, before: &Context) {
        let context = slot.context();
        let candidates = self.candidates(&context);
        let held = before.memberships().into_iter().flat_map(Memberships::all);
        let held =
            held.filter_map(|part| self.premises.directory.living(part.room.id()).filter(|it| it.room.is(&part.room)));
        let mut rooms: Vec<_> = held.chain(candidates).collect();
        rooms.sort_by_key(|living| living.room.rank());
        rooms.dedup_by_key(|living| living.room.rank());
        rooms.iter().for_each(|living| self.update(slot, living));
    }

    /// Decides about the roles of all sessions of a user in a room.
    pub(crate) fn update_user(&self, user: &str, living: &Arc<LivingRoom>, trace_id: Option<&str>) {
        self.premises.table.of_user(user).iter().for_each(|slot| self.update_for(slot, living, trace_id));
    }

    /// Decides about the roles of all sessions in a room.
    pub(crate) fn update_all(&self, living: &Arc<LivingRoom>) {
        if !living.is_open {
            let admitted: Vec<_> = living.room.with(|record| record.admitted_users().cloned().collect());
            self.update_user(living.room.owner(), living, None);
            return admitted.iter().for_each(|user| self.update_user(user, living, None));
        }
        let of_project = self.premises.table.select(&Selector::Project(living.room.project().clone()));
        of_project.iter().for_each(|slot| self.update(slot, living));
    }

    fn update(&self, slot: &Arc<Slot>, living: &Arc<LivingRoom>) {
        self.update_for(slot, living, None);
    }

    /// Decides about a session's role in a room, and lets it have that. Decided without a lock and taken over with one, so
    /// it is decided again if what it depends on has changed in between: of two that decide, the later one counts.
    fn update_for(&self, slot: &Arc<Slot>, living: &Arc<LivingRoom>, trace_id: Option<&str>) {
        loop {
            let context = slot.context();
            let version = living.room.with(|record| record.roles_version());
            let role = self.decide(&Session::untracked(Arc::clone(&context)), living);
            let is_done = Step::take_for(&self.premises, living, trace_id, |step, record| {
                let is_current = record.roles_version() == version && step.context(slot).same_claims(&context);
                if is_current {
                    take_over(step, record, (slot, living), role);
                }
                is_current
            });
            if is_done {
                return;
            }
        }
    }
}

/// A session has this role from now on. It leaves if it has none, or if it is somebody else's by now.
fn take_over(step: &mut Step<'_>, record: &mut Record, of: (&Arc<Slot>, &LivingRoom), role: Option<Role>) {
    let (slot, living) = of;
    let context = step.context(slot);
    let participant = living.participant(record, slot);
    let is_foreign = participant.is_some_and(|participant| participant.user.as_ref() != context.user());
    if participant.is_some() && (role.is_none() || is_foreign) {
        step.leave(record, slot, LeaveReason::Dismissed);
    }
    let held = step.membership(slot);
    let Some(role) = role else {
        if held.is_some() {
            step.edit(slot, |held| held.without(&living.room));
            context.user().into_iter().for_each(|user| step.loses_access(record, user));
        }
        return;
    };
    let participant = living.participant(record, slot).map(|participant| participant.id.clone());
    if participant.is_some() && record.change_role(context.id(), role) {
        step.show();
    }
    let part = step.part(role, participant);
    if held.is_none_or(|held| held != part) {
        step.edit(slot, |held| held.with(part));
    }
}
