//! Laws of a mirror: random trees and random operations, against a reference that edits JSON without any index.

use grove_engine::client::{Message, Mirror, MirrorError, Node};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

/// A change, with places that are chosen in whatever tree there is.
#[derive(Debug, Clone)]
enum Change {
    Add { parent: Index, at: Index, shape: Value },
    Remove { parent: Index, at: Index },
    Replace { parent: Index, at: Index, shape: Value },
    Move { parent: Index, from: Index, to: Index },
    Property { node: Index, key: String, value: Option<Value> },
    Field { node: Index, name: &'static str, value: Option<Value> },
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "", "x/y", "~", "~1", "children", "meta"]).prop_map(str::to_owned)
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[a-z ]{0,40}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Value::from),
        Just(json!({"k": {"l": null}})),
    ]
    .boxed()
}

fn properties() -> impl Strategy<Value = Value> {
    prop::collection::vec((key(), scalar()), 0..4).prop_map(|all| Value::Object(all.into_iter().collect()))
}

fn field() -> BoxedStrategy<(&'static str, Value)> {
    prop_oneof![
        properties().prop_map(|properties| ("properties", properties)),
        Just(("affordances", json!([{"action": "go", "params": {"type": "object"}, "new": 1}, {"action": "x"}]))),
        Just(("affordances", json!([]))),
        Just(("meta", json!({"salience": 0.25, "window": [3, 4], "total_children": 9, "own": [null]}))),
        Just(("meta", json!({}))),
        Just(("content_ref", json!({"type": "text", "mime": "a/b", "summary": "s", "size": 7}))),
    ]
    .boxed()
}

/// A node without an id, which it gets when it has a place.
fn leaf() -> BoxedStrategy<Value> {
    let own = (prop::collection::vec(field(), 0..3), prop::option::weighted(0.1, scalar()));
    let node = own.prop_map(|(fields, unknown)| {
        let mut node = json!({"type": "item"});
        fields.into_iter().for_each(|(name, value)| node[name] = value);
        unknown.into_iter().for_each(|value| node["not_in_the_protocol"] = value);
        node
    });
    node.boxed()
}

fn with_children(child: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    let parent = (leaf(), prop::collection::vec(child, 0..most)).prop_map(|(mut node, children)| {
        node["children"] = children.into();
        node
    });
    parent.boxed()
}

/// A tree with a short list and one that is long enough to be indexed.
fn shape() -> BoxedStrategy<Value> {
    let trees = (with_children(leaf(), 40), with_children(with_children(leaf(), 3), 4), leaf());
    trees.prop_map(|(long, short, leaf)| json!({"type": "root", "children": [long, short, leaf]})).boxed()
}

/// What a change brings.
fn small() -> BoxedStrategy<Value> {
    with_children(leaf(), 3)
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        3 => (place(), place(), small()).prop_map(|(parent, at, shape)| Change::Add { parent, at, shape }),
        2 => (place(), place()).prop_map(|(parent, at)| Change::Remove { parent, at }),
        1 => (place(), place(), small()).prop_map(|(parent, at, shape)| Change::Replace { parent, at, shape }),
        3 => (place(), place(), place()).prop_map(|(parent, from, to)| Change::Move { parent, from, to }),
        3 => (place(), key(), prop::option::weighted(0.7, scalar()))
            .prop_map(|(node, key, value)| Change::Property { node, key, value }),
        2 => (place(), field(), any::<bool>())
            .prop_map(|(node, (name, value), stays)| Change::Field { node, name, value: stays.then_some(value) }),
    ]
}

/// The reference: JSON, and the next id.
struct Reference {
    tree: Value,
    next: u64,
}

impl Reference {
    fn new(mut tree: Value) -> Self {
        let mut next = 0;
        name(&mut tree, &mut next);
        Self { tree, next }
    }

