//! Steps of runs in one room, and what follows from them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::end_step::end_in;
use super::ended_by::EndedBy;
use super::ids::Ids;
use super::live_runs::{LiveRun, LiveRuns};
use super::living::LivingRoom;
use super::remembering::Remembering;
use super::step::{Draft, Step};
use super::stored_room::{self, StoredRecord};
use crate::config::{Limit, RunLimits};
use crate::event::Event;
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::event::{Actor, EventKind};
use crate::model::room::history::HistoryChange;
use crate::model::room::record::Record;
use crate::model::room::run::asked::Asked;
use crate::model::room::run::failure::RunError;
use crate::model::room::run::state::{Next, Outcome, Run, RunStatus, When};
use crate::model::room::run_event;
use crate::model::room::runs::{Forgotten, Runs};
use crate::protocol::room_part::Merge;
use crate::runs::agent::Agent;
use crate::runs::agents::Registered;
use crate::runs::attempt::Attempt;
use crate::storage::room_store::PartKind;

/// What is done when the room is not locked any more.
#[derive(Debug)]
pub(super) enum FollowUp {
    /// It is this run's turn in its room.
    Begin(Text),
    /// An attempt begins.
    Execute(Execution),
    /// A run has ended, and these runs of its room may begin.
    Ended(Box<LiveRun>, Outcome, Vec<Text>),
    /// What may be the last handle of an agent.
    Release(Registered),
    /// The next timer of runs.
    Schedule(u64),
    RoomEnded,
}

/// An attempt at a run that is about to begin.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) agent: Arc<Agent>,
    pub(super) asked: Arc<Asked>,
    pub(super) attempt: Arc<Attempt>,
    /// It begins when it is durable that it does: it must not begin twice.
    pub(super) is_once: bool,
}

/// Takes steps of runs, and does what follows from them.
pub(super) trait Worker: Send + Sync {
    fn work(&self, living: &Arc<LivingRoom>, step: &mut dyn FnMut(&mut Work<'_, '_>));

    fn limits(&self) -> &RunLimits;

    fn memory(&self) -> &Remembering;

    /// Whether nothing more may be streamed in a room that is kept, since too much waits to be written.
    fn is_full(&self, living: &LivingRoom) -> bool;

    /// Ends when an attempt may stream more.
    fn ready_for_more(&self, living: &LivingRoom, attempt: &Arc<Attempt>) -> BoxFuture<'static, ()>;

    fn limit_reached(&self, limit: Limit);

    /// A tool of an agent panicked.
    fn tool_panicked(&self, why: String);
}

/// What becomes of a run whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Begun,
    Waits,
    /// It is not its turn any more.
    Over,
}

/// A step of runs: the room is locked.
pub(super) struct Work<'w, 's> {
    pub(super) step: &'w mut Step<'s>,
    pub(super) record: &'w mut Record,
    pub(super) living: &'w Arc<LivingRoom>,
    pub(super) live: &'w LiveRuns,
    pub(super) ids: &'w Ids,
    pub(super) follow: &'w mut Vec<FollowUp>,
}

impl Work<'_, '_> {
    pub(super) const fn now(&self) -> When {
        let at = self.step.at();
        When { now_ms: at.now_ms, unix_ms: at.unix_ms }
    }

    pub(super) fn run(&self, run: &str) -> Option<&Run> {
        self.record.runs()?.get(run)
    }

    /// Tells everybody about a run. If the room does not stream, only of its end.
    pub(super) fn tell(&mut self, asked: &Asked, kind: EventKind, body: Value, merge: Merge) {
        if !self.living.room.is_streaming() && !kind.ends_run() {
            return;
        }
        let seq = Some(self.record.run_event());
        let (trace_id, call_id) = (Some(asked.trace_id.as_str()), asked.call_id.as_deref());
        let actor = Actor::agent(&asked.agent);
        self.step.send_merging(Draft { kind, seq, actor, trace_id, call_id, body }, merge);
    }

    fn tell_of(&mut self, run: &str, kind: EventKind, body: impl FnOnce(&Run) -> Value) {
        let Some((asked, body)) = self.run(run).map(|run| (Arc::clone(&run.asked), body(run))) else { return };
        self.tell(&asked, kind, body, Merge::Never);
    }

    /// Everybody learns that a run waits, if it does and they do not know.
    pub(super) fn announce(&mut self, run: &str) {
        if self.record.work().is_some_and(|runs| runs.announce(run)) {
            self.keep(run);
            self.tell_of(run, EventKind::RunQueued, run_event::begun);
            self.step.show_runs();
        }
    }

