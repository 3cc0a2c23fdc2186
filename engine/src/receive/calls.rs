//! Runs actions: find it in the live tree, check, run, refresh, then answer behind the patches (contract 1.7, 1.8).

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use tracing::{Instrument, Span};

use super::admission::{Admission, session_ended};
use super::loader::{Loader, missing_item};
use super::peer::Peer;
use crate::background::Background;
use crate::clock::Clock;
use crate::config::Limit;
use crate::deliver::call_log::CallKind;
use crate::deliver::query::Loaded;
use crate::deliver::versioned::Versioned;
use crate::error::{ActionError, FrameError};
use crate::event::{CallStatus, Event, Observers, PanicSite};
use crate::model::Text;
use crate::model::path;
use crate::model::session::Session;
use crate::panics;
use crate::panics::caught::Caught;
use crate::panics::guarded::Guarded;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::refresh::after_call::{AfterCall, MayChange, Rendered};
use crate::refresh::refresher::Refresher;
use crate::render::action::{Action, Answer, Changes, Handler, Invocation, Outcome};
use crate::render::node_ref::NodeRef;
use crate::render::task::TaskHost;
use crate::render::tree::Tree;
use crate::rooms::by_path::RoomPaths;
use crate::sessions::blocking::BlockingPermits;
use crate::sessions::call_quota::CallPermit;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::span;

/// Asked before every call, beside the handler's own check.
pub(crate) type Authorize = Guarded<Box<dyn Fn(&Session, &str, &Action) -> Result<(), ActionError> + Send + Sync>>;

/// Runs the calls of all sessions.
pub(crate) struct Calls {
    pub(crate) admission: Arc<Admission>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) after_call: AfterCall,
    pub(crate) loader: Arc<Loader>,
    pub(crate) permits: Arc<BlockingPermits>,
    pub(crate) tasks: Arc<dyn TaskHost>,
    pub(crate) authorize: Option<Authorize>,
    /// Absent if there are no rooms.
    pub(crate) rooms: Option<Arc<RoomPaths>>,
    pub(crate) background: Arc<Background>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observers: Arc<Observers>,
    pub(crate) max_frame_bytes: usize,
}

/// What is called, and with what.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) action: String,
    pub(crate) params: Value,
    /// What the caller calls the work to which it belongs.
    pub(crate) trace_id: Option<Text>,
}

/// An action that the caller's live tree offers.
struct Found {
    action: Action,
    path: Text,
    /// Where the source is registered that offers it.
    source: Text,
}

impl Found {
    fn new(action: Action, path: Text, tree: &Tree) -> Self {
        let source = tree.layout().covering(&path).map(|entry| entry.path.clone()).unwrap_or_default();
        Self { action, path, source }
    }

    fn may_change(&self) -> MayChange {
        match &self.action.inner.changes {
            Changes::Anything => MayChange::Source(self.source.clone()),
            Changes::Paths(paths) => MayChange::Declared(paths.iter().cloned().collect()),
            Changes::ItsSource => MayChange::Declared(Paths::Exactly(self.source.clone())),
        }
    }
}

impl Calls {
    /// Runs a call of a connection in the background; the connection goes on meanwhile.
    pub(crate) fn start(self: &Arc<Self>, peer: &Peer, id: RequestId, call: Call) {
        let admitted = self.admission.check_session(&peer.slot);
        match admitted.and_then(|()| self.admission.admit(peer, &id, CallKind::Invoke)) {
            Ok(permit) => {
                let span = span::invoke(&peer.slot, peer.link.number, &call.path, &call.action);
                let (calls, peer) = (Arc::clone(self), peer.clone());
                self.background.spawn(async move { calls.answer(peer, id, call, permit).await }.instrument(span));
            }
            Err(refused) => {
                peer.link.reply(encode::failed(&id, &refused));
                self.report(&peer.slot, &call, &Err(refused), self.clock.now_ms());
            }
        }
    }

