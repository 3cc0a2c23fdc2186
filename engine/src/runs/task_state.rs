//! How far a task is.

use serde_json::Value;

use super::latch::Latch;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::bounded_json;
use crate::model::cut::cut;
use crate::protocol::code::ErrorCode;
use crate::sync::Mutex;

/// How far a task is. It ends once, and never changes afterwards.
///
/// | from | to |
/// |---|---|
/// | running | done, failed or cancelled |
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TaskStatus {
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
    cancelled: Latch,
    /// How long each of its texts, and its result, may be.
    max_bytes: usize,
}

impl TaskState {
    pub(super) fn new(title: Text, max_bytes: usize) -> Self {
        let title = cut(title, max_bytes);
        let view = TaskView { title, status: TaskStatus::Running, progress: 0.0, message: Text::default() };
        Self { view: Mutex::new(view), cancelled: Latch::default(), max_bytes }
    }

    pub(super) fn view(&self) -> TaskView {
        self.view.lock().clone()
    }

    /// Reports progress, unless the task has ended. What is not a number changes only the message.
    pub(super) fn progress(&self, fraction: f64, message: Text) {
        let message = cut(message, self.max_bytes);
        self.update(|view| {
            view.progress = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { view.progress };
            view.message = message;
        });
    }

    /// Ends the task, unless it has ended. One whose result its node cannot show has failed; false if so.
    pub(super) fn end(&self, status: TaskStatus) -> bool {
        let fits = match &status {
            TaskStatus::Done(result) => bounded_json::fits(result, self.max_bytes),
            TaskStatus::Failed(error) => error.code().len() + error.message().len() <= self.max_bytes,
            TaskStatus::Running | TaskStatus::Cancelled => true,
        };
        let too_large =
            || ActionError::new(ErrorCode::TooLarge, "the task ended, but its result is too large to be shown");
        let status = if fits { status } else { TaskStatus::Failed(too_large()) };
        self.update(|view| {
            if matches!(status, TaskStatus::Done(_)) {
                view.progress = 1.0;
            }
            view.status = status;
        });
        fits
    }

    fn update(&self, change: impl FnOnce(&mut TaskView)) {
        let mut view = self.view.lock();
        if view.status == TaskStatus::Running {
            change(&mut view);
        }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.set();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.is_set()
    }

    pub(super) async fn cancelled(&self) {
        self.cancelled.wait().await;
    }
}
