//! When a pass starts: changes gather for a short while, and so do sessions that want a first tree.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::turn::Wanted;
use crate::sync::Mutex;

/// One slot's share of a pass.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) slot: Arc<Slot>,
    pub(crate) paths: Paths,
    /// Whether a tree is wanted even if there is none.
    pub(crate) first: bool,
    /// Whether it may go beside another pass of the slot: somebody waits for these paths alone.
    pub(crate) beside: bool,
}

impl Job {
    /// Renders again what a slot has.
    pub(crate) const fn refresh(slot: Arc<Slot>, paths: Paths) -> Self {
        Self { slot, paths, first: false, beside: false }
    }

    pub(super) const fn wanted(&self) -> Wanted<'_> {
        Wanted { paths: &self.paths, first: self.first, beside: self.beside }
    }
}

/// What waits for the next pass. First trees and refreshes wait apart: neither makes the other early or late.
#[derive(Debug)]
pub(crate) struct Schedule {
    refreshes: Mutex<Queue>,
    first_trees: Mutex<Queue>,
    debounce_ms: u64,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: HashMap<usize, Job>,
    /// Whether a timer will take them.
    scheduled: bool,
    /// Until when jobs gather, in ms.
    until_ms: u64,
}

/// When the pending jobs are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    At(u64),
    /// A timer is set already, or there is nothing to take.
    Scheduled,
}

impl Schedule {
    pub(crate) fn new(debounce_ms: u64) -> Self {
        Self { refreshes: Mutex::default(), first_trees: Mutex::default(), debounce_ms }
    }

    /// Adds a refresh of these slots. Jobs of one slot are coalesced.
    pub(crate) fn refresh(&self, slots: impl IntoIterator<Item = Arc<Slot>>, paths: &Paths, now_ms: u64) -> When {
        let mut queue = self.refreshes.lock();
        for slot in slots {
            queue.add(Job::refresh(slot, paths.clone()));
        }
        if queue.jobs.is_empty() {
            return When::Scheduled;
        }
        if !queue.scheduled {
            queue.until_ms = now_ms.saturating_add(self.debounce_ms);
        }
        queue.schedule(now_ms)
    }

    /// Adds a session that wants a first tree: at once if none did lately, with the others of this window otherwise.
    pub(crate) fn first_tree(&self, slot: Arc<Slot>, now_ms: u64) -> When {
        let mut queue = self.first_trees.lock();
        queue.add(Job { first: true, ..Job::refresh(slot, Paths::All) });
        let when = queue.schedule(now_ms);
        if when == When::Now {
            queue.until_ms = now_ms.saturating_add(self.debounce_ms);
        }
        when
    }

    /// Takes all refreshes that wait.
    pub(crate) fn take_refreshes(&self) -> Vec<Job> {
        self.refreshes.lock().take()
    }

    /// Takes all sessions that want a first tree. If others waited for them, the next ones gather anew.
    pub(crate) fn take_first_trees(&self, now_ms: u64) -> Vec<Job> {
        let mut queue = self.first_trees.lock();
        if queue.scheduled {
            queue.until_ms = now_ms.saturating_add(self.debounce_ms);
        }
        queue.take()
    }

    /// Removes a slot's refresh: a pass that renders all of it starts now.
    pub(crate) fn withdraw(&self, slot: &Arc<Slot>) {
        let removed = self.refreshes.lock().jobs.remove(&address(slot));
        drop(removed);
    }
}

impl Queue {
    fn add(&mut self, job: Job) {
        match self.jobs.entry(address(&job.slot)) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.paths.merge(job.paths);
                known.first |= job.first;
            }
            Entry::Vacant(gap) => {
                gap.insert(job);
            }
        }
    }

    fn take(&mut self) -> Vec<Job> {
        self.scheduled = false;
        std::mem::take(&mut self.jobs).into_values().collect()
    }

    fn schedule(&mut self, now_ms: u64) -> When {
        if self.scheduled {
            When::Scheduled
        } else if self.until_ms <= now_ms {
            When::Now
        } else {
            self.scheduled = true;
            When::At(self.until_ms)
        }
    }
}

/// Jobs hold their slot, so the address is this slot's alone.
fn address(slot: &Arc<Slot>) -> usize {
    Arc::as_ptr(slot) as usize
}
