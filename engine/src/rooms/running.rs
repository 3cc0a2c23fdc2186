//! Runs in rooms: how they are started, cancelled and given inputs, and what executes them.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::durability::{all_durable, is_full};
use super::end_step::remove_later;
use super::ended_by::{EndedBy, StoredEnding};
use super::live_runs::{Absence, LiveRun, LiveRuns};
use super::living::LivingRoom;
use super::pacing::{Paced, ready_for_more};
use super::premises::Premises;
use super::remembering::Remembering;
use super::run_speech::Speech;
use super::run_steps::{Execution, FollowUp, Turn, Work, Worker};
use super::step::Step;
use crate::background::Background;
use crate::clock::millis;
use crate::config::{Limit, RunLimits};
use crate::error::ActionError;
use crate::event::{Event, PanicSite};
use crate::model::Text;
use crate::model::room::end_reason::EndReason;
use crate::model::room::run::failure::RunError;
use crate::model::room::run::state::{Next, Outcome, RunStatus};
use crate::model::room::run_event;
use crate::model::room::runs::Runs;
use crate::panics::caught::Caught;
use crate::runs::agent::{Agent, RunResult};
use crate::runs::agents::Agents;
use crate::runs::attempt::Attempt;
use crate::runs::executor::{Ended, execute};
use crate::runs::gate::{Gate, Ticket};
use crate::runs::run_context::{Inner, RunContext, RunHost};
use crate::runs::task_runner::TaskRunner;
use crate::runs::task_state::TaskStatus;
use crate::sessions::timer::Timer;

/// The runs of all rooms, and what executes them.
#[derive(Debug)]
pub(crate) struct Running {
    pub(super) premises: Arc<Premises>,
    pub(super) agents: Arc<Agents>,
    pub(super) tasks: Arc<TaskRunner>,
    pub(super) remembering: Arc<Remembering>,
    pub(super) live: LiveRuns,
    pub(super) limits: RunLimits,
    background: Arc<Background>,
    me: Weak<Self>,
}

/// What is done next, without a lock.
#[derive(Debug)]
enum Job {
    Follow(Arc<LivingRoom>, FollowUp),
    /// A place behind a gate is free.
    Leave(Arc<Gate>),
    /// A run has a place behind a gate.
    Placed(Arc<Gate>, Ticket),
    /// Everybody shall know that a run waits, if it still does.
    Announce(Text),
}

type Jobs = VecDeque<Job>;

impl Running {
    pub(crate) fn new(
        premises: Arc<Premises>,
        remembering: Arc<Remembering>,
        (agents, tasks): (Arc<Agents>, Arc<TaskRunner>),
        background: Arc<Background>,
        limits: RunLimits,
    ) -> Arc<Self> {
        let live = LiveRuns::new(millis(limits.absent_agent_timeout));
        Arc::new_cyclic(|me| Self {
            premises,
            remembering,
            agents,
            tasks,
            live,
            limits,
            background,
            me: Weak::clone(me),
        })
    }

    /// Takes a step of runs with the room locked, and does then what follows from it.
    pub(super) fn take<T>(&self, living: &Arc<LivingRoom>, step: impl FnOnce(&mut Work<'_, '_>) -> T) -> T {
        let mut jobs = Jobs::new();
        let done = self.step(living, &mut jobs, step);
        self.follow_up(jobs);
        done
    }

    fn step<T>(&self, living: &Arc<LivingRoom>, jobs: &mut Jobs, step: impl FnOnce(&mut Work<'_, '_>) -> T) -> T {
        let mut follow = Vec::new();
        let (live, ids) = (&self.live, &self.premises.ids);
        let done = Step::take(&self.premises, living, |taken, record| {
            let mut work = Work { step: taken, record, living, live, ids, follow: &mut follow };
            let done = step(&mut work);
            work.keep_history();
            done
        });
        jobs.extend(follow.into_iter().map(|follow| Job::Follow(Arc::clone(living), follow)));
        done
    }

