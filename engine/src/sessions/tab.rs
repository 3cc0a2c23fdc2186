//! A browser page that provides its own subtree.

use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;
use serde_json::Value;
use tokio::sync::oneshot;

use super::tab_tree::{TabFault, TabLimits, TabTree, affordance};
use crate::deliver::link::Link;
use crate::error::{ActionError, FrameError};
use crate::model::Text;
use crate::model::room::policy::Trust;
use crate::panics::guarded::Guarded;
use crate::protocol::encode;
use crate::render::action::{Action, ActionInner, Changes, Handler, Invocation, Outcome};
use crate::render::descriptor::Descriptor;
use crate::render::params::Params;
use crate::sync::Mutex;

/// The id of the engine's subscription on every tab: constant, so that a reconnect replaces it (contract 3.4).
pub(crate) const SUBSCRIPTION: &str = "ui-mount";

/// The result of a call to a tab.
pub(crate) type TabResult = Result<Outcome, ActionError>;

/// One tab, on one socket.
pub(crate) struct Tab {
    /// Where it is mounted, in the normal spelling: `ui/tab-N`, chosen by the engine.
    pub(crate) path: Text,
    pub(crate) link: Arc<Link>,
    limits: TabLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Absent until a snapshot came on this socket.
    tree: Option<TabTree>,
    /// The number of the last patch, if this tab numbers them.
    last_seq: u64,
    /// From `hello`, in case the tree's root has none.
    provider_id: Option<String>,
    /// Actions by the JSON of their affordance: equal ones stay equal from one patch to the next.
    actions: HashMap<String, Action>,
    calls: HashMap<String, oneshot::Sender<TabResult>>,
    next_call: u64,
    /// When it was last told to fetch again and has not answered, in ms.
    fetching_since: Option<u64>,
    fetch_again: bool,
    gone: bool,
}

/// The id of a call to a tab, and what its answer comes by.
pub(crate) type SentCall = (String, oneshot::Receiver<TabResult>);

/// How calls reach a tab: given to the actions that stand for its affordances.
pub(crate) type Forward = Arc<dyn Fn(Invocation) -> futures_util::future::BoxFuture<'static, TabResult> + Send + Sync>;

impl Tab {
    pub(crate) fn new(path: Text, link: Arc<Link>, limits: TabLimits) -> Self {
        Self { path, link, limits, state: Mutex::default() }
    }

    pub(crate) fn is_mounted(&self) -> bool {
        self.state.lock().tree.is_some()
    }

    /// The tab said hello: its tree is asked for.
    pub(crate) fn hello(&self, provider_id: Option<String>) {
        self.state.lock().provider_id = provider_id;
        self.ask_for_snapshot();
    }

    fn ask_for_snapshot(&self) {
        self.link.reply(encode::tab_subscribe(SUBSCRIPTION));
    }

    /// Takes a snapshot. Answers whether the tab was not mounted before.
    pub(crate) fn snapshot(&self, root: Value) -> Result<bool, TabFault> {
        let tree = TabTree::new(root, self.limits)?;
        let mut state = self.state.lock();
        state.last_seq = 0;
        Ok(state.tree.replace(tree).is_none())
    }

    /// Takes a patch. One that comes before this socket's snapshot belongs to an earlier socket and is ignored
    /// (contract 3.4); answers whether the tree may have changed.
    pub(crate) fn patch(&self, seq: Option<u64>, ops: Vec<Value>) -> Result<bool, TabFault> {
        let mut state = self.state.lock();
        let State { tree, last_seq, .. } = &mut *state;
        let Some(tree) = tree else { return Ok(false) };
        // Older tabs do not number their patches.
        let gap = seq.is_some_and(|seq| std::mem::replace(last_seq, seq) + 1 != seq);
        let patched = if gap { Err(TabFault::OutOfStep) } else { tree.patch(ops, self.limits) };
        match patched {
            Ok(()) => Ok(true),
            Err(TabFault::OutOfStep) => {
                drop(state);
                self.ask_for_snapshot();
                Ok(true)
            }
            Err(over @ TabFault::Over(_)) => Err(over),
        }
    }

