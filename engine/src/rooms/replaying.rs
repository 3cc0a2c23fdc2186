//! The past of replayable rooms.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::durability;
use super::kept::kept_after;
use super::premises::Premises;
use super::refusal::has_ended;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::handle::Room;
use crate::model::room::record::RoomState;
use crate::storage::error::StorageError;
use crate::storage::event_log::{LoggedEvent, PageSize};

/// Past events of a room.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Replay {
    /// In order, without direct messages.
    pub events: Vec<Value>,
    /// After which number to go on, if there are more.
    pub next: Option<u64>,
}

/// Reads the past of replayable rooms.
#[derive(Debug)]
pub(crate) struct Replaying {
    premises: Arc<Premises>,
}

/// How many events are replayed at once if it is not said.
const SOME: usize = 100;

/// How many events are replayed at once at most.
const MOST: usize = 1_000;

/// How many events are read at once for a stream.
const STREAMED: usize = 256;

impl Replaying {
    pub(crate) const fn new(premises: Arc<Premises>) -> Self {
        Self { premises }
    }

    /// The events of a room after a number. There may be fewer than are wanted, if they are long.
    pub(crate) fn replay(
        &self,
        room: &Room,
        since: u64,
        limit: Option<usize>,
    ) -> Result<BoxFuture<'static, Result<Replay, ActionError>>, ActionError> {
        if room.state() == RoomState::Ended {
            return Err(has_ended());
        }
        if !room.is_replayable() {
            return Err(ActionError::conflict("the room is not replayable: its past events are not kept"));
        }
        let latest = room.seq();
        let events = limit.unwrap_or(SOME).clamp(1, MOST);
        // The result has to fit a frame.
        let bytes = self.premises.max_frame_bytes / 2;
        let page = self.page(room, since, latest, PageSize { events, bytes });
        let (premises, id) = (Arc::clone(&self.premises), room.id().clone());
        let read = async move {
            let page = page.await.map_err(|why| premises.unreadable(&id, &why))?;
            let reached = page.last().map_or(latest, |event| event.seq);
            let events: Result<_, _> = page.iter().map(|event| serde_json::from_str(&event.text)).collect();
            let damaged = |why: serde_json::Error| StorageError::Corrupt(why.to_string());
            let events = events.map_err(|why| premises.unreadable(&id, &damaged(why)))?;
            Ok(Replay { events, next: (reached < latest).then_some(reached) })
        };
        Ok(read.boxed())
    }

    /// Events for a stream, from the one after a number up to another, or as many as are read at once. None if they cannot be
    /// read.
    pub(crate) fn logged(&self, room: &Room, after: u64, to_seq: u64) -> BoxFuture<'static, Vec<LoggedEvent>> {
        let page = PageSize { events: STREAMED, bytes: self.premises.max_event_bytes };
        let read = self.page(room, after, to_seq, page);
        let up_to_here = move |mut events: Vec<LoggedEvent>| {
            events.retain(|event| event.seq <= to_seq);
            events
        };
        let (premises, id) = (Arc::clone(&self.premises), room.id().clone());
        let report = move |why: StorageError| drop(premises.unreadable(&id, &why));
        read.map(move |read| read.map(up_to_here).map_err(report).unwrap_or_default()).boxed()
    }

    /// Reads what is there, and once more when everything is durable if there should be more.
    fn page(
        &self,
        room: &Room,
        after: u64,
        to_seq: u64,
        page: PageSize,
    ) -> BoxFuture<'static, Result<Vec<LoggedEvent>, StorageError>> {
        let after = after.max(kept_after(&self.premises.limits, room.about(), room.seq()));
        let (premises, id) = (Arc::clone(&self.premises), room.id().clone());
        let read = async move {
            let events = read(&premises, id.clone(), after, page).await?;
            let is_short = events.len() < page.events && size(&events) < page.bytes;
            let reached = events.last().map_or(after, |event| event.seq);
            if !is_short || reached >= to_seq {
                return Ok(events);
            }
            // If that takes too long, what is durable is the past.
            let _ = durability::all_durable(&premises).await;
            read(&premises, id, after, page).await
        };
        read.boxed()
    }
}

async fn read(premises: &Premises, room: Text, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
    premises.journal.read(move |store| store.read(&room, after, page)).await
}

fn size(events: &[LoggedEvent]) -> usize {
    events.iter().map(|event| event.text.len()).sum()
}
