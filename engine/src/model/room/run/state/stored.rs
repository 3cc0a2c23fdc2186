//! A run as it is kept with its room, and what becomes of it when the process starts again.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Asked, Next, Outcome, Output, Reaction, Run, RunError, RunStatus, Running, State, When};
use crate::model::Text;

/// A run as it is kept with its room. Times are in ms since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredRun<'r> {
    asked: Cow<'r, Asked>,
    place: u64,
    attempt: u32,
    /// When it was dispatched first.
    started_ms: Option<u64>,
    /// Somebody has cancelled it.
    #[serde(default)]
    is_cancelled: bool,
    #[serde(default = "yes")]
    is_announced: bool,
    end: Option<Cow<'r, StoredEnd>>,
    /// Of a run that has ended. What one that has not had streamed is in the log.
    output: Option<Cow<'r, Output>>,
    progress: Option<f64>,
    message: Option<Text>,
    /// Those that no attempt has taken.
    #[serde(default, skip_serializing_if = "are_none")]
    inputs: Cow<'r, VecDeque<Value>>,
}

fn are_none(inputs: &VecDeque<Value>) -> bool {
    inputs.is_empty()
}

/// What was kept before this was said had been announced.
const fn yes() -> bool {
    true
}

/// How a run ended, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredEnd {
    at_ms: u64,
    outcome: Outcome,
}

impl StoredRun<'_> {
    /// The order in which runs were created: those at the place of another one follow it.
    fn order(&self) -> (u64, u64, bool, u32) {
        (self.asked.created_ms, self.place, self.asked.fallback_of.is_some(), self.attempt)
    }

    /// In the order in which they were created.
    pub(crate) fn sort(runs: &mut [Self]) {
        runs.sort_by_key(Self::order);
    }
}

impl Run {
    /// What is kept of it.
    pub(crate) fn stored(&self) -> StoredRun<'_> {
        let end = self.outcome().zip(self.ended);
        let is_cancelled = matches!(&self.state, State::Running(running) if running.abandon_ms.is_some());
        StoredRun {
            asked: Cow::Borrowed(&self.asked),
            place: self.place,
            attempt: self.attempt,
            started_ms: self.started.map(|at| at.unix_ms),
            is_cancelled,
            is_announced: self.is_announced,
            output: end.is_some().then_some(Cow::Borrowed(&self.output)),
            end: end.map(|(outcome, at)| Cow::Owned(StoredEnd { at_ms: at.unix_ms, outcome: outcome.clone() })),
            progress: self.progress,
            message: self.message.clone(),
            inputs: Cow::Borrowed(&self.inputs),
        }
    }

    /// What is kept of it when its room has ended: all but what it has streamed, which may be long.
    pub(crate) fn stored_without_text(&self) -> StoredRun<'_> {
        StoredRun { output: Some(Cow::Owned(self.output.without_text())), ..self.stored() }
    }

    /// A run that an earlier engine had. If it was in progress, it is as if its attempt still were: whoever takes it over
    /// interrupts it.
    pub(crate) fn recovered(stored: StoredRun<'_>) -> Self {
        let at = |unix_ms: u64| When { now_ms: 0, unix_ms };
        let started = stored.started_ms.map(at);
        let (state, ended) = match (stored.end.map(Cow::into_owned), started) {
            (Some(StoredEnd { at_ms, outcome }), _) => (State::Ended(outcome), Some(at(at_ms))),
            (None, None) => (State::Queued { not_before_ms: None }, None),
            (None, Some(_)) => {
                let abandon_ms = stored.is_cancelled.then_some(0);
                (State::Running(Running { abandon_ms, ..Running::default() }), None)
            }
        };
        let run = Self {
            asked: Arc::new(stored.asked.into_owned()),
            place: stored.place,
            state,
            attempt: stored.attempt,
            output: stored.output.map(Cow::into_owned).unwrap_or_default(),
            progress: stored.progress,
            message: stored.message,
            iterations: 0,
            inputs: stored.inputs.into_owned(),
            started,
            ended,
            is_recovered: true,
            is_announced: stored.is_announced,
        };
        run.validate();
        run
    }

    /// Whether it was in progress before the engine was started, and is dispatched again.
    pub(crate) fn is_redelivery(&self) -> bool {
        self.is_recovered && self.started.is_some() && !self.status().is_ended()
    }

    /// The attempt that was in progress came to nothing, since the process ended: what its delivery says happens. If it is
    /// dispatched again, it waits for that in its place. Without a delivery it has failed: unlike a link that is lost, the end of
    /// a process may be what its agent has done.
    pub(crate) fn interrupt(&mut self, now: When) -> Next {
        let State::Running(running) = &self.state else { return Next::Nothing };
        if running.abandon_ms.is_some() {
            return self.end(Outcome::Cancelled, now);
        }
        let reaction = self.asked.delivery.as_ref().map_or(Reaction::End, |delivery| delivery.react(self.attempt));
        if reaction == Reaction::Replay {
            self.attempt += 1;
            self.state = State::Queued { not_before_ms: None };
            self.validate();
            return Next::Nothing;
        }
        let error = RunError::new("interrupted", "the provider was restarted");
        self.follow(reaction, Outcome::Failed(error), now, None)
    }

    /// It has waited for its agent for as long as its window is, and nobody came: what its delivery says happens. If that is
    /// another attempt, it goes on waiting. Without a delivery it has failed.
    pub(crate) fn unattended(&mut self, error: RunError, now: When) -> Next {
        if self.status() != RunStatus::Queued {
            return Next::Nothing;
        }
        match self.asked.delivery.as_ref().map(|delivery| delivery.react(self.attempt)) {
            None => self.end(Outcome::Failed(error), now),
            Some(Reaction::Replay) => {
                self.attempt += 1;
                Next::Nothing
            }
            Some(reaction) => self.follow(reaction, Outcome::TimedOut, now, None),
        }
    }

    /// Whether it goes on if the process ends now and starts again.
    pub(crate) fn outlives_process(&self) -> bool {
        let delivery = self.asked.delivery.as_ref();
        match &self.state {
            State::Queued { .. } => true,
            State::Running(running) if running.abandon_ms.is_none() => {
                delivery.is_some_and(|delivery| delivery.react(self.attempt) != Reaction::End)
            }
            _ => false,
        }
    }

    /// Nobody is there who could work on it: the fallback gets the work, if there is one, or the run has failed.
    pub(crate) fn give_up(&mut self, error: RunError, now: When) -> Next {
        let fallback = self.asked.delivery.as_ref().and_then(|delivery| delivery.last_resort());
        match (self.status().is_ended(), fallback) {
            (true, _) => Next::Nothing,
            (false, None) => self.end(Outcome::Failed(error), now),
            (false, Some(agent)) => {
                self.end(Outcome::TimedOut, now);
                Next::Escalate(agent)
            }
        }
    }
}
