//! What can be done with what is kept in a room from within the tree.

use std::sync::{Arc, Weak};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::living::LivingRoom;
use super::remembering::Writer;
use super::service::RoomService;
use crate::error::ActionError;
use crate::model::room::memory::Expected;
use crate::render::action::{Action, HandlerFuture, Invocation, Outcome};

/// The built-in actions on `/rooms/{id}/memory`.
#[derive(Debug, Clone)]
pub(crate) struct MemoryActions([Action; 4]);

#[derive(Debug, Deserialize, JsonSchema)]
struct PutParams {
    /// Under which key it is kept.
    key: String,
    /// What is kept.
    value: Value,
    /// Does it only if the room's own entry has this version; 0 if it must have none.
    #[serde(default)]
    version: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct DeleteParams {
    /// Whose entry is removed.
    key: String,
    /// Does it only if the room's own entry has this version.
    #[serde(default)]
    version: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct GetParams {
    /// Whose entry is wanted.
    key: String,
}

fn expected(version: Option<u64>) -> Expected {
    version.map_or(Expected::Anything, Expected::Version)
}

/// What the handlers work with. The service holds the sources and they hold the actions, so it is held weakly.
#[derive(Debug, Clone)]
struct Host(Weak<RoomService>);

impl Host {
    fn service(&self) -> Result<Arc<RoomService>, ActionError> {
        self.0.upgrade().ok_or_else(|| ActionError::internal("the provider is shutting down"))
    }

    /// Does something in the name of the caller, who may write in the room.
    fn write<P, T>(
        &self,
        what: &'static str,
        call: &Invocation<P>,
        write: impl FnOnce(&RoomService, &Arc<LivingRoom>, &Writer<'_>) -> Result<T, ActionError>,
    ) -> Result<T, ActionError> {
        let service = self.service()?;
        let room = call.room.as_ref().map(|room| room.id().as_str()).unwrap_or_default();
        let living = service.writable(&call.session, room, what)?;
        let context = call.session.context();
        write(&service, &living, &Writer::Session { context, trace_id: call.trace_id.as_deref() })
    }

    /// The outcome of what was written, when it is durable.
    fn acknowledged<P>(&self, call: &Invocation<P>, outcome: Outcome) -> Result<HandlerFuture, ActionError> {
        let room = call.room.as_ref().map(|room| room.id().as_str()).unwrap_or_default();
        Ok(self.service()?.acknowledged(room, outcome))
    }

    fn put(&self, call: &Invocation<PutParams>) -> Result<HandlerFuture, ActionError> {
        let PutParams { key, value, version } = &call.params;
        let version = self.write("put", call, |service, living, writer| {
            service.memory().put(living, writer, (key, value), expected(*version))
        })?;
        self.acknowledged(call, Outcome::data(json!({ "version": version })))
    }

    fn delete(&self, call: &Invocation<DeleteParams>) -> Result<HandlerFuture, ActionError> {
        let DeleteParams { key, version } = &call.params;
        self.write("delete", call, |service, living, writer| {
            service.memory().delete(living, writer, key, expected(*version))
        })?;
        self.acknowledged(call, Outcome::done())
    }

    fn clear(&self, call: &Invocation<()>) -> Result<HandlerFuture, ActionError> {
        let deleted = self.write("clear", call, |service, living, writer| service.memory().clear(living, writer))?;
        self.acknowledged(call, Outcome::data(json!({ "deleted": deleted })))
    }

    fn get(&self, call: &Invocation<GetParams>) -> Result<Outcome, ActionError> {
        let entry = self.write("get", call, |service, living, _| service.memory().get(living, &call.params.key))?;
        Ok(Outcome::data(json!({ "key": entry.key, "value": entry.value, "version": entry.version })))
    }
}

impl MemoryActions {
    pub(crate) fn new(service: &Arc<RoomService>) -> Self {
        let host = Host(Arc::downgrade(service));
        let [put, delete, clear, get] = std::array::from_fn(|_| host.clone());
        Self([
            Action::new_in_two_steps("put", move |call: Invocation<PutParams>| put.put(&call))
                .label("Keep")
                .changes_its_source(),
            Action::new_in_two_steps("delete", move |call: Invocation<DeleteParams>| delete.delete(&call))
                .label("Remove")
                .changes_its_source(),
            Action::new_in_two_steps("clear", move |call: Invocation<()>| clear.clear(&call))
                .label("Remove all")
                .idempotent(true)
                .changes_its_source(),
            Action::new("get", move |call: Invocation<GetParams>| get.get(&call))
                .label("Look up")
                .idempotent(true)
                .changes([""; 0]),
        ])
    }

    /// In the order in which they are offered.
    pub(crate) const fn all(&self) -> &[Action; 4] {
        &self.0
    }
}
