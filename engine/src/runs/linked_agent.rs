//! An agent whose executors are at the other ends of links.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::{BoxFuture, Either, select};
use serde_json::Value;

use super::agent::{RunAgent, RunFuture, RunResult};
use super::links::{Assigned, LinkId, Links};
use super::remote_attempt::RemoteAttempt;
use super::run_context::RunContext;
use crate::deliver::link::Link;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::run::failure::RunError;
use crate::model::session::Context;
use crate::protocol::from_agent::{About, FromAgent};
use crate::protocol::to_agent::ToAgent;
use crate::sessions::slot::Slot;
use crate::sync::Mutex;

/// The permission to be every agent.
const EVERY_AGENT: &str = "agent:*";

/// Whether a session may be the agent of this name.
pub(crate) fn may_be(context: &Context, agent: &str) -> bool {
    context.can(EVERY_AGENT) || context.can(&format!("agent:{agent}"))
}

/// One connection of an agent.
#[derive(Debug, Clone)]
pub(crate) struct AgentSocket {
    pub(crate) slot: Arc<Slot>,
    pub(crate) link: Arc<Link>,
}

impl AgentSocket {
    pub(crate) fn id(&self) -> LinkId {
        self.link.number
    }

    pub(crate) fn send(&self, message: &ToAgent<'_>) {
        self.write(message.encode());
    }

    /// False if the connection is about to end: it takes nothing any more, or too much waits.
    fn write(&self, text: String) -> bool {
        if self.link.ending().is_none() {
            self.link.reply(text);
        }
        self.link.ending().is_none()
    }
}

/// The agent of one name in one project, as long as there are links, or were a short while ago.
#[derive(Debug)]
pub(crate) struct LinkedAgent {
    project: Text,
    name: Text,
    max_frame_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    links: Links,
    sockets: BTreeMap<LinkId, AgentSocket>,
    attempts: BTreeMap<About, Arc<RemoteAttempt>>,
    /// The links of which observers know.
    told: BTreeSet<LinkId>,
    /// Since when there is no link, in ms.
    alone_since_ms: Option<u64>,
}

impl State {
    /// Those that wait for a link.
    fn waiting(&self) -> Vec<Arc<RemoteAttempt>> {
        self.links.waiting().filter_map(|about| self.attempts.get(about).cloned()).collect()
    }

    /// What was assigned, with where it goes.
    fn found(&self, assigned: Vec<Assigned>) -> Vec<(LinkId, Arc<RemoteAttempt>)> {
        let found = |(link, about)| Some((link, Arc::clone(self.attempts.get(&about)?)));
        assigned.into_iter().filter_map(found).collect()
    }
}

/// What goes where when a link has come, or an attempt is over.
#[derive(Debug, Default)]
pub(crate) struct Assignments {
    sent: Vec<(LinkId, Arc<RemoteAttempt>)>,
    found_again: Vec<Arc<RemoteAttempt>>,
    /// Those that go on waiting, now for a place, if there was no link before.
    waiting: Vec<Arc<RemoteAttempt>>,
    /// The link is one that was not there before.
    pub(crate) is_new: bool,
}

/// What a link left.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    attempts: Vec<Arc<RemoteAttempt>>,
    /// Those that wait for a link, if there is none any more.
    waiting: Vec<Arc<RemoteAttempt>>,
    is_alone: bool,
    /// Observers knew of the link.
    pub(crate) was_told: bool,
}

/// What became of a message of an agent.
pub(crate) struct Heard {
    pub(crate) taken: Result<(), ActionError>,
    /// Present if it should say nothing more before this ends.
    pub(crate) pause: Option<BoxFuture<'static, ()>>,
}

impl LinkedAgent {
    pub(crate) fn new((project, name): (Text, Text), max_frame_bytes: usize) -> Arc<Self> {
        Arc::new(Self { project, name, max_frame_bytes, state: Mutex::default() })
    }

    pub(crate) const fn project(&self) -> &Text {
        &self.project
    }

    pub(crate) const fn name(&self) -> &Text {
        &self.name
    }

    /// How many runs all links take at once. Without any link, one is still begun: it waits for a link.
    pub(crate) fn capacity(&self) -> usize {
        self.state.lock().links.capacity().max(1)
    }

    /// How many links there are.
    pub(crate) fn links(&self) -> usize {
        self.state.lock().links.len()
    }

    /// Since when nobody is there and nothing waits, in ms.
    pub(crate) fn unused_since_ms(&self) -> Option<u64> {
        let state = self.state.lock();
        state.alone_since_ms.filter(|_| state.attempts.is_empty())
    }

