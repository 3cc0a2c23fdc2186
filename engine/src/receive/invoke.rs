//! Runs an action: find it in the live tree, check, run, refresh, then answer behind the patches (contract 1.7, 1.8).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::Value;
use tracing::{Instrument, Span};

use super::begin::begin;
use super::dispatch::Peer;
use super::load::missing_item;
use crate::core::call_quota::CallPermit;
use crate::deliver::link::CallKind;
use crate::deliver::query::Loaded;
use crate::deliver::subscription::Versioned;
use crate::error::ActionError;
use crate::event::{CallStatus, Event, PanicSite};
use crate::model::Text;
use crate::model::path;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::render::action::{Action, Handler, Invocation, Outcome};
use crate::render::evaluate::panic_sentence;
use crate::render::node_ref::NodeRef;
use crate::span;

/// One call on its way.
struct Call {
    id: RequestId,
    path: String,
    action: String,
    params: Value,
}

/// An action that the caller's live tree offers, and the node's path.
struct Found {
    action: Action,
    path: Text,
}

/// Runs the call in the background; the connection goes on meanwhile.
pub(crate) fn invoke(peer: &Peer, id: RequestId, path: String, action: String, params: Value) {
    let call = Call { id, path, action, params };
    match still_valid(peer).and_then(|()| begin(peer, &call.id, CallKind::Invoke)) {
        Ok(permit) => {
            let span = span::invoke(&peer.slot, peer.link.number, &call.path, &call.action);
            peer.core.spawn(run(peer.clone(), call, permit).instrument(span));
        }
        Err(refused) => refuse(peer, &call, refused),
    }
}

/// Answers a call that does not run.
fn refuse(peer: &Peer, call: &Call, refused: ActionError) {
    let (path, action, status) =
        (path::normal(&call.path), Text::from(call.action.as_str()), CallStatus::Failed(refused.code().into()));
    peer.link.reply(encode::result(&call.id, &Err(refused)));
    let session = || peer.slot.context().id().clone();
    peer.core.observers.emit(|| Event::Invoked { session: session(), path, action, status, took_us: 0 });
}

/// When the authentication is over nothing is begun any more, be the end of the connection on its way or not (SEC13).
fn still_valid(peer: &Peer) -> Result<(), ActionError> {
    if peer.core.is_expired(peer.slot.context().expires_at()) {
        return Err(ActionError::unauthorized("the session has expired"));
    }
    if peer.slot.is_closed() { Err(ended()) } else { Ok(()) }
}

fn ended() -> ActionError {
    ActionError::internal("the session has ended")
}

async fn run(peer: Peer, call: Call, _permit: CallPermit) {
    let started = peer.core.now_ms();
    let (id, name, at) = (call.id.clone(), Text::from(call.action.as_str()), path::normal(&call.path));
    let answer = match find(&peer, &call).await {
        Ok(found) => perform(&peer, found, call.params).await,
        Err(error) => Err(error),
    };
    let status = status(&answer);
    if peer.link.end_call(&id, CallKind::Invoke) {
        let version = peer.slot.tree().map_or(0, |now| now.version);
        peer.link.reply_after_patches(encode::result(&id, &answer), version);
    }
    peer.core.observers.emit(|| Event::Invoked {
        session: peer.slot.context().id().clone(),
        path: at,
        action: name,
        status,
        took_us: (peer.core.now_ms() - started) * 1000,
    });
}

fn status(answer: &Result<Outcome, ActionError>) -> CallStatus {
    match answer {
        Ok(outcome) if outcome.accepted => CallStatus::Accepted,
        Ok(_) => CallStatus::Ok,
        Err(error) => CallStatus::Failed(error.code().into()),
    }
}

/// Looks for the action where the caller can see it: what is not in this session's tree cannot be invoked.
async fn find(peer: &Peer, call: &Call) -> Result<Found, ActionError> {
    // If the claims changed a moment ago, what may be done is decided by the tree that shows them.
    let now = peer.core.tree_of_now(&peer.slot).await.ok_or_else(ended)?;
    if let Some(located) = now.tree.resolve(&call.path) {
        let offers = located.node.fields().map_or(&[][..], |fields| fields.actions);
        return offered(offers, call).map(|action| Found { action, path: located.path.clone() });
    }
    find_loaded(peer, call, &now).await
}

