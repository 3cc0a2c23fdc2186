//! What the node of a task shows.

use std::sync::Arc;

use super::task_state::{TaskState, TaskStatus, TaskView};
use crate::model::session::Session;
use crate::render::action::{Action, Invocation};
use crate::render::descriptor::Descriptor;
use crate::render::source::Source;

/// The source of a task's node, which reads the task and nothing of the session. `cancel` is what its action does.
pub(super) fn source(state: Arc<TaskState>, cancel: impl Fn() + Send + Sync + 'static) -> Source {
    let cancel = Action::new("cancel", move |_: Invocation<()>| cancel()).label("Cancel");
    Source::new(move |_: &Session| describe(state.view(), &cancel))
}

fn describe(view: TaskView, cancel: &Action) -> Descriptor {
    let node = Descriptor::status().prop("title", view.title);
    let node = match &view.status {
        TaskStatus::Running => node.prop("status", "running").action(cancel),
        TaskStatus::Done(result) => node.prop("status", "done").prop("result", result.clone()),
        TaskStatus::Failed(error) => {
            node.prop("status", "failed").prop("error", error.message()).prop("code", error.code())
        }
        TaskStatus::Cancelled => node.prop("status", "cancelled"),
    };
    node.prop("progress", view.progress).prop("message", view.message)
}
