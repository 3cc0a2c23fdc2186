//! The tree that a browser tab provides: an untrusted copy, kept by its patches, turned into a descriptor.

use std::io;

use serde_json::{Map, Value};

use super::tab_node::{TabChildren, TabNode};
use crate::config::Limit;
use crate::model::Text;
use crate::model::affordance::{Affordance, Estimate};
use crate::model::content_ref::{ContentKind, ContentRef};
use crate::model::nesting::is_shallow;
use crate::render::action::Action;
use crate::render::descriptor::Descriptor;

/// How much a tab may provide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TabLimits {
    pub(crate) nodes: usize,
    pub(crate) depth: usize,
    pub(crate) bytes: usize,
    /// Of one patch.
    pub(crate) operations: usize,
    /// How long a frame to the tab may be.
    pub(crate) frame_bytes: usize,
}

/// Why a tab's message cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TabFault {
    /// The tree is over this bound of the configuration: the tab has to go.
    Over(Limit),
    /// An operation does not fit the copy: a new snapshot is due.
    OutOfStep,
}

/// The fields of a node that a path may name (contract 1.6).
const FIELDS: [&str; 5] = ["properties", "children", "affordances", "meta", "content_ref"];

/// How deep a tab's values may be nested: what is deeper could exhaust the stack of whoever walks it.
const JSON_DEPTH: usize = 64;

/// How many segments the path of an operation may have.
const PATH_SEGMENTS: usize = 48;

/// Up to this many keys keep their order when one is removed.
const ORDERED_KEYS: usize = 256;

/// The longest parameter schema that is taken, as JSON text.
const SCHEMA_BYTES: usize = 8 << 10;

/// The copy of a tab's tree.
#[derive(Debug)]
pub(crate) struct TabTree {
    root: TabNode,
}

impl TabTree {
    /// Takes a snapshot.
    pub(crate) fn new(root: Value, limits: TabLimits) -> Result<Self, TabFault> {
        // Checked before it is walked any other way.
        if !is_shallow(&root, limits.json_depth()) {
            return Err(TabFault::Over(Limit::TabDepth));
        }
        let tree = Self { root: TabNode::of(root).ok_or(TabFault::OutOfStep)? };
        tree.check(limits)?;
        Ok(tree)
    }

    /// Takes a patch. After a fault the copy is not to be used any more.
    pub(crate) fn patch(&mut self, ops: Vec<Value>, limits: TabLimits) -> Result<(), TabFault> {
        // A snapshot is cheaper to take than a patch that is longer.
        if ops.len() > limits.operations {
            return Err(TabFault::OutOfStep);
        }
        for op in ops {
            apply(&mut self.root, op).ok_or(TabFault::OutOfStep)?;
        }
        self.check(limits)
    }

    fn check(&self, limits: TabLimits) -> Result<(), TabFault> {
        let mut size = Size::default();
        size.add(&self.root, limits.depth, limits)?;
        if size.bytes <= limits.bytes { Ok(()) } else { Err(TabFault::Over(Limit::TabBytes)) }
    }

    /// Whether the tab can be told to fetch again (contract 3.3).
    pub(crate) fn has_adapter(&self) -> bool {
        let adapter = self.root.children.get("__adapter");
        let offers = adapter.and_then(|adapter| adapter.field("affordances").as_array());
        offers.into_iter().flatten().any(|offer| offer["action"] == "refresh")
    }

    /// The tab's root id, for the paths of calls.
    pub(crate) fn root_id(&self) -> Option<&str> {
        self.root.id()
    }

    /// The tree as a descriptor; `action` finds or makes the action of an affordance.
    pub(crate) fn describe(&self, action: &mut dyn FnMut(&Value) -> Option<Action>) -> Descriptor {
        let mut shape = describe(&self.root, action);
        if shape.kind == "root" {
            shape.kind = "group".into();
        }
        shape
    }
}

impl TabLimits {
    /// How deep the JSON of the tree may be nested: a level of the tree takes two.
    const fn json_depth(self) -> usize {
        JSON_DEPTH + 2 * self.depth
    }
}

/// How large a tree is.
#[derive(Debug, Default)]
struct Size {
    nodes: usize,
    /// Of its JSON text, about.
    bytes: usize,
}

impl Size {
    /// Adds a node and all below it, which may have this many levels.
    fn add(&mut self, node: &TabNode, depth: usize, limits: TabLimits) -> Result<(), TabFault> {
        self.nodes += 1;
        if self.nodes > limits.nodes {
            return Err(TabFault::Over(Limit::TabNodes));
        }
        if depth <= 1 && node.children.len() > 0 {
            return Err(TabFault::Over(Limit::TabDepth));
        }
        if !node.fields.values().all(|value| is_shallow(value, limits.json_depth())) {
            return Err(TabFault::Over(Limit::TabDepth));
        }
        self.bytes += json_len(&node.fields);
        node.children.iter().try_for_each(|child| self.add(child, depth - 1, limits))
    }
}

