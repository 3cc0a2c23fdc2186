//! What a consumer believes the tree to be: a snapshot with every patch since. Written from wire contract 1.6 alone, and
//! strict: an operation that makes no sense ends the test.

use serde_json::{Map, Value};

const FIELDS: [&str; 5] = ["properties", "children", "affordances", "meta", "content_ref"];

/// One subscription's tree.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) tree: Value,
    seq: u64,
}

impl Mirror {
    pub(crate) fn of_snapshot(message: &Value) -> Self {
        assert_eq!(message["seq"], 0, "the snapshot of a subscription has seq 0: {message}");
        let mirror = Self { tree: message["tree"].clone(), seq: 0 };
        check(&mirror.tree);
        mirror
    }

    pub(crate) fn patch(&mut self, message: &Value) {
        self.seq += 1;
        assert_eq!(message["seq"], self.seq, "no patch is missing: {message}");
        let ops = message["ops"].as_array().expect("operations");
        assert!(!ops.is_empty(), "a patch that changes nothing is not sent");
        for op in ops {
            apply(&mut self.tree, op);
        }
        check(&self.tree);
    }
}

fn apply(tree: &mut Value, op: &Value) {
    let path = op["path"].as_str().expect("a path");
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let keyword = segments.iter().position(|segment| FIELDS.contains(segment));
    match keyword {
        Some(at) => {
            let keys: Vec<String> =
                segments[at..].iter().map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
            let owner = segments[..at].iter().fold(tree, |node, id| child(node, id, op));
            field(owner, &keys, op);
        }
        None => {
            let (id, above) = segments.split_last().expect("a node below the root of the subscription");
            let parent = above.iter().fold(tree, |node, id| child(node, id, op));
            node(parent, id, op);
        }
    }
}

fn child<'t>(node: &'t mut Value, id: &str, op: &Value) -> &'t mut Value {
    let children = node["children"].as_array_mut().unwrap_or_else(|| panic!("no children for {op}"));
    children.iter_mut().find(|child| child["id"] == id).unwrap_or_else(|| panic!("no child `{id}` for {op}"))
}

/// An operation on a field of a node, or on something in it.
fn field(owner: &mut Value, keys: &[String], op: &Value) {
    let (last, above) = keys.split_last().expect("a field");
    let mut at = owner;
    for key in above {
        at = at.get_mut(key).unwrap_or_else(|| panic!("no `{key}` for {op}"));
    }
    let holder = at.as_object_mut().unwrap_or_else(|| panic!("no object for {op}"));
    match op["op"].as_str() {
        Some("add" | "replace") => {
            holder.insert(last.clone(), op["value"].clone());
        }
        Some("remove") => {
            holder.shift_remove(last).unwrap_or_else(|| panic!("nothing to remove for {op}"));
        }
        _ => panic!("no such operation on a field: {op}"),
    }
}

/// An operation on a whole node.
fn node(parent: &mut Value, id: &str, op: &Value) {
    let parent = parent.as_object_mut().expect("a node");
    let children = parent.entry("children").or_insert_with(|| Value::Array(Vec::new())).as_array_mut().expect("a list");
    let known = children.iter().position(|child| child["id"] == id);
    let wanted = op.get("index").map(|index| usize::try_from(index.as_u64().expect("an index")).unwrap());
    match (op["op"].as_str(), known) {
        (Some("add"), None) => children.insert(wanted.unwrap_or(children.len()), op["value"].clone()),
        (Some("replace"), Some(at)) => children[at] = op["value"].clone(),
        (Some("remove"), Some(at)) => drop(children.remove(at)),
        (Some("move"), Some(at)) => {
            let moved = children.remove(at);
            children.insert(wanted.expect("where to"), moved);
        }
        _ => panic!("this cannot be done to a node: {op}"),
    }
}

/// Every node has an id that is one, a type, and ids are unique among siblings (wire contract 1.10, 2.5).
fn check(node: &Value) {
    assert!(node["type"].is_string(), "{node}");
    let children = node.get("children").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, child) in children.iter().enumerate() {
        let id = child["id"].as_str().expect("an id");
        assert!(!id.is_empty() && !id.contains(['/', '~']) && !FIELDS.contains(&id), "`{id}` is no id");
        assert!(children[..at].iter().all(|other| other["id"] != id), "`{id}` is there twice");
        check(child);
    }
}

/// The tree without empty lists of children: no list and an empty one are the same tree.
pub(crate) fn without_empty_lists(node: &Value) -> Value {
    let Some(fields) = node.as_object() else { return node.clone() };
    let mut out = Map::new();
    for (key, value) in fields {
        match value.as_array().filter(|_| key == "children") {
            Some(children) if children.is_empty() => {}
            Some(children) => {
                out.insert(key.clone(), children.iter().map(without_empty_lists).collect());
            }
            None => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(out)
}

/// The node at a path; `Null` if there is none.
pub(crate) fn at(tree: &Value, path: &str) -> Value {
    let mut node = tree;
    for id in path.split('/').filter(|id| !id.is_empty()) {
        let children = node.get("children").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        match children.iter().find(|child| child["id"] == id) {
            Some(child) => node = child,
            None => return Value::Null,
        }
    }
    node.clone()
}

/// The ids of a node's children.
pub(crate) fn ids(node: &Value) -> Vec<String> {
    let children = node.get("children").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    children.iter().map(|child| child["id"].as_str().unwrap().to_owned()).collect()
}
