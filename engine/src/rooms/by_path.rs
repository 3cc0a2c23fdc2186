//! Rooms by the paths that consumers name: what a call needs before its action is looked up, and what joins.

use std::sync::Arc;

use super::actions::RoomActions;
use super::memory_actions::MemoryActions;
use super::memory_source::{self, MEMORY};
use super::refusal;
use super::run_sources::{self, RUNS};
use super::service::RoomService;
use super::sources;
use crate::deliver::link::Link;
use crate::error::ActionError;
use crate::event::Observers;
use crate::model::Text;
use crate::model::path;
use crate::model::room::handle::Room;
use crate::model::room::memberships::Membership;
use crate::model::room::policy::Mode;
use crate::model::room::record::RoomState;
use crate::model::room::run_view::RunView;
use crate::model::session::Session;
use crate::render::action::Action;
use crate::render::room_layouts::ROOMS;
use crate::sessions::slot::Slot;

/// Rooms by path.
#[derive(Debug)]
pub(crate) struct RoomPaths {
    service: Arc<RoomService>,
    actions: RoomActions,
    memory: MemoryActions,
    observers: Arc<Observers>,
    /// A path may begin with it (contract 1.3).
    root_id: Text,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
enum Place<'p> {
    /// `/rooms` itself.
    Rooms,
    Room(&'p str),
    BelowRoom(&'p str),
    Elsewhere,
}

impl<'p> Place<'p> {
    /// A path from the root.
    fn of(path: &'p str) -> Self {
        let mut segments = path::segments(path);
        match (segments.next(), segments.next(), segments.next()) {
            (Some(ROOMS), None, _) => Self::Rooms,
            (Some(ROOMS), Some(id), None) => Self::Room(id),
            (Some(ROOMS), Some(id), Some(_)) => Self::BelowRoom(id),
            _ => Self::Elsewhere,
        }
    }

    const fn room(&self) -> Option<&'p str> {
        match self {
            Self::Room(id) | Self::BelowRoom(id) => Some(id),
            Self::Rooms | Self::Elsewhere => None,
        }
    }
}

/// The action that a call means, with the path of its node. It need not be looked up.
pub(crate) type Known = (Action, Text);

impl RoomPaths {
    pub(crate) fn new(
        service: Arc<RoomService>,
        (actions, memory): (RoomActions, MemoryActions),
        observers: Arc<Observers>,
        root_id: Text,
    ) -> Self {
        Self { service, actions, memory, observers, root_id }
    }

