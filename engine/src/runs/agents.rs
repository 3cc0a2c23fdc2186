//! The agents of one engine, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::agent::Agent;
use super::gate::{Gate, Ticket};
use crate::model::Text;
use crate::panics::guarded::Owner;
use crate::sync::RwLock;

/// An agent as it is registered, with the gate of its name.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) agent: Arc<Agent>,
    pub(crate) gate: Arc<Gate>,
}

/// An agent of one project, or of all.
type Key = (Option<Text>, Text);

/// The agents of one engine (S2.24). What a project has under a name stands in front of what all have.
#[derive(Debug)]
pub(crate) struct Agents {
    registered: RwLock<BTreeMap<Key, Registered>>,
    owner: Owner,
}

impl Agents {
    pub(crate) const fn new(owner: Owner) -> Self {
        Self { registered: RwLock::new(BTreeMap::new()), owner }
    }

    /// The agent of this name in a project.
    pub(crate) fn get(&self, project: &str, name: &str) -> Option<Registered> {
        let name = Text::from(name);
        let registered = self.registered.read();
        let own = registered.get(&(Some(project.into()), name.clone()));
        own.or_else(|| registered.get(&(None, name))).cloned()
    }

    /// Registers an agent, in place of the one before: its runs in progress finish on the old one. Returns the gate, and
    /// those that begin now, since more may.
    pub(crate) fn register(&self, project: Option<Text>, agent: Agent) -> (Arc<Gate>, Vec<Ticket>) {
        agent.belongs_to(&self.owner);
        let (key, max) = ((project, agent.name().clone()), agent.limit());
        let mut registered = self.registered.write();
        let known = registered.get(&key).map(|before| Arc::clone(&before.gate));
        let gate = known.unwrap_or_else(|| Arc::new(Gate::new(max)));
        let before = registered.insert(key, Registered { agent: Arc::new(agent), gate: Arc::clone(&gate) });
        drop(registered);
        // It is the application's.
        drop(before);
        let begin = gate.resize(max);
        (gate, begin)
    }

    /// Registers an agent that is elsewhere, for one project. `None` if the application has one of its own there, which
    /// stays.
    pub(crate) fn register_linked(&self, project: &Text, agent: Agent) -> Option<(Arc<Gate>, Vec<Ticket>)> {
        let known = self.of_project(project, agent.name());
        if known.is_some_and(|known| !known.agent.is_linked()) {
            return None;
        }
        Some(self.register(Some(project.clone()), agent))
    }

    /// What exactly this project has under a name.
    fn of_project(&self, project: &Text, name: &Text) -> Option<Registered> {
        self.registered.read().get(&(Some(project.clone()), name.clone())).cloned()
    }

    /// As many runs of an agent that is elsewhere may be in progress. Returns those that begin now.
    pub(crate) fn resize_linked(&self, project: &Text, name: &Text, max: usize) -> Option<(Arc<Gate>, Vec<Ticket>)> {
        let linked = self.of_project(project, name).filter(|known| known.agent.is_linked())?;
        let begin = linked.gate.resize(max);
        Some((linked.gate, begin))
    }

    /// Removes an agent that was elsewhere. Returns the runs that waited for it.
    pub(crate) fn unregister_linked(&self, project: &Text, name: &Text) -> Option<Vec<Ticket>> {
        self.of_project(project, name).filter(|known| known.agent.is_linked())?;
        self.unregister(Some(project.clone()), name)
    }

    /// Removes an agent. Returns the runs that waited for it, if there was one.
    pub(crate) fn unregister(&self, project: Option<Text>, name: &str) -> Option<Vec<Ticket>> {
        let removed = self.registered.write().remove(&(project, name.into()))?;
        Some(removed.gate.take_waiting())
    }
}
