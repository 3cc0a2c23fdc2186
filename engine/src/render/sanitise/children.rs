//! Children with legal ids, each once, not too deep and not too many.

use hashbrown::HashSet;

use super::child::Child;
use super::violation::Violations;
use crate::model::id;
use crate::render::descriptor::Descriptor;
use crate::render::node_position::NodePosition;

/// The children of a node that may be packed.
#[derive(Debug, Default)]
pub(in crate::render) struct Listed<'d> {
    pub(in crate::render) shown: Vec<Child<'d>>,
    /// How many there would be without a bound on nodes.
    pub(in crate::render) total: usize,
}

impl Listed<'_> {
    /// Whether some had to go because there were too many.
    pub(in crate::render) const fn is_cut(&self) -> bool {
        self.shown.len() < self.total
    }
}

/// The children of a node that may be packed, at most `room` of them.
pub(super) fn of<'d, 'k>(
    shape: &'d Descriptor,
    at: &NodePosition<'_>,
    room: usize,
    known_ids: Option<impl Iterator<Item = &'k str>>,
    violations: &mut Violations,
) -> Listed<'d> {
    let given = shape.item_list().len() + shape.inline_children().len();
    if given == 0 {
        return Listed::default();
    }
    if at.depth <= 1 {
        violations.add(at, format_args!("{given} children are too deep and were dropped"));
        return Listed::default();
    }
    // The same ids as before are legal, and each is there once.
    if given <= room && known_ids.is_some_and(|known| known.eq(all(shape).map(|child| child.id))) {
        return Listed { shown: all(shape).collect(), total: given };
    }
    let mut shown = legal(shape, at, given, violations);
    let total = shown.len();
    if total > room {
        violations.add(at, format_args!("the tree is too large: {} children were dropped", total - room));
        shown.truncate(room);
    }
    Listed { shown, total }
}

/// The items, then the inline children.
fn all(shape: &Descriptor) -> impl Iterator<Item = Child<'_>> {
    let items = shape.item_list().iter().map(|item| Child { id: &item.id, kind: "item", shape: &item.body });
    let inline = shape.inline_children().iter().map(|(id, shape)| Child { id, kind: kind_of(shape), shape });
    items.chain(inline)
}

/// The type of a node; one without is a group.
pub(in crate::render) fn kind_of(shape: &Descriptor) -> &str {
    if shape.kind.is_empty() { "group" } else { &shape.kind }
}

fn legal<'d>(
    shape: &'d Descriptor,
    at: &NodePosition<'_>,
    given: usize,
    violations: &mut Violations,
) -> Vec<Child<'d>> {
    let mut seen = HashSet::with_capacity(given);
    let mut legal = Vec::with_capacity(given);
    for child in all(shape) {
        if let Err(why) = id::check(child.id) {
            violations.add(at, format_args!("the child `{}` was dropped: {why}", child.id));
        } else if !seen.insert(child.id) {
            violations.add(at, format_args!("a second child `{}` was dropped", child.id));
        } else {
            legal.push(child);
        }
    }
    legal
}
