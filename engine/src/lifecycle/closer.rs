//! Ends sessions.

use std::sync::Arc;

use crate::clock::timer_queue::TimerQueue;
use crate::cluster::bus::Bus;
use crate::event::{Event, Observers};
use crate::protocol::close_reason::CloseReason;
use crate::rooms::service::RoomService;
use crate::sessions::committed_trees::CommittedTrees;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::sessions::turn::ReleasedTree;

/// Ends sessions, with their connections and tasks.
#[derive(Debug)]
pub(crate) struct Closer {
    table: Arc<Table>,
    trees: Arc<CommittedTrees>,
    timers: Arc<TimerQueue<Timer>>,
    rooms: Option<Arc<RoomService>>,
    bus: Arc<Bus>,
    observers: Arc<Observers>,
}

impl Closer {
    pub(crate) fn new(
        table: Arc<Table>,
        trees: Arc<CommittedTrees>,
        timers: Arc<TimerQueue<Timer>>,
        rooms: Option<Arc<RoomService>>,
        bus: Arc<Bus>,
        observers: Arc<Observers>,
    ) -> Arc<Self> {
        Arc::new(Self { table, trees, timers, rooms, bus, observers })
    }

    /// Ends the session with this id. False if none is open.
    pub(crate) fn close_session(&self, id: &str, reason: CloseReason) -> bool {
        self.table.get(id).is_some_and(|slot| self.close(&slot, reason))
    }

    /// Ends a session. False if it was ended already.
    pub(crate) fn close(&self, slot: &Arc<Slot>, reason: CloseReason) -> bool {
        let removed = self.table.remove(slot, |_| true);
        if removed {
            self.end(slot, reason);
        }
        removed
    }

    /// Ends a session, unless somebody has connected meanwhile or a task runs.
    pub(crate) fn close_idle(&self, slot: &Arc<Slot>, reason: CloseReason) {
        let mut tree: Option<ReleasedTree> = None;
        let removed = self.table.remove(slot, |slot| {
            tree = slot.close_if_idle(&self.trees);
            tree.is_some()
        });
        drop(tree);
        if removed {
            self.end(slot, reason);
        }
    }

    /// Ends whatever a session had that is not in the table any more.
    fn end(&self, slot: &Arc<Slot>, reason: CloseReason) {
        let closed = slot.close(&self.trees);
        self.trees.retire(closed.version, self.timers.now_ms());
        closed.tasks.iter().for_each(|task| task.cancel());
        closed.links.iter().for_each(|link| link.end(reason));
        if let Some(rooms) = &self.rooms {
            rooms.closed(slot, reason);
        }
        self.bus.closed(slot.context().project());
        self.observers.emit(|| Event::SessionClosed { session: slot.id(), reason });
    }
}