    /// Runs a call and queues its result behind the patches and the events that it caused.
    async fn answer(&self, peer: Peer, id: RequestId, mut call: Call, _permit: CallPermit) {
        let started_ms = self.clock.now_ms();
        let events_before = peer.link.with_outbox(|outbox, _| outbox.events_queued());
        let mut outcome = self.call(&peer.slot, &mut call).await;
        let version = peer.slot.tree().map_or(0, |now| now.version);
        let result = self.result(&peer.slot, &id, &mut outcome);
        peer.link.answer_call(&id, CallKind::Invoke, |outbox, _| outbox.result(result, version, events_before));
        self.report(&peer.slot, &call, &outcome, started_ms);
    }

    /// The message with the outcome of a call. What does not fit a frame is an error, and its own caller alone is told.
    fn result(&self, slot: &Slot, id: &RequestId, outcome: &mut Result<Outcome, ActionError>) -> String {
        encode::result(id, outcome, self.max_frame_bytes).unwrap_or_else(|why| {
            if let FrameError::TooLarge(_) = why {
                self.observers.warn(&Event::LimitReached { limit: Limit::FrameBytes, session: slot.id() });
            }
            let refused = ActionError::new(ErrorCode::TooLarge, too_large(outcome.is_ok(), why));
            let text = encode::failed(id, &refused);
            *outcome = Err(refused);
            text
        })
    }

    /// Runs a call of a client in this process.
    pub(crate) async fn run(&self, slot: &Arc<Slot>, mut call: Call) -> Result<Outcome, ActionError> {
        let started_ms = self.clock.now_ms();
        let admitted = self.admission.check_session(slot).and_then(|()| self.admission.admit_session(slot));
        let outcome = match admitted {
            Ok(_permit) => self.call(slot, &mut call).await,
            Err(refused) => Err(refused),
        };
        self.report(slot, &call, &outcome, started_ms);
        outcome
    }

    /// Runs a call for a session. When it returns, the session's tree shows what the call changed, unless that takes long.
    async fn call(&self, slot: &Arc<Slot>, call: &mut Call) -> Result<Outcome, ActionError> {
        let found = match self.known(slot, call)? {
            Some(known) => known,
            None => self.find(slot, call).await?,
        };
        self.admission.check_session(slot)?;
        let given = (std::mem::take(&mut call.params), call.trace_id.take());
        let invocation = self.check(slot, &found, given)?;
        let outcome = self.handle(slot, &found.action, invocation).await;
        // Whatever came of it: a handler may fail after it changed something.
        if self.after_call.refresh(slot, found.may_change()).await == Rendered::Late {
            let (session, path, action) = (slot.id(), found.path.clone(), found.action.name().into());
            self.observers.warn(&Event::ResultBeforePatch { session, path, action });
        }
        if found.action.affordance().origin.is_none() {
            self.refresher.notify_tabs(slot);
        }
        outcome
    }

    /// What is about a room needs not be shown to be found: who may do it is known (rooms 10).
    fn known(&self, slot: &Slot, call: &Call) -> Result<Option<Found>, ActionError> {
        let Some(rooms) = &self.rooms else { return Ok(None) };
        let known = rooms.check_call(slot, &call.path, &call.action)?;
        Ok(known.map(|(action, path)| Found { action, source: path.clone(), path }))
    }

    /// Looks for the action where the caller can see it: what is not in this session's tree cannot be invoked.
    async fn find(&self, slot: &Arc<Slot>, call: &Call) -> Result<Found, ActionError> {
        // If the claims changed a moment ago, what may be done is decided by the tree that shows them.
        let now = self.refresher.current_tree(slot).await.ok_or_else(session_ended)?;
        if let Some(located) = now.tree.resolve(&call.path) {
            let offers = located.node.fields().map_or(&[][..], |fields| fields.actions);
            return offered(offers, call).map(|action| Found::new(action, located.path.clone(), &now.tree));
        }
        self.find_loaded(slot, call, &now).await
    }

    async fn find_loaded(&self, slot: &Arc<Slot>, call: &Call, now: &Versioned) -> Result<Found, ActionError> {
        let missing = missing_item(&now.tree, &call.path).ok_or_else(no_such_path)?;
        let path = missing.at().clone();
        match self.loader.load(slot, missing).await {
            Loaded::Item(item) => {
                let offers = NodeRef::root_of(&item).fields().actions;
                offered(offers, call).map(|action| Found::new(action, path, &now.tree))
            }
            Loaded::Failed => Err(ActionError::internal("the item could not be loaded")),
            Loaded::Window(..) | Loaded::Nothing => Err(no_such_path()),
        }
    }

