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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Events of these lengths, each with its number as text.
    fn events(first: usize, lengths: &[usize]) -> impl Iterator<Item = Arc<EncodedEvent>> {
        let event = move |(at, length): (usize, &usize)| {
            let text = format!("{:-<length$}", first + at);
            EncodedEvent::plain(&text)
        };
        lengths.iter().enumerate().map(event)
    }

    fn taken(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.take_event()).map(|event| event.text.clone()).collect()
    }

    proptest! {
        #[test]
        fn what_comes_through_the_inbox_is_what_the_outbox_would_have_kept(
            before in prop::collection::vec(3..30_usize, 0..6),
            meanwhile in prop::collection::vec(3..30_usize, 0..12),
            max_bytes in 1..150_usize,
        ) {
            let (mut direct, mut outbox, mut inbox) =
                (Outbox::new(None, 1_000), Outbox::new(None, 1_000), Inbox::default());
            for event in events(0, &before) {
                direct.event(Arc::clone(&event), max_bytes);
                outbox.event(event, max_bytes);
            }
            for event in events(before.len(), &meanwhile) {
                direct.event(Arc::clone(&event), max_bytes);
                let newest = event.text.len();
                let (bytes, waited) = (inbox.events.bytes() + newest, inbox.events.outstanding());
                prop_assert_eq!(inbox.event(event, max_bytes), bytes > max_bytes && waited > 0 && bytes > newest);
                prop_assert_eq!(inbox.events.outstanding(), waited + 1);
                prop_assert!(inbox.events.bytes() <= max_bytes.max(newest), "bounded meanwhile");
            }
            inbox.empty_into(&mut outbox);
            prop_assert_eq!((inbox.events.bytes(), inbox.events.outstanding()), (0, 0));
            prop_assert_eq!((outbox.events_queued(), outbox.bytes()), (direct.events_queued(), direct.bytes()));
            prop_assert_eq!(taken(&mut outbox), taken(&mut direct));
        }
    }

    #[test]
    fn a_connection_that_ends_hears_of_no_more_events() {
        let (mut outbox, mut inbox) = (Outbox::new(None, 1_000), Inbox::default());
        outbox.end(CloseReason::Expired);
        events(0, &[20, 20, 20]).for_each(|event| {
            inbox.event(event, 30);
        });
        inbox.empty_into(&mut outbox);
        assert_eq!((outbox.events_queued(), taken(&mut outbox)), (0, Vec::<String>::new()));
    }

    #[test]
    fn notices_are_replies_and_the_first_order_to_end_counts() {
        let (mut outbox, mut inbox) = (Outbox::new(None, 1_000), Inbox::default());
        inbox.notice("notice".to_owned());
        inbox.end(CloseReason::Expired);
        inbox.end(CloseReason::Gone);
        assert!(inbox.ends());
        inbox.empty_into(&mut outbox);
        assert_eq!(outbox.bytes(), "notice".len());
        assert!(inbox.ends(), "the order waits for whoever carries it out");
        assert_eq!((inbox.take_end(), inbox.ends()), (Some(CloseReason::Expired), false));
    }
}
