//! Agents at the other ends of links (rooms 6): which there are, and what comes from them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select};

use super::premises::Premises;
use super::refusal::busy;
use super::running::Running;
use crate::clock::millis;
use crate::config::Limit;
use crate::deliver::link::Link;
use crate::error::ActionError;
use crate::event::Event;
use crate::model::Text;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::from_agent::{About, FromAgent, Ready};
use crate::protocol::to_agent::ToAgent;
use crate::render::params::Params;
use crate::runs::agent::{Agent, CONCURRENCY};
use crate::runs::gate::{Gate, Ticket};
use crate::runs::linked_agent::{AgentSocket, Assignments, ByLink, Heard, LinkedAgent, may_be};
use crate::sessions::slot::Slot;
use crate::sessions::timer::Timer;
use crate::sync::{AtomicU32, Mutex, Ordering};

/// A link that sends this many messages that cannot be read, less those that can, does so on purpose.
const STRIKES: u32 = 256;

/// An agent of one project.
type Key = (Text, Text);

/// Runs that begin at a gate.
type Begun = (Arc<Gate>, Vec<Ticket>);

/// The agents of an engine that are elsewhere.
#[derive(Debug)]
pub(crate) struct AgentLinks {
    premises: Arc<Premises>,
    running: Arc<Running>,
    max_frame_bytes: usize,
    agents: Mutex<Known>,
}

/// The agents that are elsewhere.
#[derive(Debug, Default)]
struct Known {
    registered: BTreeMap<Key, Arc<LinkedAgent>>,
    /// Those that are not any more. A run may have found its agent just before: then a link that comes back finds it as well.
    gone: BTreeMap<Key, Weak<LinkedAgent>>,
}

impl Known {
    /// The agent of a name, if a link has been it and something of that is left.
    fn get(&self, key: &Key) -> Option<Arc<LinkedAgent>> {
        self.registered.get(key).cloned().or_else(|| self.gone.get(key)?.upgrade())
    }

    fn add(&mut self, key: Key, linked: &Arc<LinkedAgent>) {
        self.gone.remove(&key);
        self.registered.insert(key, Arc::clone(linked));
    }

    fn all(&self) -> impl Iterator<Item = &Arc<LinkedAgent>> {
        self.registered.values()
    }

    /// Those for which this holds are gone.
    fn forget(&mut self, mut is_unused: impl FnMut(&LinkedAgent) -> bool) {
        self.gone.retain(|_, linked| linked.strong_count() > 0);
        for (key, linked) in self.registered.extract_if(.., |_, linked| is_unused(linked)) {
            self.gone.insert(key, Arc::downgrade(&linked));
        }
    }
}

/// What a link has to be for one of its agents.
struct Wanted {
    agent: Agent,
    linked: Arc<LinkedAgent>,
    runs: usize,
}

impl AgentLinks {
    pub(crate) fn new(premises: Arc<Premises>, running: Arc<Running>) -> Arc<Self> {
        let max_frame_bytes = premises.max_frame_bytes;
        Arc::new(Self { premises, running, max_frame_bytes, agents: Mutex::default() })
    }

    /// How many links there are, each once for each agent that it is.
    pub(crate) fn len(&self) -> usize {
        self.agents.lock().all().map(|linked| linked.links()).sum()
    }

    /// A link that has just connected. It is no agent yet.
    pub(crate) fn open(self: &Arc<Self>, slot: &Arc<Slot>, link: &Arc<Link>) -> AgentPeer {
        let socket = AgentSocket { slot: Arc::clone(slot), link: Arc::clone(link) };
        let (agents, told, strikes) = (Mutex::default(), Mutex::default(), AtomicU32::new(0));
        AgentPeer { links: Arc::clone(self), socket, agents, told, strikes, pause: Mutex::default() }
    }

