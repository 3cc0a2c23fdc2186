//! Who is idle, and goes when the time is up or when others need the room. What goes is cache: a return renders it again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Core, Timer};
use crate::clock::millis;
use crate::config::Limit;
use crate::error::ConnectError;
use crate::event::{Event, EvictionReason};
use crate::model::session::Context;
use crate::protocol::close_reason::CloseReason;
use crate::sessions::slot::Slot;
use crate::sessions::table::{Idle, Opened};

/// How soon a tree that could not be dropped, because a pass was at it, is looked at again, in ms.
const SOON_MS: u64 = 1_000;

impl Core {
    /// The place of a session. If there is none left, the session that has been without a connection for longest makes
    /// room; if its tree would be one too many, idle trees do.
    pub(super) fn find_or_make(&self, context: &Arc<Context>) -> Result<Opened, ConnectError> {
        self.free_tree_space(context)?;
        loop {
            let opened = self.table.open(context, self.now_ms(), self.factory.is_some());
            let Err(ConnectError::LimitReached(limit)) = opened else { return opened };
            let oldest = match limit {
                Limit::SessionsPerUser => self.longest_idle_of(context),
                _ => self.longest_idle(Idle::Session).map(|(slot, _)| slot),
            };
            let Some(oldest) = oldest else {
                self.observers.warn(&Event::LimitReached { limit, session: context.id().clone() });
                return opened;
            };
            self.close_idle(&oldest, CloseReason::LeastRecent);
        }
    }

    /// A session that is not known yet is refused if all trees that somebody looks at take all the room there is.
    fn free_tree_space(&self, context: &Context) -> Result<(), ConnectError> {
        if !self.trees_are_too_large() || self.table.get(context.id()).is_some() {
            return Ok(());
        }
        self.make_free_tree_space();
        if !self.trees_are_too_large() {
            return Ok(());
        }
        let session = context.id().clone();
        self.observers.warn(&Event::LimitReached { limit: Limit::TreeBytes, session });
        Err(ConnectError::LimitReached(Limit::TreeBytes))
    }

    fn trees_are_too_large(&self) -> bool {
        self.passes.renderer.store.fragment_bytes() > self.config.memory.tree_bytes
    }

    /// The least recently used trees of sessions without a connection go, as long as there are too many or all trees are
    /// too large.
    fn make_free_tree_space(&self) {
        // Each is tried once: one at which a pass is stays for now.
        for _ in 0..self.table.idle_trees() {
            let reason = match (self.table.idle_trees() > self.config.memory.idle_trees, self.trees_are_too_large()) {
                (true, _) => EvictionReason::LeastRecent,
                (false, true) => EvictionReason::Bytes,
                (false, false) => return,
            };
            let Some((oldest, _)) = self.longest_idle(Idle::Tree) else { return };
            self.drop_idle_tree(&oldest, reason);
        }
    }

    /// Of a user's sessions, the one that has been without a connection for longest.
    fn longest_idle_of(&self, context: &Context) -> Option<Arc<Slot>> {
        let sessions = context.user().map(|user| self.table.of_user(user)).unwrap_or_default();
        let idle = sessions.into_iter().filter_map(|slot| Some((slot.idle_since_ms()?, slot)));
        idle.min_by_key(|(since_ms, _)| *since_ms).map(|(_, slot)| slot)
    }

    /// Whoever has been idle for longest, and since when, in ms. Whoever is found not to be idle is taken out on the way.
    fn longest_idle(&self, what: Idle) -> Option<(Arc<Slot>, u64)> {
        self.table.longest_idle(what, Slot::idle_since_ms)
    }

    /// Somebody connected: neither the tree nor the session may be dropped to make room.
    pub(crate) fn pin(&self, slot: &Arc<Slot>) {
        self.table.not_idle(slot, Idle::Tree);
        self.table.not_idle(slot, Idle::Session);
    }

    /// The last connection left: the tree may go after a while, and later the session.
    pub(crate) fn watch_idle(&self, slot: &Arc<Slot>) {
        self.table.idle(slot, Idle::Session);
        self.watch(Idle::Session, millis(self.config.times.idle_session));
        self.watch_idle_tree(slot);
    }

    /// If nobody is connected, the tree may go after a while. A first tree may come when whoever wanted it has left.
    pub(super) fn watch_idle_tree(&self, slot: &Arc<Slot>) {
        if slot.wants_refresh() && slot.idle_since_ms().is_some() {
            self.table.idle(slot, Idle::Tree);
            self.watch(Idle::Tree, millis(self.config.times.idle_tree));
            self.make_free_tree_space();
        }
    }

    /// One entry on the wheel for all that are idle: it looks at whoever has been for longest.
    fn watch(&self, what: Idle, after_ms: u64) {
        if !self.idle_watched[what as usize].swap(true, Ordering::SeqCst) {
            self.timers.at(self.now_ms().saturating_add(after_ms), Timer::Idle(what));
        }
    }

    /// Lets go whose time is up, and comes back for the next.
    pub(super) fn sweep_idle(&self, what: Idle) {
        self.idle_watched[what as usize].store(false, Ordering::SeqCst);
        let now_ms = self.now_ms();
        let after_ms = match what {
            Idle::Session => millis(self.config.times.idle_session),
            Idle::Tree => millis(self.config.times.idle_tree),
        };
        while let Some((slot, since_ms)) = self.longest_idle(what) {
            let until_ms = since_ms.saturating_add(after_ms);
            if until_ms > now_ms {
                return self.watch(what, until_ms - now_ms);
            }
            match what {
                Idle::Session => self.close_idle(&slot, CloseReason::Idle),
                Idle::Tree if !self.drop_idle_tree(&slot, EvictionReason::Idle) => return self.watch(what, SOON_MS),
                Idle::Tree => {}
            }
        }
    }

    /// Drops the tree of an idle session. False if a pass is at it: then it comes last among those that are idle.
    fn drop_idle_tree(&self, slot: &Arc<Slot>, reason: EvictionReason) -> bool {
        self.table.not_idle(slot, Idle::Tree);
        if slot.drop_tree() {
            self.observers.emit(|| Event::TreeEvicted { session: slot.context().id().clone(), reason });
        }
        let busy = slot.idle_since_ms().is_some() && slot.wants_refresh();
        if busy {
            self.table.idle(slot, Idle::Tree);
        }
        !busy
    }

    /// Forgets a session, unless somebody has connected meanwhile.
    fn close_idle(&self, slot: &Arc<Slot>, reason: CloseReason) {
        if self.table.remove(slot, Slot::shut_if_idle) {
            self.end_slot(slot, reason);
        }
    }
}
