//! What the tree shows of rooms.

use std::sync::{Arc, Weak};

use super::actions::RoomActions;
use super::presence::PresenceRow;
use super::service::RoomService;
use crate::model::room::handle::Room;
use crate::model::room::participant::{Participant, Status};
use crate::model::room::record::RoomState;
use crate::model::room::role::Role;
use crate::model::room::timestamp::rfc3339;
use crate::model::session::Session;
use crate::render::action::Action;
use crate::render::descriptor::{Descriptor, Item};
use crate::render::room_source::RoomSource;
use crate::render::source::Source;

/// Under which path below a room its participants stand.
pub(crate) const PARTICIPANTS: &str = "participants";

/// `/rooms`, which says how many there are for a session.
pub(crate) fn rooms(create: Action) -> Source {
    Source::new(move |session: &Session| {
        let node = Descriptor::collection().prop("label", "Rooms").prop("count", session.room_count());
        if session.has_user() { node.action(&create) } else { node }
    })
}

/// `/rooms/{id}`: what a session sees of a room depends on its role, and on whether it has joined.
pub(crate) fn room(actions: RoomActions) -> RoomSource {
    RoomSource::new(move |room: &Room, session: &Session| {
        let (role, joined) = (session.role_in(room), session.has_joined(room));
        let has_ended = room.state() == RoomState::Ended;
        let node = described(room).prop("role", role.map(Role::as_str)).prop("joined", joined);
        let node = if joined { node } else { node.summary(summary(room, has_ended)) };
        node.actions(offered(&actions, (room, role.filter(|_| joined)), session, has_ended))
    })
}

/// What a session is offered at a room: one that has joined it, by its role.
pub(super) fn offered<'a>(
    actions: &'a RoomActions,
    (room, role): (&Room, Option<Role>),
    session: &Session,
    has_ended: bool,
) -> Vec<&'a Action> {
    match role {
        _ if has_ended => Vec::new(),
        Some(role) => of_a_participant(actions, (room, role), session),
        None => vec![&actions.join],
    }
}

fn of_a_participant<'a>(actions: &'a RoomActions, (room, role): (&Room, Role), session: &Session) -> Vec<&'a Action> {
    let mut offered = vec![&actions.leave];
    if room.is_replayable() {
        offered.push(&actions.replay);
    }
    let has_agent = room.agent().is_some();
    // A session without a user may not say anything, whatever its role.
    if role.may_say() && session.has_user() {
        offered.push(&actions.say);
        if has_agent {
            offered.extend([&actions.runs.run, &actions.runs.clear_history]);
        }
        if role.may_manage() {
            offered.extend([&actions.admit, &actions.dismiss, &actions.close]);
        }
    }
    offered
}

fn summary(room: &Room, has_ended: bool) -> String {
    let running = room.running();
    match (has_ended, running) {
        (true, _) => "ended".to_owned(),
        (false, 0) => format!("{} online", room.online()),
        (false, running) => format!("{} online, {running} running", room.online()),
    }
}

/// What everybody who sees a room sees of it.
fn described(room: &Room) -> Descriptor {
    let node = Descriptor::new("room")
        .prop("title", room.title())
        .prop("state", room.state().as_str())
        .prop("owner", room.owner().clone())
        .prop("online", room.online())
        .prop("created_at", room.created_at())
        .prop("trust", room.trust().as_str())
        .prop("mode", room.mode().as_str())
        .prop("replayable", room.is_replayable());
    let texts = [
        ("agent", room.agent().map(ToString::to_string)),
        ("parent", room.parent().map(ToString::to_string)),
        ("last_outcome", room.last_outcome().map(|outcome| outcome.to_string())),
        ("ends_at", room.ends_at()),
        ("end_reason", room.end_reason().map(|reason| reason.as_str().to_owned())),
        ("cold_context_id", room.cold_context_id().map(Into::into)),
    ];
    texts.into_iter().fold(node, |node, (key, value)| match value {
        Some(value) => node.prop(key, value),
        None => node,
    })
}

/// `/rooms/{id}/participants`, which is the same for everybody who shows it.
pub(crate) fn participants() -> RoomSource {
    let source = RoomSource::new(|room: &Room, _: &Session| {
        let participants = room.shared_participants();
        let online = participants.iter().filter(|participant| participant.status == Status::Online).count();
        let node = Descriptor::collection().prop("online", online);
        participants.iter().fold(node, |node, participant| node.child(participant.id.clone(), row(participant)))
    });
    source.in_order(0)
}

fn row(participant: &Participant) -> Descriptor {
    Descriptor::new("participant")
        .prop("user", participant.user.clone())
        .prop("name", participant.name.clone())
        .prop("kind", participant.kind.as_str())
        .prop("role", participant.role.as_str())
        .prop("status", participant.status.as_str())
        .prop("since", rfc3339(participant.since_ms))
}

/// `/presence`, which is the same for all users of a project, unless there is something that only a user's own sessions see.
pub(crate) fn presence(service: &Arc<RoomService>) -> Source {
    // The service holds what holds the source.
    let service: Weak<RoomService> = Arc::downgrade(service);
    Source::new(move |session: &Session| {
        let node = Descriptor::collection().prop("label", "Presence");
        let Some(service) = service.upgrade().filter(|_| session.has_user()) else { return node };
        if service.has_details(session.project().unwrap_or_default()) {
            // From here on, the result is this user's.
            let _read = session.user();
        }
        node.items(service.presence(session).iter().map(presence_row))
    })
}

fn presence_row(row: &PresenceRow) -> Item {
    let item = Item::new(row.participant.clone())
        .prop("user", row.user.clone())
        .prop("name", row.name.clone())
        .prop("kind", row.kind.as_str())
        .prop("role", row.role.clone())
        .prop("groups", row.groups.as_slice())
        .prop("status", row.status.as_str())
        .prop("connected_at", row.connected_at.as_str());
    let item = row.cwd.iter().fold(item, |item, cwd| item.prop("cwd", cwd.clone()));
    let item = row.pid.iter().fold(item, |item, pid| item.prop("pid", *pid));
    row.host.iter().fold(item, |item, host| item.prop("host", host.clone()))
}
