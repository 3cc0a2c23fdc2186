//! What a lane of events knows of those of rooms: which may be merged, and which were dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::Text;
use crate::model::room::event::EventKind;
use crate::model::room::handle::Room;
use crate::protocol::encoded_event::EncodedEvent;
use crate::protocol::room_event;
use crate::protocol::room_part::{Merge, RoomPart};

/// One part in so many of a lane's bound may be taken by one event that stands for others, so that what has to be dropped
/// for new ones is not everything.
const SHARE: usize = 4;

/// Above so many messages about dropped events, those of one room are put together, whatever lies between.
const MOST_GAPS: usize = 64;

/// The events that wait are the lane's; here is what few lanes have.
#[derive(Debug, Default)]
pub(super) struct RoomLane {
    /// The latest event of each kind of each run that the next one may be merged with.
    open: Vec<Open>,
    /// What was dropped since the last messages that said so.
    gaps: Vec<Gap>,
    /// How many events that was.
    dropped: u64,
    /// The messages that go out next.
    telling: VecDeque<Gap>,
    /// How many events they and the message before them are about.
    being_told: u64,
    /// How many events were merged with others.
    pub(super) merged: u64,
}

#[derive(Debug)]
struct Open {
    room: Room,
    merge: Merge,
    /// Its place in the lane.
    at: usize,
}

/// Events that were dropped, one behind the other.
#[derive(Debug)]
struct Gap {
    room: Room,
    from_seq: u64,
    to_seq: u64,
    /// Which the last of them was, and when it happened.
    id: Text,
    at: Text,
}

/// The events of the lane. The reserved ones at the front stay as they are, so that they do not grow.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    pub(super) events: &'a mut VecDeque<Arc<EncodedEvent>>,
    pub(super) bytes: &'a mut usize,
    pub(super) reserved: usize,
    pub(super) max_bytes: usize,
}

impl RoomLane {
    /// An event comes behind those that wait. It is merged with one of them, or handed back to be added.
    pub(super) fn add(&mut self, waiting: &mut Waiting<'_>, event: Arc<EncodedEvent>) -> Option<Arc<EncodedEvent>> {
        let Some(part) = event.room.as_deref().filter(|part| part.seq.is_some()) else { return Some(event) };
        let known = self.open.iter().find(|open| open.at >= waiting.reserved && open.is(part)).map(|open| open.at);
        let event = match (&part.merge, known) {
            (Merge::Append(_), Some(at)) if waiting.append(at, &event) => {
                self.merged += 1;
                return None;
            }
            (Merge::Replace(_), Some(at)) => self.replace(waiting, at, event),
            _ => event,
        };
        self.opened(&event, waiting.events.len());
        Some(event)
    }

    /// An event was added at a place: chunks before it are complete.
    fn opened(&mut self, event: &EncodedEvent, at: usize) {
        let Some(part) = &event.room else { return };
        self.open.retain(|open| !part.is_of(&open.room) || !(open.is_chunk() || open.merge == part.merge));
        if part.merge != Merge::Never {
            self.open.push(Open { room: part.room.clone(), merge: part.merge.clone(), at });
        }
    }

    /// Removes the progress at a place, which a later one replaces. Whatever of the room comes next stands for it; if
    /// nothing can, since the session was not joined in between, it stays.
    fn replace(&mut self, waiting: &mut Waiting<'_>, at: usize, mut later: Arc<EncodedEvent>) -> Arc<EncodedEvent> {
        let Some((room, from_seq, to_seq)) = covered(&waiting.events[at]) else { return later };
        let room = room.clone();
        let next = waiting.next_of(&room, at + 1);
        let stands_in = next.map_or(&later, |next| &waiting.events[next]);
        if covered(stands_in).is_none_or(|(_, from, _)| from != to_seq + 1) {
            return later;
        }
        match next {
            Some(next) => waiting.change(next, |event| event.stand_for(from_seq)),
            None => Arc::make_mut(&mut later).stand_for(from_seq),
        }
        self.remove(waiting, at);
        if let Some(next) = next {
            self.join(waiting, &room, next - 1);
        }
        later
    }

    /// If a chunk now follows another one of its run, since what was between them is gone, puts both together.
    fn join(&mut self, waiting: &mut Waiting<'_>, room: &Room, at: usize) {
        let later = Arc::clone(&waiting.events[at]);
        let Some(merge @ Merge::Append(_)) = later.room.as_ref().map(|part| &part.merge) else { return };
        let Some(before) = waiting.last_of(room, at) else { return };
        let of_one_run = waiting.events[before].room.as_ref().is_some_and(|part| part.merge == *merge);
        if !of_one_run || !waiting.append(before, &later) {
            return;
        }
        let was_open = self.open.iter().any(|open| open.at == at);
        self.remove(waiting, at);
        if was_open {
            self.open.push(Open { room: room.clone(), merge: merge.clone(), at: before });
        }
    }

