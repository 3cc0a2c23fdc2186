//! What sessions ask of runs.

use std::sync::Arc;

use serde_json::Value;

use super::durability::check_writable;
use super::joining::{shown_kind, shown_name};
use super::living::LivingRoom;
use super::refusal::{busy, has_ended, invalid};
use super::roles::check_names;
use super::run_speech::check_value;
use super::run_steps::{Turn, Work};
use super::running::Running;
use super::saying::principal;
use crate::config::Limit;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::history::HistoryEntry;
use crate::model::room::message::trace_id;
use crate::model::room::new_run::NewRun;
use crate::model::room::role::Role;
use crate::model::room::run::asked::{Asked, RunActor};
use crate::model::room::run::state::Run;
use crate::model::room::run_view::{RunOutput, RunView};
use crate::model::room::runs::{NotStarted, Runs};
use crate::model::session::{Context, Session};
use crate::runs::agents::Registered;
use crate::runs::task_runner::ShownTask;

/// Lets sessions start runs, and look at them.
#[derive(Debug)]
pub(crate) struct RunRequests {
    running: Arc<Running>,
}

/// What a call that starts a run becomes.
enum Started {
    /// The run that the same call has started already.
    Known(Text),
    New {
        /// An older call id was forgotten for it.
        forgets: bool,
    },
    Ended,
    NotStarted(NotStarted),
}

/// A run that is about to be started.
struct Start {
    asked: Asked,
    arrival: u64,
    task: Option<Arc<ShownTask>>,
}

fn unknown_agent() -> ActionError {
    ActionError::new("unknown_agent", "there is no agent of this name")
}

fn no_run() -> ActionError {
    ActionError::not_found("there is no such run")
}

fn run_has_ended() -> ActionError {
    ActionError::conflict("the run has ended")
}

/// Members and the owner start runs, if they are users.
fn check_member(session: &Session, role: Role) -> Result<(), ActionError> {
    if session.context().user().is_none() || !role.may_say() {
        return Err(ActionError::unauthorized("only members of the room may do this"));
    }
    check_names(session.context())
}

fn is_open(living: &LivingRoom) -> Result<(), ActionError> {
    let takes_no_more = living.room.with(|record| record.takes_no_more());
    if takes_no_more { Err(has_ended()) } else { Ok(()) }
}

impl RunRequests {
    pub(crate) const fn new(running: Arc<Running>) -> Self {
        Self { running }
    }

    /// A member starts a run, which belongs to a trace, unless it names its own. Under a call id that was used within 10 minutes nothing is started again (SEC32).
    pub(crate) fn start(
        &self,
        session: &Session,
        (living, role): (&Arc<LivingRoom>, Role),
        (new, trace): (&NewRun, Option<&str>),
    ) -> Result<Text, ActionError> {
        check_member(session, role)?;
        is_open(living)?;
        check_writable(&self.running.premises, living, session.context().id())?;
        let registered = self.check(session, living, new)?;
        if let Some(known) = self.known(session, new.call_id.as_deref()) {
            return Ok(known);
        }
        let asked = self.asked(session, (living, role), &registered, (new, trace));
        let id = asked.id.clone();
        let task = self.follow(session, living, &asked)?;
        let arrival = self.running.live.arrive();
        let start = Start { asked, arrival, task: task.clone() };
        let started = self.running.take(living, |work| self.start_in(work, start, &registered));
        if !matches!(started, Started::New { .. }) {
            task.iter().for_each(|task| task.withdraw());
        }
        self.answer(session, id, started)
    }

    /// Is the room's agent there, and can it take the input?
    fn check(&self, session: &Session, living: &LivingRoom, new: &NewRun) -> Result<Registered, ActionError> {
        new.validate().map_err(invalid)?;
        let (agents, project) = (&self.running.agents, living.room.project());
        let name = living.room.agent().ok_or_else(|| ActionError::new("unknown_agent", "the room has no agent"))?;
        let registered = agents.get(project, name).ok_or_else(unknown_agent)?;
        let fallback = new.delivery.as_ref().and_then(|delivery| delivery.fallback.as_deref());
        if fallback.is_some_and(|name| agents.get(project, name).is_none()) {
            return Err(ActionError::new("unknown_agent", "there is no agent of the fallback's name"));
        }
        self.check_input(session, "input", &new.input)?;
        registered.agent.check(&new.input).map_err(ActionError::invalid_params)?;
        Ok(registered)
    }

