//! Patches, operation by operation (contract 1.6), and how messages are numbered (contract 1.5).

use grove_engine::client::{Message, Mirror, Node};
use grove_engine::testing::TestConsumer;
use grove_engine::{Action, ContentRef, Descriptor, Engine, Invocation, Item, Scope, Session};
use serde_json::{Value, json};

use crate::fixtures::{
    SharedDescriptor, SharedNumber, child_ids, connect_and_subscribe, engine, engine_with, evaluations, message_types,
    node_at, user_session,
};

/// Returns the operations that bring a subscription of the root from one content of `/n` to another. The consumer's mirror
/// applies them and is compared with a fresh query.
async fn ops(before: Descriptor, after: Descriptor) -> Value {
    let engine = engine();
    let content = SharedDescriptor::serve(&engine, "n", before);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    content.change(&engine, after).await;
    let messages = consumer.settled().await;
    assert!(messages.len() <= 1, "one change is one frame: {messages:?}");
    consumer.check_mirrors().await;
    messages.first().map_or(Value::Null, |message| message["ops"].clone())
}

fn act(name: &str) -> Action {
    Action::new(name.to_owned(), |_: Invocation<()>| ())
}

/// A node with children, so that it is never sent whole.
fn node() -> Descriptor {
    Descriptor::group().child("c", Descriptor::status())
}

#[tokio::test]
async fn a_property_is_added_replaced_and_removed_by_key() {
    let before = node().prop("kept", 1).prop("changed", 1).prop("removed", 1);
    let after = node().prop("kept", 1).prop("changed", 2).prop("added", true);
    let expected = json!([
        {"op": "remove", "path": "/n/properties/removed"},
        {"op": "replace", "path": "/n/properties/changed", "value": 2},
        {"op": "add", "path": "/n/properties/added", "value": true},
    ]);
    assert_eq!(ops(before, after).await, expected);
}

#[tokio::test]
async fn a_nested_value_is_replaced_as_a_whole() {
    let before = node().prop("k", json!({"a": {"b": 1}, "c": [1, 2]}));
    let after = node().prop("k", json!({"a": {"b": 2}, "c": [1, 2]}));
    let expected = json!([{"op": "replace", "path": "/n/properties/k", "value": {"a": {"b": 2}, "c": [1, 2]}}]);
    assert_eq!(ops(before, after).await, expected);
}

#[tokio::test]
async fn a_property_that_becomes_null_is_followed_by_the_whole_map() {
    let expected = json!([
        {"op": "replace", "path": "/n/properties/k", "value": null},
        {"op": "replace", "path": "/n/properties", "value": {"k": null, "l": 1}},
    ]);
    let after = node().prop("k", Value::Null).prop("l", 1);
    assert_eq!(ops(node().prop("k", 1).prop("l", 1), after).await, expected);
    let back = json!([{"op": "replace", "path": "/n/properties/k", "value": 1}]);
    assert_eq!(ops(node().prop("k", Value::Null), node().prop("k", 1)).await, back, "null is a value, not an absence");
}

#[tokio::test]
async fn an_escaped_key_is_followed_by_the_whole_map() {
    let expected = json!([
        {"op": "replace", "path": "/n/properties/a~1b~0c", "value": 2},
        {"op": "replace", "path": "/n/properties", "value": {"a/b~c": 2}},
    ]);
    assert_eq!(ops(node().prop("a/b~c", 1), node().prop("a/b~c", 2)).await, expected);
    let gone = json!([
        {"op": "remove", "path": "/n/properties/a~1b"},
        {"op": "replace", "path": "/n/properties", "value": {"l": 1}},
    ]);
    assert_eq!(ops(node().prop("a/b", 1).prop("l", 1), node().prop("l", 1)).await, gone);
}

#[tokio::test]
async fn reserved_words_are_ordinary_property_keys() {
    let before = node().prop("properties", 1).prop("children", 1).prop("meta", 1).prop("", 1);
    let after = node().prop("properties", 2).prop("children", 2).prop("meta", 2).prop("", 2);
    let expected = json!([
        {"op": "replace", "path": "/n/properties/properties", "value": 2},
        {"op": "replace", "path": "/n/properties/children", "value": 2},
        {"op": "replace", "path": "/n/properties/meta", "value": 2},
        {"op": "replace", "path": "/n/properties/", "value": 2},
    ]);
    assert_eq!(ops(before, after).await, expected);
}