    /// Removes an event for which another one stands.
    fn remove(&mut self, waiting: &mut Waiting<'_>, at: usize) {
        if let Some(event) = waiting.events.remove(at) {
            *waiting.bytes -= event.text.len();
            self.removed(at);
            self.merged += 1;
        }
    }

    /// The event at a place is not in the lane any more.
    pub(super) fn removed(&mut self, at: usize) {
        self.open.retain_mut(|open| {
            let stays = open.at != at;
            if open.at > at {
                open.at -= 1;
            }
            stays
        });
    }

    /// An event was dropped. Returns whether it is told apart: a direct message counts among the application's, since no
    /// `seq` names it, and a heartbeat does not matter.
    pub(super) fn dropped(&mut self, event: &EncodedEvent) -> bool {
        let Some(part) = &event.room else { return false };
        let Some((from_seq, to_seq)) = part.covers() else {
            let is_heartbeat = event.name == EventKind::Heartbeat.as_str();
            self.dropped += u64::from(is_heartbeat);
            return is_heartbeat;
        };
        self.dropped += 1;
        let (room, id, at) = (part.room.clone(), part.id.clone(), part.at.clone());
        self.add_gap(Gap { room, from_seq, to_seq, id, at });
        true
    }

    fn add_gap(&mut self, gap: Gap) {
        let is_full = self.gaps.len() >= MOST_GAPS;
        let known = self.gaps.iter_mut().rev().find(|known| known.room.is(&gap.room));
        match known.filter(|known| is_full || known.to_seq + 1 == gap.from_seq) {
            Some(known) => *known = Gap { from_seq: known.from_seq, ..gap },
            None => self.gaps.push(gap),
        }
    }

    /// Later events were dropped before they came here.
    pub(super) fn dropped_later(&mut self, later: Self) {
        self.dropped += later.dropped;
        later.gaps.into_iter().for_each(|gap| self.add_gap(gap));
    }

    /// What was dropped is told now, together with so many events that no room tells of. Returns how many messages that
    /// takes.
    pub(super) fn tell_gaps(&mut self, others: u64) -> usize {
        let dropped = std::mem::take(&mut self.dropped);
        self.telling = std::mem::take(&mut self.gaps).into();
        self.being_told = if self.telling.is_empty() { 0 } else { dropped + others };
        self.telling.len()
    }

    /// The next message about dropped events, of those that are being told.
    pub(super) fn next_gap(&mut self) -> Option<Arc<EncodedEvent>> {
        let Gap { room, from_seq, to_seq, id, at } = self.telling.pop_front()?;
        if self.telling.is_empty() {
            self.being_told = 0;
        }
        Some(room_event::gap(&room, &id, &at, from_seq, to_seq))
    }

    /// How many events were dropped, and that was not told to the end.
    pub(super) const fn outstanding(&self) -> u64 {
        self.dropped + self.being_told
    }
}

impl Open {
    fn is(&self, part: &RoomPart) -> bool {
        part.is_of(&self.room) && self.merge == part.merge
    }

    const fn is_chunk(&self) -> bool {
        matches!(self.merge, Merge::Append(_))
    }
}

impl Waiting<'_> {
    /// Changes an event for this lane alone.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut EncodedEvent)) {
        let event = &mut self.events[at];
        *self.bytes -= event.text.len();
        change(Arc::make_mut(event));
        *self.bytes += event.text.len();
    }

    /// Appends a chunk to the one at a place, if they follow each other and are not too long together.
    fn append(&mut self, at: usize, later: &EncodedEvent) -> bool {
        let chunk = &self.events[at];
        let follow = covered(chunk).zip(covered(later)).is_some_and(|((.., to), (_, from, _))| to + 1 == from);
        let fits = chunk.len_with(later) <= chunk.max_merged_bytes().min(self.max_bytes / SHARE);
        if follow && fits {
            self.change(at, |event| event.append(later));
        }
        follow && fits
    }

    /// The place of a room's next event with a `seq`, at a place or behind it.
    fn next_of(&self, room: &Room, from: usize) -> Option<usize> {
        (from..self.events.len()).find(|at| self.is_of(room, *at))
    }

    /// The place of a room's last event with a `seq` before a place.
    fn last_of(&self, room: &Room, before: usize) -> Option<usize> {
        (self.reserved..before).rev().find(|at| self.is_of(room, *at))
    }

    fn is_of(&self, room: &Room, at: usize) -> bool {
        covered(&self.events[at]).is_some_and(|(of, ..)| of.is(room))
    }
}

/// Of which room an event is, and from which `seq` to which it stands for; `None` if it has none.
fn covered(event: &EncodedEvent) -> Option<(&Room, u64, u64)> {
    let part = event.room.as_deref()?;
    let (from_seq, to_seq) = part.covers()?;
    Some((&part.room, from_seq, to_seq))
}
