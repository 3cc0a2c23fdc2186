//! The events that wait for one socket.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::protocol::encoded_event::EncodedEvent;

/// Events in order, within a bound. Above it the oldest are dropped, and one message in their place says how many.
///
/// A slow reader never costs more than the bound, and is never closed for it (rooms 4).
#[derive(Debug, Default)]
pub(crate) struct EventLane {
    /// Encoded once for all receivers.
    waiting: VecDeque<Arc<EncodedEvent>>,
    bytes: usize,
    /// How many were dropped since the last frame.
    dropped: u64,
}

impl EventLane {
    /// Adds an event. At least the newest is kept, whatever its size. Returns whether any was dropped for it.
    pub(crate) fn push(&mut self, event: Arc<EncodedEvent>, max_bytes: usize) -> bool {
        self.bytes += event.text.len();
        self.waiting.push_back(event);
        let dropped = self.dropped;
        while self.bytes > max_bytes && self.waiting.len() > 1 {
            if let Some(oldest) = self.waiting.pop_front() {
                self.bytes -= oldest.text.len();
                self.dropped += 1;
            }
        }
        self.dropped > dropped
    }

    /// The next event: how many were dropped, or the oldest one.
    pub(crate) fn pop(&mut self) -> Option<Arc<EncodedEvent>> {
        if self.dropped > 0 {
            return Some(EncodedEvent::dropped(std::mem::take(&mut self.dropped)));
        }
        let event = self.waiting.pop_front()?;
        self.bytes -= event.text.len();
        Some(event)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many events wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(events: usize, max_bytes: usize) -> EventLane {
        let mut lane = EventLane::default();
        (0..events).for_each(|at| {
            lane.push(EncodedEvent::new(&format!("{at:03}"), None), max_bytes);
        });
        lane
    }

    /// The length of every event here.
    const LENGTH: usize = r#"{"type":"event","name":"000"}"#.len();

    fn names(lane: &mut EventLane) -> Vec<String> {
        std::iter::from_fn(|| lane.pop()).map(|event| event.name.to_string()).collect()
    }

    #[test]
    fn events_come_out_in_order() {
        let mut lane = lane(3, 1_000);
        assert_eq!(names(&mut lane), ["000", "001", "002"]);
        assert_eq!(lane.bytes(), 0);
    }

    #[test]
    fn over_the_bound_the_oldest_are_dropped_and_one_message_says_how_many() {
        let mut lane = lane(10, 3 * LENGTH);
        assert_eq!((lane.len(), lane.bytes()), (3, 3 * LENGTH));
        assert_eq!(lane.pop().unwrap().text, r#"{"type":"event","name":"events.dropped","data":{"count":7}}"#);
        assert_eq!(names(&mut lane), ["007", "008", "009"]);
    }

    #[test]
    fn the_newest_event_is_kept_whatever_its_size() {
        let mut lane = lane(2, 3);
        assert_eq!(names(&mut lane), ["events.dropped", "001"]);
    }
}