    /// One more link, or one that says again how many runs it takes.
    pub(crate) fn connect(&self, socket: &AgentSocket, concurrency: usize) -> Assignments {
        let mut state = self.state.lock();
        state.alone_since_ms = None;
        let was_alone = state.links.is_empty();
        let (assigned, stranded) = state.links.connect(socket.id(), concurrency);
        state.sockets.insert(socket.id(), socket.clone());
        let found_again = stranded.iter().filter_map(|about| state.attempts.get(about).cloned()).collect();
        let waiting = if was_alone { state.waiting() } else { Vec::new() };
        let is_new = state.told.insert(socket.id());
        Assignments { sent: state.found(assigned), found_again, waiting, is_new }
    }

    /// Does what follows from a step. Nothing is locked.
    pub(crate) fn carry_out(&self, assignments: Assignments) {
        for attempt in assignments.found_again {
            attempt.run.remote().found_again();
        }
        assignments.waiting.iter().for_each(|attempt| Self::wait_for_place(attempt));
        for (link, attempt) in assignments.sent {
            self.send(link, &attempt);
        }
    }

    /// It waits as if its turn had not come.
    fn wait_for_place(attempt: &RemoteAttempt) {
        attempt.run.remote().waits_for_place();
        if attempt.sent.is_set() {
            // There was one meanwhile.
            attempt.run.remote().dispatched();
        }
    }

    /// It waits for whoever comes.
    fn leave_alone(attempt: &RemoteAttempt) {
        attempt.run.remote().left_alone();
        if attempt.sent.is_set() {
            // A link came meanwhile.
            attempt.run.remote().dispatched();
        }
    }

    /// A link is gone, since this time if it is known.
    pub(crate) fn disconnect(&self, link: LinkId, now_ms: Option<u64>) -> Lost {
        let mut state = self.state.lock();
        state.sockets.remove(&link);
        let lost = state.links.disconnect(link);
        let is_alone = state.links.is_empty();
        if is_alone {
            state.alone_since_ms = state.alone_since_ms.or(now_ms);
        }
        let attempts: Vec<_> = lost.iter().filter_map(|about| state.attempts.get(about).cloned()).collect();
        attempts.iter().for_each(|attempt| attempt.lost.set());
        let waiting = if is_alone { state.waiting() } else { Vec::new() };
        let was_told = now_ms.is_some() && state.told.remove(&link);
        Lost { attempts, waiting, is_alone, was_told }
    }

    /// The links of one session.
    pub(crate) fn sockets_of(&self, slot: &Arc<Slot>) -> Vec<AgentSocket> {
        let state = self.state.lock();
        state.sockets.values().filter(|socket| Arc::ptr_eq(&socket.slot, slot)).cloned().collect()
    }

    /// What becomes of runs whose link is gone. Nothing is locked.
    pub(crate) fn give_up(lost: Lost) {
        lost.waiting.iter().for_each(|attempt| Self::leave_alone(attempt));
        for attempt in lost.attempts.into_iter().filter(|attempt| !attempt.is_answered()) {
            if lost.is_alone && !attempt.run.is_cancelled() {
                attempt.run.remote().left_alone();
            } else {
                attempt.run.remote().lost();
            }
        }
    }

    /// Sends an attempt to the link to which it was assigned, if it still is.
    fn send(&self, to: LinkId, attempt: &Arc<RemoteAttempt>) {
        // It reads what the room holds, so nothing else is locked.
        let text = attempt.dispatch_text(&self.name, self.max_frame_bytes);
        let Some(text) = text else {
            return attempt.answer(Err(RunError::new("too_large", "the run does not fit a frame to its agent")));
        };
        let state = self.state.lock();
        let Some(socket) = state.sockets.get(&to).filter(|_| state.links.is_at(to, &attempt.about)) else { return };
        // With the state locked, so that a cancellation comes after it.
        let goes_on = socket.write(text);
        attempt.sent.set();
        drop(state);
        if goes_on {
            attempt.run.remote().dispatched();
        } else {
            // It gets no more, however long its end takes.
            Self::give_up(self.disconnect(to, None));
        }
    }

    fn begin(&self, attempt: &Arc<RemoteAttempt>) {
        let mut state = self.state.lock();
        let about = &attempt.about;
        state.attempts.insert(about.clone(), Arc::clone(attempt));
        let (link, is_alone) = (state.links.dispatch(about.clone()), state.links.is_empty());
        drop(state);
        match link {
            Some(link) => self.send(link, attempt),
            None if is_alone => Self::leave_alone(attempt),
            None => Self::wait_for_place(attempt),
        }
    }

