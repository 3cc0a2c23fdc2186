//! What every part of a running engine shares, and the one funnel through which every change of a tree goes.

pub(crate) mod call_quota;
mod idle;
mod life;
pub(crate) mod quota;
mod renewal;

use std::sync::{Arc, OnceLock, Weak};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use call_quota::CallQuota;
use quota::Total;

use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::Config;
use crate::config::Limit;
use crate::deliver::connection_name::ConnectionNames;
use crate::deliver::link::{Aborted, Link};
use crate::deliver::subscription::{Delivery, Versioned};
use crate::error::ActionError;
use crate::event::{Event, Observers};
use crate::in_flight::InFlight;
use crate::model::Text;
use crate::model::session::Session;
use crate::protocol::encode;
use crate::refresh::pass::Passes;
use crate::refresh::schedule::{Job, Kind, Schedule, When};
use crate::refresh::scope::Scope;
use crate::render::action::Action;
use crate::session_provider::Factory;
use crate::sessions::paths::Paths;
use crate::sessions::revocations::Revocations;
use crate::sessions::slot::Slot;
use crate::sessions::table::{Idle, Table};
use crate::sync::{AbortHandle, AtomicBool, AtomicU64, AtomicUsize, Ordering, Runtime, Signal};

/// Asked before every call, beside the handler's own check.
pub(crate) type Authorize = Box<dyn Fn(&Session, &str, &Action) -> Result<(), ActionError> + Send + Sync>;

/// How long a text that is kept for others may go unused, in ms; at most twice as long.
const TEXTS_MS: u64 = 1_000;

/// What waits on the timers.
#[derive(Debug)]
pub(crate) enum Timer {
    /// A pass is due.
    Pass(Kind),
    /// A held patch or a greeting may go.
    Wake(Weak<Link>),
    /// Time to see whether a peer lives and takes what it is given.
    Check(Weak<Link>),
    /// A connection that was ended had time enough for it.
    Drop(Weak<Link>),
    /// Whoever has been idle for longest may have to go.
    Idle(Idle),
    /// A session's authentication may have ended, or soon will.
    Expiry(Weak<Slot>),
    /// Where a session's lost subscriptions stood is forgotten.
    ResumePoint(Weak<Slot>),
    /// ResumePoint texts that nobody needed for a while go.
    Texts,
    /// The node of an ended task goes.
    TaskGone(Box<(Weak<Slot>, Text)>),
}

/// The shared state. Each part has its own lock; none is held while another module's code runs.
pub(crate) struct Core {
    pub(crate) me: Weak<Self>,
    /// Tells the versions of this engine from those of another, or of an earlier one.
    pub(crate) epoch: String,
    pub(crate) connection_names: ConnectionNames,
    pub(crate) id: Text,
    pub(crate) name: Text,
    pub(crate) config: Config,
    pub(crate) observers: Arc<Observers>,
    pub(crate) table: Table,
    pub(crate) passes: Arc<Passes>,
    pub(crate) schedule: Schedule,
    pub(crate) timers: Arc<TimerQueue<Timer>>,
    /// Whether the wheel will look at kept texts.
    pub(crate) texts_watched: AtomicBool,
    /// By [`Idle`]: whether the wheel will look at who has been idle for longest.
    pub(crate) idle_watched: [AtomicBool; 2],
    /// How many handlers and loaders that may block still may run.
    pub(crate) blocking: Arc<Semaphore>,
    /// Ends the task that waits on the timers.
    pub(crate) driver: OnceLock<AbortHandle>,
    pub(crate) revocations: Revocations,
    pub(crate) delivery: Delivery,
    pub(crate) authorize: Option<Authorize>,
    /// Set in provider-per-session mode.
    pub(crate) factory: Option<Factory>,
    pub(crate) hello_fields: Vec<Text>,
    pub(crate) runtime: Runtime,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) closing: AtomicBool,
    pub(crate) connections: AtomicUsize,
    pub(crate) subscriptions: Total,
    pub(crate) tabs: Total,
    pub(crate) call_quota: CallQuota,
    /// Told when a connection ends.
    pub(crate) connection_gone: Signal,
    pub(crate) next_number: AtomicU64,
}

