//! What everything in rooms works with.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::attendance::Attendance;
use super::call_ids::CallIds;
use super::deadlines::Deadlines;
use super::directory::Directory;
use super::ids::Ids;
use super::options::AccessFunction;
use super::refusal::busy;
use super::said::Said;
use super::unread::Unread;
use crate::clock::timer_queue::TimerQueue;
use crate::config::{Limit, RoomLimits};
use crate::count::Count;
use crate::error::ActionError;
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::model::room::runs::RunBounds;
use crate::model::room::timestamp::unix_ms;
use crate::refresh::refresher::Refresher;
use crate::refresh::sources::Sources;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::storage::error::StorageError;
use crate::storage::journal::Journal;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

/// What everything in rooms works with.
#[derive(Debug)]
pub(crate) struct Premises {
    pub(crate) directory: Directory,
    pub(crate) table: Arc<Table>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) timers: Arc<TimerQueue<Timer>>,
    pub(crate) observers: Arc<Observers>,
    pub(crate) limits: RoomLimits,
    /// Of the runs of one room.
    pub(crate) run_bounds: RunBounds,
    /// How many bytes of events may wait for one connection.
    pub(crate) max_event_bytes: usize,
    pub(crate) max_frame_bytes: usize,
    pub(crate) access: Option<AccessFunction>,
    pub(crate) ids: Ids,
    pub(crate) calls: Mutex<CallIds<Said>>,
    /// Which run a call has started.
    pub(crate) run_calls: Mutex<CallIds<Text>>,
    pub(crate) ends: Mutex<Deadlines>,
    pub(crate) removals: Mutex<Deadlines>,
    pub(crate) participants: Count,
    /// What is kept in the memory of all rooms.
    pub(crate) memory_bytes: Count,
    /// Rooms that have ended and whose node is still shown.
    pub(crate) ended: Count,
    pub(crate) attendance: Attendance,
    pub(crate) journal: Journal,
    /// The rooms and archives of which it was reported that they cannot be read.
    pub(crate) unreadable: Mutex<BTreeSet<Text>>,
    pub(crate) unread: Mutex<Unread>,
    /// There may be rooms in the storage that could not be recovered, and are not in the directory.
    pub(crate) has_unrecovered: AtomicBool,
    /// Since when what happens cannot be written, in ms since 1970; 0 if it can.
    pub(crate) degraded_since_ms: AtomicU64,
}

/// Of how many rooms it is known that they were reported. Beyond that, they are reported again.
const MOST_UNREADABLE: usize = 1_024;

/// One moment: by the engine's clock and by the time of day, both in ms. Taken before a room is locked, since the clock may
/// be the application's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now_ms: u64,
    pub(crate) unix_ms: u64,
}

impl Premises {
    pub(crate) fn now(&self) -> Moment {
        Moment { now_ms: self.timers.now_ms(), unix_ms: unix_ms(self.timers.clock().wall()) }
    }

    /// Makes sure that a room is looked at then: whether it ends, and what is to be done in it.
    pub(super) fn watch_until(&self, room: &Text, at_ms: u64) {
        let timer = self.ends.lock().add(at_ms, room.clone());
        if let Some(at_ms) = timer {
            self.timers.at(at_ms, Timer::RoomEnds);
        }
    }

    /// Since when what happens cannot be written, in ms since 1970.
    pub(crate) fn degraded_since_ms(&self) -> Option<u64> {
        Some(self.degraded_since_ms.load(Ordering::Relaxed)).filter(|since_ms| *since_ms > 0)
    }

    /// What is kept of a room, or an archive, cannot be read: that is reported once. Returns what those get who ask for it.
    pub(crate) fn unreadable(&self, id: &Text, why: &StorageError) -> ActionError {
        let mut unreadable = self.unreadable.lock();
        if unreadable.len() >= MOST_UNREADABLE {
            unreadable.clear();
        }
        let is_news = unreadable.insert(id.clone());
        drop(unreadable);
        if is_news {
            self.observers.warn(&Event::RoomUnreadable { room: id.clone(), why: why.to_string() });
        }
        match why {
            StorageError::Unavailable(_) => busy("what was kept of the room cannot be read now"),
            StorageError::Corrupt(_) => ActionError::internal("what was kept of the room is damaged"),
        }
    }

    pub(crate) fn limit_reached(&self, limit: Limit, session: &Text) {
        self.observers.warn(&Event::LimitReached { limit, session: session.clone() });
    }
}
