//! One living room: the room, and who is in it with which slot.

use std::sync::Arc;

use super::kept::Kept;
use crate::model::Text;
use crate::model::room::handle::Room;
use crate::protocol::room_part::RoomEpoch;
use crate::sessions::slot::Slot;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// A room with the slots of its participants. They change only while the room is locked.
#[derive(Debug)]
pub(crate) struct LivingRoom {
    pub(crate) room: Room,
    /// Every session of the project may have a role in it.
    pub(crate) is_open: bool,
    seats: Mutex<Vec<Seat>>,
    /// Where its events come from.
    pub(crate) source: Arc<RoomEpoch>,
    /// When an event was last sent, in ms.
    sent_ms: AtomicU64,
    /// Present if its events are kept.
    pub(crate) kept: Option<Box<Kept>>,
}

/// The slot of a participant. A session that ended and came back has another slot, and is not the same.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) slot: Arc<Slot>,
    pub(crate) session: Text,
    pub(crate) participant: Text,
}

impl LivingRoom {
    pub(crate) fn new(room: Room, is_open: bool, kept: Option<Box<Kept>>) -> Self {
        let about = room.about();
        let (id, project, epoch) = (about.id.clone(), about.project.clone(), about.epoch.clone());
        let source = Arc::new(RoomEpoch { room: id, project, epoch });
        Self { room, is_open, seats: Mutex::new(Vec::new()), source, sent_ms: AtomicU64::new(0), kept }
    }

    /// An event is sent to all.
    pub(crate) fn sent(&self, now_ms: u64) {
        self.sent_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When an event was last sent, in ms.
    pub(crate) fn sent_ms(&self) -> u64 {
        self.sent_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, seat: Seat) {
        let mut seats = self.seats.lock();
        if seats.len() == seats.capacity() {
            // Most rooms are small, and there may be many: room for an eighth more.
            let more = seats.len() / 8 + 1;
            seats.reserve_exact(more);
        }
        seats.push(seat);
    }

    /// The seat of a slot.
    pub(crate) fn of(&self, slot: &Arc<Slot>) -> Option<Seat> {
        self.find(|seat| Arc::ptr_eq(&seat.slot, slot))
    }

    /// The seat of the session with this id, whatever its slot.
    pub(crate) fn of_session(&self, session: &str) -> Option<Seat> {
        self.find(|seat| seat.session == session)
    }

    fn find(&self, is_it: impl Fn(&Seat) -> bool) -> Option<Seat> {
        self.seats.lock().iter().find(|seat| is_it(seat)).cloned()
    }

    /// Removes the seat of a slot. What is returned may hold the last handle of something of the application's: it is not
    /// dropped while the room is locked.
    #[must_use]
    pub(crate) fn remove(&self, slot: &Arc<Slot>) -> Option<Seat> {
        let mut seats = self.seats.lock();
        let at = seats.iter().position(|seat| Arc::ptr_eq(&seat.slot, slot))?;
        Some(seats.remove(at))
    }

    /// Removes all seats.
    #[must_use]
    pub(crate) fn clear(&self) -> Vec<Seat> {
        std::mem::take(&mut self.seats.lock())
    }

    /// Looks at every seat, in order of joining.
    pub(crate) fn for_each(&self, look: impl FnMut(&Seat)) {
        self.seats.lock().iter().for_each(look);
    }
}
