//! What can be done with rooms from within the tree: declared once for all rooms.

use std::sync::{Arc, Weak};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::run_actions::RunActions;
use super::service::RoomService;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::message::Message;
use crate::model::room::policy::{NewRoom, Origin};
use crate::model::room::role::Role;
use crate::render::action::{Action, HandlerFuture, Invocation, Outcome};
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;

/// The built-in actions. Each finds its room by the node on which it was invoked.
#[derive(Debug, Clone)]
pub(crate) struct RoomActions {
    pub(crate) create: Action,
    pub(crate) join: Action,
    pub(crate) leave: Action,
    pub(crate) say: Action,
    pub(crate) admit: Action,
    pub(crate) dismiss: Action,
    pub(crate) close: Action,
    pub(crate) replay: Action,
    pub(crate) runs: RunActions,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct SayParams {
    /// What to say.
    #[serde(default)]
    text: Option<String>,
    /// Anything else.
    #[serde(default)]
    data: Option<Value>,
    /// The participant for whom alone it is.
    #[serde(default)]
    to: Option<String>,
    /// Said again under the same id within 10 minutes, it does not act twice.
    #[serde(default)]
    call_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum AdmittedRole {
    Member,
    Observer,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct AdmitParams {
    /// Whom to admit.
    user: String,
    /// What the user may do.
    role: AdmittedRole,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct DismissParams {
    /// Who loses access.
    user: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct ReplayParams {
    /// Only events after the one with this number.
    #[serde(default)]
    since: u64,
    /// At most so many; 100 if it is not said, and never more than 1,000.
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct CloseParams {
    /// A note for the participants.
    #[serde(default)]
    reason: Option<String>,
}

/// What the handlers work with. The service holds the sources and they hold the actions, so it is held weakly.
#[derive(Debug, Clone)]
struct Host {
    service: Weak<RoomService>,
    table: Arc<Table>,
}

impl Host {
    fn service(&self) -> Result<Arc<RoomService>, ActionError> {
        self.service.upgrade().ok_or_else(|| ActionError::internal("the provider is shutting down"))
    }

    fn slot<P>(&self, call: &Invocation<P>) -> Result<Arc<Slot>, ActionError> {
        let context = call.session.context();
        let slot = self.table.get(context.id()).filter(|slot| {
            // Somebody else may have got the id since.
            let held = slot.context();
            held.user() == context.user() && held.project() == context.project()
        });
        slot.ok_or_else(|| ActionError::internal("the session has ended"))
    }

    /// The outcome of what was done in a room, when it is durable.
    fn acknowledged(&self, room: &str, outcome: Outcome) -> Result<HandlerFuture, ActionError> {
        Ok(self.service()?.acknowledged(room, outcome))
    }

    fn create(&self, call: Invocation<NewRoom>) -> Result<HandlerFuture, ActionError> {
        let new = call.params.origin(Origin::Slop);
        let created = self.service()?.create(&call.session, &new, call.trace_id.as_deref())?;
        let mut data = json!({ "room": created.room.id(), "trust": created.trust });
        if let Some(contract) = created.contract {
            data["contract"] = contract.as_str().into();
        }
        self.acknowledged(created.room.id(), Outcome::data(data))
    }

    fn join(&self, call: &Invocation<()>) -> Result<Outcome, ActionError> {
        let participant = self.service()?.join(&self.slot(call)?, call.node_id(), call.trace_id.as_deref())?;
        Ok(Outcome::data(json!({ "participant": participant })))
    }

    fn leave(&self, call: &Invocation<()>) -> Result<(), ActionError> {
        self.service()?.leave(&self.slot(call)?, call.node_id(), call.trace_id.as_deref())
    }

    fn say(&self, call: Invocation<SayParams>) -> Result<HandlerFuture, ActionError> {
        let room: Text = call.node_id().into();
        let SayParams { text, data, to, call_id } = call.params;
        let (to, call_id) = (to.map(Text::from), call_id.map(Text::from));
        let message = Message { text, data, to, call_id, trace_id: None };
        let said = self.service()?.say(&call.session, &room, (&message, call.trace_id.as_deref()))?;
        let mut data = json!({ "event": said.event });
        if let Some(seq) = said.seq {
            data["seq"] = seq.into();
        }
        self.acknowledged(&room, Outcome::data(data))
    }

    fn replay(&self, call: &Invocation<ReplayParams>) -> Result<HandlerFuture, ActionError> {
        let ReplayParams { since, limit } = call.params;
        let replay = self.service()?.replay(&call.session, call.node_id(), (since, limit))?;
        Ok(Box::pin(async move {
            let replay = replay.await?;
            Ok(Outcome::data(json!({ "events": replay.events, "next": replay.next })))
        }))
    }

    fn admit(&self, call: &Invocation<AdmitParams>) -> Result<HandlerFuture, ActionError> {
        let role = match call.params.role {
            AdmittedRole::Member => Role::Member,
            AdmittedRole::Observer => Role::Observer,
        };
        let (user, trace_id) = (call.params.user.as_str().into(), call.trace_id.as_deref());
        self.service()?.admit(&call.session, call.node_id(), (&user, role), trace_id)?;
        self.acknowledged(call.node_id(), Outcome::done())
    }

    fn dismiss(&self, call: &Invocation<DismissParams>) -> Result<HandlerFuture, ActionError> {
        let (user, trace_id) = (call.params.user.as_str().into(), call.trace_id.as_deref());
        self.service()?.dismiss(&call.session, call.node_id(), &user, trace_id)?;
        self.acknowledged(call.node_id(), Outcome::done())
    }

    fn close(&self, call: &Invocation<CloseParams>) -> Result<HandlerFuture, ActionError> {
        let (note, trace_id) = (call.params.reason.as_deref(), call.trace_id.as_deref());
        let ending = self.service()?.close(&call.session, call.node_id(), (note, trace_id))?;
        let (host, id) = (self.clone(), Text::from(call.node_id()));
        Ok(Box::pin(async move {
            let ended = ending.wait().await?;
            let data = json!({ "reason": ended.reason.as_str(), "duration_ms": ended.duration_ms });
            host.service()?.acknowledged(&id, Outcome::data(data)).await
        }))
    }
}

impl RoomActions {
    pub(crate) fn new(service: &Arc<RoomService>, table: &Arc<Table>) -> Self {
        let host = Host { service: Arc::downgrade(service), table: Arc::clone(table) };
        let with = || host.clone();
        let [create, join, leave, say, admit, dismiss, close, replay] = std::array::from_fn(|_| with());
        Self {
            create: Action::new_in_two_steps("create", move |call: Invocation<NewRoom>| create.create(call))
                .label("Create a room"),
            join: Action::new("join", move |call: Invocation<()>| join.join(&call)).label("Join").idempotent(true),
            leave: Action::new("leave", move |call: Invocation<()>| leave.leave(&call)).label("Leave"),
            // What is said is an event, and changes no tree.
            say: Action::new_in_two_steps("say", move |call: Invocation<SayParams>| say.say(call))
                .label("Say")
                .changes([""; 0]),
            admit: Action::new_in_two_steps("admit", move |call: Invocation<AdmitParams>| admit.admit(&call))
                .label("Admit"),
            dismiss: Action::new_in_two_steps("dismiss", move |call: Invocation<DismissParams>| dismiss.dismiss(&call))
                .label("Dismiss"),
            close: Action::new_in_two_steps("close", move |call: Invocation<CloseParams>| close.close(&call))
                .label("Close"),
            // It only reads.
            replay: Action::new_in_two_steps("replay", move |call: Invocation<ReplayParams>| replay.replay(&call))
                .label("Replay")
                .idempotent(true)
                .changes([""; 0]),
            runs: RunActions::new(service),
        }
    }
}
