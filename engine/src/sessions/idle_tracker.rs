//! Which sessions and trees nobody uses, and when somebody looks at them.

use std::sync::Arc;

use super::slot::Slot;
use super::table::{Idle, Table};
use super::timer::Timer;
use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::Config;
use crate::event::EvictionReason;
use crate::render::store::Store;
use crate::sync::{AtomicBool, Ordering};

/// Keeps the lists of idle sessions and trees, and one timer for each list: it looks at whoever has been idle for longest.
#[derive(Debug)]
pub(crate) struct IdleTracker {
    table: Arc<Table>,
    timers: Arc<TimerQueue<Timer>>,
    session_ms: u64,
    tree_ms: u64,
    store: Store,
    max_trees: usize,
    max_tree_bytes: usize,
    /// By [`Idle`]: whether a timer will look at the list.
    scheduled: [AtomicBool; 2],
    /// Whether a timer will evict trees over the limits.
    excess_scheduled: AtomicBool,
}

impl IdleTracker {
    pub(crate) fn new(table: Arc<Table>, store: Store, timers: Arc<TimerQueue<Timer>>, config: &Config) -> Arc<Self> {
        Arc::new(Self {
            table,
            store,
            timers,
            session_ms: millis(config.times.idle_session),
            tree_ms: millis(config.times.idle_tree),
            max_trees: config.memory.idle_trees,
            max_tree_bytes: config.memory.tree_bytes,
            scheduled: Default::default(),
            excess_scheduled: AtomicBool::new(false),
        })
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.timers.now_ms()
    }

    /// Somebody connected: neither the tree nor the session may be evicted.
    pub(crate) fn pin(&self, slot: &Arc<Slot>) {
        self.table.not_idle(slot, Idle::Tree);
        self.table.not_idle(slot, Idle::Session);
    }

    /// Nobody is connected, or nobody ever was: the tree may be evicted after a while, and later the session.
    pub(crate) fn session_idle(&self, slot: &Arc<Slot>) {
        self.table.idle(slot, Idle::Session);
        self.schedule(Idle::Session, self.session_ms);
        self.tree_idle(slot);
    }

    /// If nobody is connected, the tree may be evicted after a while; at once if too many are kept. A first tree may come
    /// when whoever wanted it has left.
    pub(crate) fn tree_idle(&self, slot: &Arc<Slot>) {
        if slot.needs_refresh() && slot.idle_since_ms().is_some() {
            self.table.idle(slot, Idle::Tree);
            self.schedule(Idle::Tree, self.tree_ms);
            if self.excess().is_some() && !self.excess_scheduled.swap(true, Ordering::SeqCst) {
                self.timers.at(self.timers.now_ms(), Timer::EvictExcessTrees);
            }
        }
    }

    /// Why trees of idle sessions have to be evicted, if they have to.
    pub(crate) fn excess(&self) -> Option<EvictionReason> {
        if self.table.idle_trees() > self.max_trees {
            return Some(EvictionReason::LeastRecent);
        }
        self.trees_are_too_large().then_some(EvictionReason::Bytes)
    }

    /// Whether all trees together take more memory than they may.
    pub(crate) fn trees_are_too_large(&self) -> bool {
        self.store.fragment_bytes() > self.max_tree_bytes
    }

    /// How long a session or a tree may be idle, in ms.
    pub(crate) const fn limit_ms(&self, what: Idle) -> u64 {
        match what {
            Idle::Session => self.session_ms,
            Idle::Tree => self.tree_ms,
        }
    }

    /// The timer that evicts trees over the limits is handled.
    pub(crate) fn unschedule_excess(&self) {
        self.excess_scheduled.store(false, Ordering::SeqCst);
    }

    /// A timer is handled: the next one has to be scheduled anew.
    pub(crate) fn unschedule(&self, what: Idle) {
        self.scheduled[what as usize].store(false, Ordering::SeqCst);
    }

    pub(crate) fn schedule(&self, what: Idle, after_ms: u64) {
        if !self.scheduled[what as usize].swap(true, Ordering::SeqCst) {
            self.timers.at(self.timers.now_ms().saturating_add(after_ms), Timer::SweepIdle(what));
        }
    }
}
