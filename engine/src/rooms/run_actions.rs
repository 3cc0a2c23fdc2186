//! What can be done with runs from within the tree: declared once for all rooms.

use std::sync::{Arc, Weak};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::service::RoomService;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::new_run::NewRun;
use crate::render::action::{Action, HandlerFuture, Invocation, Outcome};
use crate::render::room_layouts::ROOMS;

/// The built-in actions about runs. Each finds its room, and its run, by the node on which it was invoked.
#[derive(Debug, Clone)]
pub(crate) struct RunActions {
    pub(crate) run: Action,
    pub(crate) clear_history: Action,
    pub(crate) cancel: Action,
    pub(crate) send: Action,
    pub(crate) output: Action,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct SendParams {
    /// What the agent gets.
    data: Value,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct OutputParams {
    /// From which character on.
    #[serde(default)]
    offset: u64,
    /// How many characters at most.
    #[serde(default)]
    limit: Option<u64>,
}

/// How many characters of an output one reply has at most: it fits a frame, however they are written.
pub(crate) const OUTPUT_CHARS: u64 = 64 << 10;

/// The service holds the sources and they hold the actions, so it is held weakly.
#[derive(Debug, Clone)]
struct Host(Weak<RoomService>);

impl Host {
    fn service(&self) -> Result<Arc<RoomService>, ActionError> {
        self.0.upgrade().ok_or_else(|| ActionError::internal("the provider is shutting down"))
    }

    fn run(&self, call: &Invocation<NewRun>) -> Result<HandlerFuture, ActionError> {
        let room: Text = call.node_id().into();
        let service = self.service()?;
        let run = service.run(&call.session, &room, (&call.params, call.trace_id.as_deref()))?;
        Ok(service.acknowledged(&room, Outcome::accepted(run)))
    }

    fn clear_history(&self, call: &Invocation<()>) -> Result<HandlerFuture, ActionError> {
        let service = self.service()?;
        service.clear_history(&call.session, call.node_id())?;
        Ok(service.acknowledged(call.node_id(), Outcome::done()))
    }

    fn cancel(&self, call: &Invocation<()>) -> Result<HandlerFuture, ActionError> {
        let (service, room) = (self.service()?, room_of(call)?);
        service.cancel_run(&call.session, room, &call.node_id().into())?;
        Ok(service.acknowledged(room, Outcome::done()))
    }

    fn send(&self, call: &Invocation<SendParams>) -> Result<HandlerFuture, ActionError> {
        let data = call.params.data.clone();
        let (service, room) = (self.service()?, room_of(call)?);
        service.send_input(&call.session, room, &call.node_id().into(), data)?;
        Ok(service.acknowledged(room, Outcome::done()))
    }

    fn output(&self, call: &Invocation<OutputParams>) -> Result<Outcome, ActionError> {
        let OutputParams { offset, limit } = call.params;
        let page = (offset, limit.unwrap_or(OUTPUT_CHARS).min(OUTPUT_CHARS));
        let output = self.service()?.output(&call.session, room_of(call)?, call.node_id(), page)?;
        Ok(Outcome::data(output))
    }
}

fn room_of<P>(call: &Invocation<P>) -> Result<&str, ActionError> {
    let room = call.room.as_ref().ok_or_else(|| ActionError::not_found("there is no such room"))?;
    Ok(room.id())
}

impl RunActions {
    pub(crate) fn new(service: &Arc<RoomService>) -> Self {
        let with = || Host(Arc::downgrade(service));
        let [run, clear, cancel, send, output] = std::array::from_fn(|_| with());
        // What a run does is told by its events, and shown when it does it.
        Self {
            run: Action::new_in_two_steps("run", move |call: Invocation<NewRun>| run.run(&call))
                .label("Run")
                .changes([ROOMS, "tasks"]),
            clear_history: Action::new_in_two_steps("clear_history", move |call: Invocation<()>| {
                clear.clear_history(&call)
            })
            .label("Clear the history")
            .idempotent(true)
            .changes([""; 0]),
            cancel: Action::new_in_two_steps("cancel", move |call: Invocation<()>| cancel.cancel(&call))
                .label("Cancel")
                .changes([ROOMS]),
            send: Action::new_in_two_steps("send", move |call: Invocation<SendParams>| send.send(&call))
                .label("Send")
                .changes([""; 0]),
            output: Action::new("output", move |call: Invocation<OutputParams>| output.output(&call))
                .label("Output")
                .idempotent(true)
                .changes([""; 0]),
        }
    }
}
