//! The events of one room, for one session, in this process.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::Value;

use crate::clock::Clock;
use crate::connection::Connection;
use crate::model::Text;
use crate::model::room::handle::Room;
use crate::model::room::memberships::Membership;
use crate::protocol::encoded_event::EncodedEvent;
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

/// The numbers of the events after a position, up to the latest one when the reader came.
#[derive(Debug)]
struct Missed {
    from_seq: u64,
    to_seq: u64,
}

/// An event of a room (rooms 4).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReceivedEvent {
    /// Its kind, such as `message`.
    pub kind: Text,
    /// Its id.
    pub id: Text,
    /// Its number, if it has one.
    pub seq: Option<u64>,
    /// The whole event.
    pub data: Value,
}

impl RoomEvents {
    pub(super) const fn new(rooms: Arc<RoomService>, connection: Connection, room: Room) -> Self {
        Self { rooms, connection: Some(connection), room, missed: None, taken: VecDeque::new() }
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
        if let Some(gap) = self.missed.take().and_then(|missed| self.gap(missed, context)) {
            return Poll::Ready(Some(gap));
        }
        match self.taken.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None => self.poll_lane(context),
        }
    }

    /// In place of what was missed, if that is anything. Whatever happened up to the latest event that was known when the
    /// reader came has either been missed or waits already.
    fn gap(&mut self, mut missed: Missed, context: &mut Context<'_>) -> Option<ReceivedEvent> {
        while let Poll::Ready(Some(event)) = self.poll_lane(context) {
            let first = first_seq(&event);
            self.taken.push_back(event);
            if let Some(first) = first {
                missed.to_seq = first.saturating_sub(1);
                break;
            }
        }
        let Missed { from_seq, to_seq } = missed;
        if from_seq > to_seq { None } else { received_data(self.rooms.gap(&self.room, from_seq, to_seq)) }
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
                    if let Some(event) = received(&event, self.room.id()) {
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

/// An event of this room; `None` if it is another room's, or the application's.
fn received(event: &EncodedEvent, room: &str) -> Option<ReceivedEvent> {
    let part = event.room.as_ref().filter(|part| part.room.id() == room)?;
    Some(ReceivedEvent { kind: event.name.clone(), id: part.id.clone(), seq: part.seq, data: event.data()? })
}

/// An event that the engine has made for this reader alone.
fn received_data(data: Value) -> Option<ReceivedEvent> {
    let (kind, id) = (data["kind"].as_str()?.into(), data["id"].as_str()?.into());
    Some(ReceivedEvent { kind, id, seq: None, data })
}

/// The number of the first event for which this one stands.
fn first_seq(event: &ReceivedEvent) -> Option<u64> {
    let data = if event.seq.is_some() { &event.data } else { &event.data["body"] };
    data["from_seq"].as_u64().or(event.seq)
}

impl fmt::Debug for RoomEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomEvents").field("room", self.room.id()).finish_non_exhaustive()
    }
}
