//! When a pass starts: changes gather for a short while, and so do sessions that want a first tree.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sync::Mutex;

/// One slot's share of a pass.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) slot: Arc<Slot>,
    pub(crate) paths: Paths,
    /// Whether a tree is wanted even if there is none.
    pub(crate) first: bool,
}

/// What waits for the next pass. First trees and refreshes wait apart: neither makes the other early or late.
#[derive(Debug)]
pub(crate) struct Schedule {
    refreshes: Mutex<Queue>,
    firsts: Mutex<Queue>,
    debounce_ms: u64,
}

/// Which jobs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Refreshes,
    Firsts,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: HashMap<usize, Job>,
    /// Whether somebody was told when to take them.
    armed: bool,
    /// Until when jobs gather, in ms.
    until_ms: u64,
}

/// When the pending jobs are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    At(u64),
    /// Somebody was told already, or there is nothing to take.
    Armed,
}

impl Schedule {
    pub(crate) fn new(debounce_ms: u64) -> Self {
        Self { refreshes: Mutex::default(), firsts: Mutex::default(), debounce_ms }
    }

    const fn queue(&self, kind: Kind) -> &Mutex<Queue> {
        match kind {
            Kind::Refreshes => &self.refreshes,
            Kind::Firsts => &self.firsts,
        }
    }

    /// Adds a refresh of these slots. Jobs of one slot become one.
    pub(crate) fn refresh(&self, slots: impl IntoIterator<Item = Arc<Slot>>, paths: &Paths, now_ms: u64) -> When {
        let mut queue = self.refreshes.lock();
        for slot in slots {
            queue.add(Job { slot, paths: paths.clone(), first: false });
        }
        if queue.jobs.is_empty() {
            return When::Armed;
        }
        if !queue.armed {
            queue.until_ms = now_ms.saturating_add(self.debounce_ms);
        }
        queue.arm(now_ms)
    }

    /// Adds a session that wants a first tree: at once if none did lately, with the others of this window otherwise.
    pub(crate) fn first_tree(&self, slot: Arc<Slot>, now_ms: u64) -> When {
        let mut queue = self.firsts.lock();
        queue.add(Job { slot, paths: Paths::All, first: true });
        let when = queue.arm(now_ms);
        if when == When::Now {
            queue.until_ms = now_ms.saturating_add(self.debounce_ms);
        }
        when
    }

    /// Takes everything that waits.
    pub(crate) fn take(&self, kind: Kind, now_ms: u64) -> Vec<Job> {
        let mut queue = self.queue(kind).lock();
        if kind == Kind::Firsts && queue.armed {
            queue.until_ms = now_ms.saturating_add(self.debounce_ms);
        }
        queue.armed = false;
        std::mem::take(&mut queue.jobs).into_values().collect()
    }

    /// Takes a slot's refresh back: a pass that renders all of it starts now.
    pub(crate) fn withdraw(&self, slot: &Arc<Slot>) {
        self.refreshes.lock().jobs.remove(&(Arc::as_ptr(slot) as usize));
    }
}

impl Queue {
    fn add(&mut self, job: Job) {
        match self.jobs.entry(Arc::as_ptr(&job.slot) as usize) {
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

    fn arm(&mut self, now_ms: u64) -> When {
        if self.armed {
            When::Armed
        } else if self.until_ms <= now_ms {
            When::Now
        } else {
            self.armed = true;
            When::At(self.until_ms)
        }
    }
}
