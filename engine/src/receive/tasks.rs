//! Runs tasks and shows each as a node of its session's tree.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use crate::clock::millis;
use crate::config::Limit;
use crate::core::{Core, Timer};
use crate::error::ActionError;
use crate::event::{Event, PanicSite};
use crate::model::Text;
use crate::model::session::Session;
use crate::protocol::code::ErrorCode;
use crate::render::action::{Action, Invocation};
use crate::render::descriptor::Descriptor;
use crate::render::evaluate::panic_sentence;
use crate::render::source::Source;
use crate::render::task::{Task, TaskHost, TaskState, TaskStatus, TaskView, TaskWork};
use crate::sessions::slot::Slot;

/// Starts tasks on an engine, as long as there is one.
#[derive(Debug)]
pub(crate) struct Host {
    core: Weak<Core>,
}

impl Host {
    pub(crate) const fn new(core: Weak<Core>) -> Self {
        Self { core }
    }
}

impl TaskHost for Host {
    fn start(self: Arc<Self>, session: &Session, title: Text, work: TaskWork) -> Result<Text, ActionError> {
        let gone = || ActionError::internal("the session has ended");
        let core = self.core.upgrade().ok_or_else(gone)?;
        let session_id = session.context().id().clone();
        let slot = core.table.get(&session_id).ok_or_else(gone)?;
        let id: Text = format!("task-{}", core.next_number.fetch_add(1, Ordering::Relaxed)).into();
        let state = Arc::new(TaskState::new(title));
        if !slot.add_task(id.clone(), Arc::clone(&state), core.config.limits.tasks_per_session) {
            core.limit_reached(Limit::TasksPerSession, &slot);
            return Err(ActionError::new(ErrorCode::Busy, "too many tasks of this session are running"));
        }
        slot.set_own(format!("tasks/{id}").into(), Some(Arc::new(source(Arc::clone(&state)))));
        let task = Task { id: id.clone(), session: session_id, state: Arc::clone(&state), host: self };
        let me = Arc::downgrade(&core);
        let (slot, task_id) = (Arc::downgrade(&slot), id.clone());
        core.runtime.spawn(async move {
            let status = run(task, &state, work, &me).await;
            state.update(|view| end(view, status));
            if let (Some(core), Some(slot)) = (me.upgrade(), slot.upgrade()) {
                core.task_ended(&slot, task_id);
            }
        });
        Ok(id)
    }

    fn changed(&self, session: &str, task: &str) {
        if let Some(core) = self.core.upgrade()
            && let Some(slot) = core.table.get(session)
        {
            core.refresh_own(&slot, &format!("tasks/{task}"));
        }
    }
}

async fn run(task: Task, state: &Arc<TaskState>, work: TaskWork, core: &Weak<Core>) -> TaskStatus {
    let work = AssertUnwindSafe(async move { work(task).await }).catch_unwind();
    match select(Box::pin(work), Box::pin(state.cancelled())).await {
        Either::Left((Ok(Ok(data)), _)) => TaskStatus::Latch(data),
        Either::Left((Ok(Err(error)), _)) => TaskStatus::Failed(error),
        Either::Left((Err(panic), _)) => {
            if let Some(core) = core.upgrade() {
                let why = panic_sentence(panic.as_ref());
                core.observers.warn(&Event::Panicked { what: PanicSite::Task, why });
            }
            TaskStatus::Failed(ActionError::internal("the task failed"))
        }
        Either::Right(_) => TaskStatus::Cancelled,
    }
}

fn end(view: &mut TaskView, status: TaskStatus) {
    if matches!(status, TaskStatus::Latch(_)) {
        view.progress = 1.0;
    }
    view.status = status;
}

fn source(state: Arc<TaskState>) -> Source {
    let cancelled = Arc::clone(&state);
    let cancel = Action::new("cancel", move |_: Invocation<()>| cancelled.cancel()).label("Cancel");
    Source::new(move |_: &Session| describe(state.view(), &cancel))
}

fn describe(view: TaskView, cancel: &Action) -> Descriptor {
    let shape = Descriptor::status().prop("title", view.title);
    let shape = match &view.status {
        TaskStatus::Running => shape.prop("status", "running").action(cancel),
        TaskStatus::Latch(result) => shape.prop("status", "done").prop("result", result.clone()),
        TaskStatus::Failed(error) => {
            shape.prop("status", "failed").prop("error", error.message()).prop("code", error.code())
        }
        TaskStatus::Cancelled => shape.prop("status", "cancelled"),
    };
    shape.prop("progress", view.progress).prop("message", view.message)
}

impl Core {
    fn task_ended(&self, slot: &Arc<Slot>, task: Text) {
        if let Some(oldest) = slot.end_task(&task, self.config.limits.tasks_per_session) {
            self.hide_task(slot, &oldest);
        }
        self.refresh_own(slot, &format!("tasks/{task}"));
        let at_ms = self.now_ms().saturating_add(millis(self.config.times.ended_task_retention));
        self.timers.at(at_ms, Timer::TaskGone(Box::new((Arc::downgrade(slot), task))));
        if slot.idle_from(self.now_ms()) {
            self.watch_idle(slot);
        }
    }

    /// The time of an ended task's node is up.
    pub(crate) fn forget_task(&self, slot: &Arc<Slot>, task: &str) {
        if slot.forget_task(task) {
            self.hide_task(slot, task);
        }
    }

    fn hide_task(&self, slot: &Arc<Slot>, task: &str) {
        let path = format!("tasks/{task}");
        slot.forget_own(&path);
        self.refresh_own(slot, &path);
    }
}