    /// Makes a change, and says it as an operation. `None` if this tree has no place for it.
    fn change(&mut self, change: &Change) -> Option<Value> {
        match change {
            Change::Add { parent, at, shape } => {
                let (mut shape, next) = (shape.clone(), &mut self.next);
                name(&mut shape, next);
                let (path, list) = children(&mut self.tree, *parent);
                let index = at.index(list.len() + 1);
                list.insert(index, shape.clone());
                Some(json!({"op": "add", "path": path + id(&shape), "index": index, "value": shape}))
            }
            Change::Remove { parent, at } => {
                let (path, list) = children(&mut self.tree, *parent);
                let gone = (!list.is_empty()).then(|| list.remove(at.index(list.len())))?;
                Some(json!({"op": "remove", "path": path + id(&gone)}))
            }
            Change::Replace { parent, at, shape } => {
                let (mut shape, next) = (shape.clone(), &mut self.next);
                name(&mut shape, next);
                let (path, list) = children(&mut self.tree, *parent);
                let place = (!list.is_empty()).then(|| at.index(list.len()))?;
                shape["id"] = list[place]["id"].clone();
                list[place] = shape.clone();
                Some(json!({"op": "replace", "path": path + id(&shape), "value": shape}))
            }
            Change::Move { parent, from, to } => {
                let (path, list) = children(&mut self.tree, *parent);
                let child = (!list.is_empty()).then(|| list.remove(from.index(list.len())))?;
                let index = to.index(list.len() + 1);
                let path = path + id(&child);
                list.insert(index, child);
                Some(json!({"op": "move", "path": path, "index": index}))
            }
            Change::Property { node, key, value } => {
                let (path, node) = some_node(&mut self.tree, *node);
                property(&path, node.get_mut("properties")?.as_object_mut()?, key, value.as_ref())
            }
            Change::Field { node, name, value } => {
                let (path, node) = some_node(&mut self.tree, *node);
                let path = format!("{path}{name}");
                let fields = node.as_object_mut()?;
                match value {
                    Some(value) => {
                        fields.insert((*name).to_owned(), value.clone());
                        Some(json!({"op": "replace", "path": path, "value": value}))
                    }
                    None => fields.shift_remove(*name).map(|_| json!({"op": "remove", "path": path})),
                }
            }
        }
    }
}

fn property(path: &str, properties: &mut Map<String, Value>, key: &str, value: Option<&Value>) -> Option<Value> {
    let path = format!("{path}properties/{}", key.replace('~', "~0").replace('/', "~1"));
    let Some(value) = value else {
        return properties.shift_remove(key).map(|_| json!({"op": "remove", "path": path}));
    };
    let before = properties.insert(key.to_owned(), value.clone());
    Some(json!({"op": if before.is_some() { "replace" } else { "add" }, "path": path, "value": value}))
}

/// Gives every node an id of its own.
fn name(node: &mut Value, next: &mut u64) {
    *next += 1;
    node["id"] = format!("n{next}").into();
    node["children"].as_array_mut().into_iter().flatten().for_each(|child| name(child, next));
    if node["children"].is_null() {
        node.as_object_mut().unwrap().shift_remove("children");
    }
}

fn id(node: &Value) -> &str {
    node["id"].as_str().unwrap()
}

/// Every node with the path of what is below it, in order.
fn paths(node: &Value, path: String, all: &mut Vec<String>) {
    for child in node["children"].as_array().into_iter().flatten() {
        paths(child, format!("{path}{}/", id(child)), all);
    }
    all.push(path);
}

/// One of the nodes, and the path of what is below it.
fn some_node(tree: &mut Value, which: Index) -> (String, &mut Value) {
    let mut all = Vec::new();
    paths(tree, "/".to_owned(), &mut all);
    let path = all.swap_remove(which.index(all.len()));
    let node = path.split('/').filter(|id| !id.is_empty()).fold(tree, |node, wanted| {
        let children = node["children"].as_array_mut().unwrap();
        children.iter_mut().find(|child| child["id"] == wanted).unwrap()
    });
    (path, node)
}

fn children(tree: &mut Value, parent: Index) -> (String, &mut Vec<Value>) {
    let (path, node) = some_node(tree, parent);
    if node.get("children").is_none() {
        node["children"] = json!([]);
    }
    (path, node["children"].as_array_mut().unwrap())
}

fn without_empty_lists(node: &Value) -> Value {
    let mut node = node.clone();
    let list: Vec<Value> = node["children"].as_array().into_iter().flatten().map(without_empty_lists).collect();
    node["children"] = list.into();
    node
}

fn take(mirror: &mut Mirror, message: &Value) -> Result<(), MirrorError> {
    mirror.take(Message::from_json(message).unwrap())
}

