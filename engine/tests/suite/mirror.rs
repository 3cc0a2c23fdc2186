//! What a mirror accepts and refuses, rule by rule.

use grove_engine::client::{Message, Mirror, MirrorError, Node, OperationError};
use serde_json::{Value, json};

fn tree() -> Value {
    json!({"id": "app", "type": "root", "children": [
        {"id": "list", "type": "collection", "properties": {"n": 1}, "children": [
            {"id": "a", "type": "item"},
            {"id": "b", "type": "item"},
        ]},
    ]})
}

fn take(mirror: &mut Mirror, message: &Value) -> Result<(), MirrorError> {
    mirror.take(Message::from_json(message).unwrap())
}

fn snapshot(version: u64, seq: u64) -> Value {
    json!({"type": "snapshot", "id": "s", "version": version, "seq": seq, "tree": tree()})
}

fn patch(version: u64, seq: u64, operations: &Value) -> Value {
    json!({"type": "patch", "subscription": "s", "version": version, "seq": seq, "ops": operations})
}

fn step(seq: u64) -> Value {
    patch(seq + 10, seq, &json!([{"op": "replace", "path": "/list/properties/n", "value": seq}]))
}

fn started(mut mirror: Mirror) -> Mirror {
    take(&mut mirror, &snapshot(10, 0)).unwrap();
    mirror
}

/// Why an operation is refused by a mirror of the tree above.
fn refusal(mirror: Mirror, operation: &Value) -> Option<OperationError> {
    let mut mirror = started(mirror);
    match take(&mut mirror, &patch(11, 1, &json!([operation]))) {
        Ok(()) => None,
        Err(MirrorError::Operation { why, .. }) => Some(why),
        Err(other) => panic!("{operation}: {other}"),
    }
}

#[test]
fn messages_that_break_the_order_are_refused() {
    let mut mirror = Mirror::new();
    assert_eq!(take(&mut mirror, &step(1)), Err(MirrorError::NoSnapshot));
    assert_eq!(take(&mut mirror, &snapshot(10, 3)), Err(MirrorError::SnapshotSeq(3)));
    let mut mirror = started(mirror);
    assert_eq!(take(&mut mirror, &step(2)), Err(MirrorError::Gap { expected: 1, found: 2 }));
    assert_eq!(mirror.tree(), None, "a copy that is not exact is not shown");
    assert_eq!(take(&mut mirror, &step(1)), Err(MirrorError::Broken));
    take(&mut mirror, &snapshot(10, 0)).unwrap();
    take(&mut mirror, &step(1)).unwrap();
    assert_eq!(take(&mut mirror, &snapshot(10, 0)), Err(MirrorError::VersionDecreased { from: 11, to: 10 }));
    take(&mut mirror, &step(2)).unwrap();
    let older = patch(11, 3, &json!([{"op": "remove", "path": "/list"}]));
    assert_eq!(take(&mut mirror, &older), Err(MirrorError::VersionDecreased { from: 12, to: 11 }));
}

#[test]
fn a_subscription_that_has_nothing_to_show_is_patched_again_only_after_a_snapshot() {
    let mut mirror = started(Mirror::new());
    let gone = json!({"type": "error", "id": "s", "error": {"code": "not_found", "message": "gone"}});
    take(&mut mirror, &gone).unwrap();
    assert_eq!(mirror.tree(), None);
    assert_eq!(take(&mut mirror, &step(1)), Err(MirrorError::Absent));
    take(&mut mirror, &snapshot(10, 0)).unwrap();
    take(&mut mirror, &step(1)).unwrap();
}

#[test]
fn a_lost_copy_goes_on_only_from_where_it_stands() {
    let resumed = |version: u64, seq: u64| json!({"type": "resumed", "id": "s", "version": version, "seq": seq});
    let mut mirror = started(Mirror::new());
    assert_eq!(take(&mut mirror, &resumed(10, 0)), Err(MirrorError::NothingToResume), "it is not lost");
    take(&mut mirror, &step(1)).unwrap();
    let copy = mirror.tree().cloned();
    mirror.disconnect();
    assert_eq!(take(&mut mirror, &step(2)), Err(MirrorError::NotResumed));
    for (version, seq) in [(10, 0), (12, 0), (11, 1)] {
        let elsewhere = MirrorError::ResumedElsewhere { copy: 11, version, seq };
        assert_eq!(take(&mut mirror, &resumed(version, seq)), Err(elsewhere));
    }
    assert_eq!(mirror.tree(), copy.as_ref(), "the copy stays");
    take(&mut mirror, &resumed(11, 0)).unwrap();
    take(&mut mirror, &step(1)).unwrap();
    mirror.absent();
    mirror.disconnect();
    assert_eq!(take(&mut mirror, &resumed(11, 0)), Err(MirrorError::NothingToResume), "there is no copy");
}

