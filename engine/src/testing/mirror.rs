//! A consumer's copy of a view, kept by the letter of the protocol and by no code of the engine.

use serde_json::{Map, Value};

/// The fields of a node that a path may name (contract 1.6).
const FIELDS: [&str; 4] = ["properties", "affordances", "meta", "content_ref"];

/// One subscription's copy. It panics on anything that the protocol forbids: a gap, a version that goes back, an
/// operation on something that is not there.
#[derive(Debug, Clone, Default)]
pub struct Mirror {
    tree: Value,
    seq: u64,
    version: u64,
    silent: bool,
}

impl Mirror {
    /// Takes a snapshot: the first, or one that starts anew.
    ///
    /// # Panics
    /// If it breaks a rule of contract 1.5.
    pub fn snapshot(&mut self, message: &Value) {
        assert_eq!(message["seq"], 0, "a subscription's snapshot has seq 0: {message}");
        self.take_version(message);
        self.tree = message["tree"].clone();
        self.seq = 0;
        self.silent = false;
        check_node(&self.tree, "");
    }

    /// Takes a patch.
    ///
    /// # Panics
    /// If it breaks a rule of contract 1.5 or 1.6.
    pub fn patch(&mut self, message: &Value) {
        assert!(!self.silent, "a patch for a path that does not exist: {message}");
        assert_eq!(message["seq"].as_u64(), Some(self.seq + 1), "patches are numbered without a gap: {message}");
        self.seq += 1;
        self.take_version(message);
        let ops = message["ops"].as_array().unwrap_or_else(|| panic!("a patch has operations: {message}"));
        assert!(!ops.is_empty(), "a patch is not empty: {message}");
        for op in ops {
            self.apply(op);
        }
        check_node(&self.tree, "");
    }

    /// The socket is lost; the copy stays.
    pub(crate) const fn reconnect(&mut self) {
        self.seq = u64::MAX / 2;
    }

    /// The engine goes on from this copy.
    pub(crate) fn resumed(&mut self, message: &Value) {
        assert_eq!(message["seq"], 0, "patches are numbered anew: {message}");
        assert_eq!(message["version"].as_u64(), Some(self.version), "the copy's own version: {message}");
        self.seq = 0;
    }

    /// The subscribed path is gone until a snapshot comes.
    pub fn gone(&mut self) {
        self.silent = true;
        self.tree = Value::Null;
    }

    /// The copy; null while the path is gone.
    #[must_use]
    pub const fn tree(&self) -> &Value {
        &self.tree
    }

    /// The version of the last message.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    fn take_version(&mut self, message: &Value) {
        let version = message["version"].as_u64().unwrap_or_else(|| panic!("a version is a whole number: {message}"));
        assert!(version >= self.version, "a version never goes back: {message}");
        self.version = version;
    }

    fn apply(&mut self, op: &Value) {
        let path = op["path"].as_str().unwrap_or_else(|| panic!("an operation has a path: {op}"));
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        assert!(path.starts_with('/') && !segments.is_empty(), "a path starts at the root: {op}");
        match segments.iter().position(|segment| FIELDS.contains(segment)) {
            Some(at) => {
                let node = descend(&mut self.tree, &segments[..at], op);
                apply_field(node, &segments[at..], op);
            }
            None => {
                let (id, parents) = segments.split_last().unwrap_or_else(|| panic!("the root is never patched: {op}"));
                let parent = descend(&mut self.tree, parents, op);
                apply_child(parent, id, op);
            }
        }
    }
}

fn children<'n>(node: &'n mut Value, op: &Value) -> &'n mut Vec<Value> {
    let node = node.as_object_mut().unwrap_or_else(|| panic!("a node is an object: {op}"));
    let children = node.entry("children").or_insert_with(|| Value::Array(Vec::new()));
    children.as_array_mut().unwrap_or_else(|| panic!("children are an array: {op}"))
}

fn descend<'n>(node: &'n mut Value, path: &[&str], op: &Value) -> &'n mut Value {
    path.iter().fold(node, |node, id| {
        let child = children(node, op).iter_mut().find(|child| child["id"] == *id);
        child.unwrap_or_else(|| panic!("there is no `{id}` on the way of {op}"))
    })
}

