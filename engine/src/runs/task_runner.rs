//! Runs tasks and shows each as a node of its session's tree.

use std::sync::{Arc, Weak};

use futures_util::future::{Either, select};

use super::task_node;
use super::task_state::{TaskState, TaskStatus};
use crate::background::Background;
use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::{Config, Limit};
use crate::error::ActionError;
use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::model::session::Session;
use crate::panics::caught::Caught;
use crate::panics::guarded::discard;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::refresh::refresher::{Refresher, Urgency};
use crate::render::task::{Task, TaskControl, TaskHost, TaskWork};
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::paths::Paths;
use crate::sessions::quota::QuotaExceeded;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::sync::{AtomicBool, AtomicUsize, Ordering};

/// Runs the tasks of all sessions.
#[derive(Debug)]
pub(crate) struct TaskRunner {
    table: Arc<Table>,
    refresher: Arc<Refresher>,
    idle: Arc<IdleTracker>,
    timers: Arc<TimerQueue<Timer>>,
    background: Arc<Background>,
    observers: Arc<Observers>,
    running: AtomicUsize,
    /// The engine shuts down: connections close as soon as their tasks have ended.
    draining: AtomicBool,
    max_tasks: usize,
    max_bytes: usize,
    retention_ms: u64,
}

/// Starts tasks as long as there is an engine; applications may hold it for longer.
#[derive(Debug)]
struct Starter(Weak<TaskRunner>);

impl TaskRunner {
    pub(crate) fn new(
        table: Arc<Table>,
        refresher: Arc<Refresher>,
        idle: Arc<IdleTracker>,
        timers: Arc<TimerQueue<Timer>>,
        background: Arc<Background>,
        observers: Arc<Observers>,
        config: &Config,
    ) -> Arc<Self> {
        Arc::new(Self {
            table,
            refresher,
            idle,
            timers,
            background,
            observers,
            running: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            max_tasks: config.limits.tasks_per_session,
            max_bytes: config.sizes.task_bytes,
            retention_ms: millis(config.times.ended_task_retention),
        })
    }

    /// What an invocation starts tasks by.
    pub(crate) fn host(self: &Arc<Self>) -> Arc<dyn TaskHost> {
        Arc::new(Starter(Arc::downgrade(self)))
    }

    fn start(self: &Arc<Self>, session: &Session, title: Text, work: TaskWork) -> Result<Text, ActionError> {
        let session_id = session.context().id().clone();
        let slot = self.table.get(&session_id).ok_or_else(session_ended)?;
        let state = Arc::new(TaskState::new(title, self.max_bytes));
        let running = |id| RunningTask {
            id,
            state: Arc::clone(&state),
            runner: Arc::downgrade(self),
            slot: Arc::downgrade(&slot),
        };
        let Some(id) = slot.add_task(self.max_tasks, running) else {
            discard(work, Some(&self.observers.owner()));
            return Err(self.too_many(session_id));
        };
        let cancelled = Arc::clone(&state);
        self.show(&slot, &id, &state, move || cancelled.cancel());
        let task = Task { id: id.clone(), control: Arc::new(running(id.clone())) };
        let (runner, slot, task_id) = (Arc::downgrade(self), Arc::downgrade(&slot), id.clone());
        let observers = Arc::clone(&self.observers);
        self.running.fetch_add(1, Ordering::SeqCst);
        self.background.runtime.spawn(async move {
            let status = run(task, &state, work, &observers).await;
            if !state.end(status) {
                observers.warn(&Event::LimitReached { limit: Limit::TaskBytes, session: session_id });
            }
            if let Some(runner) = runner.upgrade() {
                runner.ended(slot, task_id).await;
            }
        });
        Ok(id)
    }

    fn too_many(&self, session: Text) -> ActionError {
        let limit = Limit::TasksPerSession;
        self.observers.warn(&Event::LimitReached { limit, session });
        ActionError::new(ErrorCode::Busy, QuotaExceeded(limit).message())
    }

    /// Shows a task as a node. `cancel` is what its action does.
    fn show(&self, slot: &Slot, id: &Text, state: &Arc<TaskState>, cancel: impl Fn() + Send + Sync + 'static) {
        slot.set_source(path(id), Some(Arc::new(task_node::source(Arc::clone(state), cancel))));
    }

    /// Shows work that somebody else does as a task of a session, under this id.
    ///
    /// # Errors
    /// `busy` if the session has too many tasks, `internal` if it has ended.
    pub(crate) fn follow(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        (id, title): (&Text, Text),
        cancel: impl Fn() + Send + Sync + 'static,
    ) -> Result<FollowedTask, ActionError> {
        let state = Arc::new(TaskState::new(title, self.max_bytes));
        if !slot.add_task_as(id, self.max_tasks, Followed) {
            return Err(self.too_many(slot.id()));
        }
        self.show(slot, id, &state, cancel);
        Ok(FollowedTask { id: id.clone(), state, runner: Arc::downgrade(self), slot: Arc::downgrade(slot) })
    }

    async fn ended(&self, slot: Weak<Slot>, task: Text) {
        self.end(slot, task).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.background.in_flight.notify();
    }

    async fn end(&self, slot: Weak<Slot>, task: Text) {
        let Some(slot) = slot.upgrade() else { return };
        if self.draining.load(Ordering::SeqCst) {
            // Consumers shall see how it ended before they are closed.
            self.refresher.refresh_beside(&slot, Paths::Exactly(path(&task))).await;
        }
        self.retain(&slot, task);
    }

