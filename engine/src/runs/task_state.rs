//! How far a task is.

use serde_json::Value;

use crate::error::ActionError;
use crate::model::Text;
use crate::sync::{AtomicBool, Mutex, Ordering, Signal};

/// How far a task is. It ends once, and never changes afterwards.
///
/// | from | to |
/// |---|---|
/// | running | done, failed or cancelled |
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TaskStatus {
    Running,
    Done(Value),
    Failed(ActionError),
    Cancelled,
}

/// What the node of a task shows.
#[derive(Debug, Clone)]
pub(super) struct TaskView {
    pub(super) title: Text,
    pub(super) status: TaskStatus,
    pub(super) progress: f64,
    pub(super) message: Text,
}

/// Shared between the work, the node and its `cancel` action.
///
/// The lock guards what the node shows: plain data, of which nothing runs code of the application when it is dropped.
#[derive(Debug)]
pub(super) struct TaskState {
    view: Mutex<TaskView>,
    cancelled: AtomicBool,
    cancel: Signal,
}

impl TaskState {
    pub(super) fn new(title: Text) -> Self {
        let view = TaskView { title, status: TaskStatus::Running, progress: 0.0, message: Text::default() };
        Self { view: Mutex::new(view), cancelled: AtomicBool::new(false), cancel: Signal::new() }
    }

    pub(super) fn view(&self) -> TaskView {
        self.view.lock().clone()
    }

    /// Reports progress, unless the task has ended. What is not a number changes only the message.
    pub(super) fn progress(&self, fraction: f64, message: Text) {
        self.update(|view| {
            view.progress = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { view.progress };
            view.message = message;
        });
    }

    /// Ends the task, unless it has ended.
    pub(super) fn end(&self, status: TaskStatus) {
        self.update(|view| {
            if matches!(status, TaskStatus::Done(_)) {
                view.progress = 1.0;
            }
            view.status = status;
        });
    }

    fn update(&self, change: impl FnOnce(&mut TaskView)) {
        let mut view = self.view.lock();
        if view.status == TaskStatus::Running {
            change(&mut view);
        }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.cancel.notify(usize::MAX);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    pub(super) async fn cancelled(&self) {
        loop {
            let listener = self.cancel.listen();
            if self.is_cancelled() {
                return;
            }
            listener.await;
        }
    }
}