fn apply_field(node: &mut Value, path: &[&str], op: &Value) {
    let node = node.as_object_mut().unwrap_or_else(|| panic!("a node is an object: {op}"));
    let kind = op["op"].as_str().unwrap_or_default();
    match path {
        [field] => match kind {
            "replace" => {
                node.insert((*field).to_owned(), op["value"].clone());
            }
            "remove" => {
                node.remove(*field).unwrap_or_else(|| panic!("there is no `{field}` to remove: {op}"));
            }
            _ => panic!("a field is replaced or removed, never anything else: {op}"),
        },
        ["properties", key] => {
            let key = key.replace("~1", "/").replace("~0", "~");
            let keys = node.get_mut("properties").and_then(Value::as_object_mut);
            apply_key(keys.unwrap_or_else(|| panic!("there are no properties: {op}")), key, kind, op);
        }
        _ => panic!("only properties have parts, and those have none: {op}"),
    }
}

fn apply_key(keys: &mut Map<String, Value>, key: String, kind: &str, op: &Value) {
    match kind {
        "add" => {
            assert!(!keys.contains_key(&key), "`{key}` is there already: {op}");
            keys.insert(key, op["value"].clone());
        }
        "replace" => {
            assert!(keys.contains_key(&key), "there is no `{key}` to replace: {op}");
            keys.insert(key, op["value"].clone());
        }
        "remove" => {
            keys.remove(&key).unwrap_or_else(|| panic!("there is no `{key}` to remove: {op}"));
        }
        _ => panic!("an unknown operation: {op}"),
    }
}

fn apply_child(parent: &mut Value, id: &str, op: &Value) {
    let list = children(parent, op);
    let at = list.iter().position(|child| child["id"] == id);
    let index = |len: usize| {
        let index = op["index"].as_u64().unwrap_or_else(|| panic!("a child has an index: {op}")) as usize;
        assert!(index <= len, "an index lies in the list: {op}");
        index
    };
    match (op["op"].as_str().unwrap_or_default(), at) {
        ("add", None) => {
            let index = index(list.len());
            list.insert(index, op["value"].clone());
        }
        ("remove", Some(at)) => {
            list.remove(at);
        }
        ("replace", Some(at)) => list[at] = op["value"].clone(),
        ("move", Some(at)) => {
            let child = list.remove(at);
            let index = index(list.len());
            list.insert(index, child);
        }
        _ => panic!("an operation that its child does not allow: {op}"),
    }
}

/// Checks what the strictest known peer would refuse (contract 1.10).
fn check_node(node: &Value, at: &str) {
    let (id, kind) = (node["id"].as_str(), node["type"].as_str());
    let (Some(id), Some(_)) = (id, kind) else { panic!("a node has an id and a type: {node}") };
    let at = format!("{at}/{id}");
    for field in ["properties", "meta", "affordances", "content_ref", "children"] {
        assert!(node.get(field).is_none_or(|value| !value.is_null()), "`{field}` is null at {at}");
    }
    let meta = &node["meta"];
    let total = &meta["total_children"];
    assert!(total.is_null() || total.is_u64(), "meta.total_children is a whole number at {at}");
    assert!(meta["salience"].is_null() || meta["salience"].is_number(), "meta.salience is a number at {at}");
    let mut seen = std::collections::HashSet::new();
    for child in node["children"].as_array().into_iter().flatten() {
        assert!(seen.insert(child["id"].as_str()), "a second child of one id at {at}");
        check_node(child, &at);
    }
}

/// Two trees are the same to every consumer if they differ only in how they say "nothing" (contract 1.6, rule 5).
#[must_use]
pub(crate) fn same(mine: &Value, theirs: &Value) -> bool {
    normal(mine) == normal(theirs)
}

fn normal(node: &Value) -> Value {
    let Value::Object(fields) = node else { return node.clone() };
    let mut out = Map::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("children", Value::Array(list)) if list.is_empty() => {}
            ("children", Value::Array(list)) => {
                out.insert(name.clone(), list.iter().map(normal).collect());
            }
            _ => {
                out.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(out)
}
