//! Equal lists of actions of one fragment are one allocation.

use std::sync::Arc;

use crate::render::action::Action;

/// The lists that were met so far.
#[derive(Debug, Default)]
pub(super) struct ActionLists(Vec<Arc<[Action]>>);

impl ActionLists {
    /// The same list as one that was met before, or as `prior`, if either holds the same actions.
    pub(super) fn shared(&mut self, actions: &[Action], prior: Option<&Arc<[Action]>>) -> Arc<[Action]> {
        let same = |known: &&Arc<[Action]>| Action::are_same(known, actions);
        if let Some(known) = self.0.iter().find(same) {
            return Arc::clone(known);
        }
        let list = prior.filter(same).map_or_else(|| Arc::from(actions), Arc::clone);
        self.0.push(Arc::clone(&list));
        list
    }
}
