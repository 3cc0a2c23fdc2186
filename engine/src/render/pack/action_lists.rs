//! Equal lists of actions of one fragment are one allocation.

use std::sync::Arc;

use crate::panics::guarded::Owner;
use crate::render::action::Action;

/// The lists that were met so far.
#[derive(Debug, Default)]
pub(super) struct ActionLists(Vec<Arc<[Action]>>);

impl ActionLists {
    /// The same list as one that was met before, or as `prior`, if either holds the same actions. The actions of a new
    /// list belong to `owner`.
    pub(super) fn shared(
        &mut self,
        actions: &[Action],
        prior: Option<&Arc<[Action]>>,
        owner: Option<&Owner>,
    ) -> Arc<[Action]> {
        let same = |known: &&Arc<[Action]>| Action::are_same(known, actions);
        if let Some(known) = self.0.iter().find(same) {
            return Arc::clone(known);
        }
        let new = || {
            owner.into_iter().for_each(|owner| actions.iter().for_each(|action| action.belongs_to(owner)));
            Arc::from(actions)
        };
        let list = prior.filter(same).map_or_else(new, Arc::clone);
        self.0.push(Arc::clone(&list));
        list
    }
}
