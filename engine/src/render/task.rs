//! Long work that an action started: it was `accepted`, and a node under `/tasks` shows how it goes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::error::ActionError;
use crate::model::Text;
use crate::model::session::Session;
use crate::sync::{AtomicBool, Mutex, Ordering, Signal};

/// What a task's future returns.
pub type TaskResult = Result<Value, ActionError>;

/// The future of a task, boxed.
pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = TaskResult> + Send>>;

/// The work of a task, waiting for its handle.
pub(crate) type TaskWork = Box<dyn FnOnce(Task) -> TaskFuture + Send>;

/// What runs tasks and shows them in their session's tree.
pub(crate) trait TaskHost: Send + Sync {
    /// Starts the work. Returns the task's id, or why it cannot start.
    fn start(self: Arc<Self>, session: &Session, title: Text, work: TaskWork) -> Result<Text, ActionError>;

    /// Something of the task's state changed.
    fn changed(&self, session: &str, task: &str);
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TaskStatus {
    Running,
    Done(Value),
    Failed(ActionError),
    Cancelled,
}

/// What the node of a task shows.
#[derive(Debug, Clone)]
pub(crate) struct TaskView {
    pub(crate) title: Text,
    pub(crate) status: TaskStatus,
    pub(crate) progress: f64,
    pub(crate) message: Text,
}

/// Shared between the work, the node and its `cancel` action.
///
/// The lock guards what the node shows: plain data, of which nothing runs code of the application when it is dropped.
#[derive(Debug)]
pub(crate) struct TaskState {
    view: Mutex<TaskView>,
    cancelled: AtomicBool,
    cancel: Signal,
}

impl TaskState {
    pub(crate) fn new(title: Text) -> Self {
        let view = TaskView { title, status: TaskStatus::Running, progress: 0.0, message: Text::default() };
        Self { view: Mutex::new(view), cancelled: AtomicBool::new(false), cancel: Signal::new() }
    }

    pub(crate) fn view(&self) -> TaskView {
        self.view.lock().clone()
    }

    /// Changes what the node shows, unless the task has ended. `change` runs under the lock, so it is never the
    /// application's.
    pub(crate) fn update(&self, change: impl FnOnce(&mut TaskView)) {
        let mut view = self.view.lock();
        if view.status == TaskStatus::Running {
            change(&mut view);
        }
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.cancel.notify(usize::MAX);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    pub(crate) async fn cancelled(&self) {
        loop {
            let listener = self.cancel.listen();
            if self.is_cancelled() {
                return;
            }
            listener.await;
        }
    }
}

/// What the work of a task holds: it reports progress and is notified of a cancellation.
#[derive(Clone)]
pub struct Task {
    pub(crate) id: Text,
    pub(crate) session: Text,
    pub(crate) state: Arc<TaskState>,
    pub(crate) host: Arc<dyn TaskHost>,
}

impl Task {
    /// The id under `/tasks`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Reports how far the work is, from 0 to 1, and what it does now. Cheap: consumers see the latest report.
    pub fn progress(&self, fraction: f64, message: impl Into<Text>) {
        let message = message.into();
        self.state.update(|view| {
            view.progress = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { view.progress };
            view.message = message;
        });
        self.host.changed(&self.session, &self.id);
    }

    /// Whether somebody invoked `cancel`. The future is dropped soon after, at its next await.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state.is_cancelled()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).finish_non_exhaustive()
    }
}
