//! Evicts idle sessions and trees: when they expire, or when others need the memory. What is evicted is cache: a return
//! renders it again.

use std::sync::Arc;
use std::time::SystemTime;

use super::closer::Closer;
use crate::config::Limit;
use crate::error::ConnectError;
use crate::event::{Event, EvictionReason, Observers};
use crate::model::session::Context;
use crate::protocol::close_reason::CloseReason;
use crate::sessions::committed_trees::CommittedTrees;
use crate::sessions::evidence::Authority;
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::slot::Slot;
use crate::sessions::table::{Idle, OpenStep, Opened, Table};

/// How soon a tree that could not be evicted, because a pass worked on it, is looked at again, in ms.
const RETRY_MS: u64 = 1_000;

/// Evicts idle sessions and trees.
#[derive(Debug)]
pub(crate) struct Evictor {
    table: Arc<Table>,
    idle: Arc<IdleTracker>,
    closer: Arc<Closer>,
    /// How many sessions have a tree.
    trees: Arc<CommittedTrees>,
    observers: Arc<Observers>,
}

impl Evictor {
    pub(crate) fn new(
        table: Arc<Table>,
        idle: Arc<IdleTracker>,
        closer: Arc<Closer>,
        trees: Arc<CommittedTrees>,
        observers: Arc<Observers>,
    ) -> Arc<Self> {
        Arc::new(Self { table, idle, closer, trees, observers })
    }

    /// The slot of a session. If there are as many as may be, the session that has been without a connection for longest
    /// is evicted; if trees take all the memory they may, idle ones are. A session of somebody else with the same id ends
    /// first.
    pub(crate) fn find_or_make(
        &self,
        context: &Arc<Context>,
        now: SystemTime,
        without_provider: bool,
    ) -> Result<Opened, ConnectError> {
        self.free_tree_memory(context)?;
        self.within_limits(context, || {
            loop {
                let opened = self.table.open(context, (self.idle.now_ms(), now), without_provider)?;
                if !matches!(opened.step, OpenStep::Foreign) {
                    return Ok(opened);
                }
                self.report_conflict(context);
                self.closer.close(&opened.slot, CloseReason::Closed);
            }
        })
    }

    /// Two people under one id: one has logged in after the other, or the authenticator has made a mistake.
    pub(crate) fn report_conflict(&self, context: &Context) {
        self.observers.warn(&Event::SessionConflict { session: context.id().clone() });
    }

    /// Gives an open session new claims. `None` if none is open under that id. If its user has as many sessions as may be,
    /// the one that has been without a connection for longest is evicted.
    pub(crate) fn change(
        &self,
        context: &Arc<Context>,
        from: (Authority, SystemTime),
    ) -> Result<Option<Opened>, ConnectError> {
        self.within_limits(context, || self.table.change(context, from))
    }

    /// Evicts idle sessions until a step keeps to the limits.
    fn within_limits<T>(
        &self,
        context: &Context,
        step: impl Fn() -> Result<T, ConnectError>,
    ) -> Result<T, ConnectError> {
        loop {
            let done = step();
            let Err(ConnectError::LimitReached(limit)) = done else { return done };
            let oldest = match limit {
                Limit::SessionsPerUser => self.longest_idle_of_user(context),
                _ => self.longest_idle(Idle::Session).map(|(slot, _)| slot),
            };
            let Some(oldest) = oldest else {
                self.observers.warn(&Event::LimitReached { limit, session: context.id().clone() });
                return done;
            };
            self.closer.close_idle(&oldest, CloseReason::LeastRecent);
        }
    }

    /// A session that is not known yet is refused if the trees that somebody looks at take all the memory they may.
    fn free_tree_memory(&self, context: &Context) -> Result<(), ConnectError> {
        if !self.idle.trees_are_too_large() || self.table.get(context.id()).is_some() {
            return Ok(());
        }
        self.evict_excess_trees();
        if !self.idle.trees_are_too_large() {
            return Ok(());
        }
        let limit = Limit::TreeBytes;
        self.observers.warn(&Event::LimitReached { limit, session: context.id().clone() });
        Err(ConnectError::LimitReached(limit))
    }

    /// Evicts the least recently used trees of sessions without a connection, as long as there are too many or all trees
    /// are too large.
    pub(crate) fn evict_excess_trees(&self) {
        // Each is tried once: one on which a pass works stays for now.
        for _ in 0..self.table.idle_trees() {
            let Some(reason) = self.idle.excess() else { return };
            let Some((oldest, _)) = self.longest_idle(Idle::Tree) else { return };
            self.evict_tree(&oldest, reason);
        }
    }

    /// Of a user's sessions, the one that has been without a connection for longest.
    fn longest_idle_of_user(&self, context: &Context) -> Option<Arc<Slot>> {
        let sessions = context.user().map(|user| self.table.of_user(user)).unwrap_or_default();
        let idle = sessions.into_iter().filter_map(|slot| Some((slot.idle_since_ms()?, slot)));
        idle.min_by_key(|(since_ms, _)| *since_ms).map(|(_, slot)| slot)
    }

    /// Whoever has been idle for longest, and since when, in ms. Whoever is found not to be idle is taken out on the way.
    fn longest_idle(&self, what: Idle) -> Option<(Arc<Slot>, u64)> {
        self.table.longest_idle(what, Slot::idle_since_ms)
    }

    /// Evicts whatever has been idle for too long, and schedules the next sweep.
    pub(crate) fn sweep_idle(&self, what: Idle) {
        self.idle.unschedule(what);
        let now_ms = self.idle.now_ms();
        while let Some((slot, since_ms)) = self.longest_idle(what) {
            let until_ms = since_ms.saturating_add(self.idle.limit_ms(what));
            if until_ms > now_ms {
                return self.idle.schedule(what, until_ms - now_ms);
            }
            match what {
                Idle::Session => self.closer.close_idle(&slot, CloseReason::Idle),
                Idle::Tree if !self.evict_tree(&slot, EvictionReason::Idle) => {
                    return self.idle.schedule(what, RETRY_MS);
                }
                Idle::Tree => {}
            }
        }
    }

    /// Evicts the tree of an idle session. False if a pass works on it: then it comes last among those that are idle.
    fn evict_tree(&self, slot: &Arc<Slot>, reason: EvictionReason) -> bool {
        self.table.not_idle(slot, Idle::Tree);
        if slot.evict_tree(&self.trees) {
            self.observers.emit(|| Event::TreeEvicted { session: slot.id(), reason });
        }
        let busy = slot.idle_since_ms().is_some() && slot.needs_refresh();
        if busy {
            self.table.idle(slot, Idle::Tree);
        }
        !busy
    }

    /// Evicts the tree of a session without telling anybody: its claims changed while nobody looked at it.
    pub(crate) fn discard_tree(&self, slot: &Arc<Slot>) {
        if slot.evict_tree(&self.trees) {
            self.table.not_idle(slot, Idle::Tree);
        }
    }
}