    /// A link is an agent from now on, or says again what it is.
    fn join(&self, socket: &AgentSocket, ready: Ready) -> Result<Arc<LinkedAgent>, ActionError> {
        let context = socket.slot.context();
        if !may_be(&context, &ready.agent) {
            return Err(ActionError::unauthorized("the session may not be this agent"));
        }
        let project = context.project().cloned().unwrap_or_default();
        let schema = ready.input_schema.as_ref().filter(|schema| !schema.is_null()).map(Params::of_a_peer);
        let schema = schema.transpose().map_err(ActionError::invalid_params)?;
        let runs = self.runs(ready.concurrency, socket);
        let mut agents = self.agents.lock();
        let key = (project.clone(), ready.agent.clone());
        let known = agents.get(&key);
        let linked =
            known.unwrap_or_else(|| LinkedAgent::new((project.clone(), ready.agent.clone()), self.max_frame_bytes));
        let agent =
            Agent::linked((ready.agent, ready.contract), schema, linked.capacity(), ByLink(Arc::clone(&linked)));
        let wanted = Wanted { agent, linked: Arc::clone(&linked), runs };
        let registered = self.register(socket, wanted);
        if registered.is_some() {
            agents.add(key, &linked);
        }
        drop(agents);
        let taken = || ActionError::conflict("the application has an agent of this name in the project");
        let (assignments, begun) = registered.ok_or_else(taken)?;
        if assignments.is_new {
            self.note(socket, &linked, true);
        }
        linked.carry_out(assignments);
        begun.into_iter().for_each(|begun| self.running.begin_at(begun));
        if !may_be(&socket.slot.context(), linked.name()) {
            // The session has lost the permission meanwhile, when this was not one of its agents yet.
            self.leave(socket, std::slice::from_ref(&linked));
            return Err(ActionError::unauthorized("the session may not be this agent"));
        }
        Ok(linked)
    }

    /// With the agents locked: links come and go one after the other. `None` if the application has the name.
    fn register(
        &self,
        socket: &AgentSocket,
        Wanted { agent, linked, runs }: Wanted,
    ) -> Option<(Assignments, Vec<Begun>)> {
        let (registry, project) = (&self.running.agents, linked.project());
        let first = registry.register_linked(project, agent)?;
        socket.send(&ToAgent::Welcome { agent: linked.name() });
        let assignments = linked.connect(socket, runs);
        // The application may have registered an agent of the name meanwhile: then the link has what was begun before.
        let then = registry.resize_linked(project, linked.name(), linked.capacity());
        Some((assignments, [first].into_iter().chain(then).collect()))
    }

    /// How many runs a link gets at once.
    fn runs(&self, asked: Option<NonZeroUsize>, socket: &AgentSocket) -> usize {
        let (asked, max) = (asked.map_or(CONCURRENCY, NonZeroUsize::get), self.running.limits.runs_per_link);
        if asked > max && asked != CONCURRENCY {
            self.premises.limit_reached(Limit::RunsPerLink, &socket.slot.id());
        }
        asked.min(max)
    }

    /// A link is not one of these agents any more.
    fn leave(&self, socket: &AgentSocket, left: &[Arc<LinkedAgent>]) {
        let now_ms = self.premises.timers.now_ms();
        for linked in left {
            let agents = self.agents.lock();
            let lost = linked.disconnect(socket.id(), Some(now_ms));
            let begun = self.running.agents.resize_linked(linked.project(), linked.name(), linked.capacity());
            drop(agents);
            let was_told = lost.was_told;
            LinkedAgent::give_up(lost);
            begun.into_iter().for_each(|begun| self.running.begin_at(begun));
            if was_told {
                self.note(socket, linked, false);
            }
            if linked.links() == 0 {
                self.premises.timers.at(now_ms.saturating_add(self.wait_ms()), Timer::AgentLinks);
            }
        }
    }

    fn wait_ms(&self) -> u64 {
        millis(self.running.limits.link_wait)
    }

    /// A session has other claims: it may not be some of its agents any more.
    pub(super) fn claims_changed(&self, slot: &Arc<Slot>) {
        let context = slot.context();
        let agents: Vec<_> = self.agents.lock().all().map(Arc::clone).collect();
        for linked in agents.into_iter().filter(|linked| !may_be(&context, linked.name())) {
            for socket in linked.sockets_of(slot) {
                let error = ActionError::unauthorized("the session may not be this agent any more");
                socket.send(&ToAgent::refusal(&error, None));
                self.leave(&socket, &[Arc::clone(&linked)]);
            }
        }
    }

    /// The timer fired: agents that had no link for a while, and have no runs, are not there any more.
    pub(crate) fn forget_unused(&self) {
        let (now_ms, wait_ms) = (self.premises.timers.now_ms(), self.wait_ms());
        let mut agents = self.agents.lock();
        agents.forget(|linked| {
            let is_unused = linked.unused_since_ms().is_some_and(|since_ms| since_ms.saturating_add(wait_ms) <= now_ms);
            is_unused && self.running.agents.unregister_linked(linked.project(), linked.name())
        });
        let is_one_alone = agents.all().any(|linked| linked.links() == 0);
        drop(agents);
        if is_one_alone {
            self.premises.timers.at(now_ms.saturating_add(wait_ms), Timer::AgentLinks);
        }
    }

