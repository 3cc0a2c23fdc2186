//! The runs of one room, and its history.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::history::{History, HistoryBounds, HistoryChange, HistoryEntry, HistoryRole};
use super::policy::Queue;
use super::run::asked::Asked;
use super::run::failure::RunError;
use super::run::output::{Added, OutputBounds};
use super::run::state::stored::StoredRun;
use super::run::state::{Next, Outcome, Run, RunStatus, When};
use crate::model::Text;

/// How much of each there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunBounds {
    /// How many runs may wait.
    pub(crate) waiting: usize,
    /// How many of those that have ended are kept, and how many bytes of their outputs.
    pub(crate) ended: usize,
    pub(crate) ended_output_bytes: usize,
    /// How many inputs may wait for one run.
    pub(crate) inputs: usize,
    pub(crate) output: OutputBounds,
    pub(crate) history: HistoryBounds,
}

/// What ended long ago.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// These runs are forgotten.
    pub(crate) runs: Vec<Text>,
    /// The outputs of these are.
    pub(crate) outputs: Vec<Text>,
}

/// Why a run does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotStarted {
    /// Another one is in progress, and the room takes one at a time.
    Occupied,
    /// As many wait as may.
    Full,
}

/// The runs of one room: a pure type.
///
/// | step | what happens |
/// |---|---|
/// | `start` | the run waits at the end of the queue, or is refused |
/// | `begin` | the run is in progress, if it is its turn |
/// | `finish`, `lose`, `redeliver`, `expire`, `cancel`, `stop`, `interrupt`, `unattended`, `give_up` | as of the run; what has ended long ago is forgotten |
/// | `succeed` | a new run waits at the place of one that ended |
#[derive(Debug)]
pub(crate) struct Runs {
    queue: Queue,
    bounds: RunBounds,
    /// In order of creation.
    runs: VecDeque<Run>,
    next_place: u64,
    last_outcome: Option<RunStatus>,
    history: History,
}

impl Runs {
    pub(crate) fn new(queue: Queue, bounds: RunBounds) -> Self {
        let (runs, history) = (VecDeque::new(), History::default());
        Self { queue, bounds, runs, next_place: 0, last_outcome: None, history }
    }

