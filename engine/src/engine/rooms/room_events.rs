//! The events of one room, for one session, in this process.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::backlog::{Backlog, Missed};
use super::received_event::ReceivedEvent;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::model::Text;
use crate::model::room::event::EventKind;
use crate::model::room::handle::Room;
use crate::model::room::memberships::Membership;
use crate::model::room::record::RoomState;
use crate::rooms::service::RoomService;
use crate::sessions::slot::Slot;

/// The events of one room, as a session receives them from now on. The session is in the room for as long as this exists,
/// and leaves with it if it has no other connection. If it leaves otherwise, or loses its role, nothing more follows.
///
/// It counts as a connection of the session. If nobody takes them, the oldest events are dropped as for any connection
/// (`sizes.event_bytes`).
pub struct RoomEvents {
    rooms: Arc<RoomService>,
    /// Present until the room has ended. To let it go is a clean close.
    connection: Option<Connection>,
    room: Room,
    /// What the reader has missed, until it is told.
    missed: Option<Missed>,
    /// What it reads from the log before it goes on.
    backlog: Backlog,
    /// Taken already, to find out what was missed.
    taken: VecDeque<ReceivedEvent>,
}

/// The last event of a room that a reader has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPosition {
    /// The epoch to which the number belongs; the present one if it is not said.
    pub epoch: Option<Text>,
    /// The number of the event.
    pub seq: u64,
}

impl RoomEvents {
    pub(super) fn new(rooms: Arc<RoomService>, connection: Connection, room: Room) -> Self {
        Self {
            rooms,
            connection: Some(connection),
            room,
            missed: None,
            backlog: Backlog::default(),
            taken: VecDeque::new(),
        }
    }

    /// The reader has seen the events up to this position, and has joined the room.
    pub(super) fn resume(&mut self, after: &RoomPosition) {
        let is_known = after.epoch.as_ref().is_none_or(|epoch| epoch == self.room.epoch());
        let from_seq = if is_known { after.seq.saturating_add(1) } else { 1 };
        self.missed = Some(Missed { from_seq, to_seq: self.room.seq() });
    }

    /// The engine's clock, for what else the reader is sent at certain times.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.rooms.clock()
    }

    /// The next event; `None` once the room has ended and all of its events were taken, the session has left it, or the
    /// connection has ended. One task at a time may wait.
    pub async fn next(&mut self) -> Option<ReceivedEvent> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next event, if there is one now; otherwise the task is woken when there is.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<ReceivedEvent>> {
        if let Some(missed) = self.missed.take() {
            let missed = self.up_to_what_waits(missed, context);
            if self.room.is_replayable() {
                self.backlog.want(missed);
            } else if missed.from_seq <= missed.to_seq {
                let gap = self.rooms.gap(&self.room, missed.from_seq, missed.to_seq);
                return Poll::Ready(ReceivedEvent::of_reader(gap));
            }
        }
        loop {
            if !self.may_read() {
                self.backlog.clear();
            }
            if let Some(event) = ready!(self.backlog.poll_next((&self.rooms, &self.room), context)) {
                return Poll::Ready(Some(event));
            }
            let next = match self.taken.pop_front() {
                Some(event) => Some(event),
                None => ready!(self.poll_lane(context)),
            };
            match next.as_ref().and_then(|event| self.missing(event)) {
                Some(missed) => self.backlog.want(missed),
                None => return Poll::Ready(next),
            }
        }
    }

    /// What an event says is missing, and the log may have.
    fn missing(&self, event: &ReceivedEvent) -> Option<Missed> {
        let is_gap = event.kind == EventKind::RoomGap.as_str() && self.room.is_replayable();
        let (from_seq, to_seq) = event.covers().filter(|_| is_gap)?;
        Some(Missed { from_seq, to_seq })
    }

    /// Whether the reader may still read what happened: it is in the room, or was when that ended.
    fn may_read(&self) -> bool {
        let is_in = |connection: &Connection| is_in(&connection.peer().slot, &self.room);
        self.room.state() == RoomState::Ended || self.connection.as_ref().is_some_and(is_in)
    }

    /// What was missed ends before what waits. Whatever happened up to the latest event that was known when the reader came
    /// has either been missed or waits already.
    fn up_to_what_waits(&mut self, mut missed: Missed, context: &mut Context<'_>) -> Missed {
        while let Poll::Ready(Some(event)) = self.poll_lane(context) {
            let first = event.covers().map(|(first, _)| first);
            self.taken.push_back(event);
            if let Some(first) = first {
                missed.to_seq = first.saturating_sub(1);
                break;
            }
        }
        missed
    }

    fn poll_lane(&mut self, context: &mut Context<'_>) -> Poll<Option<ReceivedEvent>> {
        let Some(connection) = &self.connection else { return Poll::Ready(None) };
        let link = &connection.peer().link;
        link.wait(context.waker());
        // Looked at first: whatever the session still gets waits by the time that it is not in the room any more.
        let is_in = is_in(&connection.peer().slot, &self.room);
        loop {
            match link.with_outbox(|outbox, _| (outbox.take_event(), outbox.is_ending())) {
                (Some(event), _) => {
                    if let Some(event) = ReceivedEvent::of_room(&event, self.room.id()) {
                        if event.kind == "room.ended" {
                            self.connection = None;
                        }
                        return Poll::Ready(Some(event));
                    }
                }
                (None, is_ending) if is_ending || !is_in => return Poll::Ready(None),
                (None, _) => return Poll::Pending,
            }
        }
    }
}

/// Whether a session has joined a room, and not left it.
fn is_in(slot: &Slot, room: &Room) -> bool {
    let context = slot.context();
    context.memberships().and_then(|held| held.of(room)).is_some_and(Membership::is_joined)
}

impl fmt::Debug for RoomEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomEvents").field("room", self.room.id()).finish_non_exhaustive()
    }
}