#[tokio::test]
async fn the_first_properties_are_sent_as_a_map_and_then_by_key() {
    let expected = json!([
        {"op": "replace", "path": "/n/properties", "value": {"a": 1, "b": 2}},
        {"op": "replace", "path": "/n/properties/a", "value": 1},
        {"op": "replace", "path": "/n/properties/b", "value": 2},
    ]);
    assert_eq!(ops(node(), node().prop("a", 1).prop("b", 2)).await, expected);
}

#[tokio::test]
async fn removing_all_properties_removes_each_key_and_then_the_map() {
    let expected = json!([
        {"op": "remove", "path": "/n/properties/a"},
        {"op": "remove", "path": "/n/properties/b"},
        {"op": "remove", "path": "/n/properties"},
    ]);
    assert_eq!(ops(node().prop("a", 1).prop("b", 2), node()).await, expected);
}

#[tokio::test]
async fn an_empty_property_map_differs_from_an_absent_one() {
    let empty = || node().props(Vec::<(&str, i64)>::new());
    let engine = engine();
    engine.register("n", move |_: &Session| empty());
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(consumer.query("/n").await["properties"], json!({}));
    let added = json!([{"op": "add", "path": "/n/properties/a", "value": 1}]);
    assert_eq!(ops(empty(), node().prop("a", 1)).await, added);
}

#[tokio::test]
async fn affordances_are_replaced_and_emptied_before_they_are_removed() {
    let (open, close) = (act("open"), act("close"));
    let set = json!([{"op": "replace", "path": "/n/affordances", "value": [{"action": "open"}]}]);
    assert_eq!(ops(node(), node().action(&open)).await, set);
    let changed =
        json!([{"op": "replace", "path": "/n/affordances", "value": [{"action": "open"}, {"action": "close"}]}]);
    assert_eq!(ops(node().action(&open), node().action(&open).action(&close)).await, changed);
    let removed =
        json!([{"op": "replace", "path": "/n/affordances", "value": []}, {"op": "remove", "path": "/n/affordances"}]);
    assert_eq!(ops(node().action(&open), node()).await, removed);
}

#[tokio::test]
async fn an_identical_action_declared_again_sends_no_frame_but_its_new_handler_runs() {
    let engine = engine();
    let which = |name: &'static str| {
        let action = Action::new("which", move |_: Invocation<()>| grove_engine::Outcome::data(name));
        Descriptor::group().action(&action)
    };
    let content = SharedDescriptor::serve(&engine, "n", which("old"));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    content.change(&engine, which("new")).await;
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    assert_eq!(consumer.invoke("/n", "which", Value::Null).await["data"], "new");
}

#[tokio::test]
async fn meta_is_replaced_and_emptied_before_it_is_removed() {
    let set = json!([{"op": "replace", "path": "/n/meta", "value": {"summary": "s", "pinned": true}}]);
    assert_eq!(ops(node(), node().summary("s").pinned(true)).await, set);
    let changed = json!([{"op": "replace", "path": "/n/meta", "value": {"salience": 0.5}}]);
    assert_eq!(ops(node().summary("s"), node().salience(0.5)).await, changed);
    let removed = json!([{"op": "replace", "path": "/n/meta", "value": {}}, {"op": "remove", "path": "/n/meta"}]);
    assert_eq!(ops(node().summary("s"), node()).await, removed);
}

#[tokio::test]
async fn a_content_reference_is_replaced_and_emptied_before_it_is_removed() {
    let text = |summary: &str| ContentRef::text("text/plain", summary.to_owned());
    let wire =
        |summary: &str| json!({"type": "text", "mime": "text/plain", "uri": "slop://content/n", "summary": summary});
    let set = json!([{"op": "replace", "path": "/n/content_ref", "value": wire("a")}]);
    assert_eq!(ops(node(), node().content_ref(text("a"))).await, set);
    let changed = json!([{"op": "replace", "path": "/n/content_ref", "value": wire("b")}]);
    assert_eq!(ops(node().content_ref(text("a")), node().content_ref(text("b"))).await, changed);
    let removed =
        json!([{"op": "replace", "path": "/n/content_ref", "value": null}, {"op": "remove", "path": "/n/content_ref"}]);
    assert_eq!(ops(node().content_ref(text("a")), node()).await, removed);
}

