//! What comes for a connection while somebody has its outbox.

use std::sync::Arc;

use super::event_lane::EventLane;
use super::outbox::Outbox;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::encoded_event::EncodedEvent;

/// What is put into the outbox by whoever has it next. So nobody who serves all connections, such as the timer task or an
/// `emit`, waits for one whose writer is comparing a large view.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    notices: Vec<String>,
    events: EventLane,
    max_event_bytes: usize,
    /// An end was ordered.
    end: Option<CloseReason>,
}

impl Inbox {
    pub(super) fn notice(&mut self, text: String) {
        self.notices.push(text);
    }

    /// Keeps an event, and drops older ones for it if need be, as the outbox would. Returns whether any was dropped.
    pub(super) fn event(&mut self, event: Arc<EncodedEvent>, max_bytes: usize) -> bool {
        self.max_event_bytes = max_bytes;
        self.events.push(event, max_bytes)
    }

    /// The first order counts.
    pub(super) fn end(&mut self, reason: CloseReason) {
        self.end.get_or_insert(reason);
    }

    /// Whether an end was ordered.
    pub(super) const fn ends(&self) -> bool {
        self.end.is_some()
    }

    /// Takes the order to end, if there is one.
    pub(super) const fn take_end(&mut self) -> Option<CloseReason> {
        self.end.take()
    }

    /// Puts everything but an order to end into the outbox.
    pub(super) fn empty_into(&mut self, outbox: &mut Outbox) {
        self.notices.drain(..).for_each(|text| outbox.last_reply(text));
        outbox.events(std::mem::take(&mut self.events), self.max_event_bytes);
    }
}
