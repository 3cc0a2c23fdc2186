//! When a pass may start: changes gather for a short while, and so do sessions that want a first tree.

use std::sync::Arc;

use super::gathered::{Gathered, Job};
use crate::model::selector::Selector;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;
use crate::sessions::waiters::Waiters;
use crate::sync::Mutex;

/// Why sessions are rendered. Each kind has its own line: neither makes another early or late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A few sessions for which somebody waits: after a call, or by `refresh_now`.
    Calls,
    /// Many sessions for which somebody waits.
    Many,
    /// What changed within the debounce time.
    Refreshes,
    /// Sessions that want a first tree.
    FirstTrees,
    /// Sessions of users whose evaluations took long. They have threads of their own.
    Costly,
}

/// Which threads render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Staff {
    /// Those for everybody.
    Common,
    /// Those for users whose evaluations took long.
    Costly,
}

impl Staff {
    pub(super) const ALL: [Self; 2] = [Self::Common, Self::Costly];
}

impl Lane {
    pub(crate) const ALL: [Self; 5] = [Self::Calls, Self::Many, Self::Refreshes, Self::FirstTrees, Self::Costly];

    /// Who renders what is in this lane.
    pub(super) const fn staff(self) -> Staff {
        match self {
            Self::Calls | Self::Many | Self::Refreshes | Self::FirstTrees => Staff::Common,
            Self::Costly => Staff::Costly,
        }
    }
}

/// What waits for the next pass of each lane.
#[derive(Debug)]
pub(crate) struct Schedule {
    lanes: [Mutex<Waiting>; Lane::ALL.len()],
    debounce_ms: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    gathered: Gathered,
    /// Whether a timer will say that they are due.
    scheduled: bool,
    /// Until when jobs gather, in ms.
    until_ms: u64,
}

/// When the pending jobs are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    At(u64),
    /// A timer is set already, or there is nothing to take.
    Scheduled,
}

impl Schedule {
    pub(crate) fn new(debounce_ms: u64) -> Self {
        Self { lanes: Default::default(), debounce_ms }
    }

    const fn lane(&self, lane: Lane) -> &Mutex<Waiting> {
        &self.lanes[lane as usize]
    }

    /// Adds a refresh of these slots. Jobs of one slot are coalesced.
    pub(crate) fn refresh(&self, slots: Vec<Arc<Slot>>, paths: &Paths, now_ms: u64) -> When {
        if slots.is_empty() {
            return When::Scheduled;
        }
        let mut waiting = self.lane(Lane::Refreshes).lock();
        for slot in slots {
            waiting.gathered.add(Job::new(slot, paths.clone()));
        }
        waiting.debounce(now_ms, self.debounce_ms)
    }

    /// Adds a refresh of whoever a selector means when the pass begins.
    pub(crate) fn select(&self, selector: &Selector, paths: &Paths, now_ms: u64) -> When {
        let mut waiting = self.lane(Lane::Refreshes).lock();
        let released = waiting.gathered.select(selector, paths);
        let when = waiting.debounce(now_ms, self.debounce_ms);
        drop(waiting);
        drop(released);
        when
    }

    /// Adds a session that wants a first tree: at once if none did lately, with the others of this window otherwise.
    pub(crate) fn first_tree(&self, slot: Arc<Slot>, now_ms: u64) -> When {
        let mut waiting = self.lane(Lane::FirstTrees).lock();
        waiting.gathered.add(Job { first: true, ..Job::new(slot, Paths::All) });
        let when = waiting.schedule(now_ms);
        if when == When::Now {
            waiting.until_ms = now_ms.saturating_add(self.debounce_ms);
        }
        when
    }

    /// Adds what is due at once, and who waits for all of it.
    pub(crate) fn add(&self, lane: Lane, jobs: Vec<Job>, waiters: Waiters) {
        let mut waiting = self.lane(lane).lock();
        waiting.gathered.add_all(jobs, waiters);
    }

    /// The time of those that gathered has come. If first trees waited for it, the next ones gather anew.
    pub(crate) fn elapsed(&self, lane: Lane, now_ms: u64) {
        let mut waiting = self.lane(lane).lock();
        if std::mem::take(&mut waiting.scheduled) && lane == Lane::FirstTrees {
            waiting.until_ms = now_ms.saturating_add(self.debounce_ms);
        }
    }

    /// Takes all that waits in a lane.
    pub(super) fn take(&self, lane: Lane) -> Gathered {
        std::mem::take(&mut self.lane(lane).lock().gathered)
    }

    /// Removes a slot's refresh: a pass that renders all of it starts now.
    pub(crate) fn withdraw(&self, slot: &Arc<Slot>) {
        let released = self.lane(Lane::Refreshes).lock().gathered.withdraw(slot);
        drop(released);
    }

    /// Removes the refresh of whoever a selector means: a pass that renders all of them starts now. False if there is none.
    pub(crate) fn withdraw_selected(&self, selector: &Selector) -> bool {
        self.lane(Lane::Refreshes).lock().gathered.unselect(selector)
    }

    /// About how many sessions wait for a pass to begin: those that several requests mean are counted for each.
    pub(crate) fn sessions(&self, table: &Table) -> usize {
        let waiting = self.lanes.iter().map(|lane| {
            let (sessions, selectors) = lane.lock().gathered.waiting();
            sessions + selectors.iter().map(|selector| table.count(selector)).sum::<usize>()
        });
        waiting.sum()
    }
}

impl Waiting {
    /// They gather from the first one on.
    fn debounce(&mut self, now_ms: u64, debounce_ms: u64) -> When {
        if !self.scheduled {
            self.until_ms = now_ms.saturating_add(debounce_ms);
        }
        self.schedule(now_ms)
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