    /// Checks the parameters, then the permission, with the claims of now: what changes while the handler runs holds for
    /// the next call (SEC14).
    fn check(
        &self,
        slot: &Slot,
        found: &Found,
        (params, trace_id): (Value, Option<Text>),
    ) -> Result<Invocation, ActionError> {
        let session = slot.session();
        let room = self.rooms.as_ref().and_then(|rooms| rooms.room(slot, &found.path));
        match (&self.rooms, &room) {
            (Some(rooms), Some(room)) => rooms.check_policy(&session, room, &found.action)?,
            _ => found.action.check_trust(session.context().trust())?,
        }
        if let Some(schema) = &found.action.inner.params {
            schema.check(&params).map_err(ActionError::invalid_params)?;
        }
        let path = path::absolute(&found.path);
        if let Some(authorize) = &self.authorize {
            let allowed = panics::catch(|| authorize(&session, &path, &found.action));
            allowed.unwrap_or_else(|why| Err(self.panicked(PanicSite::Authorize, why)))?;
        }
        let action = found.action.name().into();
        Ok(Invocation { session, path, action, params, room, trace_id, host: Arc::clone(&self.tasks) })
    }

    async fn handle(&self, slot: &Arc<Slot>, action: &Action, call: Invocation) -> Result<Outcome, ActionError> {
        let caught = match &*action.inner.handler {
            Handler::Blocking(_) => {
                let permits = self.permits.acquire(slot).await;
                // It may have waited for long.
                self.admission.check_session(slot)?;
                let (action, span) = (action.clone(), Span::current());
                let run = move || span.in_scope(|| panics::catch(|| action.run_blocking(call)));
                let answered = self.background.runtime.spawn_blocking(run).await;
                drop(permits);
                match answered {
                    Ok(Ok(Ok(Answer::Now(outcome)))) => Ok(Ok(outcome)),
                    Ok(Ok(Ok(Answer::Later(rest)))) => Ok(rest.await),
                    Ok(Ok(Err(error))) => Ok(Err(error)),
                    Ok(Err(why)) => Err(why),
                    Err(error) => return Err(self.panicked(PanicSite::Handler, error.to_string())),
                }
            }
            Handler::Async(handler) => match panics::catch(|| handler(call)) {
                Ok(future) => Caught::new(future, Some(self.observers.owner())).await,
                Err(why) => Err(why),
            },
        };
        caught.unwrap_or_else(|why| Err(self.panicked(PanicSite::Handler, why)))
    }

    /// The log gets what happened, the consumer only that something did.
    fn panicked(&self, what: PanicSite, why: String) -> ActionError {
        self.observers.warn(&Event::Panicked { what, why });
        ActionError::internal("the action failed")
    }

    fn report(&self, slot: &Slot, call: &Call, outcome: &Result<Outcome, ActionError>, started_ms: u64) {
        self.observers.emit(|| Event::Invoked {
            session: slot.id(),
            path: path::normal(&call.path),
            action: call.action.as_str().into(),
            status: status(outcome),
            took_us: self.clock.now_ms().saturating_sub(started_ms) * 1000,
        });
    }
}

/// The application learns how to avoid it from the event; the consumer, whether the call had its effect.
const fn too_large(succeeded: bool, why: FrameError) -> &'static str {
    match (succeeded, why) {
        (true, FrameError::TooLarge(_)) => "the action ran, but its result does not fit a frame",
        (true, FrameError::TooDeep) => "the action ran, but its result is nested too deeply",
        (false, _) => "the action failed, and its error does not fit a frame",
    }
}

fn no_such_path() -> ActionError {
    ActionError::not_found("there is no such path")
}

fn offered(offers: &[Action], call: &Call) -> Result<Action, ActionError> {
    let known = offers.iter().find(|action| action.name() == call.action);
    known.cloned().ok_or_else(|| ActionError::not_found("the node offers no such action"))
}

fn status(outcome: &Result<Outcome, ActionError>) -> CallStatus {
    match outcome {
        Ok(outcome) if outcome.accepted => CallStatus::Accepted,
        Ok(_) => CallStatus::Ok,
        Err(error) => CallStatus::Failed(error.code().into()),
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}
