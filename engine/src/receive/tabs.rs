//! What comes from a browser tab (contract 3): its tree, and its answers to calls.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use serde_json::Value;

use crate::clock::{Clock, millis};
use crate::config::{Config, Limit};
use crate::deliver::link::Link;
use crate::error::ActionError;
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::decode_tab::{TabMessage, decode_tab};
use crate::protocol::encode;
use crate::refresh::refresher::{Refresher, Urgency};
use crate::render::action::{Invocation, Outcome};
use crate::render::source::Source;
use crate::sessions::paths::Paths;
use crate::sessions::quota::{Quota, QuotaExceeded};
use crate::sessions::slot::Slot;
use crate::sessions::tab::{Forward, SUBSCRIPTION, Tab, TabResult};
use crate::sessions::tab_tree::{TabFault, TabLimits};

/// Serves the tabs of all sessions.
#[derive(Debug)]
pub(crate) struct TabService {
    quota: Arc<Quota>,
    refresher: Arc<Refresher>,
    observers: Arc<Observers>,
    clock: Arc<dyn Clock>,
    limits: TabLimits,
    max_tabs: usize,
    call_ms: u64,
}

impl TabService {
    pub(crate) fn new(
        quota: Arc<Quota>,
        refresher: Arc<Refresher>,
        observers: Arc<Observers>,
        clock: Arc<dyn Clock>,
        config: &Config,
    ) -> Arc<Self> {
        let sizes = &config.sizes;
        Arc::new(Self {
            quota,
            refresher,
            observers,
            clock,
            limits: TabLimits {
                nodes: sizes.tab_nodes,
                depth: sizes.tab_depth,
                bytes: sizes.tab_bytes,
                operations: sizes.tab_operations,
                frame_bytes: sizes.frame_bytes,
            },
            max_tabs: config.limits.tabs_per_session,
            call_ms: millis(config.times.tab_call_timeout),
        })
    }

    /// A tab that just connected. Where it will be mounted is the engine's choice: the first number that is free.
    pub(crate) fn open(self: &Arc<Self>, slot: &Arc<Slot>, link: &Arc<Link>) -> Result<TabPeer, QuotaExceeded> {
        let path = |number| format!("ui/tab-{number}").into();
        let make = |number| Arc::new(Tab::new(path(number), Arc::clone(link), self.limits));
        let tab = slot.add_tab(self.max_tabs, make).ok_or(QuotaExceeded(Limit::TabsPerSession))?;
        self.quota.admit_tab(slot).inspect_err(|_| slot.remove_tab(&tab))?;
        Ok(TabPeer { service: Arc::clone(self), slot: Arc::clone(slot), tab })
    }

    /// Sends a call to the tab and waits for its result, for a while.
    async fn forward(&self, tab: &Tab, call: &Invocation) -> TabResult {
        let until_ms = self.clock.now_ms().saturating_add(self.call_ms);
        let below = call.path.trim_start_matches('/').strip_prefix(tab.path.as_str()).unwrap_or_default();
        let sent = tab.call(below.trim_start_matches('/'), &call.action, &call.params);
        let sent = sent.map_err(|_| ActionError::new(ErrorCode::TooLarge, "the call does not fit a frame to the tab"));
        let (id, result) = sent?.ok_or_else(tab_gone)?;
        match select(result, self.clock.sleep_until(until_ms)).await {
            Either::Left((Ok(result), _)) => checked(result?, &tab.path),
            Either::Left((Err(_), _)) => Err(tab_gone()),
            Either::Right(_) => {
                tab.abandon_call(&id);
                Err(ActionError::internal("the browser tab did not answer in time"))
            }
        }
    }
}

/// A tab's way in.
#[derive(Debug)]
pub(crate) struct TabPeer {
    service: Arc<TabService>,
    slot: Arc<Slot>,
    tab: Arc<Tab>,
}

impl TabPeer {
    /// Serves one frame.
    pub(crate) fn receive(&self, text: &str) {
        match decode_tab(text) {
            TabMessage::Hello { id } => self.tab.hello(id),
            TabMessage::Snapshot { id, tree } if id == SUBSCRIPTION => self.snapshot(tree),
            TabMessage::Patch { subscription, seq, ops } if subscription == SUBSCRIPTION => {
                match self.tab.patch(seq, ops) {
                    Ok(true) => self.refresh(),
                    Ok(false) => {}
                    Err(fault) => self.refuse(fault),
                }
            }
            TabMessage::Result { id, answer } => {
                self.tab.answer(&id, answer, self.service.clock.now_ms(), self.service.call_ms);
            }
            // Something for an earlier socket, or of a kind that the engine has no use for (contract 3.1, 3.4).
            TabMessage::Snapshot { .. } | TabMessage::Patch { .. } | TabMessage::Other => {}
            TabMessage::Malformed(why) => self.tab.link.reply(encode::error(None, ErrorCode::BadRequest, why)),
        }
    }

    fn snapshot(&self, tree: Value) {
        match self.tab.snapshot(tree) {
            Ok(true) => self.mount(),
            Ok(false) => self.refresh(),
            Err(fault) => self.refuse(fault),
        }
    }

    /// Shows the tab's tree. Until now it showed nothing, so a peer that is no provider changes nothing.
    fn mount(&self) {
        let forward = self.forward();
        let tab = Arc::clone(&self.tab);
        let source = Source::untrusted(move || tab.describe(&forward));
        self.slot.set_source(self.tab.path.clone(), Some(Arc::new(source)));
        self.service.quota.tab_mounted();
        self.refresh();
        let (session, path) = (self.slot.id(), self.tab.path.clone());
        self.service.observers.emit(|| Event::TabMounted { session, path });
    }

    /// Takes the tab's tree away.
    pub(crate) fn close(&self) {
        self.tab.leave();
        self.service.quota.release_tab();
        self.slot.remove_tab(&self.tab);
        if self.tab.is_mounted() {
            self.service.quota.tab_unmounted();
            self.slot.restore_source(&self.tab.path);
            self.refresh();
            let (session, path) = (self.slot.id(), self.tab.path.clone());
            self.service.observers.emit(|| Event::TabUnmounted { session, path });
        }
    }

    fn refuse(&self, fault: TabFault) {
        match fault {
            TabFault::Over(limit) => {
                self.service.observers.warn(&Event::LimitReached { limit, session: self.slot.id() });
                self.tab.link.end(CloseReason::TabTooLarge);
            }
            TabFault::OutOfStep => {
                self.tab.link.reply(encode::error(None, ErrorCode::BadRequest, "a tree must be an object"));
            }
        }
    }

    fn refresh(&self) {
        let paths = Paths::one(self.tab.path.clone());
        self.service.refresher.request_session(&self.slot, &paths, Urgency::Own);
    }

    fn forward(&self) -> Forward {
        let (service, tab) = (Arc::downgrade(&self.service), Arc::downgrade(&self.tab));
        Arc::new(move |call| {
            let (service, tab) = (service.upgrade(), tab.upgrade());
            async move {
                match (service, tab) {
                    (Some(service), Some(tab)) => service.forward(&tab, &call).await,
                    _ => Err(tab_gone()),
                }
            }
            .boxed()
        })
    }
}

fn tab_gone() -> ActionError {
    ActionError::internal("the browser tab is gone")
}

/// An accepted call must say which task to watch (contract 3.2); the tab's tasks stand below its own path.
fn checked(outcome: Outcome, mount: &Text) -> TabResult {
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