#[test]
fn versions_may_start_anew_with_another_provider() {
    let mut mirror = started(Mirror::new());
    mirror.disconnect();
    mirror.start_epoch();
    take(&mut mirror, &snapshot(1, 0)).unwrap();
    assert_eq!(mirror.version(), 1);
}

#[test]
fn operations_that_do_not_fit_the_tree_are_refused_with_the_reason() {
    let child = json!({"id": "c", "type": "item"});
    for (operation, why) in [
        (json!({"op": "add", "path": "/", "value": child}), OperationError::Root),
        (json!({"op": "add", "path": "/children/c", "value": child}), OperationError::ChildrenByField),
        (json!({"op": "remove", "path": "/list/c"}), OperationError::NoSuchNode("c".into())),
        (json!({"op": "remove", "path": "/other/a"}), OperationError::NoSuchNode("other".into())),
        (json!({"op": "replace", "path": "/list/c", "value": child}), OperationError::NoSuchNode("c".into())),
        (json!({"op": "move", "path": "/list/c", "index": 0}), OperationError::NoSuchNode("c".into())),
        (
            json!({"op": "add", "path": "/list/a", "index": 0, "value": {"id": "a", "type": "item"}}),
            OperationError::ChildExists,
        ),
        (json!({"op": "add", "path": "/list/d", "index": 0, "value": child}), OperationError::OtherId("c".into())),
        (json!({"op": "add", "path": "/list/c", "index": 0}), OperationError::NoValue),
        (json!({"op": "remove", "path": "/list/properties/m"}), OperationError::NothingThere("m".into())),
        (
            json!({"op": "replace", "path": "/list/a/properties/m", "value": 1}),
            OperationError::NothingThere("properties".into()),
        ),
        (json!({"op": "remove", "path": "/list/meta"}), OperationError::NothingThere("meta".into())),
        (json!({"op": "move", "path": "/list/properties/n", "index": 0}), OperationError::NotPossible),
        (json!({"op": "move", "path": "/list/meta", "index": 0}), OperationError::NotPossible),
        (json!({"op": "replace", "path": "/list/affordances/0", "value": {}}), OperationError::NotPossible),
    ] {
        assert_eq!(refusal(Mirror::new(), &operation), Some(why.clone()), "{operation}");
        assert_eq!(refusal(Mirror::strict(), &operation), Some(why), "{operation}");
    }
    for operation in [
        json!({"op": "replace", "path": "/list/properties", "value": 7}),
        json!({"op": "replace", "path": "/list/affordances", "value": [{"label": "no name"}]}),
        json!({"op": "add", "path": "/list/c", "index": 0, "value": {"id": "c"}}),
    ] {
        assert!(matches!(refusal(Mirror::new(), &operation), Some(OperationError::WrongValue(_))), "{operation}");
    }
}

#[test]
fn what_providers_may_choose_is_understood_and_refused_only_by_a_strict_mirror() {
    let child = json!({"id": "c", "type": "item"});
    for (operation, why) in [
        (json!({"op": "remove", "path": "list"}), OperationError::MalformedPath),
        (json!({"op": "remove", "path": "/list//a"}), OperationError::MalformedPath),
        (json!({"op": "add", "path": "/list/c", "value": child}), OperationError::NoIndex),
        (json!({"op": "add", "path": "/list/c", "index": 9, "value": child}), OperationError::IndexOutOfRange(9)),
        (json!({"op": "move", "path": "/list/a", "index": 2}), OperationError::IndexOutOfRange(2)),
        (json!({"op": "add", "path": "/list/meta", "value": {}}), OperationError::NotPossible),
        (json!({"op": "add", "path": "/list/properties/n", "value": 2}), OperationError::PropertyExists("n".into())),
        (json!({"op": "replace", "path": "/list/properties/m", "value": 2}), OperationError::NothingThere("m".into())),
    ] {
        assert_eq!(refusal(Mirror::new(), &operation), None, "{operation}");
        assert_eq!(refusal(Mirror::strict(), &operation), Some(why), "{operation}");
    }
    let empty = patch(11, 1, &json!([]));
    assert_eq!(take(&mut started(Mirror::new()), &empty), Ok(()));
    assert_eq!(take(&mut started(Mirror::strict()), &empty), Err(MirrorError::EmptyPatch));
    let unnumbered =
        json!({"type": "patch", "subscription": "s", "version": 11, "ops": [{"op": "remove", "path": "/list"}]});
    assert_eq!(take(&mut started(Mirror::new()), &unnumbered), Ok(()));
    assert_eq!(take(&mut started(Mirror::strict()), &unnumbered), Err(MirrorError::NotNumbered));
}

