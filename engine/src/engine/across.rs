//! The engine as one of several instances.

use super::Engine;
use crate::cluster::instance::Instance;
use crate::model::Text;
use crate::model::session::Session;
use crate::refresh::refresher::Urgency;
use crate::refresh::scope::{Predicate, Scope};

impl Engine {
    /// Renders the sessions of a scope again as [`Engine::refresh`] does, on this instance alone: what has changed is known
    /// to no other.
    #[expect(clippy::needless_pass_by_value, reason = "written as `refresh_here(Scope::all())`")]
    pub fn refresh_here(&self, scope: Scope) -> usize {
        self.parts.refresher.request(scope.target(), scope.wanted(), Urgency::Debounced)
    }

    /// Gives a predicate a name, in place of the one before, by which [`Scope::named`] means the same sessions on every
    /// instance. Register it on each under the same name: where there is none, all sessions are meant.
    pub fn register_predicate(
        &self,
        name: impl Into<Text>,
        predicate: impl Fn(&Session) -> bool + Send + Sync + 'static,
    ) {
        self.parts.refresher.predicates.register(name.into(), Predicate::new(predicate));
    }

    /// The instances that are there, this one included, by name. One that is silent is among them until it is taken for
    /// gone. Without [`EngineBuilder::cluster`](crate::EngineBuilder::cluster) there is one, without a name.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.parts.station.instances()
    }
}