    fn follow_up(&self, mut jobs: Jobs) {
        while let Some(job) = jobs.pop_front() {
            match job {
                Job::Follow(living, FollowUp::Begin(run)) => self.begin(&living, &run, &mut jobs),
                Job::Follow(living, FollowUp::Execute(execution)) => self.execute(&living, execution, &mut jobs),
                Job::Follow(living, FollowUp::Ended(run, outcome, next)) => {
                    self.run_ended(&living, (*run, outcome), &next, &mut jobs);
                    // Whoever waits until nothing runs any more looks again.
                    self.background.in_flight.notify();
                }
                Job::Follow(_, FollowUp::Release(registered)) => drop(registered),
                Job::Follow(_, FollowUp::Schedule(at_ms)) => self.premises.timers.at(at_ms, Timer::Runs),
                Job::Follow(living, FollowUp::RoomEnded) => {
                    remove_later(&self.premises, &living);
                    self.live.room_ended.notify(usize::MAX);
                }
                Job::Leave(gate) => {
                    if let Some(ticket) = gate.leave() {
                        jobs.push_front(Job::Placed(gate, ticket));
                    }
                }
                Job::Placed(gate, ticket) => self.placed(&gate, &ticket, &mut jobs),
                Job::Announce(run) => {
                    if let Some(living) = self.live.living(&run) {
                        self.step(&living, &mut jobs, |work| work.announce(&run));
                    }
                }
            }
        }
    }

    /// It is a run's turn in its room.
    fn begin(&self, living: &Arc<LivingRoom>, run: &Text, jobs: &mut Jobs) {
        let Some(name) = self.live.with(run, |live| live.asked.agent.clone()) else { return };
        match self.agents.get(living.room.project(), &name) {
            None => self.without_agent(living, run, jobs),
            Some(registered) => self.step(living, jobs, |work| {
                if work.begin(run, &registered, false) == Turn::Waits {
                    work.announce(run);
                }
            }),
        }
    }

    fn without_agent(&self, living: &Arc<LivingRoom>, run: &Text, jobs: &mut Jobs) {
        let now_ms = self.premises.timers.now_ms();
        let error = || RunError::new("unknown_agent", "there is no agent of this name any more");
        let until_ms = match self.live.await_agent(run, now_ms) {
            Absence::Until(until_ms) => until_ms,
            Absence::Over => {
                self.live.be_patient(run, now_ms);
                return self.step(living, jobs, |work| work.unattended(run, error()));
            }
            Absence::Unexpected => return self.step(living, jobs, |work| work.give_up(run, error())),
        };
        self.step(living, jobs, |work| work.announce(run));
        let timer = self.live.due.lock().add(until_ms, run.clone());
        timer.into_iter().for_each(|at_ms| self.premises.timers.at(at_ms, Timer::Runs));
        let name = self.live.with(run, |live| live.asked.agent.clone());
        if name.is_some_and(|name| self.agents.get(living.room.project(), &name).is_some()) {
            // It was registered just now, and may not have seen the run.
            jobs.push_back(Job::Follow(Arc::clone(living), FollowUp::Begin(run.clone())));
        }
    }

    /// Goes on with the runs that an earlier engine had not ended in these rooms, of which some were about to end.
    pub(super) fn resume(&self, rooms: &[(Arc<LivingRoom>, Option<StoredEnding>)]) {
        let mut unended = Vec::new();
        for (living, _) in rooms {
            let runs = living.room.with(|record| record.runs().map(Runs::unended).unwrap_or_default());
            // Somebody may have started others by now, if the room could not be read at first.
            let runs = runs.into_iter().filter(|(asked, _)| self.live.with(&asked.id, |_| ()).is_none());
            unended.extend(runs.map(|(asked, status)| (living, asked, status)));
        }
        unended.sort_by_key(|(_, asked, _)| asked.created_ms);
        let now_ms = self.premises.timers.now_ms();
        for (living, asked, _) in &unended {
            self.live.add(self.live.arrive(), living, Arc::clone(asked), None);
            self.live.be_patient(&asked.id, now_ms);
        }
        for (living, ending) in rooms {
            if let Some((reason, by)) = ending.clone() {
                self.end_room(living, reason, by);
            }
        }
        // One that waited may begin as soon as another one has ended, if its agent is there.
        for (living, asked, _) in unended.iter().filter(|(_, _, status)| *status == RunStatus::Running) {
            self.take(living, |work| work.interrupted(&asked.id));
        }
        rooms.iter().for_each(|(living, _)| self.take(living, |work| work.begin_due()));
    }

