//! The room of each org's board: which it is, and who may do what there.

use grove_engine::{Access, NewRoom, Room, RoomOptions, RoomRole, Session};

use crate::session::WRITE;

/// The user who owns the boards: the desk itself. No person has this name, so nobody can close a board.
const OWNER: &str = "desk";

/// The id of an org's room. It is no secret: it opens nothing.
pub(crate) fn id(org: &str) -> String {
    format!("board-{org}")
}

/// Where the tree shows the board in an org's room.
pub(crate) fn board_path(org: &str) -> String {
    format!("rooms/{}/board", id(org))
}

/// The session in whose name an org's room is created.
pub(crate) fn creator(org: &str) -> Session {
    Session::new("desk").with_user(OWNER).with_project(org)
}

/// An org's room, which has no end.
pub(crate) fn new(org: &str, label: &str) -> NewRoom {
    NewRoom::new(format!("{label} board")).id(id(org)).access(Access::Project)
}

/// Rooms in which a viewer is an observer.
pub(crate) fn options() -> RoomOptions {
    RoomOptions::new().access(role)
}

/// The role by the policy of the room, such as that of a board: everybody in the org is a member. A viewer observes
/// instead, except in a room that the viewer has created.
fn role(session: &Session, room: &Room) -> Option<RoomRole> {
    let role = room.role_of(session.user()?)?;
    let observes = role == RoomRole::Member && !session.can(WRITE);
    Some(if observes { RoomRole::Observer } else { role })
}
