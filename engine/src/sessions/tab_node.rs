//! One node of a browser tab's tree, with its children found by their ids.

use hashbrown::HashMap;
use serde_json::{Map, Value};
use slab::Slab;

use crate::model::Text;

/// A node: an untrusted copy.
#[derive(Debug, Clone)]
pub(super) struct TabNode {
    /// Everything but `children`, as the tab gave it.
    pub(super) fields: Map<String, Value>,
    pub(super) children: TabChildren,
}

/// The children of a node, in order. Finding, replacing, adding and removing one costs next to nothing, however many there
/// are: a hostile tab may do it thousands of times in one message.
#[derive(Debug, Clone, Default)]
pub(super) struct TabChildren {
    nodes: Slab<TabNode>,
    by_id: HashMap<Text, usize>,
    /// Keys of `nodes`.
    order: Vec<usize>,
}

impl TabNode {
    /// Reads a node with all that is below it. `None` if it is no object. Children that cannot be addressed (without an id,
    /// or with that of a sibling before) are not taken; the nesting must have been checked.
    pub(super) fn of(value: Value) -> Option<Self> {
        let Value::Object(mut fields) = value else { return None };
        let mut children = TabChildren::default();
        if let Some(Value::Array(given)) = fields.shift_remove("children") {
            for child in given.into_iter().filter_map(Self::of) {
                let known = child.id().is_none_or(|id| children.by_id.contains_key(id));
                if !known {
                    children.insert(usize::MAX, child);
                }
            }
        }
        Some(Self { fields, children })
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.fields.get("id")?.as_str()
    }

    /// A field; null if it is absent.
    pub(super) fn field(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }

    /// The node below this one at these ids.
    pub(super) fn descend(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |node, id| node.children.get_mut(id))
    }
}

impl TabChildren {
    pub(super) fn iter(&self) -> impl Iterator<Item = &TabNode> {
        self.order.iter().filter_map(|key| self.nodes.get(*key))
    }

    pub(super) fn get(&self, id: &str) -> Option<&TabNode> {
        self.nodes.get(*self.by_id.get(id)?)
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut TabNode> {
        self.nodes.get_mut(*self.by_id.get(id)?)
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Puts a node where one with its id stands, or at this place. One without an id goes nowhere: nobody could see it.
    pub(super) fn insert(&mut self, at: usize, node: TabNode) {
        let Some(id) = node.id() else { return };
        if let Some(key) = self.by_id.get(id) {
            self.nodes[*key] = node;
            return;
        }
        let id = Text::from(id);
        let key = self.nodes.insert(node);
        self.order.insert(at.min(self.order.len()), key);
        self.by_id.insert(id, key);
    }

    /// Puts a node in the place of the one with this id, whatever its own id is.
    pub(super) fn replace(&mut self, id: &str, node: TabNode) -> Option<()> {
        if node.id() == Some(id) {
            self.insert(usize::MAX, node);
            return Some(());
        }
        let (at, _) = self.remove(id)?;
        self.insert(at, node);
        Some(())
    }

    /// Takes out a node. Returns where it stood, too.
    pub(super) fn remove(&mut self, id: &str) -> Option<(usize, TabNode)> {
        let key = self.by_id.remove(id)?;
        let at = self.order.iter().position(|other| *other == key)?;
        self.order.remove(at);
        Some((at, self.nodes.remove(key)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(children: &TabChildren) -> Vec<&str> {
        children.iter().filter_map(TabNode::id).collect()
    }

    fn node(id: &str) -> TabNode {
        TabNode::of(json!({"id": id})).unwrap()
    }

    #[test]
    fn children_keep_their_order_and_are_found_by_id() {
        let mut children = TabChildren::default();
        ["b", "c"].iter().for_each(|id| children.insert(usize::MAX, node(id)));
        children.insert(0, node("a"));
        children.insert(1, node("c"));
        assert_eq!(ids(&children), ["a", "b", "c"], "one that is there stays where it is");
        assert_eq!(children.remove("b").map(|(at, _)| at), Some(1));
        children.insert(9, node("d"));
        children.replace("a", node("e")).unwrap();
        assert_eq!((ids(&children), children.contains("a")), (vec!["e", "c", "d"], false));
        assert!(children.replace("a", node("f")).is_none() && children.remove("a").is_none());
        children.replace("e", node("d")).unwrap();
        assert_eq!(ids(&children), ["c", "d"], "an id stands in one place only");
    }

    #[test]
    fn children_that_cannot_be_addressed_are_not_taken() {
        let given = json!({"id": "x", "children": [{"id": "a", "n": 1}, {"id": "a", "n": 2}, {"type": "item"}, 7]});
        let node = TabNode::of(given).unwrap();
        assert_eq!((node.children.len(), node.children.get("a").map(|a| a.field("n"))), (1, Some(&json!(1))));
        assert!(!node.fields.contains_key("children"));
    }
}
