//! What was wrong with something that an application gave.

use crate::render::node_position::NodePosition;

/// A rule of the protocol, or a bound of the configuration, that something an application gave breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The node, from the root.
    pub(crate) path: String,
    /// What was wrong, and what was done.
    pub(crate) what: String,
}

/// All that were found in one fragment.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<Violation>);

impl Violations {
    pub(super) fn add(&mut self, at: &NodePosition<'_>, what: impl Into<String>) {
        self.0.push(Violation { path: format!("/{}", at.path()), what: what.into() });
    }

    pub(super) fn into_all(self) -> Vec<Violation> {
        self.0
    }
}