#[tokio::test]
async fn an_item_of_a_list_that_loses_its_content_reference_loses_it_for_consumers() {
    let engine = engine();
    let list = |with_content: bool| {
        let item = move |n: usize| {
            let item = Item::new(format!("i{n}")).prop("n", n as u64);
            if with_content && n % 7 == 3 { item.content_ref(ContentRef::text("text/plain", "c")) } else { item }
        };
        Descriptor::collection().items((0..60).map(item))
    };
    let content = SharedDescriptor::serve(&engine, "list", list(true));
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    let with_content = |tree: &Value| {
        let items = node_at(tree, "list")["children"].as_array().unwrap();
        items.iter().filter(|item| item.get("content_ref").is_some()).count()
    };
    assert_eq!(with_content(consumer.tree(&subscription)), 9);
    content.change(&engine, list(false)).await;
    consumer.check_mirrors().await;
    assert_eq!(with_content(consumer.tree(&subscription)), 0);
    content.change(&engine, list(true)).await;
    consumer.check_mirrors().await;
    assert_eq!(with_content(consumer.tree(&subscription)), 9);
}

#[tokio::test]
async fn a_small_leaf_is_sent_whole_after_a_field_change_but_not_after_a_property_change() {
    let leaf = |n: i64| Descriptor::group().child("leaf", Descriptor::status().prop("n", n));
    assert_eq!(ops(leaf(1), leaf(2)).await, json!([{"op": "replace", "path": "/n/leaf/properties/n", "value": 2}]));
    let with_summary = Descriptor::group().child("leaf", Descriptor::status().prop("n", 1).summary("s"));
    let whole = json!({"id": "leaf", "type": "status", "properties": {"n": 1}, "meta": {"summary": "s"}});
    let expected = json!([
        {"op": "replace", "path": "/n/leaf/meta", "value": {"summary": "s"}},
        {"op": "replace", "path": "/n/leaf", "value": whole},
    ]);
    assert_eq!(ops(leaf(1), with_summary).await, expected);
}

#[tokio::test]
async fn a_type_change_replaces_the_node() {
    let before = Descriptor::group().child("c", Descriptor::status().prop("n", 1));
    let after = Descriptor::group().child("c", Descriptor::document().prop("n", 1));
    let expected = json!([
        {"op": "replace", "path": "/n/c", "value": {"id": "c", "type": "document", "properties": {"n": 1}}},
    ]);
    assert_eq!(ops(before, after).await, expected);
}

fn list(order: &str) -> Descriptor {
    Descriptor::collection().items(order.chars().map(|id| Item::new(id.to_string()).prop("id", id.to_string())))
}

#[tokio::test]
async fn children_are_inserted_at_their_index() {
    let child = |id: &str| json!({"id": id, "type": "item", "properties": {"id": id}});
    let expected = json!([
        {"op": "add", "path": "/n/x", "index": 0, "value": child("x")},
        {"op": "add", "path": "/n/y", "index": 2, "value": child("y")},
        {"op": "add", "path": "/n/z", "index": 4, "value": child("z")},
    ]);
    assert_eq!(ops(list("ab"), list("xaybz")).await, expected);
}

#[tokio::test]
async fn children_are_removed_by_id() {
    assert_eq!(
        ops(list("abc"), list("b")).await,
        json!([{"op": "remove", "path": "/n/a"}, {"op": "remove", "path": "/n/c"}])
    );
    assert_eq!(ops(list("a"), list("")).await, json!([{"op": "remove", "path": "/n/a"}]));
}

