//! What the tree shows of the runs of a room.

use super::actions::RoomActions;
use super::run_actions::RunActions;
use crate::model::room::handle::Room;
use crate::model::room::role::Role;
use crate::model::room::run_view::RunView;
use crate::model::session::Session;
use crate::render::action::Action;
use crate::render::descriptor::Descriptor;
use crate::render::room_source::RoomSource;
use serde_json::json;

/// Under which path below a room its runs stand.
pub(crate) const RUNS: &str = "runs";

/// `/rooms/{id}/runs`, oldest first. It is the same for all with one role, unless a run is in progress that one of them may
/// cancel and another may not.
pub(crate) fn runs(actions: &RoomActions) -> RoomSource {
    let actions = actions.runs.clone();
    let source = RoomSource::new(move |room: &Room, session: &Session| {
        let runs = room.runs();
        let node = Descriptor::collection();
        if runs.is_empty() {
            return node;
        }
        let role = session.role_in(room);
        runs.iter()
            .fold(node, |node, run| node.child(run.id.clone(), row(run).actions(offered(&actions, run, role, session))))
    });
    source.in_order(1)
}

/// What a session is offered at a run.
pub(super) fn offered<'a>(
    actions: &'a RunActions,
    run: &RunView,
    role: Option<Role>,
    session: &Session,
) -> Vec<&'a Action> {
    let Some(role) = role.filter(|role| role.may_say()) else { return Vec::new() };
    let mut offered = Vec::new();
    if !run.status.is_ended() {
        if role.may_manage() || session.user() == Some(run.by.as_str()) {
            offered.push(&actions.cancel);
        }
        offered.push(&actions.send);
    }
    offered.push(&actions.output);
    offered
}

fn row(run: &RunView) -> Descriptor {
    let node = Descriptor::new("run")
        .prop("agent", run.agent.clone())
        .prop("status", run.status.as_str())
        .prop("by", run.by.clone())
        .prop("attempt", run.attempt)
        .prop("created_at", run.created_at.as_str());
    let texts = [
        ("message", run.message.as_deref()),
        ("started_at", run.started_at.as_deref()),
        ("ended_at", run.ended_at.as_deref()),
        ("rerun_of", run.rerun_of.as_deref()),
        ("fallback_of", run.fallback_of.as_deref()),
    ];
    let node = run.progress.iter().fold(node, |node, progress| node.prop("progress", *progress));
    let node = texts.into_iter().fold(node, |node, (key, text)| match text {
        Some(text) => node.prop(key, text),
        None => node,
    });
    // While it streams, each chunk would change everybody's tree.
    let node = if run.status.is_ended() { node.prop("output_chars", run.output_chars) } else { node };
    let shown =
        |error: &crate::model::room::run::failure::RunError| json!({"code": error.code(), "message": error.message()});
    run.error.iter().fold(node, |node, error| node.prop("error", shown(error)))
}