    /// In order of creation.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.asked.id == id)
    }

    /// What was asked of those that have not ended, and how far each is.
    pub(crate) fn unended(&self) -> Vec<(Arc<Asked>, RunStatus)> {
        let unended = self.runs.iter().filter(|run| !run.status().is_ended());
        unended.map(|run| (Arc::clone(&run.asked), run.status())).collect()
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut Run> {
        self.runs.iter_mut().find(|run| run.asked.id == id)
    }

    fn count(&self, status: RunStatus) -> usize {
        self.runs.iter().filter(|run| run.status() == status).count()
    }

    /// How many are in progress.
    pub(crate) fn running(&self) -> usize {
        self.count(RunStatus::Running)
    }

    /// How many wait.
    pub(crate) fn queued(&self) -> usize {
        self.count(RunStatus::Queued)
    }

    /// Whether all have ended.
    pub(crate) fn are_over(&self) -> bool {
        self.runs.iter().all(|run| run.status().is_ended())
    }

    /// The outcome of the one that ended last.
    pub(crate) const fn last_outcome(&self) -> Option<RunStatus> {
        self.last_outcome
    }

    /// The runs that an earlier engine had, in order of creation.
    pub(crate) fn recovered(
        queue: Queue,
        bounds: RunBounds,
        stored: Vec<StoredRun<'_>>,
        history: BTreeMap<u64, HistoryEntry>,
    ) -> Self {
        let runs: VecDeque<_> = stored.into_iter().map(Run::recovered).collect();
        let next_place = runs.iter().map(|run| run.place + 1).max().unwrap_or(0);
        let latest = runs.iter().filter(|run| run.status().is_ended()).max_by_key(|run| ended_at(run));
        let last_outcome = latest.map(Run::status);
        let history = History::recovered(history, bounds.history);
        let mut runs = Self { queue, bounds, runs, next_place, last_outcome, history };
        // There may be other bounds than before.
        runs.forget();
        runs
    }

    /// Whether nothing is to be remembered of them.
    pub(crate) fn are_nothing(&self) -> bool {
        self.runs.is_empty() && self.history.is_empty()
    }

    /// What of the history is kept otherwise than before.
    pub(crate) fn take_history_change(&mut self) -> HistoryChange {
        self.history.take_change()
    }

    /// The process ended while a run was in progress.
    pub(crate) fn interrupt(&mut self, id: &str, now: When) -> Next {
        self.step(id, now, |run| run.interrupt(now))
    }

    /// Nobody came who could work on a run, for as long as it waits for that.
    pub(crate) fn unattended(&mut self, id: &str, error: RunError, now: When) -> Next {
        self.step(id, now, |run| run.unattended(error, now))
    }

    /// An event says that a run waits. False if it does not, or an event has told of it before.
    pub(crate) fn announce(&mut self, id: &str) -> bool {
        self.get_mut(id).is_some_and(Run::announce)
    }

    /// Nobody is there who could work on a run.
    pub(crate) fn give_up(&mut self, id: &str, error: RunError, now: When) -> Next {
        self.step(id, now, |run| run.give_up(error, now))
    }

    pub(crate) const fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn clear_history(&mut self) {
        self.history.clear();
    }

    /// A tool returned something to a run.
    pub(crate) fn tool_returned(&mut self, run: &Text, result: &Value, now: When) {
        self.history.append(HistoryRole::Tool, result, run, now.unix_ms, self.bounds.history);
    }

    /// A run waits from now on, if it may. It need not be its turn yet.
    pub(crate) fn start(&mut self, asked: Asked) -> Result<(), NotStarted> {
        if self.queue == Queue::Reject && !self.are_over() {
            return Err(NotStarted::Occupied);
        }
        if self.waits_for_others() && self.queued() >= self.bounds.waiting {
            return Err(NotStarted::Full);
        }
        self.runs.push_back(Run::new(asked, self.next_place, 1, None));
        self.next_place += 1;
        self.validate();
        Ok(())
    }

    /// Whether a run that comes now has to wait for others of the room.
    fn waits_for_others(&self) -> bool {
        match self.queue {
            Queue::Parallel => false,
            Queue::Serial | Queue::Reject => !self.are_over(),
        }
    }

    /// Whether more wait than may: the one that came last has to go.
    pub(crate) fn are_too_many(&self) -> bool {
        self.queued() > self.bounds.waiting
    }

    /// The run that came last does not begin after all.
    pub(crate) fn withdraw(&mut self, id: &str) {
        self.runs.pop_back_if(|run| run.asked.id == id && run.status() == RunStatus::Queued);
    }

    /// A new run waits at the place of one that ended, and not before a time. It is the next attempt at the same work, or
    /// the first of another agent.
    pub(crate) fn succeed(&mut self, of: &str, asked: Asked, not_before_ms: Option<u64>) {
        let Some(before) = self.get(of) else { return };
        let attempt = if asked.fallback_of.is_some() { 1 } else { before.attempt() + 1 };
        self.runs.push_back(Run::new(asked, before.place, attempt, not_before_ms));
        self.validate();
    }

    /// Whether it is this run's turn, as far as the room is concerned.
    pub(crate) fn is_due(&self, id: &str, now_ms: u64) -> bool {
        let Some(run) = self.get(id).filter(|run| run.is_ready(now_ms)) else { return false };
        let is_before = |other: &Run| !other.status().is_ended() && other.asked.id != id && other.place <= run.place;
        self.queue == Queue::Parallel || !self.runs.iter().any(is_before)
    }

    /// The runs whose turn it is, in the order of their places.
    pub(crate) fn due(&self, now_ms: u64) -> Vec<Text> {
        let mut due: Vec<_> = self.runs.iter().filter(|run| self.is_due(&run.asked.id, now_ms)).collect();
        due.sort_by_key(|run| run.place);
        due.iter().map(|run| run.asked.id.clone()).collect()
    }

    /// A run begins. False if it is not its turn (any more).
    pub(crate) fn begin(&mut self, id: &str, now: When) -> bool {
        if !self.is_due(id, now.now_ms) {
            return false;
        }
        let bounds = self.bounds.history;
        let Some(run) = self.get_mut(id) else { return false };
        let is_redelivery = run.is_redelivery();
        let begins = run.dispatch(now);
        let asked = Arc::clone(&run.asked);
        if begins && !is_redelivery && !asked.is_successor() {
            self.history.append(HistoryRole::User, &asked.input, &asked.id, now.unix_ms, bounds);
        }
        self.validate();
        begins
    }

    /// Whether this is the attempt that works on a run.
    pub(crate) fn is_current(&self, id: &str, attempt: u32) -> bool {
        self.get(id).is_some_and(|run| run.is_current(attempt))
    }

    /// An attempt of a run gives a sign of life. False if it is stale.
    pub(crate) fn sign(&mut self, id: &str, attempt: u32, now: When) -> bool {
        self.get_mut(id).is_some_and(|run| run.sign(attempt, now.now_ms))
    }

    /// An attempt streams a text. Returns its parts.
    pub(crate) fn write(&mut self, id: &str, attempt: u32, text: &str, now: When) -> Vec<Added> {
        let bounds = self.bounds.output;
        self.get_mut(id).map(|run| run.write(attempt, text, bounds, now.now_ms)).unwrap_or_default()
    }

    /// An attempt says how far it is. False if it is stale.
    pub(crate) fn report(
        &mut self,
        id: &str,
        attempt: u32,
        (progress, message): (Option<f64>, Option<Text>),
        now: When,
    ) -> bool {
        self.get_mut(id).is_some_and(|run| run.report(attempt, progress, message, now.now_ms))
    }

    /// An attempt begins another iteration. `None` if it is stale, `Err` if it may not.
    pub(crate) fn iterate(&mut self, id: &str, attempt: u32, max: u32, now: When) -> Option<Result<u32, ()>> {
        self.get_mut(id)?.iterate(attempt, max, now.now_ms)
    }

    /// Somebody sends an input to a run. False if as many wait as may.
    pub(crate) fn push_input(&mut self, id: &str, input: Value) -> bool {
        let max = self.bounds.inputs;
        self.get_mut(id).is_some_and(|run| run.push_input(input, max))
    }

    /// An attempt takes the next input.
    pub(crate) fn take_input(&mut self, id: &str, attempt: u32) -> Option<Value> {
        self.get_mut(id)?.take_input(attempt)
    }

    /// An attempt waits for a place: its window begins when it has one.
    pub(crate) fn wait_for_place(&mut self, id: &str, attempt: u32) {
        self.get_mut(id).into_iter().for_each(|run| run.wait_for_place(attempt));
    }

    /// Nobody works on an attempt for now. False if it is stale.
    pub(crate) fn leave_alone(&mut self, id: &str, attempt: u32, window_ms: u64, now: When) -> bool {
        self.get_mut(id).is_some_and(|run| run.leave_alone(attempt, window_ms, now.now_ms))
    }

    /// Whoever worked on an attempt is gone.
    pub(crate) fn lose(&mut self, id: &str, attempt: u32, now: When) -> Next {
        self.step(id, now, |run| run.lose(attempt, now))
    }

    /// The same, and there is somebody again.
    pub(crate) fn redeliver(&mut self, id: &str, attempt: u32, now: When) -> Next {
        self.step(id, now, |run| run.redeliver(attempt, now))
    }

    /// An attempt ended.
    pub(crate) fn finish(
        &mut self,
        id: &str,
        attempt: u32,
        result: Result<Value, RunError>,
        now: When,
        random: u64,
    ) -> Next {
        self.step(id, now, |run| run.finish(attempt, result, now, random))
    }

    /// Time has passed.
    pub(crate) fn expire(&mut self, id: &str, now: When) -> Next {
        self.step(id, now, |run| run.expire(now))
    }

    /// Somebody cancels a run.
    pub(crate) fn cancel(&mut self, id: &str, now: When) -> Next {
        self.step(id, now, |run| run.cancel(now))
    }

    /// The engine ends a run.
    pub(crate) fn stop(&mut self, id: &str, error: RunError, now: When) -> Next {
        self.step(id, now, |run| run.stop(error, now))
    }

    fn step(&mut self, id: &str, now: When, step: impl FnOnce(&mut Run) -> Next) -> Next {
        let Some(run) = self.get_mut(id) else { return Next::Nothing };
        let was_ended = run.status().is_ended();
        let next = step(run);
        if !was_ended && run.status().is_ended() {
            self.ended(id, now);
        }
        self.validate();
        next
    }

    fn ended(&mut self, id: &str, now: When) {
        let Some(run) = self.get(id) else { return };
        let (status, asked) = (run.status(), Arc::clone(&run.asked));
        if let Some(Outcome::Done(result)) = run.outcome() {
            let (bounds, result) = (self.bounds.history, result.clone());
            self.history.append(HistoryRole::Agent, &result, &asked.id, now.unix_ms, bounds);
        }
        self.last_outcome = Some(status);
    }

    /// Forgets what ended long ago: the oldest beyond a number of runs, and the texts of the oldest beyond a number of bytes.
    /// The one that ended last stays as it is.
    pub(crate) fn forget(&mut self) -> Forgotten {
        let (mut ended, mut bytes) = (0, 0);
        let RunBounds { ended: most, ended_output_bytes, .. } = self.bounds;
        let mut latest: Vec<_> = self.runs.iter_mut().filter(|run| run.status().is_ended()).collect();
        // Of those that ended at the same time, the one that was created last is the latest.
        latest.reverse();
        latest.sort_by_key(|run| std::cmp::Reverse(ended_at(run)));
        let mut forgotten = Forgotten::default();
        for run in latest {
            ended += 1;
            bytes += run.output.bytes();
            if ended > most {
                forgotten.runs.push(run.asked.id.clone());
            } else if ended > 1 && bytes > ended_output_bytes {
                bytes -= run.output.bytes();
                if run.output.bytes() > 0 {
                    run.output.evict();
                    forgotten.outputs.push(run.asked.id.clone());
                }
            }
        }
        self.runs.retain(|run| !forgotten.runs.contains(&run.asked.id));
        self.validate();
        forgotten
    }

    /// Checks what holds after every step.
    fn validate(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let running = self.running();
        assert!(self.queue == Queue::Parallel || running <= 1, "one run at a time");
        let unended = self.runs.iter().filter(|run| !run.status().is_ended());
        let mut places: Vec<_> = unended.map(|run| run.place).collect();
        let all = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), all, "each run has a place of its own");
    }
}

/// When a run ended: those of an earlier engine did so before all others.
fn ended_at(run: &Run) -> Option<(u64, u64)> {
    run.ended.map(|at| (at.now_ms, at.unix_ms))
}

#[cfg(test)]
mod tests;
