//! How far a run is, and its legal steps.

pub(crate) mod elsewhere;
pub(crate) mod stored;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asked::Asked;
use super::delivery::{Delivery, Reaction, backoff_ms};
use super::failure::RunError;
use super::output::{Added, Output, OutputBounds};
use crate::model::Text;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// It waits for other runs.
    Queued,
    /// It is in progress.
    Running,
    /// It has a result.
    Done,
    /// It has an error.
    Failed,
    /// Somebody cancelled it, or the room ended.
    Cancelled,
    /// Its agent gave no sign of life for too long.
    TimedOut,
}

impl RunStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One moment, by the engine's clock and since 1970, both in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) now_ms: u64,
    pub(crate) unix_ms: u64,
}

/// How long an agent has after a cancellation, in ms (rooms 6).
pub(crate) const ABANDONED_AFTER_MS: u64 = 10_000;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Done(Value),
    Failed(RunError),
    Cancelled,
    TimedOut,
}

impl Outcome {
    pub(crate) const fn status(&self) -> RunStatus {
        match self {
            Self::Done(_) => RunStatus::Done,
            Self::Failed(_) => RunStatus::Failed,
            Self::Cancelled => RunStatus::Cancelled,
            Self::TimedOut => RunStatus::TimedOut,
        }
    }
}

/// What follows from a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// Nothing: the run goes on, has ended, or a stale attempt spoke.
    Nothing,
    /// The run is dispatched again, at once.
    Replay,
    /// It is dispatched again later: the attempt before counts no more.
    ReplayLater,
    /// It has ended.
    Ended,
    /// It has ended, and a new run takes its place, of the same agent and not before this time.
    Rerun { not_before_ms: Option<u64> },
    /// It has ended, and a run of this agent takes its place.
    Escalate(Text),
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    /// Not before this time, if there is one.
    Queued {
        not_before_ms: Option<u64>,
    },
    Running(Running),
    Ended(Outcome),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Running {
    /// When the window expires.
    window_ends_ms: Option<u64>,
    /// When it is dispatched again; nobody works on it until then.
    retry_ms: Option<u64>,
    /// When it is abandoned: it was cancelled.
    abandon_ms: Option<u64>,
}

/// One run: a pure type. Attempts are fenced: what comes from any but the current one is dropped.
///
/// | step | queued | running | ended |
/// |---|---|---|---|
/// | `dispatch` | running, if its time has come | nothing | nothing |
/// | `sign`, `write`, `report`, `iterate` of the current attempt | nothing | the window begins anew | nothing |
/// | `finish` of the current attempt | nothing | ended, or what its delivery says if the error is retryable | nothing |
/// | `wait_for_place` of the current attempt | nothing | it has no window until the next sign of life | nothing |
/// | `leave_alone` of the current attempt | nothing | without a window, it has one until the next sign of life | nothing |
/// | `lose` of the current attempt | nothing | what its delivery says, as if the window had expired | nothing |
/// | `redeliver` of the current attempt | nothing | dispatched again if an attempt is left; otherwise as `lose` | nothing |
/// | `cancel` | ended | ended after 10 s, or when the agent returns; at once if nobody works on it | nothing |
/// | `expire` | nothing | abandoned, dispatched again, or what its delivery says if the window has expired | nothing |
/// | `stop` | ended | ended | nothing |
/// | `interrupt` | nothing | queued for the next attempt, or what its delivery says; ended without one | nothing |
/// | `unattended` | what its delivery says, as if its window had expired; ended without one | nothing | nothing |
/// | `give_up` | ended, in favour of its fallback if it has one | the same | nothing |
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) asked: Arc<Asked>,
    /// The order in which runs are dispatched: of those that arrived first, or of the run in whose place it is.
    pub(crate) place: u64,
    state: State,
    /// Which one it is: over all runs that replaced each other by reruns.
    attempt: u32,
    pub(crate) output: Output,
    pub(crate) progress: Option<f64>,
    pub(crate) message: Option<Text>,
    iterations: u32,
    inputs: VecDeque<Value>,
    /// When it was dispatched first, and when it ended.
    pub(crate) started: Option<When>,
    pub(crate) ended: Option<When>,
    /// It was started before the engine was.
    is_recovered: bool,
    /// An event has said that it waits.
    is_announced: bool,
}

impl Run {
    /// A run that waits. `attempt` is the number that its first attempt will have.
    pub(crate) fn new(asked: Asked, place: u64, attempt: u32, not_before_ms: Option<u64>) -> Self {
        Self {
            asked: Arc::new(asked),
            place,
            state: State::Queued { not_before_ms },
            attempt,
            output: Output::default(),
            progress: None,
            message: None,
            iterations: 0,
            inputs: VecDeque::new(),
            started: None,
            ended: None,
            is_recovered: false,
            is_announced: false,
        }
    }

    /// Whether no event has told of it.
    pub(crate) const fn is_unknown(&self) -> bool {
        self.started.is_none() && !self.is_announced
    }

    /// An event says that it waits. False if it does not, or an event has told of it before.
    pub(crate) fn announce(&mut self) -> bool {
        let is_news = self.is_unknown() && self.status() == RunStatus::Queued;
        self.is_announced |= is_news;
        is_news
    }

