//! What stood there before, of which whatever is still the same is reused.

use hashbrown::HashMap;

use crate::model::Text;
use crate::model::value::Value;
use crate::render::action::Action;
use crate::render::node_ref::{Fields, NodeRef, Siblings};
use crate::render::props::Props;
use crate::render::sanitise::child::Child;
use crate::render::sanitise::is_plain_leaf;

/// The siblings of before, looked up by id in about the same order.
pub(super) struct Prior<'a> {
    all: Option<Siblings<'a>>,
    next: Option<Siblings<'a>>,
    /// Each node and what follows it; filled when the order differs.
    by_id: Option<HashMap<&'a str, (NodeRef<'a>, Siblings<'a>)>>,
}

impl<'a> Prior<'a> {
    pub(super) const fn new(all: Option<Siblings<'a>>) -> Self {
        Self { all, next: all, by_id: None }
    }

    pub(super) fn find(&mut self, id: &str) -> Option<NodeRef<'a>> {
        let mut after = self.next?;
        if let Some(node) = after.next().filter(|node| node.id() == id) {
            self.next = Some(after);
            return Some(node);
        }
        let mut all = self.all?;
        let by_id = self.by_id.get_or_insert_with(|| {
            let mut by_id = HashMap::with_capacity(all.len());
            while let Some(node) = all.next() {
                by_id.insert(node.id(), (node, all));
            }
            by_id
        });
        let (node, after) = *by_id.get(id)?;
        self.next = Some(after);
        Some(node)
    }
}

/// Whether a node that was packed before has nothing below and is what would be packed now, `meta` apart.
pub(super) fn is_same_leaf(known: &Fields<'_>, child: Child<'_>) -> bool {
    let shape = child.shape;
    is_plain_leaf(shape)
        && known.children.len() == 0
        && known.content_ref.is_none()
        && known.id == child.id
        && known.kind == child.kind
        && are_same_props(known.props, shape.props.as_deref())
        && Action::are_same(known.actions, &shape.actions)
}

fn are_same_props(known: Option<Props<'_>>, wanted: Option<&[(Text, Value)]>) -> bool {
    match (known, wanted) {
        (None, None) => true,
        (Some(known), Some(wanted)) => {
            let mut pairs = known.iter().zip(wanted);
            known.len() == wanted.len()
                && pairs.all(|((key, value), (name, wanted))| key == name && value.is_same_as(wanted))
        }
        _ => false,
    }
}