    /// It may be a run's turn: it begins, or waits at the gate of its agent. If it is placed already, it is behind the gate.
    pub(super) fn begin(&mut self, run: &Text, registered: &Registered, is_placed: bool) -> Turn {
        let now = self.now();
        if !self.record.runs().is_some_and(|runs| runs.is_due(run, now.now_ms)) {
            return Turn::Over;
        }
        if !is_placed && !self.pass(run, registered) {
            return Turn::Waits;
        }
        let is_redelivery = self.run(run).is_some_and(Run::is_redelivery);
        let begins = self.record.work().is_some_and(|runs| runs.begin(run, now));
        if begins {
            self.attempt(run, registered.clone());
            if is_redelivery {
                self.tell_of(run, EventKind::RunRedelivered, run_event::redelivered);
            } else {
                self.tell_of(run, EventKind::RunStarted, run_event::begun);
            }
            self.step.show();
            self.step.show_runs();
        }
        Turn::Begun
    }

    /// A run that has not ended is kept with the room, so that it has an end whatever happens to the process.
    pub(super) fn keep(&mut self, run: &str) {
        let part = self.run(run).filter(|_| self.step.keeps_parts()).map(stored_room::run);
        part.into_iter().for_each(|part| self.step.put(part));
    }

    /// A run that has ended is kept as such, in place of the oldest.
    fn keep_ended(&mut self, run: &Text, forgotten: &Forgotten) {
        self.step.delete(PartKind::Run, run.clone());
        [run].into_iter().chain(&forgotten.outputs).for_each(|run| self.keep(run));
        forgotten.runs.iter().for_each(|run| self.step.delete(PartKind::EndedRun, run.clone()));
    }

    /// What the step has added to the history is kept, and what it has removed is not.
    pub(super) fn keep_history(&mut self) {
        if !self.step.keeps_parts() || self.record.end_of().is_some() {
            return;
        }
        let HistoryChange { dropped, added } = self.record.work().map(Runs::take_history_change).unwrap_or_default();
        dropped.for_each(|number| self.step.delete(PartKind::History, stored_room::history_key(number)));
        added.iter().for_each(|(number, entry)| self.step.put(stored_room::history(*number, entry)));
    }

    /// A run that an earlier engine had not ended: what was in progress is interrupted.
    pub(super) fn interrupted(&mut self, run: &Text) {
        let now = self.now();
        let next = self.record.work().map_or(Next::Nothing, |runs| runs.interrupt(run, now));
        self.after(run, next);
    }

    /// The engine ends. A run that goes on when it starts again is left as it is; what is returned may hold the last handle
    /// of something of the application's.
    #[must_use]
    pub(super) fn leave(&self, run: &Text) -> Option<LiveRun> {
        let goes_on = self.step.keeps_parts() && self.run(run).is_some_and(Run::outlives_process);
        let left = if goes_on { self.live.remove(run) } else { None };
        left.iter().filter_map(|left| left.attempt.as_ref()).for_each(|attempt| attempt.end());
        left
    }

    /// The runs whose turn it is begin.
    pub(super) fn begin_due(&mut self) {
        let now_ms = self.now().now_ms;
        let due = self.record.runs().map(|runs| runs.due(now_ms)).unwrap_or_default();
        self.follow.extend(due.into_iter().map(FollowUp::Begin));
    }

    /// There is no agent that could work on a run.
    pub(super) fn give_up(&mut self, run: &Text, error: RunError) {
        let now = self.now();
        let next = self.record.work().map_or(Next::Nothing, |runs| runs.give_up(run, error, now));
        self.after(run, next);
    }

    /// Nobody came who could work on a run, for as long as it waits for that.
    pub(super) fn unattended(&mut self, run: &Text, error: RunError) {
        let now = self.now();
        let next = self.record.work().map_or(Next::Nothing, |runs| runs.unattended(run, error, now));
        if next == Next::Nothing {
            self.follow.push(FollowUp::Begin(run.clone()));
            self.step.show_runs();
        }
        self.after(run, next);
    }

    /// Goes through the gate, or waits there.
    fn pass(&self, run: &Text, registered: &Registered) -> bool {
        let waits = self.live.with(run, |live| live.registered.is_some()).unwrap_or(true);
        let Some(ticket) = self.live.ticket(run).filter(|_| !waits) else { return false };
        self.live.found(run, registered.clone());
        registered.gate.enter(ticket)
    }

