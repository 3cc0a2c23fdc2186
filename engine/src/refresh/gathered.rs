//! What waits for the next pass: each session once, however often it is requested, and what calls wait for beside it.

use std::hash::Hash;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap};
use indexmap::IndexMap;
use indexmap::map::Entry;

use crate::model::Text;
use crate::model::selector::Selector;
use crate::render::registry::Registry;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;
use crate::sessions::turn::{Begin, Ticket, Wanted};
use crate::sessions::waiters::Waiters;

/// One slot's share of a pass.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) slot: Arc<Slot>,
    pub(crate) paths: Paths,
    /// Whether a tree is wanted even if there is none.
    pub(crate) first: bool,
    /// Whether it may go beside another pass of the slot: somebody waits for these paths alone.
    pub(super) beside: bool,
    pub(crate) waiters: Waiters,
    /// Whether it is counted among those that wait for async functions.
    pub(super) awaits: bool,
    /// Paths whose evaluations it does not wait for any more: what they have stays.
    pub(super) given_up: Vec<Text>,
}

/// Jobs in the order in which they were requested. A pass takes sessions in the order in which they stand in memory, as the
/// table gave them: in any other order ten thousand take half as long again.
type InOrder<K> = IndexMap<K, Job, DefaultHashBuilder>;

/// Requests that one pass will render.
///
/// A request for many sessions is kept as it was made, and finds its sessions when the pass begins: another one of the
/// same kind meanwhile costs nothing, however many sessions there are.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    by_slot: InOrder<usize>,
    /// Those of one request, each session once, as long as nothing else is requested: they need not be found.
    alone: Vec<Job>,
    /// Who waits for all of `alone`.
    alone_waiters: Waiters,
    /// Those that may go beside another pass. Each waits for its own paths alone, so only equal ones are coalesced.
    beside: InOrder<(usize, Paths)>,
    by_selector: HashMap<Selector, Paths>,
    /// Sessions that were rendered, or are about to be, after they were requested here for the last time.
    withdrawn: HashMap<usize, Arc<Slot>>,
}

/// Sessions that are no longer held here, to be dropped without a lock.
#[derive(Debug)]
#[must_use = "it may hold the last handle of application values: drop it when no lock is held"]
pub(super) struct Released {
    _job: Option<Job>,
    _withdrawn: HashMap<usize, Arc<Slot>>,
}

/// What a pass renders.
pub(super) struct Resolved {
    pub(super) jobs: Vec<Job>,
    /// Who waits for all of it.
    pub(super) waiters: Waiters,
    /// Sessions with tabs of which it was not known before that they are meant.
    pub(super) found: Vec<Arc<Slot>>,
}

impl Job {
    pub(super) fn new(slot: Arc<Slot>, paths: Paths) -> Self {
        Self {
            slot,
            paths,
            first: false,
            beside: false,
            waiters: Waiters::default(),
            awaits: false,
            given_up: Vec::new(),
        }
    }

    /// Takes its turn, or leaves what it wants, and who waits for that, to a pass that follows the one that has the turn. If
    /// it may go beside that, no more than `side_turns` do. `others` are those who wait for this job among others.
    pub(super) fn begin(
        &mut self,
        (ticket, side_turns): (Ticket, u8),
        others: impl FnOnce() -> Waiters,
        registry: &Registry,
        newer: impl FnOnce() -> Option<Arc<Registry>>,
    ) -> Begin {
        let beside = if self.beside { side_turns } else { 0 };
        let wanted = Wanted { paths: &self.paths, first: self.first, beside };
        let own = &mut self.waiters;
        let waiters = || {
            let mut waiters = std::mem::take(own);
            waiters.merge(others());
            waiters
        };
        self.slot.begin(ticket, wanted, waiters, registry, newer)
    }

    /// They wait for it as well.
    pub(super) fn waited_for_by(mut self, waiters: &Waiters) -> Self {
        self.waiters.merge(waiters.again());
        self
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.paths.merge(&other.paths);
        self.first |= other.first;
        self.beside &= other.beside;
        self.waiters.merge(other.waiters);
    }
}

impl Gathered {
    /// How many sessions wait, and whose sessions wait as well.
    pub(super) fn waiting(&self) -> (usize, Vec<Selector>) {
        (self.alone.len() + self.by_slot.len() + self.beside.len(), self.by_selector.keys().cloned().collect())
    }