/// How long the JSON text is, without making it.
fn json_len(fields: &Map<String, Value>) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting cannot fail, and keys are strings.
    let _ = serde_json::to_writer(&mut counter, fields);
    counter.0
}

/// Applies one operation, as tolerantly as real tabs need it (contract 3.2). `None` if it does not fit.
fn apply(root: &mut TabNode, mut op: Value) -> Option<()> {
    let value = op.get_mut("value").map(Value::take);
    let segments: Vec<&str> = op["path"].as_str()?.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.len() > PATH_SEGMENTS || !value.as_ref().is_none_or(|value| is_shallow(value, JSON_DEPTH)) {
        return None;
    }
    let kind = op["op"].as_str()?;
    let at = segments.iter().position(|segment| FIELDS.contains(segment));
    match at {
        Some(at) => apply_field(root.descend(&segments[..at])?, &segments[at..], kind, value),
        None => {
            let (id, parents) = segments.split_last()?;
            let index = op["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
            apply_child(&mut root.descend(parents)?.children, id, kind, index, value)
        }
    }
}

fn apply_field(node: &mut TabNode, path: &[&str], kind: &str, value: Option<Value>) -> Option<()> {
    let (field, rest) = path.split_first()?;
    if *field == "children" {
        return None;
    }
    if rest.is_empty() {
        return set(&mut node.fields, (*field).to_owned(), kind, value);
    }
    let inner = node.fields.entry(*field).or_insert_with(|| Value::Object(Map::new()));
    set_inside(inner.as_object_mut()?, rest, kind, value)
}

/// Some tabs do not escape keys: what cannot be descended into is one literal key.
fn set_inside(keys: &mut Map<String, Value>, path: &[&str], kind: &str, value: Option<Value>) -> Option<()> {
    let first = unescape(path[0]);
    match path {
        [_] => set(keys, first, kind, value),
        [_, rest @ ..] => match keys.get_mut(&first).and_then(Value::as_object_mut) {
            Some(inner) => set_inside(inner, rest, kind, value),
            None => set(keys, path.join("/"), kind, value),
        },
        [] => None,
    }
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

fn set(keys: &mut Map<String, Value>, key: String, kind: &str, value: Option<Value>) -> Option<()> {
    match kind {
        "add" | "replace" => {
            keys.insert(key, value?);
        }
        // In order it would move everything behind it, again and again.
        "remove" if keys.len() > ORDERED_KEYS => {
            keys.swap_remove(&key);
        }
        "remove" => {
            keys.shift_remove(&key);
        }
        _ => return None,
    }
    Some(())
}

fn apply_child(children: &mut TabChildren, id: &str, kind: &str, index: usize, value: Option<Value>) -> Option<()> {
    match (kind, children.contains(id)) {
        ("add" | "replace", true) => children.replace(id, TabNode::of(value?)?),
        ("add", false) => {
            children.insert(index, TabNode::of(value?)?);
            Some(())
        }
        ("remove", true) => children.remove(id).map(drop),
        ("move", true) => {
            let (_, child) = children.remove(id)?;
            children.insert(index, child);
            Some(())
        }
        _ => None,
    }
}

fn describe(node: &TabNode, action: &mut dyn FnMut(&Value) -> Option<Action>) -> Descriptor {
    let mut shape = Descriptor::new(node.field("type").as_str().unwrap_or("group"));
    if let Some(props) = node.field("properties").as_object() {
        shape = shape.props(props.iter().map(|(key, value)| (key.as_str(), value.clone())));
    }
    for (name, value) in node.field("meta").as_object().into_iter().flatten() {
        shape = shape.meta(name.as_str(), value.clone());
    }
    let offers = node.field("affordances").as_array().into_iter().flatten();
    shape.actions = offers.filter_map(&mut *action).collect();
    shape.content_ref = content_ref(node.field("content_ref")).map(Box::new);
    for child in node.children.iter() {
        if let Some(id) = child.id() {
            shape = shape.child(id, describe(child, &mut *action));
        }
    }
    shape
}

/// A content reference, if peers can digest it (contract 1.10).
fn content_ref(value: &Value) -> Option<ContentRef> {
    let kind = match value["type"].as_str()? {
        "text" => ContentKind::Text,
        "binary" => ContentKind::Binary,
        "stream" => ContentKind::Stream,
        _ => return None,
    };
    let optional = |name: &str| value[name].as_str().map(Text::from);
    let mut content = ContentRef::new(kind, value["mime"].as_str()?, value["summary"].as_str()?);
    content.size = value["size"].as_u64();
    content.uri = optional("uri");
    content.preview = optional("preview");
    content.encoding = optional("encoding");
    content.hash = optional("hash");
    Some(content)
}

/// What a tab says of an action, as far as peers can digest it. Its schema passes through as it is.
pub(crate) fn affordance(value: &Value) -> Option<Affordance> {
    let name = value["action"].as_str().filter(|name| !name.is_empty() && !name.contains(['/', '~']))?;
    let params = value.get("params").filter(|schema| schema.is_object());
    if params.is_some_and(|schema| schema.to_string().len() > SCHEMA_BYTES) {
        return None;
    }
    Some(Affordance {
        label: value["label"].as_str().map(Text::from),
        description: value["description"].as_str().map(Text::from),
        params: params.cloned(),
        dangerous: value["dangerous"] == true,
        idempotent: value["idempotent"] == true,
        estimate: value["estimate"].as_str().and_then(Estimate::from_word),
        origin: Some("ui"),
        ..Affordance::named(name)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: TabLimits = TabLimits { nodes: 10, depth: 4, bytes: 10_000, operations: 20, frame_bytes: 10_000 };

    fn patched(root: Value, ops: &Value) -> Result<TabNode, TabFault> {
        let mut tree = TabTree::new(root, LIMITS)?;
        tree.patch(ops.as_array().cloned().unwrap(), LIMITS)?;
        Ok(tree.root)
    }

    #[test]
    fn keys_that_a_tab_did_not_escape_are_one_literal_key() {
        let root =
            json!({"id": "ui", "type": "root", "children": [{"id": "route", "type": "status", "properties": {}}]});
        let ops = json!([{"op": "add", "path": "/route/properties/a/b", "value": 1}]);
        assert_eq!(patched(root, &ops).unwrap().children.get("route").unwrap().field("properties"), &json!({"a/b": 1}));
    }

    #[test]
    fn adding_an_absent_field_sets_it() {
        let root = json!({"id": "ui", "type": "root"});
        let ops = json!([{"op": "add", "path": "/meta", "value": {"summary": "x"}}]);
        assert_eq!(patched(root, &ops).unwrap().field("meta")["summary"], "x");
    }

    #[test]
    fn what_does_not_fit_asks_for_a_new_snapshot() {
        let root = json!({"id": "ui", "type": "root"});
        for op in [
            json!({"op": "remove", "path": "/nobody"}),
            json!({"op": "replace", "path": "/nobody/properties/x", "value": 1}),
            json!({"op": "fly", "path": "/x"}),
            json!({"op": "add", "path": "/children/x", "value": {}}),
            json!({"path": 7}),
            json!("nonsense"),
        ] {
            assert_eq!(patched(root.clone(), &json!([op])).err(), Some(TabFault::OutOfStep));
        }
    }

    #[test]
    fn a_tree_over_a_limit_is_refused() {
        let wide: Vec<_> = (0..10).map(|n| json!({"id": n.to_string(), "type": "item"})).collect();
        assert_eq!(
            TabTree::new(json!({"id": "ui", "children": wide}), LIMITS).err(),
            Some(TabFault::Over(Limit::TabNodes))
        );
        let deep = (0..4).fold(json!({"id": "x"}), |below, _| json!({"id": "x", "children": [below]}));
        assert_eq!(TabTree::new(deep, LIMITS).err(), Some(TabFault::Over(Limit::TabDepth)));
        let long = json!({"id": "ui", "properties": {"text": "x".repeat(20_000)}});
        assert_eq!(TabTree::new(long, LIMITS).err(), Some(TabFault::Over(Limit::TabBytes)));
    }

    #[test]
    fn a_patch_of_too_many_operations_asks_for_a_new_snapshot() {
        let root = json!({"id": "ui", "type": "root"});
        let ops = |count: usize| vec![json!({"op": "add", "path": "/properties/n", "value": 1}); count];
        assert!(patched(root.clone(), &ops(20).into()).is_ok());
        assert_eq!(patched(root, &ops(21).into()).err(), Some(TabFault::OutOfStep));
    }

    #[test]
    fn values_that_are_nested_without_end_never_get_in() {
        let deep = (0..JSON_DEPTH + 8).fold(json!(0), |below, _| json!({ "a": below }));
        let root = json!({"id": "ui", "type": "root", "properties": {}});
        let op = json!({"op": "replace", "path": "/properties/a", "value": deep});
        assert_eq!(patched(root.clone(), &json!([op])).err(), Some(TabFault::OutOfStep));
        let mut tree = TabTree::new(root, LIMITS).unwrap();
        // Each patch is harmless by itself and puts its value at the bottom of the one before.
        let grown = (1..100).try_for_each(|depth| {
            let path = format!("/properties{}", "/a".repeat(depth));
            tree.patch(vec![json!({"op": "replace", "path": path, "value": {"a": {}}})], LIMITS)
        });
        assert!(grown.is_err());
    }
}