    /// A new attempt at a run.
    fn attempt(&mut self, run: &Text, registered: Registered) {
        let of = |run: &Run| (Arc::clone(&run.asked), run.attempt(), run.was_kept());
        let Some((asked, number, was_kept)) = self.run(run).map(of) else { return };
        let attempt = Arc::new(Attempt::new(run.clone(), number));
        let agent = Arc::clone(&registered.agent);
        let before = self.live.with(run, |live| {
            live.has_place = true;
            live.attempt = Some(Arc::clone(&attempt));
            live.registered.replace(registered)
        });
        self.follow.extend(before.flatten().map(FollowUp::Release));
        // After a crash, a run that waits begins. One that begins at once is not acknowledged before that is durable.
        let is_once = was_kept && asked.delivery.is_none() && self.step.keeps_parts();
        self.keep(run);
        let room = self.living.room.id().clone();
        self.step.report(Event::RunStarted { room, run: run.clone(), agent: asked.agent.clone(), attempt: number });
        self.follow.push(FollowUp::Execute(Execution { agent, asked, attempt, is_once }));
        self.watch(run);
    }

    /// Something of a run is due at some time.
    pub(super) fn watch(&mut self, run: &Text) {
        let now_ms = self.now().now_ms;
        let due_ms = self.run(run).and_then(Run::due_ms).filter(|at_ms| *at_ms > now_ms);
        let Some(at_ms) = due_ms else { return };
        let timer = self.live.due.lock().add(at_ms, run.clone());
        self.follow.extend(timer.map(FollowUp::Schedule));
    }

    /// Nothing was due: there was a sign of life. Or it is a run's time to begin.
    pub(super) fn watch_again(&mut self, run: &Text) {
        let now_ms = self.now().now_ms;
        if self.record.runs().is_some_and(|runs| runs.is_due(run, now_ms)) {
            self.follow.push(FollowUp::Begin(run.clone()));
        } else {
            self.watch(run);
        }
    }

    /// What follows from a step of a run.
    pub(super) fn after(&mut self, run: &Text, next: Next) {
        match next {
            Next::Nothing => {}
            Next::ReplayLater => {
                self.drop_attempt(run);
                self.watch(run);
            }
            Next::Replay => self.replay(run),
            Next::Ended => self.ended(run, None),
            Next::Rerun { not_before_ms } => self.ended(run, Some((None, not_before_ms))),
            Next::Escalate(agent) => self.ended(run, Some((Some(agent), None))),
        }
    }

    /// The attempt counts no more.
    fn drop_attempt(&self, run: &str) {
        let attempt = self.live.with(run, |live| live.attempt.take()).flatten();
        attempt.iter().for_each(|attempt| attempt.end());
    }

    fn replay(&mut self, run: &Text) {
        self.drop_attempt(run);
        let registered = self.live.with(run, |live| live.registered.clone()).flatten();
        if let Some(registered) = registered {
            self.tell_of(run, EventKind::RunRedelivered, run_event::redelivered);
            self.attempt(run, registered);
            self.step.show_runs();
        }
    }

    /// A run has ended: its last event. Another one takes its place, of another agent or not before a time, unless the room
    /// is about to end.
    fn ended(&mut self, run: &Text, successor: Option<(Option<Text>, Option<u64>)>) {
        let Some(asked) = self.run(run).map(|run| Arc::clone(&run.asked)) else { return };
        let successor = successor.filter(|_| !self.record.takes_no_more());
        if let Some(body) = self.run(run).filter(|run| run.is_unknown()).map(run_event::begun) {
            // Nobody has heard of it, nor in whose place it was.
            self.tell(&asked, EventKind::RunQueued, body, Merge::Never);
        }
        if let Some((Some(to), _)) = &successor {
            self.tell(&asked, EventKind::RunEscalated, run_event::escalated(&asked, to), Merge::Never);
        }
        let Some((outcome, duration_ms)) = self.tell_end(run, &asked) else { return };
        self.step.is_active(self.record);
        let room = self.living.room.id().clone();
        self.step.report(Event::RunEnded { room, run: run.clone(), status: outcome.status(), duration_ms });
        self.step.show();
        self.step.show_runs();
        let follows = successor.is_some();
        let live = self.live.remove(run);
        live.iter().filter_map(|live| live.attempt.as_ref()).for_each(|attempt| attempt.end());
        if let Some((agent, not_before_ms)) = successor {
            self.succeed(&asked, live.as_ref(), agent, not_before_ms);
        }
        let forgotten = self.record.work().map(Runs::forget).unwrap_or_default();
        self.keep_ended(run, &forgotten);
        let now_ms = self.now().now_ms;
        let due = self.record.runs().map(|runs| runs.due(now_ms)).unwrap_or_default();
        let is_done = outcome.status() == RunStatus::Done;
        self.follow.extend(live.map(|live| FollowUp::Ended(Box::new(live), outcome, due)));
        if self.living.room.is_one_shot() && !follows {
            let reason = if is_done { EndReason::Completed } else { EndReason::Failed };
            self.end_room(reason, EndedBy::system());
        }
        self.end_if_over();
    }

