//! What is kept of rooms, as others ask for it.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::RoomService;
use crate::error::ActionError;
use crate::model::room::event::{EventKind, RoomEvent};
use crate::model::room::handle::Room;
use crate::model::session::Session;
use crate::render::action::{HandlerFuture, Outcome};
use crate::rooms::durability;
use crate::rooms::reading_archives::ArchivedEvents;
use crate::rooms::replaying::Replay;
use crate::storage::event_log::LoggedEvent;

impl RoomService {
    /// Ends when everything that has happened in a room up to now is durable, if it is kept at all.
    ///
    /// # Errors
    /// `busy` if that takes too long.
    pub(crate) fn durable(&self, id: &str) -> BoxFuture<'static, Result<(), ActionError>> {
        self.durability.durable(self.premises.directory.living(id).as_deref())
    }

    /// The outcome of what was done in a room, when it is durable.
    pub(in crate::rooms) fn acknowledged(&self, room: &str, outcome: Outcome) -> HandlerFuture {
        let durable = self.durable(room);
        Box::pin(async move { durable.await.map(|()| outcome) })
    }

    /// Ends when everything that has happened in any room up to now is durable, or that takes too long.
    pub(crate) async fn flush(&self) {
        // What is not written is reported already.
        let _ = durability::all_durable(&self.premises).await;
    }

    /// The timer fired: what could not be written may be by now.
    pub(crate) fn retry_storage(&self) {
        self.durability.retry();
    }

    /// The timer fired: events and archives may have been kept for long enough.
    pub(crate) fn purge_due(&self) {
        self.durability.purge_due();
    }

    /// The timer fired: rooms may have been idle for long enough.
    pub(crate) fn put_away_due(&self) {
        self.putting_away.look();
    }

    /// The past events of a replayable room, for a session with a role in it.
    pub(crate) fn replay(
        &self,
        session: &Session,
        id: &str,
        (since, limit): (u64, Option<usize>),
    ) -> Result<BoxFuture<'static, Result<Replay, ActionError>>, ActionError> {
        let replay = self.find(session, id).and_then(|(living, _)| self.replaying.replay(&living.room, since, limit));
        self.report("replay", session, id, replay)
    }

    /// The events of a room that has ended, for a session that may read them.
    pub(crate) async fn archive(&self, session: &Session, id: &str) -> Result<ArchivedEvents, ActionError> {
        self.report("archive", session, id, self.archives.open(session, id).await)
    }

    /// Events of a room for one reader: those after a number, as many as it wants at once.
    pub(crate) fn logged(&self, room: &Room, after: u64, to_seq: u64) -> BoxFuture<'static, Vec<LoggedEvent>> {
        self.replaying.logged(room, after, to_seq)
    }

    /// The event `room.gap` for one reader, in place of the events with these numbers.
    pub(crate) fn gap(&self, room: &Room, from_seq: u64, to_seq: u64) -> Value {
        let (id, at_ms) = (self.premises.ids.make("e_"), self.premises.now().unix_ms);
        let body = json!({"from_seq": from_seq, "to_seq": to_seq});
        RoomEvent::new(room.about(), &id, EventKind::RoomGap, at_ms, body).to_json()
    }
}
