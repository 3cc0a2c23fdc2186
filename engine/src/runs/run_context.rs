//! What an agent holds while it runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select};
use serde_json::Value;

use super::attempt::Attempt;
use super::run_memory::{MemoryHost, RunMemory};
use super::tool_result::{ToolFuture, ToolResult};
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::handle::Room;
use crate::model::room::history::HistoryEntry;
use crate::model::room::run::asked::{Asked, RunActor};
use crate::model::room::run::failure::RunError;
use crate::panics;
use crate::panics::caught::Caught;
use crate::panics::guarded::Owner;

/// Where a run takes place. What comes from a stale attempt is dropped there.
pub(crate) trait RunHost: MemoryHost {
    /// The text follows what was streamed before.
    fn write(&self, attempt: &Attempt, text: &str);

    fn report(&self, attempt: &Attempt, progress: Option<f64>, message: Option<Text>);

    fn working(&self, attempt: &Attempt);

    /// A tool is about to be called, under this id or a new one. Returns the id, or why it is not called.
    fn tool_called(
        &self,
        attempt: &Attempt,
        id: Option<Text>,
        name: &str,
        arguments: &Value,
    ) -> Result<Text, ActionError>;

    /// It has returned; what cannot be shown becomes a failure.
    fn tool_returned(&self, attempt: &Attempt, call: &Text, result: ToolResult) -> ToolResult;

    /// A tool panicked.
    fn tool_panicked(&self, why: String);

    fn iterate(&self, attempt: &Attempt, max: u32) -> Result<u32, RunError>;

    fn take_input(&self, attempt: &Attempt) -> Option<Value>;

    /// Ends when an attempt may stream more.
    fn ready_for_more(&self, attempt: &Arc<Attempt>) -> BoxFuture<'static, ()>;

    fn history(&self) -> Vec<HistoryEntry>;

    /// The attempt waits for a place: its window begins when it is dispatched.
    fn waits_for_place(&self, attempt: &Attempt);

    /// It has one: it was dispatched.
    fn dispatched(&self, attempt: &Attempt);

    /// Nobody works on the attempt for now.
    fn left_alone(&self, attempt: &Attempt);

    /// Whoever worked on it is gone, and there is somebody again if `is_found`.
    fn lost(&self, attempt: &Attempt, is_found: bool);

    /// How much of the window is left.
    fn time_left(&self, attempt: &Attempt) -> Option<Duration>;
}

/// The tools of an agent.
pub(crate) trait Tools: Send + Sync {
    /// Runs code of the application. `None` if there is no tool of this name.
    fn call(&self, name: &str, run: RunContext, arguments: Value) -> Option<ToolFuture>;

    /// Who is told if the future of a tool panics while it is dropped.
    fn owner(&self) -> Option<Owner>;
}

/// What an agent holds while it runs: it reads what was asked, and says what it does. A cheap handle.
///
/// What is said after the run has ended, or by an attempt after which another one was dispatched, is dropped.
#[derive(Clone)]
pub struct RunContext(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) host: Arc<dyn RunHost>,
    pub(crate) tools: Arc<dyn Tools>,
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) room: Room,
    pub(crate) max_iterations: u32,
}

impl RunContext {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The id of the run.
    #[must_use]
    pub fn id(&self) -> &Text {
        &self.0.asked.id
    }