    /// An attempt is over: its agent is told, unless it knows.
    fn end(&self, attempt: &RemoteAttempt) {
        let mut state = self.state.lock();
        let ended = state.attempts.remove(&attempt.about);
        let (link, assigned) = state.links.end(&attempt.about);
        if let Some(socket) = link.and_then(|link| state.sockets.get(&link)) {
            Self::tell_to_stop(socket, attempt);
        }
        let assignments = Assignments { sent: state.found(assigned), ..Assignments::default() };
        drop(state);
        drop(ended);
        self.carry_out(assignments);
    }

    fn tell_to_stop(socket: &AgentSocket, attempt: &RemoteAttempt) {
        if attempt.has_to_be_told() {
            let About { run, attempt } = &attempt.about;
            socket.send(&ToAgent::Cancel { run, attempt: *attempt });
        }
    }

    /// Somebody cancelled the run. If nobody works on it, it is over.
    fn cancel(&self, attempt: &RemoteAttempt) {
        let state = self.state.lock();
        let at = state.sockets.iter().find(|(id, _)| state.links.is_at(**id, &attempt.about));
        match at {
            Some((_, socket)) => Self::tell_to_stop(socket, attempt),
            None => attempt.answer(Ok(Value::Null)),
        }
    }

    fn input(&self, attempt: &RemoteAttempt, data: &Value) {
        let state = self.state.lock();
        let at = state.sockets.iter().find(|(id, _)| state.links.is_at(**id, &attempt.about));
        if let Some((_, socket)) = at {
            let About { run, attempt } = &attempt.about;
            socket.send(&ToAgent::Input { run, attempt: *attempt, data });
        }
    }

    /// Passes on what happens to an attempt, until there is a result.
    async fn attend(&self, attempt: &RemoteAttempt) -> RunResult {
        let mut result = Box::pin(attempt.result());
        loop {
            match select(result, Box::pin(attempt.next_input())).await {
                Either::Left((result, _)) => return result,
                Either::Right((Some(data), waiting)) => {
                    self.input(attempt, &data);
                    result = waiting;
                }
                Either::Right((None, waiting)) => {
                    self.cancel(attempt);
                    return waiting.await;
                }
            }
        }
    }

    /// The attempt that a message of a link is about. None if it is not at that link.
    fn find(&self, link: LinkId, about: &About) -> Option<Arc<RemoteAttempt>> {
        let state = self.state.lock();
        let attempt = state.attempts.get(about).filter(|_| state.links.is_at(link, about));
        attempt.filter(|attempt| !attempt.is_answered()).cloned()
    }

    /// Takes what an agent says about an attempt. A message about one that is not at its link is given back.
    pub(crate) fn hear(&self, link: LinkId, message: FromAgent) -> Result<Heard, Box<FromAgent>> {
        let Some(attempt) = message.about().and_then(|about| self.find(link, about)) else {
            return Err(Box::new(message));
        };
        let taken = Self::take(&attempt, message);
        let pause = if attempt.is_answered() { None } else { attempt.run.remote().pause() };
        Ok(Heard { taken, pause })
    }

    fn take(attempt: &RemoteAttempt, message: FromAgent) -> Result<(), ActionError> {
        let run = &attempt.run;
        match message {
            FromAgent::Ready(_) => {}
            FromAgent::Ack(_) | FromAgent::Working(_) => run.working(),
            FromAgent::Chunk { text, .. } => run.chunk(text),
            FromAgent::Progress { progress, message, .. } => run.progress(progress, message.unwrap_or_default()),
            FromAgent::ToolCall { tool_call, name, arguments, .. } => {
                attempt.tool_called(&tool_call, &name, &arguments)?;
            }
            FromAgent::ToolResult { tool_call, ok, result, .. } => attempt.tool_returned(&tool_call, ok, result)?,
            FromAgent::Result { output, .. } => attempt.answer(Ok(output)),
            FromAgent::Error { code, message, class, .. } => {
                attempt.answer(Err(RunError::new(code, message).class(class)));
            }
        }
        Ok(())
    }
}

/// Executes runs by whoever is linked.
#[derive(Debug)]
pub(crate) struct ByLink(pub(crate) Arc<LinkedAgent>);

impl RunAgent for ByLink {
    fn dispatch(&self, run: RunContext, input: Value) -> RunFuture {
        let (agent, attempt) = (Arc::clone(&self.0), Arc::new(RemoteAttempt::new(run, input)));
        Box::pin(async move {
            let ends = Ends { agent: Arc::clone(&agent), attempt: Arc::clone(&attempt) };
            agent.begin(&attempt);
            let result = agent.attend(&attempt).await;
            drop(ends);
            result
        })
    }
}

/// Dropped with the future of an attempt: then that is over.
struct Ends {
    agent: Arc<LinkedAgent>,
    attempt: Arc<RemoteAttempt>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.agent.end(&self.attempt);
    }
}
