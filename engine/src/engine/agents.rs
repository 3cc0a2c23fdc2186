//! The agents of an engine.

use super::Engine;
use crate::model::Text;
use crate::rooms::service::RoomService;
use crate::runs::agent::Agent;

impl Engine {
    /// Registers an agent for the rooms of all projects, in place of the one before: it serves new runs, of existing rooms
    /// as well, while runs in progress finish on the old one (S2.5, S3.34). Without [`EngineBuilder::rooms`] it does
    /// nothing.
    ///
    /// [`EngineBuilder::rooms`]: crate::EngineBuilder::rooms
    pub fn register_agent(&self, agent: Agent) {
        self.add_agent(None, agent);
    }

    /// Registers an agent for the rooms of one project, where it stands in front of the one that all have under its name.
    pub fn register_agent_for(&self, project: impl Into<Text>, agent: Agent) {
        self.add_agent(Some(project.into()), agent);
    }

    fn add_agent(&self, project: Option<Text>, agent: Agent) {
        if let Some(rooms) = &self.parts.rooms {
            rooms.running.register(project, agent);
        }
    }

    /// Removes the agent that all projects have under a name. Runs in progress finish; those that wait fail with
    /// `unknown_agent`, unless their project has an agent of the name. False if there is none.
    pub fn unregister_agent(&self, name: &str) -> bool {
        self.remove_agent(None, name)
    }

    /// Removes the agent that one project has under a name. Runs that wait get the one that all projects have, if there is
    /// one. False if there is none.
    pub fn unregister_agent_for(&self, project: impl Into<Text>, name: &str) -> bool {
        self.remove_agent(Some(project.into()), name)
    }

    fn remove_agent(&self, project: Option<Text>, name: &str) -> bool {
        let remove = |rooms: &std::sync::Arc<RoomService>| rooms.running.unregister(project, name);
        self.parts.rooms.as_ref().is_some_and(remove)
    }
}