    fn check_input(&self, session: &Session, what: &str, input: &Value) -> Result<(), ActionError> {
        check_value(input, self.running.limits.value_bytes).map_err(|why| {
            self.running.premises.limit_reached(Limit::RunValueBytes, session.context().id());
            ActionError::invalid_params(format!("`{what}` {why}"))
        })
    }

    fn known(&self, session: &Session, call_id: Option<&str>) -> Option<Text> {
        let premises = &self.running.premises;
        let (caller, now_ms) = (principal(session.context()), premises.timers.now_ms());
        premises.run_calls.lock().get(&caller, call_id?, now_ms)
    }

    fn asked(
        &self,
        session: &Session,
        (living, role): (&LivingRoom, Role),
        registered: &Registered,
        (new, trace): (&NewRun, Option<&str>),
    ) -> Asked {
        let premises = &self.running.premises;
        let trace = trace_id(new.trace_id.as_deref().or(trace)).map(Text::from);
        Asked {
            id: premises.ids.make("r_"),
            agent: registered.agent.name().clone(),
            input: new.input.clone(),
            by: actor(session.context(), living, role),
            delivery: new.delivery.clone(),
            trace_id: trace.unwrap_or_else(|| premises.ids.trace()),
            call_id: new.call_id.as_deref().map(Text::from),
            caller: new.call_id.is_some().then(|| principal(session.context())),
            created_ms: premises.now().unix_ms,
            rerun_of: None,
            fallback_of: None,
        }
    }

    /// The node of the run in the tree of a session that is open.
    fn follow(
        &self,
        session: &Session,
        living: &Arc<LivingRoom>,
        asked: &Asked,
    ) -> Result<Option<Arc<ShownTask>>, ActionError> {
        let context = session.context();
        let slot = self.running.premises.table.get(context.id());
        let is_same = |held: &Context| held.user() == context.user() && held.project() == context.project();
        let Some(slot) = slot.filter(|slot| is_same(&slot.context())) else { return Ok(None) };
        let (running, living, id) = (Arc::downgrade(&self.running), Arc::downgrade(living), asked.id.clone());
        let cancel = move || {
            if let (Some(running), Some(living)) = (running.upgrade(), living.upgrade()) {
                running.take(&living, |work| work.cancel(&id));
            }
        };
        self.running.tasks.follow(&slot, (&asked.id, asked.agent.clone()), cancel)
    }

    fn start_in(&self, work: &mut Work<'_, '_>, start: Start, registered: &Registered) -> Started {
        let now = work.now();
        let mut calls = self.running.premises.run_calls.lock();
        if let Some((caller, id)) = start.asked.call()
            && let Some(known) = calls.get(caller, id, now.now_ms)
        {
            return Started::Known(known);
        }
        drop(calls);
        let queue = work.living.room.queue();
        let make = || Runs::new(queue, self.running.limits.bounds());
        let Ok(runs) = work.record.start(now.now_ms, make) else { return Started::Ended };
        let (id, user) = (start.asked.id.clone(), start.asked.by.user.clone());
        let call = start.asked.call().map(|(caller, id)| (caller.clone(), id.clone()));
        if let Err(why) = runs.start(start.asked) {
            return Started::NotStarted(why);
        }
        if let Some(asked) = work.run(&id).map(|run| Arc::clone(&run.asked)) {
            work.live.add(start.arrival, work.living, asked, start.task);
        }
        let turn = work.begin(&id, registered, false);
        if turn != Turn::Begun && work.record.runs().is_some_and(Runs::are_too_many) {
            return Self::withdraw(work, &id, registered, start.arrival);
        }
        work.announce(&id);
        work.step.takes_part(work.record, Some(&user));
        work.step.is_active(work.record);
        let calls = &self.running.premises.run_calls;
        let forgets = call.map(|(caller, call)| calls.lock().add(&caller, call, id, now.now_ms));
        Started::New { forgets: forgets == Some(true) }
    }

    /// As many wait as may: the run does not begin after all.
    fn withdraw(work: &mut Work<'_, '_>, id: &Text, registered: &Registered, arrival: u64) -> Started {
        registered.gate.withdraw(arrival);
        work.record.work().into_iter().for_each(|runs| runs.withdraw(id));
        // Its agent is held by the caller as well.
        drop(work.live.remove(id));
        Started::NotStarted(NotStarted::Full)
    }

