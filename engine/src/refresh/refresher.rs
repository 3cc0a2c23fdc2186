//! The one way to a new tree: every cause of a refresh becomes a request here.

use std::sync::Arc;

use super::passes::Passes;
use super::schedule::{Job, Schedule, When};
use super::scope::Target;
use crate::background::Background;
use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::Config;
use crate::deliver::versioned::Versioned;
use crate::event::Observers;
use crate::model::selector::Selector;
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;

/// Resolves requests to sessions, gathers them, and has passes render them.
///
/// The causes are: the application's `refresh`, a call, a registration, new claims, a tab, a task.
#[derive(Debug)]
pub(crate) struct Refresher {
    table: Arc<Table>,
    schedule: Schedule,
    passes: Arc<Passes>,
    timers: Arc<TimerQueue<Timer>>,
    idle: Arc<IdleTracker>,
    background: Arc<Background>,
    observers: Arc<Observers>,
    tab_call_ms: u64,
}

/// How soon a request is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// With what else changes within the debounce time. The session's tabs are told to fetch again.
    Debounced,
    /// The same, for a change that is the session's own: its tabs know.
    Own,
}

impl Refresher {
    pub(crate) fn new(
        table: Arc<Table>,
        passes: Arc<Passes>,
        timers: Arc<TimerQueue<Timer>>,
        idle: Arc<IdleTracker>,
        background: Arc<Background>,
        observers: Arc<Observers>,
        config: &Config,
    ) -> Arc<Self> {
        Arc::new(Self {
            table,
            schedule: Schedule::new(millis(config.times.debounce)),
            passes,
            timers,
            idle,
            background,
            observers,
            tab_call_ms: millis(config.times.tab_call_timeout),
        })
    }

    /// Schedules a refresh. Returns how many sessions it means; those that nobody looks at have no tree and cost nothing.
    pub(crate) fn request(&self, target: &Target, paths: &Paths, urgency: Urgency) -> usize {
        let slots = target.resolve(&self.table, &self.observers);
        let matched = slots.len();
        let wanting: Vec<_> = slots.into_iter().filter(|slot| slot.needs_refresh()).collect();
        if urgency == Urgency::Debounced {
            wanting.iter().for_each(|slot| self.notify_tabs(slot));
        }
        let when = self.schedule.refresh(wanting, paths, self.timers.now_ms());
        self.start(when, Timer::Refreshes);
        matched
    }

    /// Schedules a refresh of one session: of one path, or of everything.
    pub(crate) fn request_session(&self, slot: &Slot, paths: &Paths, urgency: Urgency) {
        self.request(&Target::Selected(Selector::Session(slot.id())), paths, urgency);
    }

    /// Refreshes at once; when it returns, every tree is committed. Returns how many sessions it means; none if the runtime
    /// has ended, since nothing is committed then.
    pub(crate) async fn request_now(&self, target: &Target, paths: &Paths) -> usize {
        if !self.background.is_alive() {
            tracing::error!(target: "grove", "nothing is refreshed: the runtime of the engine has ended");
            return 0;
        }
        let slots = target.resolve(&self.table, &self.observers);
        let matched = slots.len();
        let wanting = slots.into_iter().filter(|slot| slot.needs_refresh());
        let jobs: Vec<_> = wanting.map(|slot| Job::refresh(slot, paths.clone())).collect();
        if *paths == Paths::All {
            // What was scheduled for them is rendered now.
            jobs.iter().for_each(|job| self.schedule.withdraw(&job.slot));
        }
        self.passes.run(jobs).await;
        if self.background.is_alive() { matched } else { 0 }
    }

    /// Refreshes all of one session at once, in place of what was scheduled for it.
    pub(crate) async fn refresh_session(&self, slot: &Arc<Slot>) {
        self.schedule.withdraw(slot);
        self.passes.run(vec![Job::refresh(Arc::clone(slot), Paths::All)]).await;
    }

    /// Refreshes some paths of one session at once, beside whatever else is rendered for it.
    pub(super) async fn refresh_beside(&self, slot: &Arc<Slot>, paths: Paths) {
        self.passes.run(vec![Job { beside: true, ..Job::refresh(Arc::clone(slot), paths) }]).await;
    }

    /// Makes sure that a first tree is on its way.
    pub(crate) fn request_first_tree(&self, slot: &Arc<Slot>) {
        if !slot.has_tree() {
            let when = self.schedule.first_tree(Arc::clone(slot), self.timers.now_ms());
            self.start(when, Timer::FirstTrees);
        }
    }

    /// The session's tree, rendered if there is none; none that earlier claims allowed. `None` if the session ends
    /// meanwhile.
    pub(crate) async fn current_tree(&self, slot: &Arc<Slot>) -> Option<Versioned> {
        if slot.is_outdated() {
            self.refresh_session(slot).await;
        }
        if let Some(now) = slot.tree() {
            return Some(now);
        }
        self.request_first_tree(slot);
        slot.wait_for_tree(None).await
    }

    /// Tells a session's tabs that server data may have changed (contract 3.3). Never waited for.
    pub(crate) fn notify_tabs(&self, slot: &Slot) {
        for tab in slot.tabs() {
            tab.fetch(self.timers.now_ms(), self.tab_call_ms);
        }
    }

    fn start(&self, when: When, timer: Timer) {
        match (when, timer) {
            (When::Now, Timer::FirstTrees) => self.render_first_trees(),
            (When::Now, _) => self.render_refreshes(),
            (When::At(at_ms), timer) => self.timers.at(at_ms, timer),
            (When::Scheduled, _) => {}
        }
    }

    /// Starts the pass over the refreshes that wait.
    pub(crate) fn render_refreshes(&self) {
        let jobs = self.schedule.take_refreshes();
        if !jobs.is_empty() {
            let passes = Arc::clone(&self.passes);
            self.background.spawn(async move { passes.run(jobs).await });
        }
    }

    /// Starts the pass over the sessions that want a first tree.
    pub(crate) fn render_first_trees(&self) {
        let jobs = self.schedule.take_first_trees(self.timers.now_ms());
        if jobs.is_empty() {
            return;
        }
        let (passes, idle) = (Arc::clone(&self.passes), Arc::clone(&self.idle));
        let slots: Vec<_> = jobs.iter().map(|job| Arc::clone(&job.slot)).collect();
        self.background.spawn(async move {
            passes.run(jobs).await;
            slots.iter().for_each(|slot| idle.tree_idle(slot));
        });
    }
}