    /// A run that waited at a gate has a place behind it.
    fn placed(&self, gate: &Arc<Gate>, Ticket { run, .. }: &Ticket, jobs: &mut Jobs) {
        let found = self.live.with(run, |live| (Arc::clone(&live.living), live.asked.agent.clone()));
        let Some((living, name)) = found else { return jobs.push_front(Job::Leave(Arc::clone(gate))) };
        let registered = self.agents.get(living.room.project(), &name);
        let same = registered.as_ref().filter(|registered| Arc::ptr_eq(&registered.gate, gate));
        let turn = same.map(|registered| self.step(&living, jobs, |work| work.begin(run, registered, true)));
        if turn == Some(Turn::Begun) {
            return;
        }
        drop(self.live.with(run, |live| live.registered.take()));
        jobs.push_front(Job::Leave(Arc::clone(gate)));
        if same.is_none() {
            // Another agent has the name.
            jobs.push_back(Job::Follow(living, FollowUp::Begin(run.clone())));
        }
    }

    /// A run has ended: its place is free, and the next runs of its room may begin.
    fn run_ended(&self, living: &Arc<LivingRoom>, (run, outcome): (LiveRun, Outcome), next: &[Text], jobs: &mut Jobs) {
        if let Some(task) = &run.task {
            task.end(task_status(outcome));
        }
        let gate = run.registered.as_ref().map(|registered| Arc::clone(&registered.gate));
        let Some(gate) = gate.filter(|_| run.has_place) else {
            run.registered.iter().for_each(|registered| registered.gate.withdraw(run.arrival));
            let begin = |run: &Text| Job::Follow(Arc::clone(living), FollowUp::Begin(run.clone()));
            return jobs.extend(next.iter().map(begin));
        };
        for run in next {
            // Before the place is free, so that nobody who came later gets it.
            if self.waits_at(living, run, &gate) {
                jobs.push_back(Job::Announce(run.clone()));
            } else {
                jobs.push_back(Job::Follow(Arc::clone(living), FollowUp::Begin(run.clone())));
            }
        }
        jobs.push_front(Job::Leave(gate));
    }

    /// A run waits at a gate from now on, if it is that of its agent.
    fn waits_at(&self, living: &LivingRoom, run: &Text, gate: &Arc<Gate>) -> bool {
        let Some(name) = self.live.with(run, |live| live.asked.agent.clone()) else { return false };
        let Some(registered) = self.agents.get(living.room.project(), &name) else { return false };
        if !Arc::ptr_eq(&registered.gate, gate) {
            return false;
        }
        // It is dropped without a lock, if the run waits already.
        let mut registered = Some(registered);
        let is_new = self.live.with(run, |live| {
            let is_new = live.registered.is_none();
            if is_new {
                (live.registered, live.absent_until_ms) = (registered.take(), None);
            }
            is_new
        });
        let ticket = self.live.ticket(run).filter(|_| is_new == Some(true));
        let waits = ticket.is_some();
        ticket.into_iter().for_each(|ticket| gate.queue(ticket));
        waits
    }

