//! A consumer's copy of a tree, kept by the rules of the wire contract (1.5, 1.6) and by nothing of the engine's code.
//!
//! Every deviation is an error: a hole in `seq`, a version that goes back, an operation that does not fit.

use serde_json::{Map, Value};

/// The tree of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    tree: Option<Value>,
    version: u64,
    seq: u64,
    /// The socket was lost: until it is said where the copy stands, no patch fits it.
    lost: bool,
}

const FIELDS: [&str; 4] = ["properties", "affordances", "meta", "content_ref"];

impl Mirror {
    /// Takes one frame; messages that are not about this subscription change nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn take(&mut self, frame: &str) -> Result<(), String> {
        self.follow(&mut serde_json::from_str(frame).map_err(|error| error.to_string())?)
    }

    /// Takes one message, as [`Mirror::take`] does, and the tree out of a snapshot.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn follow(&mut self, message: &mut Value) -> Result<(), String> {
        match message["type"].as_str() {
            Some("snapshot") if message["seq"] == 0 => {
                self.advance_version(message)?;
                self.tree = Some(message["tree"].take());
                (self.seq, self.lost) = (0, false);
                Ok(())
            }
            Some("resumed") => self.resume(message),
            Some("patch") => self.patch(message),
            // What another request was answered is not about this copy.
            Some("error") if message["id"].is_null() || message["id"] == "all" => {
                Err(format!("an error: {}", message["error"]))
            }
            _ => Ok(()),
        }
    }

    /// Whether the copy shows what a fresh query was answered. Both must show something.
    pub(crate) fn shows(&self, fresh: &Value) -> bool {
        let Some(tree) = &self.tree else { return false };
        let (mut mine, mut fresh) = (tree.clone(), fresh.clone());
        drop_empty_children(&mut mine);
        drop_empty_children(&mut fresh);
        mine.is_object() && mine == fresh
    }

    /// The version that the copy shows, if there is a copy.
    pub(crate) fn version(&self) -> Option<u64> {
        self.tree.is_some().then_some(self.version)
    }

    /// The socket is lost; the copy stays.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
    }

    /// What comes now is from an engine that knows nothing of the versions so far.
    pub(crate) fn begin_epoch(&mut self) {
        self.version = 0;
    }

    fn resume(&mut self, message: &Value) -> Result<(), String> {
        if message["version"] != self.version || message["seq"] != 0 {
            return Err(format!("resumed at {} and not at {}", message["version"], self.version));
        }
        (self.seq, self.lost) = (0, false);
        Ok(())
    }

    fn advance_version(&mut self, message: &Value) -> Result<(), String> {
        let version = message["version"].as_u64().ok_or("no version")?;
        if version < self.version {
            return Err(format!("version {version} after {}", self.version));
        }
        self.version = version;
        Ok(())
    }

    fn patch(&mut self, message: &Value) -> Result<(), String> {
        if self.lost {
            return Err("a patch before it is known where the copy stands".into());
        }
        self.advance_version(message)?;
        let seq = message["seq"].as_u64().ok_or("no seq")?;
        if seq != self.seq + 1 {
            return Err(format!("seq {seq} after {}", self.seq));
        }
        self.seq = seq;
        let tree = self.tree.as_mut().ok_or("a patch before the snapshot")?;
        let ops = message["ops"].as_array().filter(|ops| !ops.is_empty()).ok_or("no ops")?;
        ops.iter().try_for_each(|op| apply(tree, op))
    }
}

fn apply(root: &mut Value, op: &Value) -> Result<(), String> {
    let path = op["path"].as_str().ok_or("an operation without a path")?;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    apply_at(root, &segments, op).map_err(|why| format!("{op}: {why}"))
}

fn apply_at(node: &mut Value, path: &[&str], op: &Value) -> Result<(), String> {
    match path {
        [] => Err("the root is replaced by a snapshot only".into()),
        [field, keys @ ..] if FIELDS.contains(field) => {
            let node = node.as_object_mut().ok_or("not a node")?;
            apply_to_field(node, field, keys, op)
        }
        [child] => apply_to_child(node, child, op),
        [child, rest @ ..] => {
            let children = children(node)?;
            let at = position(children, child).ok_or("no such child")?;
            apply_at(&mut children[at], rest, op)
        }
    }
}

