//! Which sessions are there, as others notice it and ask for it.

use std::sync::Arc;

use serde_json::json;

use super::RoomService;
use crate::deliver::link::Link;
use crate::model::path;
use crate::model::room::event::EventKind;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::render::room_layouts::ROOMS;
use crate::rooms::attendance::Noticed;
use crate::rooms::leases::Looked;
use crate::rooms::presence::{PRESENCE, PresenceRow};
use crate::rooms::step::Step;
use crate::sessions::slot::Slot;

impl RoomService {
    /// A session got a connection.
    pub(crate) fn connected(&self, slot: &Arc<Slot>) {
        self.presence.connected(slot);
        if slot.context().presence().is_some() {
            self.premises.attendance.hold(slot, self.premises.timers.now_ms());
        }
        self.came_back(slot);
    }

    /// A session shows a sign of life that was waited for.
    pub(crate) fn came_back(&self, slot: &Arc<Slot>) {
        if self.premises.attendance.came_back(slot, self.premises.timers.now_ms()) {
            self.turn(slot);
        }
    }

    /// A connection of a session ended, and with it all of them if it was the last.
    pub(crate) fn disconnected(&self, slot: &Arc<Slot>, link: &Link, was_last: bool) {
        self.premises.attendance.disconnected(slot, link, self.premises.timers.now_ms());
        if was_last && link.has_left() {
            self.last_connection_closed(slot);
        }
    }

    /// The timer fired: sessions may have been silent for too long, or may have received nothing for a while.
    pub(crate) fn look_at_attendance(&self) {
        let sent_ms = |slot: &Slot| self.joining.joined(&slot.context()).iter().map(|living| living.sent_ms()).max();
        let noticed = self.premises.attendance.look(sent_ms);
        for Noticed { slot, lease, .. } in &noticed {
            match lease {
                Looked::Offline | Looked::Online => self.turn(slot),
                Looked::Lost => self.lost(slot),
                Looked::Fine | Looked::Ping(_) => {}
            }
        }
        let quiet = noticed.into_iter().filter(|noticed| noticed.is_quiet);
        self.beat(quiet.map(|noticed| noticed.slot).collect());
    }

    /// Sends a heartbeat to sessions that have received nothing for a while, each of the first room that it has joined.
    fn beat(&self, quiet: Vec<Arc<Slot>>) {
        for slot in quiet {
            if let Some(living) = self.joining.joined(&slot.context()).first() {
                Step::take(&self.premises, living, |step, _| step.tell(EventKind::Heartbeat, json!({}), Some(&slot)));
            }
        }
    }

    /// A session has ended.
    pub(crate) fn closed(&self, slot: &Arc<Slot>, reason: CloseReason) {
        self.joining.session_ended(slot, reason);
        self.presence.gone(slot, &slot.context());
        self.premises.attendance.release(slot);
    }

    /// The last session of a user was revoked, in one project or in all.
    pub(crate) fn owner_revoked(&self, project: Option<&str>, user: &str) {
        self.ending.owner_revoked(project, user);
    }

    /// The last connection of a session was closed by its peer, which is evidence that it left (rooms 3).
    pub(crate) fn last_connection_closed(&self, slot: &Arc<Slot>) {
        self.joining.leave_without_connection(slot);
        self.presence.gone(slot, &slot.context());
        self.premises.attendance.release(slot);
        if slot.connections() > 0 {
            // Another one came meanwhile.
            self.premises.attendance.hold_again(slot, self.premises.timers.now_ms());
            self.connected(slot);
        }
    }

    /// A session has shown no sign of life for a while, or shows signs again.
    fn turn(&self, slot: &Arc<Slot>) {
        self.joining.turn(slot);
        self.presence.turn(slot);
    }

    /// A session has shown no sign of life for too long.
    pub(crate) fn lost(&self, slot: &Arc<Slot>) {
        self.joining.leave_silently(slot);
        let is_back = || self.premises.attendance.is_back(slot, self.premises.timers.now_ms());
        if !is_back() {
            self.presence.gone(slot, &slot.context());
        }
        if is_back() {
            // It came back while that was noticed.
            self.premises.attendance.hold_again(slot, self.premises.timers.now_ms());
            self.connected(slot);
            self.turn(slot);
        }
    }

    pub(crate) fn presence(&self, viewer: &Session) -> Vec<PresenceRow> {
        self.presence.rows(viewer)
    }

    /// A session's own row, as it sees it.
    pub(crate) fn own_presence(&self, slot: &Arc<Slot>) -> Option<PresenceRow> {
        self.presence.own_row(slot)
    }

    /// Whether `/presence` is in the tree.
    pub(crate) const fn shows_presence(&self) -> bool {
        self.presence.is_shown
    }

    /// Whether a path is one under which rooms, or those who are there, are shown.
    pub(crate) fn shows(&self, path: &str) -> bool {
        path::covers(ROOMS, path) || (self.shows_presence() && path::covers(PRESENCE, path))
    }

    /// Whether anything in a project is shown to the sessions of one user alone.
    pub(crate) fn has_details(&self, project: &str) -> bool {
        self.presence.has_details(project)
    }
}
