//! An agent of this program.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::message::Ready;
use super::run::Run;
use super::run_error::RunError;

pub(super) type RunFuture = Pin<Box<dyn Future<Output = Result<Value, RunError>> + Send>>;

/// How many runs an agent works on at once, unless it says otherwise.
const CONCURRENCY: usize = 16;

/// An agent of this program: a name, and what executes its runs.
#[derive(Clone)]
pub struct RemoteAgent {
    pub(super) ready: Ready,
    execute: Arc<dyn Fn(Run, Value) -> RunFuture + Send + Sync>,
}

impl RemoteAgent {
    /// An agent of this name whose runs are futures of a closure.
    ///
    /// The session of the credential needs the permission `agent:NAME`, or `agent:*`.
    pub fn new<F, R>(name: impl Into<String>, run: F) -> Self
    where
        F: Fn(Run, Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, RunError>> + Send + 'static,
    {
        let ready = Ready { agent: name.into(), contract: None, input_schema: None, concurrency: CONCURRENCY };
        Self { ready, execute: Arc::new(move |context, input| Box::pin(run(context, input))) }
    }

    /// The contract that it fulfils: rooms may ask for it when they are created.
    #[must_use]
    pub fn contract(mut self, name: impl Into<String>) -> Self {
        self.ready.contract = Some(name.into());
        self
    }

    /// Which input it takes, as a JSON Schema of type object: the server refuses another one before a run begins.
    #[must_use]
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.ready.input_schema = Some(schema);
        self
    }

    /// How many of its runs this program works on at once (default 16). The others wait, or go to another program of the
    /// same name.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn concurrency(mut self, runs: usize) -> Self {
        assert!(runs > 0, "an agent works on at least one run at a time");
        self.ready.concurrency = runs;
        self
    }

    pub(super) fn execute(&self, run: Run, input: Value) -> RunFuture {
        (self.execute)(run, input)
    }
}

impl fmt::Debug for RemoteAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteAgent").field("ready", &self.ready).finish_non_exhaustive()
    }
}
