//! The actions of a node, as they go on the wire.

use serde::{Serialize, Serializer};

use crate::render::action::Action;

/// The `affordances` of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affordances<'a>(pub(crate) &'a [Action]);

impl Serialize for Affordances<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Action::affordance))
    }
}