#[tokio::test]
async fn a_moved_child_is_one_move_to_its_index_after_removal() {
    assert_eq!(ops(list("abcd"), list("bcda")).await, json!([{"op": "move", "path": "/n/a", "index": 3}]));
    assert_eq!(ops(list("abcd"), list("dabc")).await, json!([{"op": "move", "path": "/n/d", "index": 0}]));
    assert_eq!(ops(list("abcd"), list("acbd")).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn one_patch_can_combine_insertion_removal_move_and_change() {
    let content = |order: &str, n: i64| {
        Descriptor::collection().items(order.chars().map(|id| Item::new(id.to_string()).prop("n", n)))
    };
    let result = ops(content("abcdef", 1), content("fxcba", 2)).await;
    let ops: Vec<&str> = result.as_array().into_iter().flatten().filter_map(|op| op["op"].as_str()).collect();
    assert!(
        ops.contains(&"remove") && ops.contains(&"add") && ops.contains(&"move") && ops.contains(&"replace"),
        "{ops:?}"
    );
    // `ops` has compared the mirror, including the order of children.
}

#[tokio::test]
async fn a_change_in_a_list_of_a_thousand_items_is_one_operation() {
    let engine = engine();
    let changed = SharedNumber::default();
    let read = changed.clone();
    engine.register("n", move |_: &Session| {
        let value = |n: i64| if n == 500 { read.get() } else { 0 };
        Descriptor::collection().items((0..1000).map(|n| Item::new(format!("i{n}")).prop("v", value(n))))
    });
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    changed.set(7);
    engine.refresh_now(Scope::all()).await;
    let messages = consumer.settled().await;
    assert_eq!(messages[0]["ops"], json!([{"op": "replace", "path": "/n/i500/properties/v", "value": 7}]));
}

#[tokio::test]
async fn ids_in_paths_are_never_escaped() {
    let before = Descriptor::group().child("a b%20.ü", Descriptor::status().prop("n", 1));
    let after = Descriptor::group().child("a b%20.ü", Descriptor::status().prop("n", 2));
    assert_eq!(ops(before, after).await, json!([{"op": "replace", "path": "/n/a b%20.ü/properties/n", "value": 2}]));
}

#[tokio::test]
async fn a_type_change_of_the_subscribed_node_re_bases_the_subscription() {
    let engine = engine();
    let content = SharedDescriptor::serve(&engine, "n", Descriptor::group().prop("n", 1));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, _) = consumer.subscribe("/n").await;
    content.change(&engine, Descriptor::group().prop("n", 2)).await;
    assert_eq!(message_types(&consumer.settled().await), ["patch"]);
    content.change(&engine, Descriptor::document().prop("n", 2)).await;
    let messages = consumer.settled().await;
    assert_eq!((messages.len(), messages[0]["type"].as_str()), (1, Some("snapshot")));
    assert_eq!((messages[0]["id"].as_str(), messages[0]["seq"].as_u64()), (Some(id.as_str()), Some(0)));
    content.change(&engine, Descriptor::document().prop("n", 3)).await;
    let messages = consumer.settled().await;
    assert_eq!((messages[0]["type"].as_str(), messages[0]["seq"].as_u64()), (Some("patch"), Some(1)));
}

#[tokio::test]
async fn a_patch_longer_than_half_its_snapshot_is_replaced_by_the_snapshot() {
    let engine = engine_with(|config| config.sizes.rebase_bytes = 500);
    let list = |text: &str| {
        let item = |n: i32| Item::new(format!("i{n}")).prop("text", text.repeat(40));
        Descriptor::collection().items((0..100).map(item))
    };
    let content = SharedDescriptor::serve(&engine, "n", list("a"));
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    content.change(&engine, list("b")).await;
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), messages[0]["seq"].as_u64()), (vec!["snapshot"], Some(0)));
    assert_eq!(node_at(consumer.tree(&subscription), "n/i99")["properties"]["text"], "b".repeat(40));
    // A long patch is still sent as a patch if the snapshot is much longer.
    let partly_changed = |text: &str| {
        let item =
            |n: i32| Item::new(format!("i{n}")).prop("text", if n < 20 { text.repeat(40) } else { "b".repeat(40) });
        Descriptor::collection().items((0..100).map(item))
    };
    content.change(&engine, partly_changed("c")).await;
    let messages = consumer.settled().await;
    assert_eq!(message_types(&messages), ["patch"]);
    assert!(messages[0].to_string().len() > 500);
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn a_query_reply_has_a_version_and_no_seq() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let reply = consumer.query_with(json!({"path": "/"})).await;
    assert_eq!((reply["type"].as_str(), reply.get("seq")), (Some("snapshot"), None));
    assert!(reply["version"].is_u64());
}

#[tokio::test]
async fn every_change_has_one_version_and_versions_only_increase() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.subscribe("/n").await;
    let mut last = consumer.query_with(json!({"path": "/"})).await["version"].as_u64().unwrap();
    for value in 1..=20 {
        number.set(value);
        engine.refresh_now(Scope::all()).await;
        let messages = consumer.settled().await;
        let versions: Vec<_> = messages.iter().map(|message| message["version"].as_u64().unwrap()).collect();
        assert_eq!(versions.len(), 2);
        assert!(versions[0] > last && versions[0] == versions[1], "{versions:?} after {last}");
        last = versions[0];
        assert_eq!(consumer.query_with(json!({"path": "/"})).await["version"], last);
    }
}