    /// The tree as a descriptor, with actions that call the tab.
    pub(crate) fn describe(&self, forward: &Forward) -> Descriptor {
        let mut state = self.state.lock();
        let State { tree, actions, .. } = &mut *state;
        let mut used = HashMap::new();
        let shape = tree.as_ref().map(|tree| {
            tree.describe(&mut |value| {
                let key = value.to_string();
                let action = actions.get(&key).cloned().or_else(|| action(value, forward))?;
                used.insert(key, action.clone());
                Some(action)
            })
        });
        *actions = used;
        shape.unwrap_or_else(Descriptor::group)
    }

    /// Sends a call to the tab, unless it is gone. The receiver learns of the answer, or is dropped when the tab goes.
    ///
    /// # Errors
    /// [`FrameError`] if the call does not fit a frame.
    pub(crate) fn call(&self, path: &str, action: &str, params: &Value) -> Result<Option<SentCall>, FrameError> {
        let mut state = self.state.lock();
        if state.gone {
            return Ok(None);
        }
        state.next_call += 1;
        let id = format!("{SUBSCRIPTION}-invoke-{}", state.next_call);
        let path = state.path_for_tab(path);
        drop(state);
        let text = encode::tab_invoke(&id, &path, action, params, self.limits.frame_bytes)?;
        let (answer, answered) = oneshot::channel();
        let mut state = self.state.lock();
        if state.gone {
            return Ok(None);
        }
        state.calls.insert(id.clone(), answer);
        drop(state);
        self.link.reply(text);
        Ok(Some((id, answered)))
    }

    /// Nobody waits for the result of a call any more.
    pub(crate) fn abandon_call(&self, id: &str) {
        let call = self.state.lock().calls.remove(id);
        drop(call);
    }

    /// The tab answered a call.
    pub(crate) fn answer(&self, id: &str, answer: TabResult, now_ms: u64, patience_ms: u64) {
        let mut state = self.state.lock();
        if let Some(call) = state.calls.remove(id) {
            // Whoever waits is woken without the lock.
            drop(state);
            // Nobody listens any more if the time was up.
            let _ = call.send(answer);
            return;
        }
        state.fetching_since = None;
        if std::mem::take(&mut state.fetch_again) {
            drop(state);
            self.fetch(now_ms, patience_ms);
        }
    }

    /// Tells the tab that server data changed, if it listens for that; once for any number of changes while it is busy
    /// (contract 3.3).
    pub(crate) fn fetch(&self, now_ms: u64, patience_ms: u64) {
        let mut state = self.state.lock();
        if state.gone || !state.tree.as_ref().is_some_and(TabTree::has_adapter) {
            return;
        }
        if state.fetching_since.is_some_and(|since| now_ms < since + patience_ms) {
            state.fetch_again = true;
            return;
        }
        state.fetching_since = Some(now_ms);
        state.next_call += 1;
        let id = format!("{SUBSCRIPTION}-refresh-{}", state.next_call);
        let path = state.path_for_tab("__adapter");
        drop(state);
        let params = Value::Object(serde_json::Map::new());
        // The path is short: it fits.
        if let Ok(text) = encode::tab_invoke(&id, &path, "refresh", &params, self.limits.frame_bytes) {
            self.link.reply(text);
        }
    }

    /// The tab is gone: whoever waits for an answer learns it.
    pub(crate) fn leave(&self) {
        let mut state = self.state.lock();
        state.gone = true;
        let calls = std::mem::take(&mut state.calls);
        drop(state);
        drop(calls);
    }
}

impl State {
    /// The root itself is `/`; anything else has the root's id in front, which no child can shadow (contract 3.2).
    fn path_for_tab(&self, below: &str) -> String {
        let from_tree = self.tree.as_ref().and_then(TabTree::root_id);
        match from_tree.or(self.provider_id.as_deref()) {
            _ if below.is_empty() => "/".to_owned(),
            Some(root) => format!("/{root}/{below}"),
            None => format!("/{below}"),
        }
    }
}

fn action(value: &Value, forward: &Forward) -> Option<Action> {
    let affordance = affordance(value)?;
    let params = affordance.params.as_ref().map(Params::untrusted);
    let forward = Arc::clone(forward);
    let handler = Handler::Async(Box::new(move |call| forward(call)));
    Some(Action {
        inner: Arc::new(ActionInner {
            affordance,
            params,
            changes: Changes::Anything,
            trust: Trust::Untrusted,
            handler: Guarded::new(handler),
        }),
    })
}

impl fmt::Debug for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tab").field("path", &self.path).finish_non_exhaustive()
    }
}