async fn find_loaded(peer: &Peer, call: &Call, now: &Versioned) -> Result<Found, ActionError> {
    let missing = missing_item(&now.tree, &call.path).ok_or_else(no_such_path)?;
    let path = missing.at().clone();
    match peer.core.load(&peer.slot, missing).await {
        Loaded::Item(item) => {
            offered(NodeRef::root_of(&item).fields().actions, call).map(|action| Found { action, path })
        }
        Loaded::Failed => Err(ActionError::internal("the item could not be loaded")),
        Loaded::Window(..) | Loaded::Nothing => Err(no_such_path()),
    }
}

fn no_such_path() -> ActionError {
    ActionError::not_found("there is no such path")
}

fn offered(offers: &[Action], call: &Call) -> Result<Action, ActionError> {
    let known = offers.iter().find(|action| action.name() == call.action);
    known.cloned().ok_or_else(|| ActionError::not_found("the node offers no such action"))
}

/// Checks, runs, and refreshes the caller's session whatever came of it: a handler may fail after it changed something.
async fn perform(peer: &Peer, found: Found, params: Value) -> Result<Outcome, ActionError> {
    let core = &peer.core;
    still_valid(peer)?;
    // The claims of now: what changes while the handler runs holds for the next call (SEC14).
    let session = peer.slot.session();
    if let Some(schema) = &found.action.inner.params {
        schema.check(&params).map_err(ActionError::invalid_params)?;
    }
    let at = path::absolute(&found.path);
    if let Some(authorize) = &core.authorize {
        let allowed = catch_unwind(AssertUnwindSafe(|| authorize(&session, &at, &found.action)));
        allowed.unwrap_or_else(|panic| Err(core.panicked(PanicSite::Authorize, panic_sentence(panic.as_ref()))))?;
    }
    let action = found.action.name().into();
    let invocation = Invocation { session, path: at, action, params, host: core.task_host() };
    let from_tab = found.action.affordance().origin.is_some();
    let answer = handle(peer, found.action, invocation).await;
    core.refresh_slot(&peer.slot).await;
    if !from_tab {
        core.tell_tabs(&peer.slot);
    }
    answer
}

async fn handle(peer: &Peer, action: Action, invocation: Invocation) -> Result<Outcome, ActionError> {
    let caught = match &action.inner.handler {
        Handler::Blocking(_) => {
            let span = Span::current();
            let run = move || match &action.inner.handler {
                Handler::Blocking(handler) => span.in_scope(|| catch_unwind(AssertUnwindSafe(|| handler(invocation)))),
                Handler::Async(_) => unreachable!("an action keeps its handler"),
            };
            let _permits = peer.core.may_block(&peer.slot).await;
            // It may have waited for long.
            still_valid(peer)?;
            match peer.core.runtime.spawn_blocking(run).await {
                Ok(caught) => caught,
                Err(error) => return Err(peer.core.panicked(PanicSite::Handler, error.to_string())),
            }
        }
        Handler::Async(handler) => match catch_unwind(AssertUnwindSafe(|| handler(invocation))) {
            Ok(future) => AssertUnwindSafe(future).catch_unwind().await,
            Err(panic) => Err(panic),
        },
    };
    caught.unwrap_or_else(|panic| Err(peer.core.panicked(PanicSite::Handler, panic_sentence(panic.as_ref()))))
}

impl crate::core::Core {
    /// The log learns what happened, the consumer only that something did.
    pub(crate) fn panicked(&self, what: PanicSite, why: String) -> ActionError {
        self.observers.warn(&Event::Panicked { what, why });
        ActionError::internal("the action failed")
    }

    pub(crate) fn task_host(&self) -> Arc<dyn crate::render::task::TaskHost> {
        Arc::new(super::tasks::Host::new(self.me.clone()))
    }
}
