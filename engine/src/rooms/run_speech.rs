//! What an agent says while it runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::Value;

use super::living::LivingRoom;
use super::refusal::{busy, too_late};
use super::remembering::{Remembering, Writer};
use super::run_steps::{Work, Worker};
use crate::clock::millis;
use crate::config::Limit;
use crate::error::ActionError;
use crate::event::Event;
use crate::model::Text;
use crate::model::bounded_json;
use crate::model::cut::cut;
use crate::model::nesting::{DATA_LEVELS, is_shallow};
use crate::model::room::event::EventKind;
use crate::model::room::history::HistoryEntry;
use crate::model::room::memory::Expected;
use crate::model::room::memory_entry::MemoryEntry;
use crate::model::room::memory_query::{MemoryPage, MemoryQuery};
use crate::model::room::run::asked::Asked;
use crate::model::room::run::failure::RunError;
use crate::model::room::run_event;
use crate::model::room::runs::Runs;
use crate::protocol::room_part::Merge;
use crate::render::task::TaskControl;
use crate::runs::attempt::Attempt;
use crate::runs::run_context::RunHost;
use crate::runs::run_memory::MemoryHost;
use crate::runs::task_runner::ShownTask;
use crate::runs::tool_result::ToolResult;

/// How many levels there are between an event's frame and a value of a run.
const EVENT_LEVELS: usize = 3;

/// How long the message of a report may be, in bytes.
const MESSAGE_BYTES: usize = 1_024;

/// Where the attempts at one run speak. Agents may hold it for longer than there is a room, or an engine.
pub(super) struct Speech {
    pub(super) worker: Weak<dyn Worker>,
    pub(super) living: Weak<LivingRoom>,
    pub(super) asked: Arc<Asked>,
    /// The node in the tree of who started it.
    pub(super) task: Option<Arc<ShownTask>>,
}

/// Whether events and results can hold a value, which all in the room receive.
///
/// # Errors
/// A sentence about what is wrong with it.
pub(super) fn check_value(value: &Value, max_bytes: usize) -> Result<(), String> {
    if !is_shallow(value, DATA_LEVELS - EVENT_LEVELS) {
        return Err("is nested too deeply".to_owned());
    }
    if bounded_json::fits(value, max_bytes) { Ok(()) } else { Err(format!("must have at most {max_bytes} bytes")) }
}

fn too_fast() -> ActionError {
    busy("too much waits to be kept: what the run does comes faster than it can be written")
}

impl Speech {
    /// Takes a step with the room locked. `None` if there is no room or no engine any more.
    fn step<T>(&self, step: impl FnOnce(&mut Work<'_, '_>) -> T) -> Option<T> {
        let (worker, living) = (self.worker.upgrade()?, self.living.upgrade()?);
        let (mut step, mut done) = (Some(step), None);
        worker.work(&living, &mut |work| done = step.take().map(|step| step(work)));
        done
    }

    /// Does something with what is kept in the room.
    fn remember<T>(&self, with: impl FnOnce(&Remembering, &Arc<LivingRoom>) -> T) -> Result<T, ActionError> {
        let (worker, living) = self.worker.upgrade().zip(self.living.upgrade()).ok_or_else(too_late)?;
        Ok(with(worker.memory(), &living))
    }

    fn read<T>(
        &self,
        attempt: &Attempt,
        read: impl FnOnce(&Remembering, &Arc<LivingRoom>) -> T,
    ) -> Result<T, ActionError> {
        self.remember(|memory, living| {
            Remembering::check_current(living, &self.asked, attempt.number)?;
            Ok(read(memory, living))
        })?
    }