#[test]
fn nodes_that_some_consumers_cannot_read_are_refused_by_a_strict_mirror_wherever_they_come() {
    for fields in [
        json!({"meta": {"urgency": "soon"}}),
        json!({"meta": {"total_children": -1}}),
        json!({"meta": {"window": [1]}}),
        json!({"meta": {"salience": "high"}}),
        json!({"affordances": [{"action": "go", "dangerous": null}]}),
        json!({"affordances": [{"action": "go", "estimate": "soon"}]}),
        json!({"content_ref": {"type": "film", "mime": "a/b", "summary": "s"}}),
        json!({"content_ref": {"type": "text", "mime": "a/b"}}),
        json!({"content_ref": {"type": "text", "mime": "a/b", "summary": "s", "size": 1.5}}),
    ] {
        let mut child = json!({"id": "c", "type": "item"});
        child.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let whole = json!({"type": "snapshot", "id": "s", "version": 1, "seq": 0, "tree": {
            "id": "app", "type": "root", "children": [child],
        }});
        assert_eq!(take(&mut Mirror::new(), &whole), Ok(()), "{fields}");
        assert!(matches!(take(&mut Mirror::strict(), &whole), Err(MirrorError::InvalidNode(_))), "{fields}");
        let add = json!({"op": "add", "path": "/list/c", "index": 0, "value": child});
        assert!(matches!(refusal(Mirror::strict(), &add), Some(OperationError::InvalidNode(_))), "{fields}");
        let (name, value) = fields.as_object().unwrap().iter().next().unwrap();
        let replace = json!({"op": "replace", "path": format!("/list/{name}"), "value": value});
        assert!(matches!(refusal(Mirror::strict(), &replace), Some(OperationError::InvalidNode(_))), "{fields}");
    }
    for id in ["", "a/b", "~", "meta"] {
        let whole = json!({"type": "snapshot", "id": "s", "version": 1, "seq": 0, "tree": {
            "id": "app", "type": "root", "children": [{"id": id, "type": "item"}],
        }});
        assert!(matches!(take(&mut Mirror::strict(), &whole), Err(MirrorError::InvalidNode(_))), "{id}");
    }
}

#[test]
fn a_field_that_was_emptied_and_then_removed_is_gone() {
    let mut mirror = started(Mirror::strict());
    let content = json!({"type": "text", "mime": "a/b", "summary": "s"});
    let operations = json!([
        {"op": "replace", "path": "/list/content_ref", "value": content},
        {"op": "replace", "path": "/list/meta", "value": {"summary": "s"}},
        {"op": "replace", "path": "/list/affordances", "value": [{"action": "go"}]},
    ]);
    take(&mut mirror, &patch(11, 1, &operations)).unwrap();
    let list = mirror.tree().and_then(|tree| tree.at("/list")).unwrap();
    assert_eq!(list.content_ref().and_then(|content| content.mime()), Some("a/b"));
    assert_eq!(list.meta().and_then(|meta| meta.summary()), Some("s"));
    assert!(list.action("go").is_some());
    let operations = json!([
        {"op": "replace", "path": "/list/content_ref", "value": null}, {"op": "remove", "path": "/list/content_ref"},
        {"op": "replace", "path": "/list/meta", "value": {}}, {"op": "remove", "path": "/list/meta"},
        {"op": "replace", "path": "/list/affordances", "value": []}, {"op": "remove", "path": "/list/affordances"},
        {"op": "replace", "path": "/list/properties/n", "value": 1},
    ]);
    take(&mut mirror, &patch(12, 2, &operations)).unwrap();
    assert_eq!(mirror.tree().map(Node::to_json), Some(tree()));
}

#[test]
fn two_children_of_one_id_are_no_node() {
    for many in [2, 40] {
        let mut children: Vec<Value> = (1..many).map(|n| json!({"id": format!("n{n}"), "type": "item"})).collect();
        children.push(json!({"id": "n1", "type": "item"}));
        let error = Node::try_from(json!({"id": "app", "type": "root", "children": children})).unwrap_err();
        assert!(error.to_string().contains("two children have the id `n1`"), "{error}");
    }
}

#[test]
fn a_tree_does_not_grow_deeper_than_it_can_be_compared() {
    let mut mirror = started(Mirror::new());
    let mut path = "/list/a".to_owned();
    let refused = (1..10_000).find_map(|seq| {
        path.push_str("/d");
        let add = json!([{"op": "add", "path": path, "index": 0, "value": {"id": "d", "type": "item"}}]);
        take(&mut mirror, &patch(10 + seq, seq, &add)).err()
    });
    assert!(matches!(refused, Some(MirrorError::Operation { why: OperationError::TooDeep, .. })), "{refused:?}");
}