    /// The engine shuts down.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn are_running(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }

    /// Ends all tasks: they took too long.
    pub(crate) fn stop(&self) {
        self.table.all().iter().flat_map(|slot| slot.tasks()).for_each(|task| task.stop());
    }

    /// Shows a task that ended for a while.
    fn retain(&self, slot: &Arc<Slot>, task: Text) {
        if let Some(oldest) = slot.end_task(&task, self.max_tasks) {
            self.hide(slot, &oldest);
        }
        self.refresh(slot, &task);
        let at_ms = self.timers.now_ms().saturating_add(self.retention_ms);
        self.timers.at(at_ms, Timer::RemoveTask(Box::new((Arc::downgrade(slot), task))));
        if slot.idle_from(self.timers.now_ms()) {
            self.idle.session_idle(slot);
        }
    }

    /// A timer fired: the node of an ended task is removed.
    pub(crate) fn remove(&self, slot: &Slot, task: &str) {
        if slot.remove_task(task) {
            self.hide(slot, task);
        }
    }

    fn hide(&self, slot: &Slot, task: &str) {
        slot.restore_source(&path(task));
        self.refresh(slot, task);
    }

    fn refresh(&self, slot: &Slot, task: &str) {
        self.refresher.request_session(slot, &Paths::one(path(task)), Urgency::Own);
    }
}

impl TaskHost for Starter {
    fn start(&self, session: &Session, title: Text, work: TaskWork) -> Result<Text, ActionError> {
        self.0.upgrade().ok_or_else(session_ended)?.start(session, title, work)
    }
}

/// One task that runs. Its application may hold it for longer than there is an engine.
#[derive(Debug)]
struct RunningTask {
    id: Text,
    state: Arc<TaskState>,
    runner: Weak<TaskRunner>,
    slot: Weak<Slot>,
}

impl TaskControl for RunningTask {
    fn progress(&self, fraction: f64, message: Text) {
        self.state.progress(fraction, message);
        if let (Some(runner), Some(slot)) = (self.runner.upgrade(), self.slot.upgrade()) {
            runner.refresh(&slot, &self.id);
        }
    }

    fn cancel(&self) {
        self.state.cancel();
    }

    fn stop(&self) {
        self.state.end(TaskStatus::Failed(ActionError::internal(CloseReason::ShuttingDown.message())));
        self.state.cancel();
    }

    fn is_cancelled(&self) -> bool {
        self.state.is_cancelled()
    }
}

/// A task that somebody else works on: it ends when they say so, whatever becomes of its session.
#[derive(Debug)]
struct Followed;

impl TaskControl for Followed {
    fn progress(&self, _: f64, _: Text) {}

    fn cancel(&self) {}

    fn stop(&self) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// The node of work that somebody else does.
#[derive(Debug)]
pub(crate) struct FollowedTask {
    id: Text,
    state: Arc<TaskState>,
    runner: Weak<TaskRunner>,
    slot: Weak<Slot>,
}

impl FollowedTask {
    /// The latest report replaces the one before.
    pub(crate) fn progress(&self, fraction: f64, message: Text) {
        self.state.progress(fraction, message);
        if let (Some(runner), Some(slot)) = (self.runner.upgrade(), self.slot.upgrade()) {
            runner.refresh(&slot, &self.id);
        }
    }

    /// There is no such work after all.
    pub(crate) fn withdraw(&self) {
        if let (Some(runner), Some(slot)) = (self.runner.upgrade(), self.slot.upgrade()) {
            slot.end_task(&self.id, runner.max_tasks).iter().for_each(|oldest| runner.hide(&slot, oldest));
            runner.remove(&slot, &self.id);
        }
    }

    /// The work has ended.
    pub(crate) fn end(&self, status: TaskStatus) {
        let Some(runner) = self.runner.upgrade() else { return };
        let (slot, id) = (Weak::clone(&self.slot), self.id.clone());
        if !self.state.end(status) {
            let session = slot.upgrade().map(|slot| slot.id()).unwrap_or_default();
            runner.observers.warn(&Event::LimitReached { limit: Limit::TaskBytes, session });
        }
        if runner.draining.load(Ordering::SeqCst) {
            let background = Arc::clone(&runner.background);
            background.spawn(async move { runner.end(slot, id).await });
        } else if let Some(slot) = slot.upgrade() {
            runner.retain(&slot, id);
        }
    }
}

/// Where a task's node stands.
fn path(task: &str) -> Text {
    format!("tasks/{task}").into()
}

fn session_ended() -> ActionError {
    ActionError::internal("the session has ended")
}

async fn run(task: Task, state: &TaskState, work: TaskWork, observers: &Arc<Observers>) -> TaskStatus {
    let work = Caught::new(Box::pin(async move { work(task).await }), Some(observers.owner()));
    match select(work, Box::pin(state.cancelled())).await {
        Either::Left((Ok(Ok(data)), _)) => TaskStatus::Done(data),
        Either::Left((Ok(Err(error)), _)) => TaskStatus::Failed(error),
        Either::Left((Err(why), _)) => {
            observers.warn(&Event::Panicked { what: PanicSite::Task, why });
            TaskStatus::Failed(ActionError::internal("the task failed"))
        }
        Either::Right(_) => TaskStatus::Cancelled,
    }
}
