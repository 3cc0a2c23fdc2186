//! A consumer's copy of the whole tree, from the frames that it received.
//!
//! Every deviation from the wire contract (1.5, 1.6) is an error: a gap in `seq`, a version that goes back, an operation
//! that does not fit.

use grove_engine::client::{self, Message, Node};
use serde_json::Value;

/// The tree of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Mirror(client::Mirror);

impl Mirror {
    /// Takes one frame; messages that are not about this subscription change nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn take(&mut self, frame: &str) -> Result<(), String> {
        self.apply(Message::parse(frame).map_err(|error| error.to_string())?)
    }

    /// Takes one message that was parsed before, as [`Mirror::take`] does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn follow(&mut self, message: &Value) -> Result<(), String> {
        self.apply(Message::from_json(message).map_err(|error| error.to_string())?)
    }

    fn apply(&mut self, message: Message) -> Result<(), String> {
        let of_subscription = match &message {
            // A new connection: until it is known where the copy stands, no patch fits it.
            Message::Hello(_) => {
                self.lose();
                false
            }
            Message::Snapshot(snapshot) => snapshot.seq.is_some(),
            Message::Patch(_) | Message::Resumed { .. } => true,
            // An error for another request is not about this copy.
            Message::Error { id, error } if id.as_ref().is_none_or(|id| id.as_str() == "all") => {
                return Err(format!("an error: {error}"));
            }
            _ => false,
        };
        if of_subscription { self.0.take(message).map_err(|error| error.to_string()) } else { Ok(()) }
    }

    /// Whether the copy equals the tree of a fresh query. Both must show something.
    pub(crate) fn shows(&self, fresh: &Value) -> bool {
        self.0.tree().is_some_and(|tree| Node::try_from(fresh).is_ok_and(|fresh| fresh == *tree))
    }

    /// The version that the copy shows, if there is a copy.
    pub(crate) fn version(&self) -> Option<u64> {
        self.0.tree().map(|_| self.0.version())
    }

    /// The socket is lost; the copy stays.
    pub(crate) fn lose(&mut self) {
        self.0.disconnect();
    }

    /// What comes now is from an engine that knows nothing of the versions so far.
    pub(crate) fn begin_epoch(&mut self) {
        self.0.start_epoch();
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
        let mut mirror = mirror(&json!({"id": "r", "type": "root", "children": [
            {"id": "a", "type": "item"}, {"id": "b", "type": "item", "properties": {"x": 1}},
        ]}));
        let ops = json!([
            {"op": "replace", "path": "/b/properties/x", "value": 2},
            {"op": "add", "path": "/c", "index": 0, "value": {"id": "c", "type": "item"}},
            {"op": "move", "path": "/a", "index": 2},
            {"op": "add", "path": "/a/properties", "value": {"y~": 1}},
            {"op": "remove", "path": "/a/properties/y~0"},
        ]);
        mirror.take(&patch(1, &ops)).expect("the patch fits");
        let wanted = json!({"id": "r", "type": "root", "children": [
            {"id": "c", "type": "item"},
            {"id": "b", "type": "item", "properties": {"x": 2}},
            {"id": "a", "type": "item", "properties": {}},
        ]});
        assert!(mirror.shows(&wanted), "{mirror:?}");
    }

    #[test]
    fn a_hole_in_seq_is_noticed() {
        let mut mirror = mirror(&json!({"id": "r", "type": "root", "children": [{"id": "a", "type": "item"}]}));
        assert!(mirror.take(&patch(2, &json!([{"op": "remove", "path": "/a"}]))).is_err());
    }

    #[test]
    fn an_operation_on_nothing_is_noticed() {
        let mut mirror = mirror(&json!({"id": "r", "type": "root"}));
        assert!(mirror.take(&patch(1, &json!([{"op": "remove", "path": "/a"}]))).is_err());
    }
}
