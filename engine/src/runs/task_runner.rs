//! Runs tasks and shows each as a node of its session's tree.

use std::sync::{Arc, Weak};

use super::executor::{Ended, execute};
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
use crate::render::task::{Task, TaskControl, TaskHost, TaskResult, TaskWork};
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
        let slot = self.table.get(session.context().id()).ok_or_else(session_ended)?;
        let Some(task) = self.add(&slot, None, title) else {
            discard(work, Some(&self.observers.owner()));
            return Err(if slot.is_closed() { session_ended() } else { self.too_many(slot.id()) });
        };
        let (id, cancelled, stopped) = (task.id.clone(), Arc::clone(&task.state), Arc::clone(&task.state));
        self.show(&slot, &task, move || cancelled.cancel());
        let handle = Task { id: id.clone(), control: Arc::clone(&task) as _ };
        let (counted, observers) = (Counted::new(self), Arc::clone(&self.observers));
        let work = Caught::new(Box::pin(async move { work(handle).await }), Some(observers.owner()));
        let shown = Arc::clone(&task);
        let begins = execute(&self.background.runtime, work, async move { stopped.cancelled().await }, move |ended| {
            shown.end_with(status_of(ended, &observers), counted);
        });
        if !begins {
            task.end(status_of(Ended::Abandoned, &self.observers));
        }
        Ok(id)
    }

    /// Adds a task to those of a session: under an id of its own, or one that is unique in the engine. `None` if it may not be.
    fn add(self: &Arc<Self>, slot: &Arc<Slot>, id: Option<&Text>, title: Text) -> Option<Arc<ShownTask>> {
        let (state, runner) = (Arc::new(TaskState::new(title, self.max_bytes)), Arc::downgrade(self));
        let mut added = None;
        slot.add_task(id, self.max_tasks, |given| {
            let task = Arc::new(ShownTask { id: given.clone(), state, runner, slot: Arc::downgrade(slot) });
            added = Some(Arc::clone(&task));
            if id.is_none() { task } else { Arc::new(Followed) }
        });
        added
    }

    fn too_many(&self, session: Text) -> ActionError {
        let limit = Limit::TasksPerSession;
        self.observers.warn(&Event::LimitReached { limit, session });
        ActionError::new(ErrorCode::Busy, QuotaExceeded(limit).message())
    }

    /// Shows a task as a node. `cancel` is what its action does.
    fn show(&self, slot: &Slot, task: &ShownTask, cancel: impl Fn() + Send + Sync + 'static) {
        slot.set_source(path(&task.id), Some(Arc::new(task_node::source(Arc::clone(&task.state), cancel))));
    }

    /// Shows work that somebody else does as a task of a session, under this id. `None` if the session has ended meanwhile.
    ///
    /// # Errors
    /// `busy` if the session has too many tasks.
    pub(crate) fn follow(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        (id, title): (&Text, Text),
        cancel: impl Fn() + Send + Sync + 'static,
    ) -> Result<Option<Arc<ShownTask>>, ActionError> {
        let Some(task) = self.add(slot, Some(id), title) else {
            return if slot.is_closed() { Ok(None) } else { Err(self.too_many(slot.id())) };
        };
        self.show(slot, &task, cancel);
        Ok(Some(task))
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

/// A task as its session shows it, whoever works on it. Its application may hold it for longer than there is an engine.
#[derive(Debug)]
pub(crate) struct ShownTask {
    id: Text,
    state: Arc<TaskState>,
    runner: Weak<TaskRunner>,
    slot: Weak<Slot>,
}

impl TaskControl for ShownTask {
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

impl ShownTask {
    /// There is no such work after all.
    pub(crate) fn withdraw(&self) {
        if let (Some(runner), Some(slot)) = (self.runner.upgrade(), self.slot.upgrade()) {
            slot.end_task(&self.id, runner.max_tasks).iter().for_each(|oldest| runner.hide(&slot, oldest));
            runner.remove(&slot, &self.id);
        }
    }

    /// The work has ended.
    pub(crate) fn end(&self, status: TaskStatus) {
        self.end_with(status, ());
    }

    /// The work has ended. What is given is dropped when that is shown.
    fn end_with(&self, status: TaskStatus, until_shown: impl Send + 'static) {
        let Some(runner) = self.runner.upgrade() else { return };
        let (slot, id) = (Weak::clone(&self.slot), self.id.clone());
        if !self.state.end(status) {
            let session = slot.upgrade().map(|slot| slot.id()).unwrap_or_default();
            runner.observers.warn(&Event::LimitReached { limit: Limit::TaskBytes, session });
        }
        if runner.draining.load(Ordering::SeqCst) {
            let background = Arc::clone(&runner.background);
            background.spawn(async move {
                runner.end(slot, id).await;
                drop(until_shown);
            });
        } else if let Some(slot) = slot.upgrade() {
            runner.retain(&slot, id);
        }
    }
}

/// The place of a task that somebody else works on among those of its session: it ends when they say so, whatever becomes
/// of the session.
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

/// A task for which a shutdown waits, until this is dropped.
struct Counted(Weak<TaskRunner>);

impl Counted {
    fn new(runner: &Arc<TaskRunner>) -> Self {
        runner.running.fetch_add(1, Ordering::SeqCst);
        Self(Arc::downgrade(runner))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(runner) = self.0.upgrade() {
            runner.running.fetch_sub(1, Ordering::SeqCst);
            runner.background.in_flight.notify();
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

fn status_of(ended: Ended<TaskResult>, observers: &Observers) -> TaskStatus {
    match ended {
        Ended::Returned(Ok(data)) => TaskStatus::Done(data),
        Ended::Returned(Err(error)) => TaskStatus::Failed(error),
        Ended::Panicked(why) => {
            observers.warn(&Event::Panicked { what: PanicSite::Task, why });
            TaskStatus::Failed(ActionError::internal("the task failed"))
        }
        Ended::Stopped => TaskStatus::Cancelled,
        Ended::Abandoned => TaskStatus::Failed(ActionError::internal("the runtime has ended")),
    }
}