    fn writer(&self, attempt: &Attempt) -> Writer<'_> {
        Writer::Run { asked: &self.asked, attempt: attempt.number }
    }

    /// Whether nothing more may be streamed, since too much waits to be written.
    fn is_full(&self) -> bool {
        let (worker, living) = (self.worker.upgrade(), self.living.upgrade());
        worker.zip(living).is_some_and(|(worker, living)| worker.is_full(&living))
    }

    /// What an attempt streams cannot be written as fast as it comes, and it does not wait: its run has failed. After a
    /// cancellation only the text is lost.
    fn overflows(&self, attempt: &Attempt) {
        if attempt.cancelled.is_set() {
            return;
        }
        self.step(|work| {
            let is_current = work.record.runs().is_some_and(|runs| runs.is_current(&attempt.run, attempt.number));
            if is_current {
                work.stop(&attempt.run, too_fast().into());
            }
        });
    }

    fn tell(&self, work: &mut Work<'_, '_>, kind: EventKind, body: Value) {
        work.tell(&self.asked, kind, body, Merge::Never);
    }

    /// A sign of life. False if the attempt is stale.
    fn sign(work: &mut Work<'_, '_>, attempt: &Attempt) -> bool {
        let now = work.now();
        let signs = work.record.work().is_some_and(|runs| runs.sign(&attempt.run, attempt.number, now));
        if signs {
            work.record.signs_of_work(now.now_ms);
        }
        signs
    }

    fn check(&self, what: &str, value: &Value) -> Result<(), ActionError> {
        let Some(worker) = self.worker.upgrade() else { return Err(too_late()) };
        check_value(value, worker.limits().value_bytes).map_err(|why| {
            worker.limit_reached(Limit::RunValueBytes);
            ActionError::new("too_large", format!("the {what} {why}"))
        })
    }

    fn write_in(&self, work: &mut Work<'_, '_>, attempt: &Attempt, text: &str) -> bool {
        let now = work.now();
        let Some(runs) = work.record.work() else { return false };
        let was_truncated = runs.get(&attempt.run).is_some_and(|run| run.output.is_truncated());
        let added = runs.write(&attempt.run, attempt.number, text, now);
        let Some(run) = runs.get(&attempt.run) else { return false };
        let is_truncated = run.output.is_truncated();
        let chunks: Vec<_> =
            added.iter().map(|added| run_event::chunk(&self.asked, added.offset, run.output.part(added))).collect();
        for chunk in chunks {
            work.tell(&self.asked, EventKind::RunChunk, chunk, Merge::Append(attempt.run.clone()));
        }
        work.record.signs_of_work(now.now_ms);
        is_truncated && !was_truncated
    }

    fn report_in(
        &self,
        work: &mut Work<'_, '_>,
        attempt: &Attempt,
        (report, is_full): ((Option<f64>, Option<Text>), bool),
    ) -> bool {
        let now = work.now();
        let is_current = work.record.work().is_some_and(|runs| runs.report(&attempt.run, attempt.number, report, now));
        if is_current && let Some(body) = work.run(&attempt.run).map(run_event::progress) {
            work.record.signs_of_work(now.now_ms);
            work.step.show_runs();
            // What is left out is covered by the next report.
            if is_full {
                return true;
            }
            work.tell(&self.asked, EventKind::RunProgress, body, Merge::Replace(attempt.run.clone()));
        }
        is_current
    }

    fn iterate_in(&self, work: &mut Work<'_, '_>, attempt: &Attempt, max: u32) -> Result<u32, RunError> {
        let (now, run) = (work.now(), &attempt.run);
        let iterated = work.record.work().and_then(|runs| runs.iterate(run, attempt.number, max, now));
        match iterated.ok_or_else(|| RunError::from(too_late()))? {
            Ok(number) => {
                self.tell(work, EventKind::RunIteration, run_event::iteration(&self.asked, number));
                let room = work.living.room.id().clone();
                work.step.report(Event::RunIteration { room, run: run.clone(), iteration: number });
                Ok(number)
            }
            Err(()) => {
                let error = RunError::new("iteration_limit", format!("the run has had all of its {max} iterations"));
                work.stop(run, error.clone());
                Err(error)
            }
        }
    }
}

impl MemoryHost for Speech {
    fn get(&self, attempt: &Attempt, key: &str) -> Result<MemoryEntry, ActionError> {
        self.read(attempt, |memory, living| memory.get(living, key))?
    }

    fn list(&self, attempt: &Attempt, query: &MemoryQuery) -> Result<MemoryPage, ActionError> {
        self.read(attempt, |memory, living| memory.list(living, query))
    }

    fn put(&self, attempt: &Attempt, entry: (&str, &Value), expected: Expected) -> Result<u64, ActionError> {
        self.remember(|memory, living| memory.put(living, &self.writer(attempt), entry, expected))?
    }

    fn delete(&self, attempt: &Attempt, key: &str, expected: Expected) -> Result<(), ActionError> {
        self.remember(|memory, living| memory.delete(living, &self.writer(attempt), key, expected))?
    }

    fn durable(&self) -> BoxFuture<'static, Result<(), ActionError>> {
        self.remember(|memory, living| memory.durable(living)).unwrap_or_else(|error| ready(Err(error)).boxed())
    }
}

impl RunHost for Speech {
    fn write(&self, attempt: &Attempt, text: &str) {
        if self.is_full() {
            return self.overflows(attempt);
        }
        if self.step(|work| self.write_in(work, attempt, text)) == Some(true)
            && let Some(worker) = self.worker.upgrade()
        {
            worker.limit_reached(Limit::RunOutputBytes);
        }
    }

    fn report(&self, attempt: &Attempt, progress: Option<f64>, message: Option<Text>) {
        let message = message.map(|message| cut(message, MESSAGE_BYTES));
        let report = ((progress, message.clone()), self.is_full());
        if self.step(|work| self.report_in(work, attempt, report)) == Some(true)
            && let Some(task) = &self.task
        {
            // What is not a number changes nothing.
            task.progress(progress.unwrap_or(f64::NAN), message.unwrap_or_default());
        }
    }