    /// The room in which it runs.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.0.room
    }

    /// Who started it.
    #[must_use]
    pub fn actor(&self) -> &RunActor {
        &self.0.asked.by
    }

    /// Which attempt this is, counted from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt.number
    }

    /// The id of the work to which the run belongs: `tx-` and a UUID.
    #[must_use]
    pub fn trace_id(&self) -> &Text {
        &self.0.asked.trace_id
    }

    /// What the caller calls the run, if it said so. All attempts at the same work have it.
    #[must_use]
    pub fn call_id(&self) -> Option<&Text> {
        self.0.asked.call_id.as_ref()
    }

    /// Streams a text: it follows what was streamed before. A sign of life.
    pub fn chunk(&self, text: impl AsRef<str>) {
        self.0.host.write(&self.0.attempt, text.as_ref());
    }

    /// Waits until more may be streamed. Only rooms that are kept ever let an agent wait, while the storage is slow or fails.
    ///
    /// The future of the run itself is not polled meanwhile, so an agent that awaits something now and then need not call
    /// this; what streams into the run from another task should, before each chunk. Who never waits reaches
    /// `rooms.unwritten_bytes`: then the run has failed with `busy`.
    pub async fn ready(&self) {
        self.0.host.ready_for_more(&self.0.attempt).await;
    }

    /// Says how far the run is, from 0 to 1, and what it does now; an empty message changes nothing. A sign of life. Cheap:
    /// consumers see the latest report.
    pub fn progress(&self, fraction: impl Into<Option<f64>>, message: impl Into<Text>) {
        let message = Some(message.into()).filter(|message| !message.is_empty());
        self.0.host.report(&self.0.attempt, fraction.into(), message);
    }

    /// Gives a sign of life.
    pub fn working(&self) {
        self.0.host.working(&self.0.attempt);
    }

    /// Calls a tool of the agent. Everybody in the room sees call and result. That it fails is data: the run goes on.
    pub async fn tool(&self, name: &str, arguments: Value) -> ToolResult {
        let Inner { host, attempt, .. } = &*self.0;
        let call = match host.tool_called(attempt, None, name, &arguments) {
            Ok(call) => call,
            Err(error) => return ToolResult::of(Err(error)),
        };
        let result = ToolResult::of(self.run_tool(name, arguments).await);
        host.tool_returned(attempt, &call, result)
    }

    async fn run_tool(&self, name: &str, arguments: Value) -> Result<Value, ActionError> {
        let Inner { host, tools, .. } = &*self.0;
        let failed = |why: String| {
            host.tool_panicked(why);
            Err(ActionError::internal("the tool failed"))
        };
        match panics::catch(|| tools.call(name, self.clone(), arguments)) {
            Ok(Some(future)) => Caught::new(future, tools.owner()).await.unwrap_or_else(failed),
            Ok(None) => Err(ActionError::not_found("the agent has no such tool")),
            Err(why) => failed(why),
        }
    }

    /// Begins another iteration, such as one more turn of a model. Returns which one it is, counted from 1.
    ///
    /// # Errors
    /// `iteration_limit` beyond what the agent was registered with; then the run has failed.
    pub fn iteration(&self) -> Result<u32, RunError> {
        self.0.host.iterate(&self.0.attempt, self.0.max_iterations)
    }

    /// Waits for the next input that somebody sends to the run. `None` if it was cancelled, or counts no more.
    pub async fn next_input(&self) -> Option<Value> {
        let Inner { host, attempt, .. } = &*self.0;
        loop {
            let came = attempt.listen_for_input();
            if attempt.cancelled.is_set() {
                return None;
            }
            if let Some(input) = host.take_input(attempt) {
                return Some(input);
            }
            let cancelled = Box::pin(attempt.cancelled.wait());
            futures_util::future::select(came, cancelled).await;
        }
    }

    /// Waits until somebody cancels the run, or this attempt counts no more. The agent should return then; after 10 s it
    /// is dropped.
    pub async fn cancelled(&self) {
        self.0.attempt.cancelled.wait().await;
    }

    /// Whether somebody has cancelled the run, or this attempt counts no more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.attempt.cancelled.is_set()
    }

    /// What was said between the room and its agents: a copy. The input of this run is its last entry when it begins.
    #[must_use]
    pub fn history(&self) -> Vec<HistoryEntry> {
        self.0.host.history()
    }

    /// What is kept in the room, which the agent reads and writes.
    #[must_use]
    pub fn memory(&self) -> RunMemory {
        let host: Arc<dyn MemoryHost> = Arc::clone(&self.0.host) as _;
        RunMemory::new(host, Arc::clone(&self.0.attempt))
    }

    /// What an executor outside of this process holds: it does what [`RunContext`] does for one in it.
    pub(crate) fn remote(&self) -> Remote<'_> {
        Remote(&self.0)
    }

    /// How long the agent has for its next sign of life; `None` without a window.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.0.host.time_left(&self.0.attempt)
    }
}

/// What an executor outside of this process says and needs besides.
pub(crate) struct Remote<'r>(&'r Inner);

impl Remote<'_> {
    /// The window of the run's delivery.
    pub(crate) fn window_ms(&self) -> Option<u64> {
        self.0.asked.delivery.as_ref()?.window_ms
    }

    /// It calls a tool of its own.
    pub(crate) fn tool_called(&self, id: Text, name: &str, arguments: &Value) -> Result<Text, ActionError> {
        self.0.host.tool_called(&self.0.attempt, Some(id), name, arguments)
    }

    /// What that returned.
    pub(crate) fn tool_returned(&self, id: &Text, result: ToolResult) {
        self.0.host.tool_returned(&self.0.attempt, id, result);
    }

    /// Ends when it may say more, or has ended; `None` if it may already.
    pub(crate) fn pause(&self) -> Option<BoxFuture<'static, ()>> {
        let attempt = Arc::clone(&self.0.attempt);
        let mut ready = self.0.host.ready_for_more(&attempt);
        if (&mut ready).now_or_never().is_some() {
            return None;
        }
        let ended = async move { attempt.ended.wait().await };
        Some(select(ready, ended.boxed()).map(drop).boxed())
    }

    /// The attempt waits until one of those who could work on it has a place for it.
    pub(crate) fn waits_for_place(&self) {
        self.0.host.waits_for_place(&self.0.attempt);
    }

    /// It was sent to whoever works on it: its window begins.
    pub(crate) fn dispatched(&self) {
        self.0.host.dispatched(&self.0.attempt);
    }

    /// Nobody works on the attempt for now: it waits for its window, or for a while if it has none.
    pub(crate) fn left_alone(&self) {
        self.0.host.left_alone(&self.0.attempt);
    }

    /// Whoever worked on it is gone: as if its window had expired.
    pub(crate) fn lost(&self) {
        self.0.host.lost(&self.0.attempt, false);
    }

    /// The same, after it waited until there was somebody again.
    pub(crate) fn found_again(&self) {
        self.0.host.lost(&self.0.attempt, true);
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext").field("attempt", &self.0.attempt).finish_non_exhaustive()
    }
}