    /// Begins an attempt: what the agent does runs on the runtime.
    fn execute(&self, of: &Arc<LivingRoom>, execution: Execution, jobs: &mut Jobs) {
        let Execution { agent, asked, attempt, is_once } = execution;
        let task = self.live.with(&asked.id, |live| live.task.clone()).flatten();
        let worker: Weak<dyn Worker> = Weak::clone(&self.me) as _;
        let speech = Speech { worker, living: Arc::downgrade(of), asked: Arc::clone(&asked), task };
        let host: Arc<dyn RunHost> = Arc::new(speech);
        let context = RunContext::new(Inner {
            host,
            tools: Arc::clone(&agent) as _,
            attempt: Arc::clone(&attempt),
            asked: Arc::clone(&asked),
            room: of.room.clone(),
            max_iterations: agent.iterations(),
        });
        let (owner, input) = (self.premises.observers.owner(), asked.input.clone());
        let durable = is_once.then(|| all_durable(&self.premises));
        let work = async move {
            if let Some(durable) = durable {
                // If that takes too long, it is said to those who are there.
                let _ = durable.await;
            }
            agent.dispatch(context, input).await
        };
        let work = Paced::new(Caught::new(Box::pin(work), Some(owner)), &self.premises, of, &attempt);
        let (running, living, overtaken) = (Weak::clone(&self.me), Arc::downgrade(of), Arc::clone(&attempt));
        let abandoned = Arc::clone(&attempt);
        let begins =
            execute(&self.background.runtime, work, async move { overtaken.ended.wait().await }, move |ended| {
                if let (Some(running), Some(living)) = (running.upgrade(), living.upgrade()) {
                    let mut jobs = Jobs::new();
                    running.ended(&living, &attempt, ended, &mut jobs);
                    running.follow_up(jobs);
                }
            });
        if !begins {
            self.ended(of, &abandoned, Ended::Abandoned, jobs);
        }
    }

    /// An attempt has ended, or is not polled any more.
    fn ended(&self, living: &Arc<LivingRoom>, attempt: &Attempt, ended: Ended<RunResult>, jobs: &mut Jobs) {
        let result = match ended {
            Ended::Returned(result) => result,
            Ended::Panicked(why) => {
                self.premises.observers.warn(&Event::Panicked { what: PanicSite::Agent, why });
                Err(RunError::new("internal", "the agent failed"))
            }
            Ended::Abandoned => Err(RunError::new("interrupted", "the runtime has ended")),
            // It counts no more.
            Ended::Stopped => return,
        };
        self.finished(living, attempt, result, jobs);
    }

    /// An attempt has come to something.
    fn finished(&self, living: &Arc<LivingRoom>, attempt: &Attempt, result: RunResult, jobs: &mut Jobs) {
        let result = result.and_then(|result| self.checked(result));
        let random = self.premises.ids.number();
        self.step(living, jobs, |work| {
            let (now, run) = (work.now(), &attempt.run);
            let is_current =
                work.run(run).is_some_and(|run| run.attempt() == attempt.number && !run.status().is_ended());
            if is_current {
                work.step.report(responded(work.living, run, &result));
            }
            let next =
                work.record.work().map_or(Next::Nothing, |runs| runs.finish(run, attempt.number, result, now, random));
            work.after(run, next);
        });
    }

    /// A result, or the error that it cannot be shown.
    fn checked(&self, result: Value) -> RunResult {
        super::run_speech::check_value(&result, self.limits.value_bytes).map_err(|why| {
            self.premises.limit_reached(Limit::RunValueBytes, &Text::default());
            RunError::new("too_large", format!("the result {why}"))
        })?;
        Ok(result)
    }

    /// The timer fired: windows may have expired, pauses may be over, and cancelled runs may be abandoned.
    pub(crate) fn run_due(&self) {
        let due = self.live.due.lock().take_due(self.premises.timers.now_ms());
        for run in due {
            let Some(living) = self.live.living(&run) else { continue };
            self.take(&living, |work| {
                let now = work.now();
                let next = work.record.work().map_or(Next::Nothing, |runs| runs.expire(&run, now));
                if next == Next::Nothing {
                    // There was a sign of life, or its time to begin has come.
                    work.watch_again(&run);
                }
                work.after(&run, next);
            });
        }
        let next = self.live.due.lock().next();
        next.into_iter().for_each(|at_ms| self.premises.timers.at(at_ms, Timer::Runs));
    }

    /// A room ends as soon as its runs have: they are cancelled.
    /// False if it has ended, or is about to.
    pub(super) fn end_room(&self, living: &Arc<LivingRoom>, reason: EndReason, by: EndedBy) -> bool {
        self.take(living, |work| work.end_room(reason, by))
    }

    /// Registers an agent. More runs may begin.
    pub(crate) fn register(&self, project: Option<Text>, agent: Agent) {
        self.begin_at(self.agents.register(project, agent));
    }

