//! The events of one room, for one session, in this process.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use serde_json::Value;

use crate::connection::Connection;
use crate::model::Text;
use crate::protocol::encoded_event::EncodedEvent;

/// The events of one room, as a session receives them from now on. The session is in the room for as long as this exists,
/// and leaves with it if it has no other connection.
///
/// It counts as a connection of the session. If nobody takes them, the oldest events are dropped as for any connection
/// (`sizes.event_bytes`).
pub struct RoomEvents {
    /// Present until the room has ended. To let it go is a clean close.
    connection: Option<Connection>,
    room: Text,
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
    pub(super) const fn new(connection: Connection, room: Text) -> Self {
        Self { connection: Some(connection), room }
    }

    /// The next event; `None` once the room has ended and all of its events were taken, or the connection has ended. One
    /// task at a time may wait.
    pub async fn next(&mut self) -> Option<ReceivedEvent> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next event, if there is one now; otherwise the task is woken when there is.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<ReceivedEvent>> {
        let Some(connection) = &self.connection else { return Poll::Ready(None) };
        let link = &connection.peer().link;
        link.wait(context.waker());
        loop {
            match link.with_outbox(|outbox, _| (outbox.take_event(), outbox.is_ending())) {
                (Some(event), _) => {
                    if let Some(event) = received(&event, &self.room) {
                        if event.kind == "room.ended" {
                            self.connection = None;
                        }
                        return Poll::Ready(Some(event));
                    }
                }
                (None, true) => return Poll::Ready(None),
                (None, false) => return Poll::Pending,
            }
        }
    }
}

/// An event of this room; `None` if it is another room's, or the application's.
fn received(event: &EncodedEvent, room: &str) -> Option<ReceivedEvent> {
    let part = event.room.as_ref().filter(|part| part.source.room == room)?;
    Some(ReceivedEvent { kind: event.name.clone(), id: part.id.clone(), seq: part.seq, data: event.data()? })
}

impl fmt::Debug for RoomEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomEvents").field("room", &self.room).finish_non_exhaustive()
    }
}