    /// Whether something of it may have been kept before its attempt.
    pub(crate) fn was_kept(&self) -> bool {
        self.is_announced || self.is_recovered || self.asked.is_successor()
    }

    pub(crate) const fn status(&self) -> RunStatus {
        match &self.state {
            State::Queued { .. } => RunStatus::Queued,
            State::Running(_) => RunStatus::Running,
            State::Ended(outcome) => outcome.status(),
        }
    }

    pub(crate) const fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    pub(crate) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the window of the current attempt expires.
    pub(crate) const fn window_ends_ms(&self) -> Option<u64> {
        match &self.state {
            State::Running(running) => running.window_ends_ms,
            _ => None,
        }
    }

    /// Whether it waits, and its time has come.
    pub(crate) fn is_ready(&self, now_ms: u64) -> bool {
        matches!(self.state, State::Queued { not_before_ms } if not_before_ms.is_none_or(|at_ms| at_ms <= now_ms))
    }

    /// When something is due if nothing happens before.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        match &self.state {
            State::Queued { not_before_ms } => *not_before_ms,
            State::Running(Running { window_ends_ms, retry_ms, abandon_ms }) => {
                [*window_ends_ms, *retry_ms, *abandon_ms].into_iter().flatten().min()
            }
            State::Ended(_) => None,
        }
    }

    /// It is dispatched for the first time. False if it does not wait any more, or its time has not come.
    pub(crate) fn dispatch(&mut self, now: When) -> bool {
        if !self.is_ready(now.now_ms) {
            return false;
        }
        self.started.get_or_insert(now);
        self.begin_attempt(now.now_ms);
        true
    }

    fn begin_attempt(&mut self, now_ms: u64) {
        let window_ends_ms = self.window_from(now_ms);
        self.state = State::Running(Running { window_ends_ms, ..Running::default() });
        self.validate();
    }

    fn window_from(&self, now_ms: u64) -> Option<u64> {
        let window_ms = self.asked.delivery.as_ref()?.window_ms?;
        Some(now_ms.saturating_add(window_ms))
    }

    /// Whether this is the attempt that works on it.
    pub(crate) fn is_current(&self, attempt: u32) -> bool {
        matches!(&self.state, State::Running(running) if running.retry_ms.is_none()) && attempt == self.attempt
    }

    /// The state, if this is the attempt that works on it.
    fn current(&mut self, attempt: u32) -> Option<&mut Running> {
        let is_current = self.is_current(attempt);
        match &mut self.state {
            State::Running(running) if is_current => Some(running),
            _ => None,
        }
    }

    /// An attempt gives a sign of life. False if it is stale.
    pub(crate) fn sign(&mut self, attempt: u32, now_ms: u64) -> bool {
        let window_ends_ms = self.window_from(now_ms);
        let Some(running) = self.current(attempt) else { return false };
        if running.abandon_ms.is_none() {
            running.window_ends_ms = window_ends_ms;
        }
        self.validate();
        true
    }

    /// An attempt streams a text. Returns its parts; none if it is stale.
    pub(crate) fn write(&mut self, attempt: u32, text: &str, bounds: OutputBounds, now_ms: u64) -> Vec<Added> {
        if self.sign(attempt, now_ms) { self.output.add(text, bounds) } else { Vec::new() }
    }

    /// An attempt says how far it is. False if it is stale. What is not a number changes only the message.
    pub(crate) fn report(&mut self, attempt: u32, progress: Option<f64>, message: Option<Text>, now_ms: u64) -> bool {
        let is_current = self.sign(attempt, now_ms);
        if is_current {
            let number = progress.filter(|progress| progress.is_finite());
            self.progress = number.map(|progress| progress.clamp(0.0, 1.0)).or(self.progress);
            self.message = message.or(self.message.take());
        }
        is_current
    }

    /// An attempt begins another iteration, of at most so many. Returns which one it is; `Err` if it may not, and `None` if
    /// the attempt is stale.
    pub(crate) fn iterate(&mut self, attempt: u32, max: u32, now_ms: u64) -> Option<Result<u32, ()>> {
        if !self.sign(attempt, now_ms) {
            return None;
        }
        if self.iterations >= max {
            return Some(Err(()));
        }
        self.iterations += 1;
        Some(Ok(self.iterations))
    }

    /// Somebody sends an input. False if as many wait as may.
    pub(crate) fn push_input(&mut self, input: Value, max: usize) -> bool {
        let fits = self.inputs.len() < max;
        if fits {
            self.inputs.push_back(input);
        }
        fits
    }

    /// The current attempt takes the next input.
    pub(crate) fn take_input(&mut self, attempt: u32) -> Option<Value> {
        self.current(attempt)?;
        self.inputs.pop_front()
    }

    /// An attempt ended. A result after a cancellation does not count. `random` is any number.
    pub(crate) fn finish(&mut self, attempt: u32, result: Result<Value, RunError>, now: When, random: u64) -> Next {
        let Some(running) = self.current(attempt) else { return Next::Nothing };
        if running.abandon_ms.is_some() {
            return self.end(Outcome::Cancelled, now);
        }
        match result {
            Ok(result) => self.end(Outcome::Done(result), now),
            Err(error) if error.is_retryable() => self.react(Outcome::Failed(error), now, Some(random)),
            Err(error) => self.end(Outcome::Failed(error), now),
        }
    }

    /// Of a run without a delivery, lost attempts are made up for as with the default one.
    fn max_attempts(&self) -> u32 {
        self.asked.delivery.as_ref().map_or_else(|| Delivery::default().max_attempts, |delivery| delivery.max_attempts)
    }

    /// An attempt came to nothing: what its delivery says happens, at once or after a pause. Without one, it has ended if it
    /// has failed, and is dispatched again if nobody worked on it.
    fn react(&mut self, otherwise: Outcome, now: When, pause: Option<u64>) -> Next {
        let reaction = match &self.asked.delivery {
            Some(delivery) => delivery.react(self.attempt),
            None if pause.is_none() => Delivery::default().react(self.attempt),
            None => Reaction::End,
        };
        self.follow(reaction, otherwise, now, pause)
    }

    fn follow(&mut self, reaction: Reaction, otherwise: Outcome, now: When, pause: Option<u64>) -> Next {
        let later_ms = pause.map(|random| now.now_ms.saturating_add(backoff_ms(self.attempt, random)));
        match reaction {
            Reaction::Replay => self.replay(later_ms, now.now_ms),
            Reaction::Rerun => {
                self.end(otherwise, now);
                Next::Rerun { not_before_ms: later_ms }
            }
            Reaction::Escalate(agent) => {
                self.end(Outcome::TimedOut, now);
                Next::Escalate(agent)
            }
            Reaction::End => self.end(otherwise, now),
        }
    }

    /// The attempt before is stale from now on.
    fn replay(&mut self, later_ms: Option<u64>, now_ms: u64) -> Next {
        self.attempt += 1;
        match later_ms {
            None => {
                self.begin_attempt(now_ms);
                Next::Replay
            }
            Some(_) => {
                self.state = State::Running(Running { retry_ms: later_ms, ..Running::default() });
                self.validate();
                Next::ReplayLater
            }
        }
    }

    /// Somebody cancels it. Nothing if it has ended, or was cancelled before.
    pub(crate) fn cancel(&mut self, now: When) -> Next {
        match &mut self.state {
            State::Running(running) if running.retry_ms.is_none() => {
                let abandon_ms = now.now_ms.saturating_add(ABANDONED_AFTER_MS);
                running.abandon_ms.get_or_insert(abandon_ms);
                running.window_ends_ms = None;
                self.validate();
                Next::Nothing
            }
            State::Ended(_) => Next::Nothing,
            _ => self.end(Outcome::Cancelled, now),
        }
    }

    /// Time has passed: what is due happens.
    pub(crate) fn expire(&mut self, now: When) -> Next {
        let State::Running(running) = &self.state else { return Next::Nothing };
        let is_due = |at_ms: Option<u64>| at_ms.is_some_and(|at_ms| at_ms <= now.now_ms);
        if is_due(running.abandon_ms) {
            self.end(Outcome::Cancelled, now)
        } else if is_due(running.retry_ms) {
            self.begin_attempt(now.now_ms);
            Next::Replay
        } else if is_due(running.window_ends_ms) {
            self.react(Outcome::TimedOut, now, None)
        } else {
            Next::Nothing
        }
    }

    /// The engine ends it, whatever its agent does.
    pub(crate) fn stop(&mut self, error: RunError, now: When) -> Next {
        if self.status().is_ended() { Next::Nothing } else { self.end(Outcome::Failed(error), now) }
    }

    fn end(&mut self, outcome: Outcome, now: When) -> Next {
        self.state = State::Ended(outcome);
        self.ended = Some(now);
        self.inputs = VecDeque::new();
        self.output.end();
        self.validate();
        Next::Ended
    }

    /// How long it took from its first dispatch on, in ms; 0 if it was never dispatched.
    pub(crate) fn duration_ms(&self) -> u64 {
        // The engine's clock does not know what was before the engine.
        let time = |at: When| if self.is_recovered { at.unix_ms } else { at.now_ms };
        let (started, ended) = (self.started.map(time), self.ended.map(time));
        started.zip(ended).map_or(0, |(started, ended)| ended.saturating_sub(started))
    }

    /// Checks what holds after every step.
    fn validate(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let is_ended = self.status().is_ended();
        assert_eq!(is_ended, self.ended.is_some(), "what has ended did so at some time");
        assert!(self.attempt >= 1, "attempts are counted from 1");
        if let State::Running(running) = &self.state {
            assert!(self.started.is_some(), "what is in progress was dispatched");
            let waits = usize::from(running.window_ends_ms.is_some())
                + usize::from(running.retry_ms.is_some())
                + usize::from(running.abandon_ms.is_some());
            assert!(waits <= 1, "one thing is due");
            assert!(self.attempt <= self.max_attempts().max(1), "no more attempts than may be");
        }
    }
}

#[cfg(test)]
mod tests;