    /// These runs have a place behind a gate, and those may have an agent that have waited for one since the start.
    pub(super) fn begin_at(&self, (gate, tickets): (Arc<Gate>, Vec<Ticket>)) {
        let mut jobs: Jobs = tickets.into_iter().map(|ticket| Job::Placed(Arc::clone(&gate), ticket)).collect();
        for run in self.live.take_awaiting() {
            jobs.extend(self.live.living(&run).map(|living| Job::Follow(living, FollowUp::Begin(run))));
        }
        self.follow_up(jobs);
    }

    /// Removes an agent. Those that waited for it look for another one. False if there is none.
    pub(crate) fn unregister(&self, project: Option<Text>, name: &str) -> bool {
        let Some(tickets) = self.agents.unregister(project, name) else { return false };
        self.look_elsewhere(tickets);
        true
    }

    /// The agent is gone for which these runs waited.
    pub(super) fn look_elsewhere(&self, tickets: Vec<Ticket>) {
        let mut jobs = Jobs::new();
        for Ticket { run, .. } in tickets {
            let gate = self.live.with(&run, |live| (live.registered.take(), Arc::clone(&live.living)));
            jobs.extend(gate.map(|(_, living)| Job::Follow(living, FollowUp::Begin(run))));
        }
        self.follow_up(jobs);
    }

    pub(crate) fn are_running(&self) -> bool {
        self.live.len() > 0
    }

    /// The engine shuts down, and runs took too long: they fail, but for those that go on after a restart.
    pub(crate) fn stop_all(&self) {
        // First all that go on: none of them begins in the place of one that fails.
        let leave = |run: &Text| {
            let living = self.live.living(run)?;
            let left = self.take(&living, |work| work.leave(run));
            left.is_none().then_some(living)
        };
        let failing: Vec<_> = self.live.ids().into_iter().filter_map(|run| Some((leave(&run)?, run))).collect();
        for (living, run) in failing {
            let error = RunError::new("interrupted", "the provider is shutting down");
            self.take(&living, |work| work.stop(&run, error));
        }
    }

    /// Waits until a room has ended.
    pub(super) async fn wait_for_end(&self, living: &LivingRoom) {
        loop {
            let ended = self.live.room_ended.listen();
            if living.room.with(|record| record.end_of().is_some()) {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.live.end_all();
    }
}

impl Worker for Running {
    fn work(&self, living: &Arc<LivingRoom>, step: &mut dyn FnMut(&mut Work<'_, '_>)) {
        self.take(living, step);
    }

    fn limits(&self) -> &RunLimits {
        &self.limits
    }

    fn memory(&self) -> &Remembering {
        &self.remembering
    }

    fn is_full(&self, living: &LivingRoom) -> bool {
        let is_full = is_full(&self.premises, living);
        if is_full {
            self.limit_reached(Limit::UnwrittenBytes);
        }
        is_full
    }

    fn ready_for_more(&self, living: &LivingRoom, attempt: &Arc<Attempt>) -> BoxFuture<'static, ()> {
        ready_for_more(&self.premises, living, attempt)
    }

    fn limit_reached(&self, limit: Limit) {
        self.premises.limit_reached(limit, &Text::default());
    }

    fn tool_panicked(&self, why: String) {
        self.premises.observers.warn(&Event::Panicked { what: PanicSite::Tool, why });
    }
}

fn responded(living: &LivingRoom, run: &Text, result: &RunResult) -> Event {
    let error = result.as_ref().err().map(|error| error.code().into());
    Event::RunResponded { room: living.room.id().clone(), run: run.clone(), error }
}

/// How the task of a run has ended that has ended so.
fn task_status(outcome: Outcome) -> TaskStatus {
    match outcome {
        Outcome::Done(result) => TaskStatus::Done(result),
        Outcome::Cancelled => TaskStatus::Cancelled,
        Outcome::Failed(_) | Outcome::TimedOut => {
            let error = run_event::error_of(&outcome);
            let error = error.map(|error| ActionError::new(error.code(), error.message()));
            TaskStatus::Failed(error.unwrap_or_else(|| ActionError::internal("the run failed")))
        }
    }
}