    fn tell_end(&mut self, run: &Text, asked: &Asked) -> Option<(Outcome, u64)> {
        let ended = self.run(run)?;
        let (kind, body) = run_event::ended(ended);
        let end = (ended.outcome()?.clone(), ended.duration_ms());
        self.tell(asked, kind, body, Merge::Never);
        Some(end)
    }

    /// Another run takes the place of one that ended.
    fn succeed(&mut self, before: &Asked, live: Option<&LiveRun>, agent: Option<Text>, not_before_ms: Option<u64>) {
        let id = self.ids.make("r_");
        let is_fallback = agent.is_some();
        let asked = Asked {
            id: id.clone(),
            agent: agent.unwrap_or_else(|| before.agent.clone()),
            delivery: before.delivery.clone().filter(|_| !is_fallback),
            created_ms: self.now().unix_ms,
            rerun_of: (!is_fallback).then(|| before.id.clone()),
            fallback_of: is_fallback.then(|| before.id.clone()),
            ..before.clone()
        };
        let Some(runs) = self.record.work() else { return };
        runs.succeed(&before.id, asked, not_before_ms);
        let Some(asked) = self.run(&id).map(|run| Arc::clone(&run.asked)) else { return };
        let arrival = live.map_or_else(|| self.live.arrive(), |live| live.arrival);
        self.live.add(arrival, self.living, asked, None);
        if live.is_some_and(|live| live.patient_until_ms.is_some()) {
            self.live.be_patient(&id, self.now().now_ms);
        }
        if not_before_ms.is_some() {
            self.announce(&id);
        } else {
            // With the end of the one before, so that a crash between that and its beginning does not lose it.
            self.keep(&id);
        }
        self.watch(&id);
    }

    /// The engine ends a run.
    pub(super) fn stop(&mut self, run: &Text, error: RunError) {
        let now = self.now();
        let next = self.record.work().map_or(Next::Nothing, |runs| runs.stop(run, error, now));
        self.after(run, next);
    }

    /// Somebody cancels a run: it is told, or it ends at once.
    pub(super) fn cancel(&mut self, run: &Text) {
        let now = self.now();
        let next = self.record.work().map_or(Next::Nothing, |runs| runs.cancel(run, now));
        if next == Next::Nothing {
            self.live.attempt(run).iter().for_each(|attempt| attempt.cancelled.set());
            self.keep(run);
            self.watch(run);
        }
        self.after(run, next);
    }

    /// The room ends as soon as its runs have: they are cancelled. False if that is so already.
    pub(super) fn end_room(&mut self, reason: EndReason, by: EndedBy) -> bool {
        if !self.record.begin_end(reason) {
            return false;
        }
        self.live.ends_later(self.living.room.id(), by.clone());
        let unended = self.record.runs().into_iter().flat_map(|runs| runs.all());
        let unended: Vec<_> = unended.filter(|run| !run.status().is_ended()).map(|run| run.asked.id.clone()).collect();
        unended.iter().for_each(|run| self.cancel(run));
        self.end_if_over();
        if self.record.ending().is_some() && self.step.keeps_parts() {
            // Nothing is dispatched any more, also if the process ends before the runs do.
            let record = StoredRecord::new(self.living.room.about(), self.record);
            self.step.put(record.ending(reason, by).into_part());
        }
        true
    }

    /// If the room ends as soon as its runs have, and they have, it ends.
    fn end_if_over(&mut self) {
        let is_over = self.record.runs().is_none_or(|runs| runs.are_over());
        let Some(reason) = self.record.ending().filter(|_| is_over) else { return };
        let by = self.live.ends_now(self.living.room.id()).unwrap_or_else(EndedBy::system);
        if end_in(self.step, self.record, self.living, (reason, by)).is_some() {
            self.follow.push(FollowUp::RoomEnded);
        }
    }
}
