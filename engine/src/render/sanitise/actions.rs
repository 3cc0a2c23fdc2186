//! Each action of a node once.

use std::borrow::Cow;

use super::violation::Violations;
use crate::render::action::Action;
use crate::render::node_position::NodePosition;

/// The actions of a node, the first one of each name.
pub(super) fn unique<'d>(
    actions: &'d [Action],
    at: &NodePosition<'_>,
    violations: &mut Violations,
) -> Cow<'d, [Action]> {
    let is_second =
        |(index, action): (usize, &Action)| actions[..index].iter().any(|first| first.name() == action.name());
    if !actions.iter().enumerate().any(is_second) {
        return Cow::Borrowed(actions);
    }
    violations.add(at, format_args!("an action was offered twice; the first one stays"));
    let first = actions.iter().enumerate().filter(|entry| !is_second(*entry)).map(|(_, action)| action.clone());
    Cow::Owned(first.collect())
}