    fn answer(&self, session: &Session, id: Text, started: Started) -> Result<Text, ActionError> {
        let limit_reached = |limit| self.running.premises.limit_reached(limit, session.context().id());
        match started {
            Started::Known(known) => Ok(known),
            Started::New { forgets } => {
                if forgets {
                    limit_reached(Limit::CallIds);
                }
                Ok(id)
            }
            Started::Ended => Err(has_ended()),
            Started::NotStarted(NotStarted::Occupied) => {
                Err(ActionError::conflict("another run is in progress, and the room takes one at a time"))
            }
            Started::NotStarted(NotStarted::Full) => {
                limit_reached(Limit::WaitingRunsPerRoom);
                Err(busy("as many runs wait in this room as may"))
            }
        }
    }

    /// Who started a run, or the owner of the room, cancels it.
    pub(crate) fn cancel(
        &self,
        session: &Session,
        (living, role): (&Arc<LivingRoom>, Role),
        run: &Text,
    ) -> Result<(), ActionError> {
        let is_starter = self.look(living, run, |run| Some(&run.asked.by.user) == session.context().user())?;
        if session.context().user().is_none() || !(is_starter || role.may_manage()) {
            return Err(ActionError::unauthorized("only who started the run, or the owner of the room, may cancel it"));
        }
        self.unended(living, run)?;
        self.running.take(living, |work| work.cancel(run));
        Ok(())
    }

    /// A member sends an input to a run.
    pub(crate) fn send(
        &self,
        session: &Session,
        (living, role): (&Arc<LivingRoom>, Role),
        (run, data): (&Text, Value),
    ) -> Result<(), ActionError> {
        check_member(session, role)?;
        self.check_input(session, "data", &data)?;
        self.unended(living, run)?;
        check_writable(&self.running.premises, living, session.context().id())?;
        let fits = self.running.take(living, |work| {
            let fits = work.record.work().is_some_and(|runs| runs.push_input(run, data));
            if fits {
                work.keep(run);
                work.live.attempt(run).iter().for_each(|attempt| attempt.input_came());
            }
            fits
        });
        if fits {
            return Ok(());
        }
        self.running.premises.limit_reached(Limit::InputsPerRun, session.context().id());
        Err(busy("as many inputs wait for the run as may"))
    }

    fn unended(&self, living: &LivingRoom, run: &str) -> Result<(), ActionError> {
        let has_ended = self.look(living, run, |run| run.status().is_ended())?;
        if has_ended { Err(run_has_ended()) } else { Ok(()) }
    }

    fn look<T>(&self, living: &LivingRoom, run: &str, look: impl FnOnce(&Run) -> T) -> Result<T, ActionError> {
        living.room.with(|record| record.runs().and_then(|runs| runs.get(run)).map(look)).ok_or_else(no_run)
    }

    /// One run.
    pub(crate) fn view(&self, living: &LivingRoom, run: &str) -> Result<RunView, ActionError> {
        self.look(living, run, |run| RunView::from(run))
    }

    /// What a run has streamed: so many characters from one on.
    pub(crate) fn output(
        &self,
        living: &LivingRoom,
        run: &str,
        (offset, limit): (u64, u64),
    ) -> Result<RunOutput, ActionError> {
        self.look(living, run, |run| RunOutput::of(run, offset, limit))
    }

    /// What was said between a room and its agents.
    pub(crate) fn history(living: &LivingRoom) -> Vec<HistoryEntry> {
        let entries = living.room.with(|record| record.runs().map(|runs| runs.history().entries()));
        entries.unwrap_or_default()
    }

    /// A member clears the history.
    pub(crate) fn clear_history(
        &self,
        session: &Session,
        (living, role): (&Arc<LivingRoom>, Role),
    ) -> Result<(), ActionError> {
        check_member(session, role)?;
        is_open(living)?;
        self.running.take(living, |work| work.record.work().into_iter().for_each(Runs::clear_history));
        Ok(())
    }
}

/// Who starts a run, with the participant if the session has joined.
fn actor(context: &Context, living: &LivingRoom, role: Role) -> RunActor {
    let participant = living.room.with(|record| {
        let of_session = record.of_session(context.id());
        of_session.filter(|participant| participant.user.as_ref() == context.user()).map(|one| one.id.clone())
    });
    RunActor {
        user: context.user().cloned().unwrap_or_default(),
        name: shown_name(context),
        participant,
        kind: shown_kind(context),
        role,
    }
}