fn apply_to_field(holder: &mut Map<String, Value>, key: &str, rest: &[&str], op: &Value) -> Result<(), String> {
    let key = key.replace("~1", "/").replace("~0", "~");
    if let [next, rest @ ..] = rest {
        let holder = holder.get_mut(&key).and_then(Value::as_object_mut).ok_or("no such field")?;
        return apply_to_field(holder, next, rest, op);
    }
    match op["op"].as_str() {
        Some("add" | "replace") => {
            let value = op.get("value").ok_or("no value")?;
            holder.insert(key, value.clone());
            Ok(())
        }
        Some("remove") => holder.shift_remove(&key).map(drop).ok_or_else(|| "nothing to remove".into()),
        _ => Err("an operation that fields do not have".into()),
    }
}

fn apply_to_child(node: &mut Value, id: &str, op: &Value) -> Result<(), String> {
    let children = children(node)?;
    let known = position(children, id);
    let index = |len: usize| op["index"].as_u64().map_or(len, |index| (index as usize).min(len));
    match (op["op"].as_str(), known) {
        (Some("add"), None) => {
            let value = op.get("value").ok_or("no value")?;
            children.insert(index(children.len()), value.clone());
        }
        (Some("remove"), Some(at)) => drop(children.remove(at)),
        (Some("replace"), Some(at)) => children[at] = op.get("value").ok_or("no value")?.clone(),
        (Some("move"), Some(at)) => {
            let child = children.remove(at);
            children.insert(index(children.len()), child);
        }
        _ => return Err("an operation that does not fit the children".into()),
    }
    Ok(())
}

fn children(node: &mut Value) -> Result<&mut Vec<Value>, String> {
    let node = node.as_object_mut().ok_or("not a node")?;
    let children = node.entry("children").or_insert_with(|| Value::Array(Vec::new()));
    children.as_array_mut().ok_or_else(|| "children that are no list".into())
}

fn position(children: &[Value], id: &str) -> Option<usize> {
    children.iter().position(|child| child["id"] == id)
}

/// No children and an empty list of them are the same tree.
fn drop_empty_children(node: &mut Value) {
    let Some(fields) = node.as_object_mut() else { return };
    let Some(Value::Array(children)) = fields.get_mut("children") else { return };
    children.iter_mut().for_each(drop_empty_children);
    if children.is_empty() {
        fields.shift_remove("children");
    }
}

/// How many nodes a tree has.
pub(crate) fn count_nodes(node: &Value) -> u64 {
    1 + node["children"].as_array().map_or(0, |children| children.iter().map(count_nodes).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mirror(tree: &Value) -> Mirror {
        let mut mirror = Mirror::default();
        let snapshot = json!({"type": "snapshot", "id": "all", "version": 1, "seq": 0, "tree": tree});
        mirror.take(&snapshot.to_string()).expect("a snapshot is taken");
        mirror
    }

    fn patch(seq: u64, ops: &Value) -> String {
        json!({"type": "patch", "subscription": "all", "version": 2, "seq": seq, "ops": ops}).to_string()
    }

    #[test]
    fn operations_change_what_they_name() {
        let mut mirror = mirror(&json!({"id": "r", "children": [{"id": "a"}, {"id": "b", "properties": {"x": 1}}]}));
        let ops = json!([
            {"op": "replace", "path": "/b/properties/x", "value": 2},
            {"op": "add", "path": "/c", "index": 0, "value": {"id": "c"}},
            {"op": "move", "path": "/a", "index": 2},
            {"op": "add", "path": "/a/properties", "value": {"y~": 1}},
            {"op": "remove", "path": "/a/properties/y~0"},
        ]);
        mirror.take(&patch(1, &ops)).expect("the patch fits");
        let wanted = json!({"id": "r", "children": [
            {"id": "c"}, {"id": "b", "properties": {"x": 2}}, {"id": "a", "properties": {}},
        ]});
        assert!(mirror.shows(&wanted), "{:?}", mirror.tree);
    }

    #[test]
    fn a_hole_in_seq_is_noticed() {
        let mut mirror = mirror(&json!({"id": "r", "children": [{"id": "a"}]}));
        assert!(mirror.take(&patch(2, &json!([{"op": "remove", "path": "/a"}]))).is_err());
    }

    #[test]
    fn an_operation_on_nothing_is_noticed() {
        let mut mirror = mirror(&json!({"id": "r"}));
        assert!(mirror.take(&patch(1, &json!([{"op": "remove", "path": "/a"}]))).is_err());
    }
}
