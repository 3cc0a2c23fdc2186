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
        let (gate, begin) = self.replace(project, agent, |_| true).expect("whatever there was before is replaced");
        (gate, begin)
    }

    /// Registers an agent in place of the one before, if that may be replaced. The gate gets its new size before anybody else
    /// can register an agent of the name: the latest one says how many runs there may be.
    fn replace(
        &self,
        project: Option<Text>,
        agent: Agent,
        may: impl FnOnce(&Registered) -> bool,
    ) -> Option<(Arc<Gate>, Vec<Ticket>)> {
        agent.belongs_to(&self.owner);
        let (key, max) = ((project, agent.name().clone()), agent.limit());
        let mut registered = self.registered.write();
        let known = registered.get(&key);
        if known.is_some_and(|known| !may(known)) {
            return None;
        }
        let gate = known.map_or_else(|| Arc::new(Gate::new(max)), |before| Arc::clone(&before.gate));
        let before = registered.insert(key, Registered { agent: Arc::new(agent), gate: Arc::clone(&gate) });
        let begin = gate.resize(max);
        drop(registered);
        // It is the application's.
        drop(before);
        Some((gate, begin))
    }

    /// Registers an agent that is elsewhere, for one project. `None` if the application has one of its own there, which
    /// stays.
    pub(crate) fn register_linked(&self, project: &Text, agent: Agent) -> Option<(Arc<Gate>, Vec<Ticket>)> {
        self.replace(Some(project.clone()), agent, |known| known.agent.is_linked())
    }

    /// As many runs of an agent that is elsewhere may be in progress. Returns those that begin now.
    pub(crate) fn resize_linked(&self, project: &Text, name: &Text, max: usize) -> Option<(Arc<Gate>, Vec<Ticket>)> {
        let registered = self.registered.read();
        let known = registered.get(&(Some(project.clone()), name.clone()));
        let gate = Arc::clone(&known.filter(|known| known.agent.is_linked())?.gate);
        let begin = gate.resize(max);
        Some((gate, begin))
    }

    /// Removes an agent that was elsewhere, if no run is in progress or waits for it; one that the application has registered
    /// under the name stays. False if there are such runs.
    pub(crate) fn unregister_linked(&self, project: &Text, name: &Text) -> bool {
        let key = (Some(project.clone()), name.clone());
        let mut registered = self.registered.write();
        let known = registered.get(&key).filter(|known| known.agent.is_linked());
        let Some(is_idle) = known.map(|known| known.gate.is_idle()) else { return true };
        let removed = if is_idle { registered.remove(&key) } else { None };
        drop(registered);
        drop(removed);
        is_idle
    }

    /// Removes an agent. Returns the runs that waited for it, if there was one.
    pub(crate) fn unregister(&self, project: Option<Text>, name: &str) -> Option<Vec<Ticket>> {
        let removed = self.registered.write().remove(&(project, name.into()))?;
        Some(removed.gate.take_waiting())
    }
}
