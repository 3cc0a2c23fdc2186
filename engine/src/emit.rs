//! Sends events of the application to consumers.

use std::sync::Arc;

use serde_json::Value;

use crate::config::{Limit, Sizes};
use crate::error::FrameError;
use crate::event::{Event, Observers};
use crate::model::selector::Selector;
use crate::protocol::encoded_event::EncodedEvent;

use crate::refresh::predicates::Predicates;
use crate::refresh::scope::Target;
use crate::sessions::table::Table;

/// Encodes an event once and queues it for every consumer that it concerns.
#[derive(Debug)]
pub(crate) struct Emitter {
    table: Arc<Table>,
    observers: Arc<Observers>,
    predicates: Arc<Predicates>,
    /// How many bytes of events may wait for one connection.
    max_waiting_bytes: usize,
    max_frame_bytes: usize,
}

impl Emitter {
    pub(crate) const fn new(
        table: Arc<Table>,
        observers: Arc<Observers>,
        predicates: Arc<Predicates>,
        sizes: &Sizes,
    ) -> Self {
        Self { table, observers, predicates, max_waiting_bytes: sizes.event_bytes, max_frame_bytes: sizes.frame_bytes }
    }

    /// Returns how many connections there are to which it goes.
    pub(crate) fn emit(&self, target: &Target, name: &str, data: Option<&Value>) -> Result<usize, FrameError> {
        Ok(self.send(target, &EncodedEvent::new(name, data, self.max_frame_bytes)?))
    }

    /// All receivers share the encoded event.
    pub(crate) fn send(&self, target: &Target, event: &Arc<EncodedEvent>) -> usize {
        let named = self.predicates.find(target);
        let target = match (named.as_ref(), target) {
            // Nobody can tell whom it means.
            (None, Target::Selected(Selector::Named(_))) => return 0,
            (named, target) => named.unwrap_or(target),
        };
        let mut receivers = 0;
        for slot in target.resolve(&self.table, &self.observers) {
            for link in slot.links().iter().filter(|link| link.takes_emitted()) {
                receivers += 1;
                if link.event(Arc::clone(event), self.max_waiting_bytes) {
                    let limit = Limit::EventBytes;
                    self.observers.emit(|| Event::LimitReached { limit, session: slot.id() });
                }
            }
        }
        receivers
    }
}
