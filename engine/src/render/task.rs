//! Long work that an action started: it was `accepted`, and a node under `/tasks` shows how it goes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::error::ActionError;
use crate::model::Text;
use crate::model::session::Session;

/// What a task's future returns.
pub type TaskResult = Result<Value, ActionError>;

/// The future of a task, boxed.
pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = TaskResult> + Send>>;

/// The work of a task, waiting for its handle.
pub(crate) type TaskWork = Box<dyn FnOnce(Task) -> TaskFuture + Send>;

/// What runs tasks and shows them in their session's tree.
pub(crate) trait TaskHost: Send + Sync {
    /// Starts the work. Returns the task's id, or why it cannot start.
    fn start(&self, session: &Session, title: Text, work: TaskWork) -> Result<Text, ActionError>;
}

/// One task that runs.
pub(crate) trait TaskControl: fmt::Debug + Send + Sync {
    /// The latest report replaces the one before.
    fn progress(&self, fraction: f64, message: Text);

    fn cancel(&self);

    /// The engine shuts down: it fails at once, and its work is dropped.
    fn stop(&self);

    fn is_cancelled(&self) -> bool;
}

/// What the work of a task holds: it reports progress and is notified of a cancellation.
#[derive(Clone)]
pub struct Task {
    pub(crate) id: Text,
    pub(crate) control: Arc<dyn TaskControl>,
}

impl Task {
    /// The id under `/tasks`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Reports how far the work is, from 0 to 1, and what it does now. Cheap: consumers see the latest report.
    pub fn progress(&self, fraction: f64, message: impl Into<Text>) {
        self.control.progress(fraction, message.into());
    }

    /// Whether somebody invoked `cancel`, or the engine shuts down and the work took too long. The future is dropped soon after, at its next await.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.control.is_cancelled()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).finish_non_exhaustive()
    }
}
