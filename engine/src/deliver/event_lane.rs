//! The events that wait for one socket.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::protocol::encode;

/// Events in order, within a bound. Above it the oldest are dropped, and one message in their place says how many.
///
/// A slow reader never costs more than the bound, and is never closed for it (rooms 4).
#[derive(Debug, Default)]
pub(crate) struct EventLane {
    /// Encoded once for all receivers.
    waiting: VecDeque<Arc<str>>,
    bytes: usize,
    /// How many were dropped since the last frame.
    dropped: u64,
}

impl EventLane {
    /// Adds an event. At least the newest is kept, whatever its size. Returns whether any was dropped for it.
    pub(crate) fn push(&mut self, event: Arc<str>, max_bytes: usize) -> bool {
        self.bytes += event.len();
        self.waiting.push_back(event);
        let dropped = self.dropped;
        while self.bytes > max_bytes && self.waiting.len() > 1 {
            if let Some(oldest) = self.waiting.pop_front() {
                self.bytes -= oldest.len();
                self.dropped += 1;
            }
        }
        self.dropped > dropped
    }

    /// The next frame: how many were dropped, or the oldest event.
    pub(crate) fn pop(&mut self) -> Option<String> {
        if self.dropped > 0 {
            return Some(encode::events_dropped(std::mem::take(&mut self.dropped)));
        }
        let event = self.waiting.pop_front()?;
        self.bytes -= event.len();
        Some(event.as_ref().to_owned())
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
            lane.push(format!("event-{at:03}").into(), max_bytes);
        });
        lane
    }

    #[test]
    fn events_come_out_in_order() {
        let mut lane = lane(3, 1_000);
        assert_eq!([lane.pop(), lane.pop(), lane.pop()].map(Option::unwrap), ["event-000", "event-001", "event-002"]);
        assert_eq!((lane.pop(), lane.bytes()), (None, 0));
    }

    #[test]
    fn over_the_bound_the_oldest_are_dropped_and_one_message_says_how_many() {
        let mut lane = lane(10, 30);
        assert_eq!((lane.len(), lane.bytes()), (3, 27));
        assert_eq!(lane.pop().unwrap(), r#"{"type":"event","name":"events.dropped","data":{"count":7}}"#);
        assert_eq!(lane.pop().unwrap(), "event-007");
    }

    #[test]
    fn the_newest_event_is_kept_whatever_its_size() {
        let mut lane = lane(2, 3);
        assert_eq!((lane.len(), lane.pop().is_some(), lane.pop().as_deref()), (1, true, Some("event-001")));
    }
}
