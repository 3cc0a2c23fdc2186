//! The events that wait for one socket.

use std::collections::VecDeque;
use std::sync::Arc;

use super::room_lane::{RoomLane, Waiting};
use crate::protocol::encoded_event::EncodedEvent;
use crate::protocol::room_part::Merge;

/// Events in order, within a bound. Above it the oldest are dropped, and messages in their place say what is missing: one
/// for all events of the application, with their number, and one for each room, with what its readers can ask for.
///
/// A slow reader never costs more than the bound, and is never closed for it (rooms 4). However slow it is, it takes as
/// many events as messages about dropped ones: those behind such messages are not dropped any more.
#[derive(Debug, Default)]
pub(crate) struct EventLane {
    /// Encoded once for all receivers, unless it stands for others.
    waiting: VecDeque<Arc<EncodedEvent>>,
    bytes: usize,
    /// How many were dropped since the last message that said so. They stood behind the reserved events. What is dropped
    /// of a room is told apart, if it has a `seq`.
    dropped: u64,
    /// So many of the oldest events go out next, whatever is dropped meanwhile.
    reserved: u32,
    /// Present since the first event of a room that may be merged, or was dropped.
    rooms: Option<Box<RoomLane>>,
}

impl EventLane {
    /// Adds an event, or merges it with one that waits. At least the newest is kept, whatever its size. Returns whether
    /// any was dropped for it.
    pub(crate) fn push(&mut self, mut event: Arc<EncodedEvent>, max_bytes: usize) -> bool {
        let may_merge = event.room.as_ref().is_some_and(|part| part.merge != Merge::Never);
        if may_merge || self.rooms.is_some() && event.room.is_some() {
            let rooms = self.rooms.get_or_insert_default();
            let (events, bytes, reserved) = (&mut self.waiting, &mut self.bytes, self.reserved as usize);
            match rooms.add(&mut Waiting { events, bytes, reserved, max_bytes }, event) {
                Some(unmerged) => event = unmerged,
                None => return self.trim(max_bytes),
            }
        }
        self.bytes += event.text.len();
        self.waiting.push_back(event);
        self.trim(max_bytes)
    }

    /// Drops the oldest events until the others are within the bound. Returns whether there were any.
    fn trim(&mut self, max_bytes: usize) -> bool {
        let oldest = self.reserved as usize;
        let mut any = false;
        while self.bytes > max_bytes && self.waiting.len() > oldest + 1 {
            any = true;
            self.drop_at(oldest);
        }
        any
    }

    fn drop_at(&mut self, at: usize) {
        let Some(event) = self.waiting.remove(at) else { return };
        self.bytes -= event.text.len();
        if let Some(rooms) = &mut self.rooms {
            rooms.removed(at);
        }
        let told_apart = event.room.is_some() && self.rooms.get_or_insert_default().dropped(&event);
        if !told_apart {
            self.dropped += 1;
        }
    }

    /// Takes over what came behind these events: the others are emptied. If any of them were dropped for want of room, so
    /// are all of these that are not reserved. Returns how many of them there were.
    pub(super) fn append(&mut self, later: Self, max_bytes: usize) -> u64 {
        let count = later.outstanding();
        let oldest = self.reserved as usize;
        if count > later.waiting.len() as u64 {
            while self.waiting.len() > oldest {
                self.drop_at(oldest);
            }
        }
        self.dropped += later.dropped;
        if let Some(rooms) = later.rooms {
            self.rooms.get_or_insert_default().dropped_later(*rooms);
        }
        for event in later.waiting {
            self.push(event, max_bytes);
        }
        count
    }

    /// The next event: what was dropped, or the oldest event.
    pub(crate) fn pop(&mut self) -> Option<Arc<EncodedEvent>> {
        if let Some(notice) = self.next_notice() {
            return Some(notice);
        }
        self.reserved = self.reserved.saturating_sub(1);
        let event = self.waiting.pop_front()?;
        self.bytes -= event.text.len();
        if let Some(rooms) = &mut self.rooms {
            rooms.removed(0);
        }
        Some(event)
    }

    /// The next message about dropped events. All that there are go out together, and then as many events.
    fn next_notice(&mut self) -> Option<Arc<EncodedEvent>> {
        if let Some(gap) = self.rooms.as_mut().and_then(|rooms| rooms.next_gap()) {
            return Some(gap);
        }
        if self.reserved > 0 {
            return None;
        }
        let dropped = std::mem::take(&mut self.dropped);
        let gaps = self.rooms.as_mut().map_or(0, |rooms| rooms.tell_gaps(dropped));
        let notices = gaps + usize::from(dropped > 0);
        self.reserved = u32::try_from(notices.min(self.waiting.len())).unwrap_or(u32::MAX);
        if dropped > 0 { Some(EncodedEvent::dropped(dropped)) } else { self.rooms.as_mut()?.next_gap() }
    }

    /// Whether there is neither an event nor anything to be said about one.
    pub(crate) fn is_empty(&self) -> bool {
        self.outstanding() == 0
    }

    /// How many of the events that were pushed last, less those that were merged, have neither gone out nor been reported
    /// as dropped.
    pub(crate) fn outstanding(&self) -> u64 {
        let rooms = self.rooms.as_ref().map_or(0, |rooms| rooms.outstanding());
        self.waiting.len() as u64 + self.dropped + rooms
    }

    /// How many events were merged with others since the lane was empty.
    pub(crate) fn merged(&self) -> u64 {
        self.rooms.as_ref().map_or(0, |rooms| rooms.merged)
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod room_tests;
