//! What comes from a browser tab (contract 3): its tree, and its answers to calls.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use serde_json::Value;

use crate::clock::millis;
use crate::config::Limit;
use crate::core::Core;
use crate::core::quota::QuotaExceeded;
use crate::deliver::link::Link;
use crate::error::ActionError;
use crate::event::Event;
use crate::model::Text;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::decode::{TabMessage, decode_tab};
use crate::protocol::encode;
use crate::render::action::{Invocation, Outcome};
use crate::render::source::Source;
use crate::sessions::slot::Slot;
use crate::sessions::tab::{Forward, SUBSCRIPTION, Tab, TabAnswer};
use crate::sessions::tab_tree::{TabFault, TabLimits};

/// A tab's way in.
#[derive(Debug, Clone)]
pub(crate) struct TabPeer {
    pub(crate) core: Arc<Core>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) tab: Arc<Tab>,
}

impl TabPeer {
    /// A tab that just connected. Where it will be mounted is the engine's choice: the first number that is free.
    pub(crate) fn open(core: &Arc<Core>, slot: &Arc<Slot>, link: &Arc<Link>) -> Result<Self, QuotaExceeded> {
        let config = &core.config;
        let limits =
            TabLimits { nodes: config.sizes.tab_nodes, depth: config.sizes.tab_depth, bytes: config.sizes.tab_bytes };
        let make = |number| Arc::new(Tab::new(format!("ui/tab-{number}").into(), Arc::clone(link), limits));
        let full = QuotaExceeded { limit: Limit::TabsPerSession, words: "this session has too many tabs" };
        let tab = slot.add_tab(config.limits.tabs_per_session, make).ok_or(full)?;
        core.take_tab(slot).inspect_err(|_| slot.remove_tab(&tab))?;
        Ok(Self { core: Arc::clone(core), slot: Arc::clone(slot), tab })
    }

    /// Serves one frame.
    pub(crate) fn receive(&self, text: &str) {
        match decode_tab(text) {
            TabMessage::Hello { id } => self.tab.hello(id),
            TabMessage::Snapshot { id, tree } if id == SUBSCRIPTION => self.snapshot(tree),
            TabMessage::Patch { subscription, seq, ops } if subscription == SUBSCRIPTION => {
                match self.tab.patch(seq, &ops) {
                    Ok(true) => self.core.refresh_own(&self.slot, &self.tab.path),
                    Ok(false) => {}
                    Err(fault) => self.refuse(fault),
                }
            }
            TabMessage::Result { id, answer } => {
                self.tab.answer(&id, answer, self.core.now_ms(), millis(self.core.config.times.tab_call_timeout));
            }
            // Something for an earlier socket, or of a kind that the engine has no use for (contract 3.1, 3.4).
            TabMessage::Snapshot { .. } | TabMessage::Patch { .. } | TabMessage::Other => {}
            TabMessage::Malformed(why) => self.tab.link.reply(encode::error(None, ErrorCode::BadRequest, why)),
        }
    }

    fn snapshot(&self, tree: Value) {
        match self.tab.snapshot(tree) {
            Ok(true) => self.mount(),
            Ok(false) => self.core.refresh_own(&self.slot, &self.tab.path),
            Err(fault) => self.refuse(fault),
        }
    }

    /// Shows the tab's tree. Until now it showed nothing, so a peer that is no provider changes nothing.
    fn mount(&self) {
        let forward = self.forward();
        let tab = Arc::clone(&self.tab);
        let source = Source::new(move |_: &Session| tab.describe(&forward));
        self.slot.set_own(self.tab.path.clone(), Some(Arc::new(source)));
        self.core.refresh_own(&self.slot, &self.tab.path);
        let (session, path) = (self.slot.context().id().clone(), self.tab.path.clone());
        self.core.observers.emit(|| Event::TabMounted { session, path });
    }

    /// Takes the tab's tree away.
    pub(crate) fn close(&self) {
        self.tab.leave();
        self.core.tabs.give_back(1);
        self.slot.remove_tab(&self.tab);
        if self.tab.is_mounted() {
            self.slot.forget_own(&self.tab.path);
            self.core.refresh_own(&self.slot, &self.tab.path);
            let (session, path) = (self.slot.context().id().clone(), self.tab.path.clone());
            self.core.observers.emit(|| Event::TabUnmounted { session, path });
        }
    }

    fn refuse(&self, fault: TabFault) {
        match fault {
            TabFault::Over(limit) => {
                self.core.limit_reached(limit, &self.slot);
                self.tab.link.end(CloseReason::TabTooLarge);
            }
            TabFault::OutOfStep => {
                self.tab.link.reply(encode::error(None, ErrorCode::BadRequest, "a tree must be an object"));
            }
        }
    }

    fn forward(&self) -> Forward {
        let core = Arc::downgrade(&self.core);
        let tab = Arc::downgrade(&self.tab);
        Arc::new(move |call| {
            let (core, tab) = (core.upgrade(), tab.upgrade());
            async move {
                match (core, tab) {
                    (Some(core), Some(tab)) => forward(&core, &tab, &call).await,
                    _ => Err(gone()),
                }
            }
            .boxed()
        })
    }
}

fn gone() -> ActionError {
    ActionError::internal("the browser tab is gone")
}

/// Sends a call to the tab and waits for its answer, for a while.
async fn forward(core: &Core, tab: &Tab, call: &Invocation) -> TabAnswer {
    let until_ms = core.now_ms().saturating_add(millis(core.config.times.tab_call_timeout));
    let below = call.path.trim_start_matches('/').strip_prefix(tab.path.as_str()).unwrap_or_default();
    let sent = tab.call(below.trim_start_matches('/'), &call.action, &call.params);
    let (id, answered) = sent.ok_or_else(gone)?;
    let sleep = core.timers.clock().sleep_until(until_ms);
    match select(answered, sleep).await {
        Either::Left((Ok(answer), _)) => checked(answer?, &tab.path),
        Either::Left((Err(_), _)) => Err(gone()),
        Either::Right(_) => {
            tab.forget_call(&id);
            Err(ActionError::internal("the browser tab did not answer in time"))
        }
    }
}

/// An accepted call must say which task to watch (contract 3.2); the tab's tasks stand below its own path.
fn checked(outcome: Outcome, mount: &Text) -> TabAnswer {
    if !outcome.accepted {
        return Ok(outcome);
    }
    let task = outcome.data.as_ref().and_then(|data| data["taskId"].as_str()).map(str::to_owned);
    match (task, outcome.data) {
        (Some(task), Some(Value::Object(mut data))) => {
            data.entry("path").or_insert_with(|| format!("/{mount}/tasks/{task}").into());
            Ok(Outcome { accepted: true, data: Some(Value::Object(data)) })
        }
        _ => Err(ActionError::internal("the browser tab accepted the call without naming a task")),
    }
}
