//! Predicates that have the same name on every instance.

use hashbrown::HashMap;

use super::scope::{Predicate, Target};
use crate::model::Text;
use crate::model::selector::Selector;
use crate::sync::RwLock;

/// The predicates that the application has registered. A closure cannot cross between instances; its name can.
#[derive(Debug, Default)]
pub(crate) struct Predicates(RwLock<HashMap<Text, Predicate>>);

impl Predicates {
    /// In place of the one before.
    pub(crate) fn register(&self, name: Text, predicate: Predicate) {
        let before = self.0.write().insert(name, predicate);
        // It is the application's, and dropped without the lock.
        drop(before);
    }

    /// The predicate that a target names. `None` if it names none, or none that is known here.
    pub(crate) fn find(&self, target: &Target) -> Option<Target> {
        let Target::Selected(Selector::Named(name)) = target else { return None };
        let predicate = self.0.read().get(name).cloned();
        predicate.map(Target::Matching)
    }
}