    fn note(&self, socket: &AgentSocket, linked: &LinkedAgent, is_linked: bool) {
        let (session, agent, links) = (socket.slot.id(), linked.name().clone(), linked.links());
        self.premises.observers.emit(|| match is_linked {
            true => Event::AgentLinked { session, agent, links },
            false => Event::AgentUnlinked { session, agent, links },
        });
    }
}

/// The way in of one link.
#[derive(Debug)]
pub(crate) struct AgentPeer {
    links: Arc<AgentLinks>,
    socket: AgentSocket,
    /// Which agents it is.
    agents: Mutex<Vec<Arc<LinkedAgent>>>,
    /// It was told that this counts no more.
    told: Mutex<Option<About>>,
    /// How many messages could not be read, less those that could.
    strikes: AtomicU32,
    /// Its next message should not be read before this ends.
    pause: Mutex<Option<Pause>>,
}

struct Pause(BoxFuture<'static, ()>);

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pause")
    }
}

impl AgentPeer {
    /// The largest message that it may send, in bytes.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.links.running.limits.link_message_bytes
    }

    /// Takes one message.
    pub(crate) fn receive(&self, text: &str) {
        match FromAgent::decode(text) {
            Ok(FromAgent::Ready(ready)) => self.ready(ready),
            Ok(message) => self.about(message),
            Err(why) => return self.malformed(why),
        }
        let fewer = |strikes: u32| strikes.checked_sub(1);
        let _ = self.strikes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }

    /// A message cannot be read. Whoever sends nothing else is closed.
    pub(crate) fn malformed(&self, why: &str) {
        self.socket.send(&ToAgent::malformed(why));
        if self.strikes.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES {
            self.socket.link.end(CloseReason::Abuse);
        }
    }

    fn refuse(&self, error: &ActionError, about: Option<&About>) {
        self.socket.send(&ToAgent::refusal(error, about));
    }

    fn ready(&self, ready: Ready) {
        let name = ready.agent.clone();
        let is_known = self.is(&name);
        if !is_known && self.agents.lock().len() >= self.links.running.limits.agents_per_link {
            self.links.premises.limit_reached(Limit::AgentsPerLink, &self.socket.slot.id());
            return self.refuse(&busy("the link is as many agents as it may be"), None);
        }
        match self.links.join(&self.socket, ready) {
            Ok(linked) => {
                let mut agents = self.agents.lock();
                agents.retain(|known| *known.name() != name);
                agents.push(linked);
            }
            Err(error) => self.refuse(&error, None),
        }
    }

    fn is(&self, name: &Text) -> bool {
        self.agents.lock().iter().any(|known| known.name() == name)
    }

    fn about(&self, message: FromAgent) {
        let Some(about) = message.about().cloned() else { return };
        let agents = self.agents.lock().clone();
        let mut message = Some(message);
        for linked in agents {
            let Some(one) = message.take() else { return };
            match linked.hear(self.socket.id(), one) {
                Ok(Heard { taken, pause }) => {
                    pause.into_iter().for_each(|pause| self.pause(pause));
                    return taken.err().iter().for_each(|error| self.refuse(error, Some(&about)));
                }
                Err(unheard) => message = Some(*unheard),
            }
        }
        self.stale(&about);
    }

    /// Nothing more is read until this ends, but for no longer than what is acknowledged may take: a link whose frames are not
    /// read shows no sign of life.
    fn pause(&self, pause: BoxFuture<'static, ()>) {
        let (timers, limits) = (&self.links.premises.timers, &self.links.premises.limits);
        let until_ms = timers.now_ms().saturating_add(millis(limits.durable_timeout));
        let timeout = timers.clock().sleep_until(until_ms);
        *self.pause.lock() = Some(Pause(select(pause, timeout).map(drop).boxed()));
    }

    /// Whether its next message may be read; otherwise the task is woken when that may have changed.
    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        // Polled without a lock.
        let Some(mut pause) = self.pause.lock().take() else { return Poll::Ready(()) };
        let polled = pause.0.poll_unpin(context);
        if polled.is_pending() {
            *self.pause.lock() = Some(pause);
        }
        polled
    }

    /// What a link says about an attempt that it does not have is dropped. It is told once.
    fn stale(&self, about: &About) {
        let before = self.told.lock().replace(about.clone());
        if before.as_ref() != Some(about) {
            let error =
                ActionError::not_found("this link does not work on this attempt: it ended, or was dispatched again");
            self.refuse(&error, Some(about));
        }
    }

    /// The connection has ended.
    pub(crate) fn close(&self) {
        let agents = std::mem::take(&mut *self.agents.lock());
        self.links.leave(&self.socket, &agents);
    }
}