    fn working(&self, attempt: &Attempt) {
        self.step(|work| Self::sign(work, attempt));
    }

    fn tool_called(
        &self,
        attempt: &Attempt,
        id: Option<Text>,
        name: &str,
        arguments: &Value,
    ) -> Result<Text, ActionError> {
        let name = cut(name, MESSAGE_BYTES);
        self.check("arguments of the tool", arguments)?;
        if self.is_full() {
            return Err(too_fast());
        }
        let called = self.step(|work| {
            let call = Self::sign(work, attempt).then(|| id.unwrap_or_else(|| work.ids.make("t_")))?;
            self.tell(work, EventKind::RunToolCall, run_event::tool_call(&self.asked, &call, &name, arguments));
            let (room, run) = (work.living.room.id().clone(), attempt.run.clone());
            work.step.report(Event::RunToolCalled { room, run, tool: name });
            Some(call)
        });
        called.flatten().ok_or_else(too_late)
    }

    fn tool_returned(&self, attempt: &Attempt, call: &Text, result: ToolResult) -> ToolResult {
        let result = match self.check("result of the tool", &result.result) {
            Ok(()) => result,
            Err(error) => ToolResult::of(Err(error)),
        };
        self.step(|work| {
            if !Self::sign(work, attempt) {
                return;
            }
            let now = work.now();
            let ToolResult { ok, result } = &result;
            work.record.work().into_iter().for_each(|runs| runs.tool_returned(&attempt.run, result, now));
            self.tell(work, EventKind::RunToolResult, run_event::tool_result(&self.asked, call, *ok, result));
            let (room, run) = (work.living.room.id().clone(), attempt.run.clone());
            work.step.report(Event::RunToolReturned { room, run, ok: *ok });
        });
        result
    }

    fn tool_panicked(&self, why: String) {
        if let Some(worker) = self.worker.upgrade() {
            worker.tool_panicked(why);
        }
    }

    fn iterate(&self, attempt: &Attempt, max: u32) -> Result<u32, RunError> {
        if self.is_full() {
            return Err(too_fast().into());
        }
        let iterated = self.step(|work| self.iterate_in(work, attempt, max));
        iterated.unwrap_or_else(|| Err(too_late().into()))
    }

    fn take_input(&self, attempt: &Attempt) -> Option<Value> {
        let take = |work: &mut Work<'_, '_>| {
            let taken = work.record.work()?.take_input(&attempt.run, attempt.number)?;
            work.keep(&attempt.run);
            Some(taken)
        };
        self.step(take).flatten()
    }

    fn ready_for_more(&self, attempt: &Arc<Attempt>) -> BoxFuture<'static, ()> {
        let (worker, living) = (self.worker.upgrade(), self.living.upgrade());
        let waits = worker.zip(living).map(|(worker, living)| worker.ready_for_more(&living, attempt));
        waits.unwrap_or_else(|| ready(()).boxed())
    }

    fn history(&self) -> Vec<HistoryEntry> {
        let living = self.living.upgrade();
        let entries =
            living.map(|living| living.room.with(|record| record.runs().map(|runs| runs.history().entries())));
        entries.flatten().unwrap_or_default()
    }

    fn waits_for_place(&self, attempt: &Attempt) {
        let wait = |runs: &mut Runs| runs.wait_for_place(&attempt.run, attempt.number);
        self.step(|work| work.record.work().into_iter().for_each(wait));
    }

    fn dispatched(&self, attempt: &Attempt) {
        self.step(|work| {
            if Self::sign(work, attempt) {
                // While it waited, nothing was due.
                work.watch(&attempt.run);
            }
        });
    }

    fn left_alone(&self, attempt: &Attempt) {
        let Some(wait_ms) = self.worker.upgrade().map(|worker| millis(worker.limits().link_wait)) else { return };
        self.step(|work| {
            let now = work.now();
            let run = &attempt.run;
            if work.record.work().is_some_and(|runs| runs.leave_alone(run, attempt.number, wait_ms, now)) {
                work.watch(run);
            }
        });
    }

    fn lost(&self, attempt: &Attempt, is_found: bool) {
        self.step(|work| {
            let (now, run, number) = (work.now(), &attempt.run, attempt.number);
            let Some(runs) = work.record.work() else { return };
            let next = if is_found { runs.redeliver(run, number, now) } else { runs.lose(run, number, now) };
            work.after(run, next);
        });
    }

    fn time_left(&self, attempt: &Attempt) -> Option<Duration> {
        let left_ms = |work: &mut Work<'_, '_>| {
            let run = work.run(&attempt.run).filter(|run| run.attempt() == attempt.number)?;
            Some(run.window_ends_ms()?.saturating_sub(work.now().now_ms))
        };
        self.step(left_ms).flatten().map(Duration::from_millis)
    }
}
