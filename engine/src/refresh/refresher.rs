//! The one way to a new tree: every cause of a refresh becomes a request here.

use std::sync::Arc;

use super::gathered::Job;
use super::notifier::Notifier;
use super::passes::Passes;
use super::predicates::Predicates;
use super::schedule::{Lane, Schedule, When};
use super::scope::{Scope, Target};
use super::tab_notifier::TabNotifier;
use crate::background::Background;
use crate::clock::timer_queue::TimerQueue;
use crate::deliver::versioned::Versioned;
use crate::entered::{self, Function};
use crate::event::Observers;
use crate::model::path;
use crate::model::selector::Selector;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;

/// How many sessions somebody may wait for beside those who wait for their calls; more have a lane of their own.
const A_FEW: usize = 16;

/// Resolves requests to sessions, gathers them, and has passes render them.
///
/// The causes are: the application's `refresh`, a call, a registration, new claims, a tab, a task, a
/// notice of another instance.
#[derive(Debug)]
pub(crate) struct Refresher {
    table: Arc<Table>,
    schedule: Arc<Schedule>,
    passes: Arc<Passes>,
    timers: Arc<TimerQueue<Timer>>,
    tabs: Arc<TabNotifier>,
    background: Arc<Background>,
    observers: Arc<Observers>,
    pub(crate) predicates: Arc<Predicates>,
    notifier: Notifier,
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
        schedule: Arc<Schedule>,
        passes: Arc<Passes>,
        timers: Arc<TimerQueue<Timer>>,
        tabs: Arc<TabNotifier>,
        (background, observers): (Arc<Background>, Arc<Observers>),
        (predicates, notifier): (Arc<Predicates>, Notifier),
    ) -> Arc<Self> {
        Arc::new(Self { table, schedule, passes, timers, tabs, background, observers, predicates, notifier })
    }

    /// Schedules what the application refreshes, here and on the other instances. Returns how many sessions it means here.
    pub(crate) fn request_everywhere(&self, scope: &Scope) -> usize {
        if self.is_refused() {
            return 0;
        }
        self.notifier.refreshed(scope);
        self.request(scope.target(), scope.wanted(), Urgency::Debounced)
    }

    /// Refreshes at once here, and schedules it on the other instances. Returns as [`Refresher::request_now`].
    pub(crate) async fn request_everywhere_now(&self, scope: &Scope) -> usize {
        if self.must_not_wait() {
            return 0;
        }
        self.notifier.refreshed(scope);
        self.request_now(scope.target(), scope.wanted()).await
    }

    /// A call may have changed what its session sees on other instances as well.
    pub(super) fn called(&self, slot: &Slot, paths: &Paths) {
        self.notifier.called(slot, paths);
    }

    /// Schedules a refresh. Returns how many sessions it means; those that nobody looks at have no tree and cost nothing.
    pub(crate) fn request(&self, target: &Target, paths: &Paths, urgency: Urgency) -> usize {
        if self.is_refused() {
            return 0;
        }
        let named = self.predicates.find(target);
        let target = named.as_ref().unwrap_or(target);
        match target {
            Target::Selected(Selector::Session(_)) | Target::Matching(_) => self.request_each(target, paths, urgency),
            Target::Selected(selector) => {
                let matched = self.table.count(selector);
                if matched > 0 {
                    // Their tabs are told when the pass begins.
                    let when = self.schedule.select(selector, paths, self.timers.now_ms());
                    self.start(when, Lane::Refreshes);
                }
                matched
            }
        }
    }

    fn request_each(&self, target: &Target, paths: &Paths, urgency: Urgency) -> usize {
        let slots = target.resolve(&self.table, &self.observers);
        let matched = slots.len();
        let wanting: Vec<_> = slots.into_iter().filter(|slot| slot.needs_refresh()).collect();
        if urgency == Urgency::Debounced {
            wanting.iter().for_each(|slot| self.notify_tabs(slot));
        }
        let when = self.schedule.refresh(wanting, paths, self.timers.now_ms());
        self.start(when, Lane::Refreshes);
        matched
    }

    /// Whether a descriptor function asks, in which case that is reported.
    fn is_refused(&self) -> bool {
        let Some(path) = self.passes.evaluated_path() else { return false };
        let why = format!(
            "the descriptor function of `{path}` asks for a refresh, for which it would be evaluated again: refresh where \
             the data changes instead"
        );
        self.observers.refresh_refused(&path::normal(&path), &why, self.timers.now_ms());
        true
    }

    /// Whether this thread must not wait for a pass: a descriptor function would wait for itself, and an observer may have
    /// the thread that would have to render. The observers are not told of the latter, since they would ask again.
    pub(super) fn must_not_wait(&self) -> bool {
        let observes = entered::is_in(self.observers.number(), Function::Observer);
        if observes {
            tracing::error!(target: "grove", "an observer must not wait for a refresh: use `refresh`, or a task");
        }
        observes || self.is_refused()
    }

    /// Schedules a refresh of one session: of one path, or of everything.
    pub(crate) fn request_session(&self, slot: &Slot, paths: &Paths, urgency: Urgency) {
        self.request(&Target::Selected(Selector::Session(slot.id())), paths, urgency);
    }

    /// Refreshes at once; when it returns, every tree is committed. Returns how many sessions it means; none if the runtime
    /// has ended, since nothing is committed then.
    pub(crate) async fn request_now(&self, target: &Target, paths: &Paths) -> usize {
        if self.must_not_wait() {
            return 0;
        }
        if !self.background.is_alive() {
            tracing::error!(target: "grove", "nothing is refreshed: the runtime of the engine has ended");
            return 0;
        }
        let named = self.predicates.find(target);
        let target = named.as_ref().unwrap_or(target);
        let slots = target.resolve(&self.table, &self.observers);
        let matched = slots.len();
        if *paths == Paths::All {
            self.withdraw(target, &slots);
        }
        let wanting = slots.into_iter().filter(|slot| slot.needs_refresh());
        let jobs: Vec<_> = wanting.map(|slot| Job::new(slot, paths.clone())).collect();
        let lane = if jobs.len() > A_FEW { Lane::Many } else { Lane::Calls };
        self.passes.run(lane, jobs).await;
        if self.background.is_alive() { matched } else { 0 }
    }

    /// What was scheduled for these sessions is rendered now.
    fn withdraw(&self, target: &Target, slots: &[Arc<Slot>]) {
        if let Target::Selected(selector) = target
            && self.schedule.withdraw_selected(selector)
        {
            slots.iter().filter(|slot| slot.needs_refresh()).for_each(|slot| self.notify_tabs(slot));
        }
        slots.iter().for_each(|slot| self.schedule.withdraw(slot));
    }

    /// Refreshes all of one session at once, in place of what was scheduled for it.
    pub(crate) async fn refresh_session(&self, slot: &Arc<Slot>) {
        if self.must_not_wait() {
            return;
        }
        self.schedule.withdraw(slot);
        self.passes.run(Lane::Calls, vec![Job::new(Arc::clone(slot), Paths::All)]).await;
    }

    /// Refreshes some paths of one session at once, beside whatever else is rendered for it.
    pub(crate) async fn refresh_beside(&self, slot: &Arc<Slot>, paths: Paths) {
        if self.must_not_wait() {
            return;
        }
        let beside = paths != Paths::All;
        self.passes.run(Lane::Calls, vec![Job { beside, ..Job::new(Arc::clone(slot), paths) }]).await;
    }

    /// Makes sure that a first tree is on its way.
    pub(crate) fn request_first_tree(&self, slot: &Arc<Slot>) {
        if !slot.has_tree() {
            let when = self.schedule.first_tree(Arc::clone(slot), self.timers.now_ms());
            self.start(when, Lane::FirstTrees);
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
        if self.must_not_wait() {
            return None;
        }
        self.request_first_tree(slot);
        slot.wait_for_tree(None).await
    }

    /// Tells a session's tabs that server data may have changed (contract 3.3). Never waited for.
    pub(crate) fn notify_tabs(&self, slot: &Slot) {
        self.tabs.notify(slot);
    }

    fn start(&self, when: When, lane: Lane) {
        let timer = if lane == Lane::FirstTrees { Timer::FirstTrees } else { Timer::Refreshes };
        match when {
            When::Now => self.render(lane),
            When::At(at_ms) => self.timers.at(at_ms, timer),
            When::Scheduled => {}
        }
    }

    /// The time of what has gathered in a lane has come.
    pub(crate) fn render(&self, lane: Lane) {
        self.schedule.elapsed(lane, self.timers.now_ms());
        self.passes.due(lane);
    }

    /// A timer fired: evaluations may have become slow while others wait for threads.
    pub(crate) fn find_slow_evaluations(&self) {
        self.passes.find_slow_evaluations();
    }

    /// Renders nothing any more.
    pub(crate) fn close(&self) {
        self.passes.close();
    }
}
