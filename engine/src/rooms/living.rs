//! One living room: the room, and who is in it with which slot.

use std::sync::Arc;

use super::kept::Kept;
use crate::model::room::handle::Room;
use crate::model::room::participant::Participant;
use crate::model::room::record::Record;
use crate::sessions::slot::Slot;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// A room with the slots of its participants. They change only while the room is locked.
#[derive(Debug)]
pub(crate) struct LivingRoom {
    pub(crate) room: Room,
    /// Every session of the project may have a role in it.
    pub(crate) is_open: bool,
    /// In the order of the participants: each has one. A session that ended and came back has another slot, and is not the
    /// same.
    slots: Mutex<Vec<Arc<Slot>>>,
    /// When an event was last sent, in ms.
    sent_ms: AtomicU64,
    /// Present if its events are kept.
    pub(crate) kept: Option<Box<Kept>>,
}

impl LivingRoom {
    pub(crate) const fn new(room: Room, is_open: bool, kept: Option<Box<Kept>>) -> Self {
        Self { room, is_open, slots: Mutex::new(Vec::new()), sent_ms: AtomicU64::new(0), kept }
    }

    /// An event is sent to all.
    pub(crate) fn sent(&self, now_ms: u64) {
        self.sent_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When an event was last sent, in ms.
    pub(crate) fn sent_ms(&self) -> u64 {
        self.sent_ms.load(Ordering::Relaxed)
    }

    /// The slot of whoever was the last to join.
    pub(crate) fn add(&self, slot: Arc<Slot>) {
        let mut slots = self.slots.lock();
        if slots.len() == slots.capacity() {
            // Most rooms are small, and there may be many: room for an eighth more.
            let more = slots.len() / 8 + 1;
            slots.reserve_exact(more);
        }
        slots.push(slot);
    }

    /// Where a slot stands, if it is a participant's.
    pub(crate) fn place_of(&self, slot: &Arc<Slot>) -> Option<usize> {
        self.slots.lock().iter().position(|known| Arc::ptr_eq(known, slot))
    }

    /// The participant with a slot.
    pub(crate) fn participant<'r>(&self, record: &'r Record, slot: &Arc<Slot>) -> Option<&'r Arc<Participant>> {
        record.participant(self.place_of(slot)?)
    }

    /// The slot of the participant of the session with this id.
    pub(crate) fn slot_of(&self, record: &Record, session: &str) -> Option<Arc<Slot>> {
        self.slots.lock().get(record.place_of(session)?).cloned()
    }

    /// Removes the slot at a place. It may hold something of the application's: it is not dropped while the room is locked.
    #[must_use]
    pub(crate) fn remove(&self, at: usize) -> Arc<Slot> {
        self.slots.lock().remove(at)
    }

    /// Removes all slots.
    #[must_use]
    pub(crate) fn clear(&self) -> Vec<Arc<Slot>> {
        std::mem::take(&mut self.slots.lock())
    }

    /// Looks at every slot, in order of joining.
    pub(crate) fn for_each(&self, mut look: impl FnMut(usize, &Arc<Slot>)) {
        self.slots.lock().iter().enumerate().for_each(|(at, slot)| look(at, slot));
    }
}