    /// Adds the shares of one request, in which each session is once, and who waits for all of them. There is at least one.
    pub(super) fn add_all(&mut self, jobs: Vec<Job>, waiters: Waiters) {
        let is_first = self.waiting().0 == 0 && self.by_selector.is_empty() && self.withdrawn.is_empty();
        if is_first && !jobs.iter().any(|job| job.beside) {
            (self.alone, self.alone_waiters) = (jobs, waiters);
        } else {
            jobs.into_iter().for_each(|job| self.add(job.waited_for_by(&waiters)));
        }
    }

    /// Something else is requested, so they have to be found.
    fn index(&mut self) {
        let waiters = std::mem::take(&mut self.alone_waiters);
        for job in std::mem::take(&mut self.alone) {
            merge_into(&mut self.by_slot, address(&job.slot), job.waited_for_by(&waiters));
        }
    }

    /// Adds one session's share. Those of one session are coalesced, so none of its handles dropped here is the last one.
    pub(super) fn add(&mut self, job: Job) {
        self.index();
        self.withdrawn.remove(&address(&job.slot));
        if job.beside {
            merge_into(&mut self.beside, (address(&job.slot), job.paths.clone()), job);
        } else {
            merge_into(&mut self.by_slot, address(&job.slot), job);
        }
    }

    /// Adds whoever a selector means when the pass begins.
    pub(super) fn select(&mut self, selector: &Selector, paths: &Paths) -> Released {
        match self.by_selector.get_mut(selector) {
            Some(known) => known.merge(paths),
            None => {
                self.by_selector.insert(selector.clone(), paths.clone());
            }
        }
        // They may be among those whom it means.
        Released { _job: None, _withdrawn: std::mem::take(&mut self.withdrawn) }
    }

    /// Removes whoever a selector means. False if nobody asked for them by that selector.
    pub(super) fn unselect(&mut self, selector: &Selector) -> bool {
        self.by_selector.remove(selector).is_some()
    }

    /// A pass that renders all of a session starts later than it was requested here.
    pub(super) fn withdraw(&mut self, slot: &Arc<Slot>) -> Released {
        self.index();
        let job = self.by_slot.swap_remove(&address(slot));
        if !self.by_selector.is_empty() {
            self.withdrawn.insert(address(slot), Arc::clone(slot));
        }
        Released { _job: job, _withdrawn: HashMap::new() }
    }

    /// What the pass renders.
    pub(super) fn resolve(mut self, table: &Table) -> Resolved {
        let (mut jobs, mut waiters) = (Vec::new(), Waiters::default());
        if self.by_selector.is_empty() && self.by_slot.is_empty() {
            jobs = std::mem::take(&mut self.alone);
            waiters = std::mem::take(&mut self.alone_waiters);
        }
        self.index();
        let mut found = Vec::new();
        let alone = self.by_slot.is_empty() && self.by_selector.len() == 1;
        for (selector, paths) in std::mem::take(&mut self.by_selector) {
            for slot in table.select(&selector) {
                let (wanted, has_tabs) = slot.needs_refresh_with_tabs();
                if !wanted {
                    continue;
                }
                if has_tabs {
                    found.push(Arc::clone(&slot));
                }
                if !self.withdrawn.contains_key(&address(&slot)) {
                    let key = address(&slot);
                    let job = Job::new(slot, paths.clone());
                    // One selector alone finds each session once.
                    if alone { jobs.push(job) } else { merge_into(&mut self.by_slot, key, job) }
                }
            }
        }
        jobs.extend(self.by_slot.into_values().chain(self.beside.into_values()));
        Resolved { jobs, waiters, found }
    }
}

fn merge_into<K: Eq + Hash>(jobs: &mut InOrder<K>, key: K, job: Job) {
    match jobs.entry(key) {
        Entry::Occupied(mut known) => known.get_mut().merge(job),
        Entry::Vacant(gap) => {
            gap.insert(job);
        }
    }
}

/// What is gathered holds its slots, so the address is this slot's alone.
pub(super) fn address(slot: &Arc<Slot>) -> usize {
    Arc::as_ptr(slot) as usize
}
