//! The runs of one connection.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::message::{About, Dispatch, ToServer};
use super::remote_agent::RemoteAgent;
use super::run::{Inputs, Run};
use super::run_error::{ErrorClass, RunError};

/// How long an agent has after a cancellation, as at the server.
const ABANDONED_AFTER: Duration = Duration::from_secs(10);

/// The runs of one connection. Dropping it drops their futures.
#[derive(Debug)]
pub(super) struct Running {
    agents: Arc<[RemoteAgent]>,
    messages: mpsc::Sender<String>,
    tasks: JoinSet<About>,
    live: HashMap<About, Live>,
}

#[derive(Debug)]
struct Live {
    agent: String,
    cancel: watch::Sender<bool>,
    inputs: Arc<Inputs>,
}

impl Running {
    pub(super) fn new(agents: Arc<[RemoteAgent]>, messages: mpsc::Sender<String>) -> Self {
        Self { agents, messages, tasks: JoinSet::new(), live: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Begins a run.
    pub(super) fn dispatch(&mut self, dispatch: Dispatch) {
        let about = dispatch.about.clone();
        let Some(agent) = self.agents.iter().find(|agent| agent.ready.agent == dispatch.agent).cloned() else {
            return self.refuse(&about, "unknown_agent", "this program is not that agent", ErrorClass::Permanent);
        };
        let busy = self.live.values().filter(|live| live.agent == dispatch.agent).count();
        if busy >= agent.ready.concurrency {
            return self.refuse(&about, "busy", "the agent works on as many runs as it can", ErrorClass::Retryable);
        }
        let (cancel, cancelled) = watch::channel(false);
        let inputs = Arc::new(Inputs::default());
        let live = Live { agent: dispatch.agent.clone(), cancel, inputs: Arc::clone(&inputs) };
        let run = Run::new(dispatch, self.messages.clone(), cancelled, inputs);
        self.live.insert(about.clone(), live);
        self.tasks.spawn(async move {
            attend(&agent, run).await;
            about
        });
    }

    /// Says that a run failed which this program does not work on.
    fn refuse(&mut self, about: &About, code: &str, message: &str, class: ErrorClass) {
        let text = ToServer::Error { about, code, message, class }.encode();
        let (messages, about) = (self.messages.clone(), about.clone());
        self.tasks.spawn(async move {
            // If the connection is gone, nobody waits for it.
            let _ = messages.send(text).await;
            about
        });
    }

    /// A run is cancelled, or the attempt counts no more.
    pub(super) fn cancel(&self, about: &About) {
        if let Some(live) = self.live.get(about) {
            live.cancel.send_replace(true);
        }
    }

    /// Somebody sent an input.
    pub(super) fn input(&mut self, about: &About, data: Value) {
        let Some(live) = self.live.get(about) else { return };
        if !live.inputs.push(data) {
            self.cancel(about);
            self.refuse(about, "too_many_inputs", "the agent does not take its inputs", ErrorClass::Permanent);
        }
    }

    /// Waits until a run has ended. May be dropped and called again.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(about)) => drop(self.live.remove(&about)),
            // Panics of agents are caught before.
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}

/// Does what a run asks for, and says what came of it.
async fn attend(agent: &RemoteAgent, run: Run) {
    run.acknowledge().await;
    let (execution, input) = (run.clone(), run.input());
    // The closure runs inside, so that its panic is caught as well.
    let work = AssertUnwindSafe(async move { agent.execute(execution, input).await }).catch_unwind();
    let result = tokio::select! {
        result = work => result,
        () = abandoned(&run) => return,
    };
    let failed = |_| Err(RunError::new("internal", "the agent failed"));
    run.end(&result.unwrap_or_else(failed)).await;
}

/// Ends a while after a cancellation.
async fn abandoned(run: &Run) {
    run.cancelled().await;
    sleep(ABANDONED_AFTER).await;
}