impl Core {
    pub(crate) fn now_ms(&self) -> u64 {
        self.timers.now_ms()
    }

    /// Runs in the background and counts as work until it ends.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let token = self.in_flight.begin();
        self.runtime.spawn(async move {
            work.await;
            drop(token);
        });
    }

    /// Schedules a refresh with the next batch. Answers how many sessions the scope means.
    pub(crate) fn refresh(&self, scope: &Scope) -> usize {
        let slots = scope.resolve(&self.table, &self.observers);
        let matched = slots.len();
        let wanting: Vec<_> = slots.into_iter().filter(|slot| slot.wants_refresh()).collect();
        wanting.iter().for_each(|slot| self.tell_tabs(slot));
        let when = self.schedule.refresh(wanting, scope.wanted(), self.now_ms());
        self.arm(when, Kind::Refreshes);
        matched
    }

    /// Tells a session's tabs that server data may have changed (contract 3.3). Never waited for.
    pub(crate) fn tell_tabs(&self, slot: &Slot) {
        for tab in slot.tabs() {
            tab.fetch(self.now_ms(), millis(self.config.times.tab_call_timeout));
        }
    }

    /// Refreshes at once; when it returns, every tree is committed.
    pub(crate) async fn refresh_now(&self, scope: &Scope) -> usize {
        let slots = scope.resolve(&self.table, &self.observers);
        let matched = slots.len();
        let wanting = slots.into_iter().filter(|slot| slot.wants_refresh());
        let job = |slot| Job { slot, paths: scope.wanted().clone(), first: false };
        self.passes.run(wanting.map(job).collect()).await;
        matched
    }

    /// Refreshes all of one session at once, in place of what was scheduled for it.
    pub(crate) async fn refresh_slot(&self, slot: &Arc<Slot>) {
        self.schedule.withdraw(slot);
        self.passes.run(vec![Job { slot: Arc::clone(slot), paths: Paths::All, first: false }]).await;
    }

    /// Makes sure that a tree is on its way.
    pub(crate) fn want_tree(&self, slot: &Arc<Slot>) {
        if !slot.is_resident() {
            let when = self.schedule.first_tree(Arc::clone(slot), self.now_ms());
            self.arm(when, Kind::Firsts);
        }
    }

    /// The session's tree, rendered if there is none; `None` if the session ends meanwhile.
    pub(crate) async fn tree(&self, slot: &Arc<Slot>) -> Option<Versioned> {
        if let Some(now) = slot.tree() {
            return Some(now);
        }
        self.want_tree(slot);
        slot.wait_for_tree().await
    }

    /// The same, but none that earlier claims allowed.
    pub(crate) async fn tree_of_now(&self, slot: &Arc<Slot>) -> Option<Versioned> {
        if slot.is_outdated() {
            self.refresh_slot(slot).await;
        }
        self.tree(slot).await
    }

    fn arm(&self, when: When, kind: Kind) {
        match when {
            When::Now => self.start_pass(kind),
            When::At(at_ms) => self.timers.at(at_ms, Timer::Pass(kind)),
            When::Armed => {}
        }
    }

    fn start_pass(&self, kind: Kind) {
        let jobs = self.schedule.take(kind, self.now_ms());
        if jobs.is_empty() {
            return;
        }
        let (passes, core) = (Arc::clone(&self.passes), self.me.clone());
        let firsts: Vec<_> = jobs.iter().filter(|job| job.first).map(|job| Arc::clone(&job.slot)).collect();
        self.spawn(async move {
            passes.run(jobs).await;
            if let Some(core) = core.upgrade() {
                firsts.iter().for_each(|slot| core.watch_idle_tree(slot));
            }
        });
    }

    /// Deals with something that became due.
    pub(crate) fn fire(&self, timer: Timer) {
        match timer {
            Timer::Pass(kind) => self.start_pass(kind),
            Timer::Wake(link) => {
                if let Some(link) = link.upgrade() {
                    link.wake();
                }
            }
            Timer::Check(link) => {
                if let Some(link) = link.upgrade() {
                    self.check(&link);
                }
            }
            Timer::Drop(link) => {
                if let Some(link) = link.upgrade() {
                    link.abort(Aborted::Ended);
                }
            }
            Timer::Idle(what) => self.sweep_idle(what),
            Timer::Expiry(slot) => {
                if let Some(slot) = slot.upgrade()
                    && slot.expiry_is_due(self.now_ms())
                {
                    self.expire(&slot);
                }
            }
            Timer::ResumePoint(slot) => {
                if let Some(at_ms) = slot.upgrade().and_then(|slot| slot.forget_kept(self.now_ms())) {
                    self.timers.at(at_ms, Timer::ResumePoint(slot));
                }
            }
            Timer::Texts => {
                self.texts_watched.store(false, Ordering::SeqCst);
                if self.delivery.memo.forget_unused() {
                    self.watch_texts();
                }
            }
            Timer::TaskGone(task) => {
                if let Some(slot) = task.0.upgrade() {
                    self.forget_task(&slot, &task.1);
                }
            }
        }
    }

    /// Texts may have been kept: they are looked at in a while.
    pub(crate) fn watch_texts(&self) {
        if !self.texts_watched.load(Ordering::Relaxed) && !self.texts_watched.swap(true, Ordering::SeqCst) {
            self.timers.at(self.now_ms().saturating_add(TEXTS_MS), Timer::Texts);
        }
    }

    fn check(&self, link: &Arc<Link>) {
        let now_ms = self.now_ms();
        let silent = now_ms.saturating_sub(link.heard_ms());
        let stalled = link.writing_since().map_or(0, |since| now_ms.saturating_sub(since));
        if silent >= millis(self.config.times.silence_timeout) {
            link.abort(Aborted::Silent);
        } else if stalled >= millis(self.config.times.silence_timeout) {
            link.abort(Aborted::Slow);
        } else {
            if silent >= millis(self.config.times.ping_interval) {
                link.ping();
            }
            self.timers
                .at(now_ms.saturating_add(millis(self.config.times.ping_interval)), Timer::Check(Arc::downgrade(link)));
        }
    }

    /// Waits until a handler or loader of this session may block a thread. Passes need threads too, and one session must
    /// not take those of all.
    pub(crate) async fn may_block(&self, slot: &Slot) -> [Option<OwnedSemaphorePermit>; 2] {
        let own = slot.blocking(self.config.execution.blocking_calls_per_session);
        let own = self.wait_for_room(slot, own, Limit::BlockingCallsPerSession).await;
        [own, self.wait_for_room(slot, Arc::clone(&self.blocking), Limit::BlockingCalls).await]
    }

    async fn wait_for_room(&self, slot: &Slot, room: Arc<Semaphore>, limit: Limit) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            return Some(permit);
        }
        self.limit_reached(limit, slot);
        // It is never closed, so it gives a permit in the end.
        room.acquire_owned().await.ok()
    }

    /// Tells that a session ran into a bound.
    pub(crate) fn limit_reached(&self, limit: Limit, slot: &Slot) {
        self.observers.warn(&Event::LimitReached { limit, session: slot.context().id().clone() });
    }

    /// Sends an event to every connection of the sessions that the scope means.
    pub(crate) fn emit(&self, scope: &Scope, name: &str, data: Option<&Value>) -> usize {
        let text = encode::event(name, data);
        let slots = scope.resolve(&self.table, &self.observers);
        let links = slots.iter().flat_map(|slot| slot.links()).filter(|link| !link.is_tab);
        links.map(|link| link.reply(text.clone())).count()
    }

    /// Schedules a refresh of one path of one session.
    pub(crate) fn refresh_own(&self, slot: &Arc<Slot>, path: &str) {
        let paths = Paths::Only([Text::from(path)].into_iter().collect());
        let wanting = Some(Arc::clone(slot)).filter(|slot| slot.wants_refresh());
        let when = self.schedule.refresh(wanting, &paths, self.now_ms());
        self.arm(when, Kind::Refreshes);
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.get() {
            driver.abort();
        }
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("id", &self.id).finish_non_exhaustive()
    }
}
