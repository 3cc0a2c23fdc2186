//! What an agent holds while it runs.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::{Notify, mpsc, watch};

use super::message::{About, Actor, Dispatch, HistoryEntry, ToServer};
use super::run_error::RunError;

/// How many inputs may wait for a run.
const INPUTS: usize = 256;

/// What an agent holds while it runs: it reads what was asked, and says what it does. A cheap handle.
///
/// Whatever it says is a sign of life: if the run has a [window](Run::window), there has to be one in each.
#[derive(Clone)]
pub struct Run(Arc<Inner>);

struct Inner {
    dispatch: Dispatch,
    messages: mpsc::Sender<String>,
    cancelled: watch::Receiver<bool>,
    inputs: Arc<Inputs>,
    next_call: AtomicU64,
}

/// What came of a tool: a failure is data for the agent, and does not fail its run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolResult {
    /// Whether it did what it was asked.
    pub ok: bool,
    /// The result, or `{"code", "message"}` of the failure.
    pub result: Value,
}

/// Inputs that wait for a run.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    waiting: Mutex<VecDeque<Value>>,
    came: Notify,
}

impl Inputs {
    fn locked<T>(&self, step: impl FnOnce(&mut VecDeque<Value>) -> T) -> T {
        step(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// False if as many wait as may.
    pub(super) fn push(&self, input: Value) -> bool {
        let fits = self.locked(|waiting| {
            let fits = waiting.len() < INPUTS;
            if fits {
                waiting.push_back(input);
            }
            fits
        });
        self.came.notify_one();
        fits
    }

    async fn next(&self) -> Value {
        loop {
            if let Some(input) = self.locked(VecDeque::pop_front) {
                return input;
            }
            self.came.notified().await;
        }
    }
}

impl Run {
    pub(super) fn new(
        dispatch: Dispatch,
        messages: mpsc::Sender<String>,
        cancelled: watch::Receiver<bool>,
        inputs: Arc<Inputs>,
    ) -> Self {
        Self(Arc::new(Inner { dispatch, messages, cancelled, inputs, next_call: AtomicU64::new(1) }))
    }

    fn about(&self) -> &About {
        &self.0.dispatch.about
    }

    pub(super) async fn say(&self, message: &ToServer<'_>) {
        // If the connection is gone, so is this future, soon.
        let _ = self.0.messages.send(message.encode()).await;
    }

    pub(super) async fn acknowledge(&self) {
        self.say(&ToServer::Ack(self.about())).await;
    }

    pub(super) async fn end(&self, result: &Result<Value, RunError>) {
        let about = self.about();
        match result {
            Ok(output) => self.say(&ToServer::Result { about, output }).await,
            Err(RunError { code, message, class }) => {
                self.say(&ToServer::Error { about, code, message, class: *class }).await;
            }
        }
    }

    /// The id of the run.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.about().run
    }

    /// Which attempt this is, counted from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.about().attempt
    }

    /// The agent that the run is for.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.0.dispatch.agent
    }

    /// The id of the room in which it runs.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.0.dispatch.room
    }

    /// The project of the room.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.0.dispatch.project
    }

    /// Who started it.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.0.dispatch.actor
    }

    /// The id of the work to which the run belongs.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0.dispatch.trace_id
    }

    /// What the caller calls the run, if it said so. All attempts at the same work have it.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.0.dispatch.call_id.as_deref()
    }

    /// How long the agent has for a sign of life, from the dispatch on and again from each one.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        self.0.dispatch.window_ms.map(Duration::from_millis)
    }

    /// What the room kept by key when the run was dispatched.
    #[must_use]
    pub fn memory(&self) -> &Map<String, Value> {
        &self.0.dispatch.memory
    }

    /// What was said between the room and its agents when the run was dispatched: the input of this run last.
    #[must_use]
    pub fn history(&self) -> &[HistoryEntry] {
        &self.0.dispatch.history
    }

    pub(super) fn input(&self) -> Value {
        self.0.dispatch.input.clone()
    }

    /// Streams a text: it follows what was streamed before. Waits while too much waits for the socket.
    pub async fn chunk(&self, text: impl AsRef<str>) {
        self.say(&ToServer::Chunk { about: self.about(), text: text.as_ref() }).await;
    }

    /// Says how far the run is, from 0 to 1, and what it does now; an empty message changes nothing.
    pub async fn progress(&self, fraction: impl Into<Option<f64>>, message: impl AsRef<str>) {
        let progress = fraction.into().filter(|fraction| fraction.is_finite()).map(|fraction| fraction.clamp(0.0, 1.0));
        let message = Some(message.as_ref()).filter(|message| !message.is_empty());
        self.say(&ToServer::Progress { about: self.about(), progress, message }).await;
    }

    /// Gives a sign of life.
    pub async fn working(&self) {
        self.say(&ToServer::Working(self.about())).await;
    }

    /// Calls a tool of the agent: everybody in the room sees its name, the arguments and the result. That it fails is data:
    /// the run goes on.
    pub async fn tool(
        &self,
        name: &str,
        arguments: Value,
        call: impl Future<Output = Result<Value, RunError>> + Send,
    ) -> ToolResult {
        let tool_call = format!("t_{}", self.0.next_call.fetch_add(1, Ordering::Relaxed));
        let about = self.about();
        self.say(&ToServer::ToolCall { about, tool_call: &tool_call, name, arguments: &arguments }).await;
        let (ok, result) = match call.await {
            Ok(result) => (true, result),
            Err(error) => (false, json!({"code": error.code, "message": error.message})),
        };
        self.say(&ToServer::ToolResult { about, tool_call: &tool_call, ok, result: &result }).await;
        ToolResult { ok, result }
    }

    /// Waits for the next input that somebody sends to the run. `None` if it was cancelled. May be dropped and called again:
    /// no input is lost.
    pub async fn next_input(&self) -> Option<Value> {
        tokio::select! {
            biased;
            () = self.cancelled() => None,
            input = self.0.inputs.next() => Some(input),
        }
    }

    /// Waits until somebody cancels the run, or this attempt counts no more. The agent should return then; after 10 s its
    /// future is dropped.
    pub async fn cancelled(&self) {
        let mut cancelled = self.0.cancelled.clone();
        // If nobody can tell any more, the future of the run is dropped.
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether somebody has cancelled the run, or this attempt counts no more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.cancelled.borrow()
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("about", self.about()).finish_non_exhaustive()
    }
}