#[tokio::test]
async fn each_subscription_has_its_own_operations_and_sequence_numbers() {
    let engine = engine();
    let content = SharedDescriptor::serve(
        &engine,
        "n",
        Descriptor::group().prop("v", 0).child("c", Descriptor::status().prop("v", 0)),
    );
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (deep, _) = consumer.subscribe("/n").await;
    let (flat, _) = consumer.subscribe_with(json!({"path": "/n", "depth": 0})).await;
    let (child, _) = consumer.subscribe("/n/c").await;
    let mut seqs = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for value in 1..=3 {
        let descriptor =
            Descriptor::group().prop("v", value).child("c", Descriptor::status().prop("v", i32::from(value > 2)));
        content.change(&engine, descriptor).await;
        for message in consumer.settled().await {
            let id = message["subscription"].as_str().unwrap().to_owned();
            seqs.entry(id).or_default().push(message["seq"].as_u64().unwrap());
        }
    }
    assert_eq!(seqs.get(&deep), Some(&vec![1, 2, 3]));
    assert_eq!(seqs.get(&child), Some(&vec![1]), "only when its own node changed");
    assert_eq!(seqs.get(&flat), None, "the changes are outside of what a stub shows");
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn a_new_subscription_gets_the_current_tree_and_an_earlier_one_a_patch_to_it() {
    let engine = engine();
    let content = SharedDescriptor::serve(&engine, "n", list("abc"));
    let (mut first, one) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let before = first.tree(&one).clone();
    content.change(&engine, list("cxa")).await;
    let (second, two) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    assert_eq!(evaluations(&engine, "/n"), 2, "the new subscription evaluates nothing");
    let messages = first.settled().await;
    assert_eq!(message_types(&messages), ["patch"]);
    let mut copy = Mirror::strict();
    let snapshot = json!({"type": "snapshot", "id": one, "version": 0, "seq": 0, "tree": before});
    for message in [&snapshot, &messages[0]] {
        copy.take(Message::from_json(message).unwrap()).unwrap();
    }
    assert_eq!(copy.tree().map(Node::to_json).as_ref(), Some(second.tree(&two)), "apply(previous, ops) = current");
    assert_eq!(first.tree(&one), second.tree(&two));
}

#[tokio::test]
async fn shared_content_is_patched_correctly_for_many_sessions_and_views() {
    let engine: Engine = engine();
    let content = SharedDescriptor::serve(
        &engine,
        "n",
        Descriptor::group().child("l", list("abc")).child("m", list("xyz").salience(0.9)),
    );
    let mut consumers = Vec::new();
    for id in 0..24 {
        let mut consumer = TestConsumer::connect(&engine, Session::new(format!("s{id}"))).await;
        for options in [
            json!({"path": "/", "depth": -1}),
            json!({"path": "/n"}),
            json!({"path": "/n", "depth": 1}),
            json!({"path": "/", "depth": 2}),
            json!({"path": "/n/l"}),
            json!({"path": "/", "filter": {"min_salience": 0.6}}),
            json!({"path": "/", "max_nodes": 3}),
            json!({"path": "/n/l", "window": [1, 1]}),
        ] {
            consumer.subscribe_with(options).await;
        }
        consumers.push(consumer);
    }
    for (l, m) in [("acb", "xyz"), ("dcb", "zy"), ("", "zyq"), ("abcdefgh", "q")] {
        let descriptor =
            Descriptor::group().child("l", list(l).summary(l.to_owned())).child("m", list(m).salience(0.9));
        content.change(&engine, descriptor).await;
        for consumer in &mut consumers {
            consumer.check_mirrors().await;
        }
    }
    assert_eq!(child_ids(node_at(&consumers[0].query("/").await, "n/m")), ["q"]);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the work itself is measured, not the engine's time")]
async fn one_change_among_very_many_properties_is_found_quickly() {
    let engine = engine_with(|config| config.sizes.properties = 30_000);
    let props = |changed: u32| {
        let all = (0..20_000_u32).map(move |n| (format!("property-{n}"), if n == 9_999 { changed } else { n }));
        node().props(all)
    };
    let content = SharedDescriptor::serve(&engine, "n", props(0));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let started = std::time::Instant::now();
    content.change(&engine, props(1)).await;
    let mut ops = consumer.settled().await.remove(0)["ops"].take();
    assert_eq!(ops, json!([{"op": "replace", "path": "/n/properties/property-9999", "value": 1}]));
    content.change(&engine, props(1).prop("another", true)).await;
    ops = consumer.settled().await.remove(0)["ops"].take();
    assert_eq!(ops, json!([{"op": "add", "path": "/n/properties/another", "value": true}]));
    // A linear search for each property would take more than a minute.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