    /// The path from the root, without the root's own id in front.
    fn below_root<'p>(&self, path: &'p str) -> &'p str {
        let trimmed = path.trim_start_matches('/');
        match trimmed.strip_prefix(self.root_id.as_str()) {
            Some(rest) if self.root_id != ROOMS && (rest.is_empty() || rest.starts_with('/')) => rest,
            _ => trimmed,
        }
    }

    fn membership(slot: &Slot, id: &str) -> Option<Membership> {
        slot.context().memberships()?.get(id).cloned()
    }

    /// The room at or above a path, if the session has a role in it.
    pub(crate) fn room(&self, slot: &Slot, path: &str) -> Option<Room> {
        let id = Place::of(self.below_root(path)).room()?;
        Self::membership(slot, id).map(|membership| membership.room)
    }

    /// Checks identity, role and state before an action is looked up (rooms 10), and finds what is built in. For those
    /// without a role this does nothing: what they name is looked for, and is not there (SEC30).
    pub(crate) fn check_call(&self, slot: &Slot, path: &str, action: &str) -> Result<Option<Known>, ActionError> {
        let place = Place::of(self.below_root(path));
        if place == Place::Elsewhere {
            return Ok(None);
        }
        let session = slot.session();
        let checked = match &place {
            Place::Elsewhere => Ok(None),
            Place::Rooms => check_create(&session, action).map(|()| None),
            Place::Room(id) => match Self::membership(slot, id) {
                Some(membership) => self.check_built_in(&session, &membership, action),
                None => Ok((action == "close" && is_admin(&session)).then_some(&self.actions.close)),
            },
            Place::BelowRoom(id) => match Self::membership(slot, id) {
                Some(at) => check_below(&at).map(|()| self.below(&session, &at, self.below_root(path), action)),
                None => Ok(None),
            },
        };
        let room = place.room().unwrap_or_default();
        let found = refusal::report(&self.observers, asked_for(action), &session, room, checked)?;
        Ok(found.map(|found| (found.clone(), path::normal(self.below_root(path)))))
    }

    /// What is built in below a room is found by what the room is now: whoever has just received an event about it need not
    /// wait until the tree shows it.
    fn below(&self, session: &Session, at: &Membership, path: &str, action: &str) -> Option<&Action> {
        let mut below = path::segments(path).skip(2);
        let offered = match (below.next()?, below.next(), below.next()) {
            (RUNS, Some(run), None) => {
                let view = at.room.with(|record| Some(RunView::from(record.runs()?.get(run)?)))?;
                run_sources::offered(&self.actions.runs, &view, Some(at.role), session)
            }
            (MEMORY, None, _) => memory_source::offered(&self.memory, Some(at.role), session).iter().collect(),
            _ => return None,
        };
        offered.into_iter().find(|offered| offered.name() == action)
    }

    /// What the application shows there is looked up.
    fn check_built_in(&self, session: &Session, at: &Membership, action: &str) -> Result<Option<&Action>, ActionError> {
        if action == "replay" {
            return self.check_replay(at).map(Some);
        }
        let (may, needs_joining, found) = match action {
            "say" => (at.role.may_say(), true, Some(&self.actions.say)),
            "run" => (at.role.may_say(), true, at.room.agent().map(|_| &self.actions.runs.run)),
            "admit" => (at.role.may_manage(), false, Some(&self.actions.admit)),
            "dismiss" => (at.role.may_manage(), false, Some(&self.actions.dismiss)),
            "close" => (at.role.may_manage() || is_admin(session), false, Some(&self.actions.close)),
            _ => return Ok(self.offered(session, at, action)),
        };
        if session.context().user().is_none() {
            return Err(ActionError::unauthorized("only users may do this"));
        }
        if !may {
            return Err(ActionError::unauthorized("the session's role in the room does not allow this"));
        }
        check_state(at)?;
        if needs_joining { check_joined(at).map(|()| found) } else { Ok(found) }
    }

    /// What the room offers the session now, whether its tree shows it yet or not.
    fn offered(&self, session: &Session, at: &Membership, action: &str) -> Option<&Action> {
        let has_ended = at.room.with(|record| record.end_of().is_some());
        let role = at.is_joined().then_some(at.role);
        let offered = sources::offered(&self.actions, (&at.room, role), session, has_ended);
        offered.into_iter().find(|offered| offered.name() == action)
    }

    /// Whoever is in a replayable room may read its past.
    fn check_replay(&self, at: &Membership) -> Result<&Action, ActionError> {
        check_state(at)?;
        check_joined(at)?;
        if !at.room.is_replayable() {
            return Err(ActionError::conflict("the room is not replayable: its past events are not kept"));
        }
        Ok(&self.actions.replay)
    }

    /// What the application shows in a room is subject to its mode and its trust.
    pub(crate) fn check_policy(&self, session: &Session, room: &Room, action: &Action) -> Result<(), ActionError> {
        refusal::report(&self.observers, "call", session, room.id(), policy(session, room, action))
    }

    /// Somebody subscribes at a path. At a room or below it, that joins the session (rooms 3), before the path is resolved.
    pub(crate) fn subscribing(&self, slot: &Arc<Slot>, path: &str) {
        let Some(id) = Place::of(self.below_root(path)).room() else { return };
        if Self::membership(slot, id).is_some_and(|at| !at.is_joined() && at.room.state() != RoomState::Ended) {
            // If the room is full, or ended just now, the subscription shows what is seen from outside.
            let _refused = self.service.join_by_subscribing(slot, id);
        }
    }

    /// A subscription at a path was ended by its consumer. If it was the session's last one at the room or below it, the
    /// session leaves.
    pub(crate) fn unsubscribed(&self, slot: &Arc<Slot>, path: &str) {
        let Some(id) = Place::of(self.below_root(path)).room() else { return };
        let is_joined = Self::membership(slot, id).is_some_and(|at| at.is_joined());
        if !is_joined || self.is_subscribed(slot, id) {
            return;
        }
        self.service.leave_by_unsubscribing(slot, id);
        // Another connection may have subscribed between the two, and found that the session had joined.
        if self.is_subscribed(slot, id) {
            self.subscribing(slot, path);
        }
    }

    fn is_subscribed(&self, slot: &Slot, id: &str) -> bool {
        let leads_here = |path: &str| Place::of(self.below_root(path)).room() == Some(id);
        let has_one = |link: &Arc<Link>| link.with_outbox(|outbox, _| outbox.is_subscribed_at(leads_here));
        slot.links().iter().any(has_one)
    }
}

/// What was asked for, in a word for reports: what is the application's is a call.
fn asked_for(action: &str) -> &'static str {
    let built_in = ["create", "say", "run", "admit", "dismiss", "close", "replay"];
    built_in.into_iter().find(|known| *known == action).unwrap_or("call")
}

/// Whether an action may be invoked in a room by a session: each is trusted as much as itself, and together as much as the
/// lesser of both.
fn policy(session: &Session, room: &Room, action: &Action) -> Result<(), ActionError> {
    if room.mode() == Mode::Sandbox && action.affordance().dangerous {
        return Err(ActionError::unauthorized("the room is a sandbox, in which nothing dangerous may be done"));
    }
    action.check_trust(session.context().trust().min(room.trust()))
}

fn check_create(session: &Session, action: &str) -> Result<(), ActionError> {
    if action == "create" && session.context().user().is_none() {
        return Err(ActionError::unauthorized("only users can create rooms"));
    }
    Ok(())
}

/// An observer dispatches nothing, and who has not joined neither.
fn check_below(at: &Membership) -> Result<(), ActionError> {
    if !at.role.may_say() {
        return Err(ActionError::unauthorized("an observer may do nothing in the room"));
    }
    check_state(at)?;
    check_joined(at)
}

fn check_state(at: &Membership) -> Result<(), ActionError> {
    let takes_no_more = at.room.with(|record| record.takes_no_more());
    if takes_no_more { Err(refusal::has_ended()) } else { Ok(()) }
}

fn check_joined(at: &Membership) -> Result<(), ActionError> {
    if at.is_joined() { Ok(()) } else { Err(ActionError::unauthorized("the session has not joined the room")) }
}

fn is_admin(session: &Session) -> bool {
    session.context().user().is_some() && session.context().can("rooms:admin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_a_room_or_below_it() {
        for (path, place) in [
            ("/", Place::Elsewhere),
            ("/tasks/rooms", Place::Elsewhere),
            ("//rooms/", Place::Rooms),
            ("/rooms/m_1", Place::Room("m_1")),
            ("rooms//m_1/board/b/", Place::BelowRoom("m_1")),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }
}