fn started(mirror: Mirror, tree: &Value) -> Mirror {
    let mut mirror = mirror;
    take(&mut mirror, &json!({"type": "snapshot", "id": "s", "version": 1, "seq": 0, "tree": tree})).unwrap();
    mirror
}

fn patch(seq: u64, operations: &[Value]) -> Value {
    json!({"type": "patch", "subscription": "s", "version": seq + 1, "seq": seq, "ops": operations})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_node_becomes_the_json_again_from_which_it_was_made(shape in shape()) {
        let tree = Reference::new(shape).tree;
        let node = Node::try_from(&tree).unwrap();
        let from_text: Node = serde_json::from_str(&tree.to_string()).unwrap();
        prop_assert_eq!(&from_text, &node);
        prop_assert_eq!(node.to_json(), tree);
    }

    #[test]
    fn the_copy_is_what_the_reference_is_after_every_patch(
        shape in shape(),
        patches in prop::collection::vec(prop::collection::vec(change(), 1..8), 1..12),
    ) {
        let mut reference = Reference::new(shape);
        for new in [Mirror::new, Mirror::strict] {
            let mut mirror = started(new(), &reference.tree);
            let mut seq = 0;
            for changes in &patches {
                let operations: Vec<Value> = changes.iter().filter_map(|change| reference.change(change)).collect();
                if operations.is_empty() {
                    continue;
                }
                seq += 1;
                take(&mut mirror, &patch(seq, &operations)).unwrap();
                let copy = mirror.tree().unwrap();
                prop_assert_eq!(without_empty_lists(&copy.to_json()), without_empty_lists(&reference.tree));
                prop_assert!(*copy == Node::try_from(&reference.tree).unwrap());
            }
            let mut all = Vec::new();
            paths(&reference.tree, "/".to_owned(), &mut all);
            prop_assert_eq!(mirror.tree().unwrap().count(), all.len());
            for path in all {
                let wanted = path.trim_end_matches('/').rsplit('/').next().filter(|id| !id.is_empty());
                let found = mirror.tree().unwrap().at(&path).map(Node::id);
                prop_assert_eq!(found, Some(wanted.unwrap_or_else(|| id(&reference.tree))), "{}", path);
            }
        }
    }

    #[test]
    fn a_tree_that_somebody_keeps_does_not_change_with_the_copy(
        shape in shape(),
        changes in prop::collection::vec(change(), 1..20),
    ) {
        let mut reference = Reference::new(shape);
        let mut mirror = started(Mirror::new(), &reference.tree);
        let mut kept = Vec::new();
        let mut seq = 0;
        for change in &changes {
            kept.push((mirror.tree().unwrap().clone(), without_empty_lists(&reference.tree)));
            if let Some(operation) = reference.change(change) {
                seq += 1;
                take(&mut mirror, &patch(seq, &[operation])).unwrap();
            }
        }
        for (tree, json) in kept {
            prop_assert_eq!(without_empty_lists(&tree.to_json()), json);
        }
    }

    #[test]
    fn two_nodes_are_equal_if_and_only_if_their_content_is(shape in shape(), changes in prop::collection::vec(change(), 0..3)) {
        let mut reference = Reference::new(shape);
        let before = reference.tree.clone();
        changes.iter().for_each(|change| drop(reference.change(change)));
        let same = without_empty_lists(&before) == without_empty_lists(&reference.tree);
        prop_assert_eq!(Node::try_from(&before).unwrap() == Node::try_from(&reference.tree).unwrap(), same);
    }

    #[test]
    fn a_patch_with_an_operation_twice_is_refused_unless_that_changes_nothing(
        shape in shape(),
        change in change(),
    ) {
        let mut reference = Reference::new(shape);
        let mut mirror = started(Mirror::strict(), &reference.tree);
        if let Some(operation) = reference.change(&change) {
            let repeatable = matches!(operation["op"].as_str(), Some("replace" | "move"));
            let taken = take(&mut mirror, &patch(1, &[operation.clone(), operation]));
            prop_assert_eq!(taken.is_ok(), repeatable);
            prop_assert_eq!(mirror.tree().is_some(), repeatable, "a copy that is not exact is not shown");
        }
    }
}
