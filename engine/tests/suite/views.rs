//! What a subscription or query shows of a tree: subtree, filter, depth, budget (contract 1.4).

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, ContentRef, Descriptor, Engine, Event, Invocation, Item, Session};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, SharedDescriptor, child_ids, connect_and_subscribe, engine, engine_with, node_at};

/// Returns what one query shows of a single registered path `n`.
async fn view_of(content: Descriptor, options: Value) -> Value {
    let engine = engine();
    engine.register("n", move |_: &Session| content.clone());
    query(&engine, options).await
}

async fn query(engine: &Engine, options: Value) -> Value {
    let mut consumer = TestConsumer::connect(engine, Session::new("s")).await;
    let fresh = consumer.query_with(options.clone()).await["tree"].clone();
    // A subscription shows the same.
    let (_, first) = consumer.subscribe_with(options).await;
    assert_eq!(first, fresh);
    fresh
}

fn act() -> Action {
    Action::new("act", |_: Invocation<()>| ())
}

/// A node with every field.
fn full_node() -> Descriptor {
    Descriptor::document()
        .prop("title", "all of it")
        .summary("a sentence")
        .salience(0.7)
        .action(&act())
        .content_ref(ContentRef::text("text/plain", "the text").uri("x:y"))
}

#[tokio::test]
async fn a_node_with_children_at_the_requested_depth_is_a_stub() {
    let content = Descriptor::group()
        .prop("name", "top")
        .child("leaf", full_node())
        .child("inner", full_node().child("x", Descriptor::status()).child("y", Descriptor::status()));
    let tree = view_of(content, json!({"path": "/n", "depth": 1})).await;
    assert_eq!(tree["properties"]["name"], "top", "the requested node is complete");
    let leaf = json!({
        "id": "leaf", "type": "document", "properties": {"title": "all of it"},
        "meta": {"summary": "a sentence", "salience": 0.7}, "affordances": [{"action": "act"}],
        "content_ref": {"type": "text", "mime": "text/plain", "uri": "x:y", "summary": "the text"},
    });
    assert_eq!(*node_at(&tree, "leaf"), leaf, "a leaf is complete at every level");
    let stub = json!({
        "id": "inner", "type": "document", "meta": {"summary": "a sentence", "salience": 0.7, "total_children": 2},
    });
    assert_eq!(*node_at(&tree, "inner"), stub, "a stub has only id, type and meta, with its summary");
}

#[tokio::test]
async fn depth_zero_shows_a_node_with_children_as_a_stub_and_a_leaf_in_full() {
    let content = Descriptor::group().prop("name", "top").child("leaf", Descriptor::status().prop("n", 1));
    let tree = view_of(content.clone(), json!({"path": "/n", "depth": 0})).await;
    assert_eq!(tree, json!({"id": "n", "type": "group", "meta": {"total_children": 1}}), "no summary is generated");
    let leaf = view_of(content, json!({"path": "/n/leaf", "depth": 0})).await;
    assert_eq!(leaf, json!({"id": "leaf", "type": "status", "properties": {"n": 1}}));
}

#[tokio::test]
async fn a_negative_or_absent_depth_is_unlimited() {
    let content = Descriptor::group().child("a", Descriptor::group().child("b", Descriptor::status()));
    for options in [json!({"path": "/"}), json!({"path": "/", "depth": -1}), json!({"path": "/", "depth": -7})] {
        assert_eq!(node_at(&view_of(content.clone(), options).await, "n/a/b")["type"], "status");
    }
}

#[tokio::test]
async fn a_view_that_is_not_open_is_only_a_stub() {
    let engine = engine();
    for view in ["inbox", "board", "settings"] {
        engine.register(view, move |session: &Session| {
            let descriptor = Descriptor::view().summary(format!("the {view}"));
            if session.attribute("view") == Some(view) {
                descriptor.prop("open", true).items((0..50).map(|n| Item::new(format!("i{n}")).prop("n", n)))
            } else {
                descriptor
            }
        });
    }
    let (consumer, subscription) =
        connect_and_subscribe(&engine, Session::new("s").with_attribute("view", "inbox")).await;
    let tree = consumer.tree(&subscription);
    assert_eq!(child_ids(node_at(tree, "inbox")).len(), 50);
    for closed in ["board", "settings"] {
        let stub = json!({"id": closed, "type": "view", "meta": {"summary": format!("the {closed}")}});
        assert_eq!(*node_at(tree, closed), stub);
        assert!(stub.to_string().len() < 70);
    }
}

#[tokio::test]
async fn a_type_filter_drops_a_child_with_its_whole_subtree() {
    let content = Descriptor::group()
        .child("keep", Descriptor::group().child("deep", Descriptor::group()).child("other", Descriptor::status()))
        .child("drop", Descriptor::status().child("lost", Descriptor::group()));
    let options = |types: Value| json!({"path": "/n", "depth": -1, "filter": {"types": types}});
    let tree = view_of(content.clone(), options(json!(["group"]))).await;
    assert_eq!(child_ids(&tree), ["keep"]);
    assert_eq!(child_ids(node_at(&tree, "keep")), ["deep"], "no ancestor is retained for a child below");
    let status = view_of(content.clone(), options(json!(["status"]))).await;
    assert_eq!(child_ids(&status), ["drop"], "the requested node is never filtered");
    let none = view_of(content.clone(), options(json!([]))).await;
    assert_eq!(
        none,
        json!({"id": "n", "type": "group"}),
        "an empty list of types drops all children and adds no fields"
    );
    let missing = view_of(content, options(Value::Null)).await;
    assert_eq!(child_ids(&missing), ["keep", "drop"]);
}

#[tokio::test]
async fn a_salience_filter_is_inclusive_and_treats_an_absent_salience_as_one_half() {
    let content = Descriptor::group()
        .salience(0.0)
        .child("high", Descriptor::group().salience(0.9))
        .child("none", Descriptor::group())
        .child("half", Descriptor::group().salience(0.5))
        .child("low", Descriptor::group().salience(0.49));
    let at_least = |least: f64| json!({"path": "/n", "filter": {"min_salience": least}});
    assert_eq!(child_ids(&view_of(content.clone(), at_least(0.5)).await), ["high", "none", "half"]);
    assert_eq!(child_ids(&view_of(content.clone(), at_least(0.51)).await), ["high"]);
    assert_eq!(child_ids(&view_of(content, at_least(0.0)).await), ["high", "none", "half", "low"]);
}

#[tokio::test]
async fn a_node_that_gains_salience_enters_a_filtered_subscription_by_a_patch() {
    let engine = engine();
    let list = |salience: f64| {
        Descriptor::collection()
            .item(Item::new("a").salience(0.9))
            .item(Item::new("b").prop("title", "late").salience(salience))
            .item(Item::new("c").salience(0.8))
    };
    let content = SharedDescriptor::serve(&engine, "n", list(0.1));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, tree) = consumer.subscribe_with(json!({"path": "/n", "filter": {"min_salience": 0.5}})).await;
    assert_eq!(child_ids(&tree), ["a", "c"]);
    content.change(&engine, list(0.7)).await;
    let messages = consumer.settled().await;
    let node = json!({"id": "b", "type": "item", "properties": {"title": "late"}, "meta": {"salience": 0.7}});
    assert_eq!(messages[0]["ops"], json!([{"op": "add", "path": "/b", "index": 1, "value": node}]));
    content.change(&engine, list(0.2)).await;
    assert_eq!(consumer.settled().await[0]["ops"], json!([{"op": "remove", "path": "/b"}]));
    // A change outside of the view sends no frame.
    content.change(&engine, list(0.3)).await;
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    assert_eq!(child_ids(consumer.tree(&id)), ["a", "c"]);
}

#[tokio::test]
async fn the_filter_is_applied_before_the_depth() {
    let content = Descriptor::group()
        .child("a", Descriptor::group().prop("p", 1).child("x", Descriptor::status()).child("y", Descriptor::group()))
        .child("b", Descriptor::group().prop("p", 1).child("x", Descriptor::status()));
    let tree = view_of(content, json!({"path": "/n", "depth": 1, "filter": {"types": ["group"]}})).await;
    assert_eq!(*node_at(&tree, "a"), json!({"id": "a", "type": "group", "meta": {"total_children": 1}}));
    assert_eq!(
        *node_at(&tree, "b"),
        json!({"id": "b", "type": "group", "properties": {"p": 1}}),
        "it has no children left, so it is not a stub"
    );
}

/// Three lists below the requested node, of 3, 3 and 2 items: 12 nodes with the root.
fn lists() -> Descriptor {
    let list = |count: usize| {
        Descriptor::collection().prop("k", 1).items((0..count).map(|n| {
            let content = ContentRef::text("text/plain", "text").uri("x:y");
            Item::new(format!("i{n}")).prop("n", n).action(&act()).content_ref(content)
        }))
    };
    let holder = |inner: Descriptor| Descriptor::group().child("list", inner);
    Descriptor::group()
        .child("a", holder(list(3)))
        .child("b", holder(list(3).salience(0.9)))
        .child("c", holder(list(2).summary("two things")))
}

#[tokio::test]
async fn a_budget_collapses_the_least_salient_nodes_until_the_view_fits() {
    let budget = |nodes: i64| json!({"path": "/n", "max_nodes": nodes});
    assert_eq!(view_of(lists(), budget(15)).await, view_of(lists(), json!({"path": "/n"})).await, "the view fits");
    let tree = view_of(lists(), budget(12)).await;
    // a and c have the same salience; a has more descendants, so it collapses first. b has a higher salience.
    assert_eq!(
        *node_at(&tree, "a/list"),
        json!({
            "id": "list", "type": "collection", "properties": {"k": 1},
            "meta": {"summary": "3 children", "total_children": 3},
        })
    );
    assert_eq!(child_ids(node_at(&tree, "b/list")).len(), 3);
    assert_eq!(child_ids(node_at(&tree, "c/list")).len(), 2);
    let tree = view_of(lists(), budget(11)).await;
    assert_eq!(
        node_at(&tree, "c/list")["meta"],
        json!({"summary": "two things", "total_children": 2}),
        "a summary is kept"
    );
    assert_eq!(child_ids(node_at(&tree, "b/list")).len(), 3);
    let tree = view_of(lists(), budget(0)).await;
    assert_eq!(child_ids(&tree), ["a", "b", "c"], "children of the root are never collapsed");
    assert_eq!(child_ids(node_at(&tree, "a")), ["list"], "nor do their siblings lose children");
    assert!(node_at(&tree, "b/list").get("children").is_none());
}

#[tokio::test]
async fn a_collapsed_node_keeps_its_properties_and_actions_and_drops_its_content() {
    let inner = full_node().child("x", Descriptor::status());
    let content = Descriptor::group().child("a", Descriptor::group().child("inner", inner));
    let tree = view_of(content, json!({"path": "/n", "max_nodes": 1})).await;
    let expected = json!({
        "id": "inner", "type": "document", "properties": {"title": "all of it"},
        "meta": {"summary": "a sentence", "salience": 0.7, "total_children": 1}, "affordances": [{"action": "act"}],
    });
    assert_eq!(*node_at(&tree, "a/inner"), expected);
}

#[tokio::test]
async fn a_generated_summary_says_children_even_for_one_child() {
    let content = Descriptor::group()
        .child("a", Descriptor::group().child("one", Descriptor::group().child("x", Descriptor::status())));
    let tree = view_of(content, json!({"path": "/n", "max_nodes": 1})).await;
    assert_eq!(node_at(&tree, "a/one")["meta"]["summary"], "1 children");
}

#[tokio::test]
async fn pinned_nodes_their_ancestors_and_their_descendants_are_never_collapsed() {
    let leaf = || Descriptor::status();
    let pinned = Descriptor::group().pinned(true).child("below", Descriptor::group().child("x", leaf()));
    let content = Descriptor::group().child(
        "a",
        Descriptor::group().child(
            "above",
            Descriptor::group().child("pinned", pinned).child("beside", Descriptor::group().child("y", leaf())),
        ),
    );
    let tree = view_of(content, json!({"path": "/n", "max_nodes": 1})).await;
    assert_eq!(node_at(&tree, "a/above/pinned/below/x")["type"], "status");
    assert!(node_at(&tree, "a/above/beside").get("children").is_none(), "siblings do collapse");
}

#[tokio::test]
async fn pinning_protects_only_from_the_budget() {
    let content = Descriptor::group()
        .child("pinned", Descriptor::group().pinned(true).salience(0.1).child("x", Descriptor::status()));
    assert_eq!(
        child_ids(&view_of(content.clone(), json!({"path": "/n", "filter": {"min_salience": 0.5}})).await),
        Vec::<&str>::new()
    );
    let stub = view_of(content, json!({"path": "/n", "depth": 1})).await;
    assert!(node_at(&stub, "pinned").get("children").is_none());
}

#[tokio::test]
async fn a_budget_is_applied_at_every_patch() {
    let engine = engine();
    let list =
        |count: usize| Descriptor::collection().items((0..count).map(|n| Item::new(format!("i{n}")).prop("n", n)));
    let small = || Descriptor::group().child("a", Descriptor::group().child("list", list(2)));
    let large = || Descriptor::group().child("a", Descriptor::group().child("list", list(20)));
    let content = SharedDescriptor::serve(&engine, "n", small());
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, _) = consumer.subscribe_with(json!({"path": "/n", "max_nodes": 6})).await;
    let (whole, _) = consumer.subscribe_with(json!({"path": "/", "max_nodes": 7})).await;
    content.change(&engine, large()).await;
    consumer.check_mirrors().await;
    assert_eq!(node_at(consumer.tree(&id), "a/list")["meta"]["total_children"], 20);
    assert_eq!(node_at(consumer.tree(&whole), "n/a/list")["meta"]["total_children"], 20);
    content.change(&engine, small()).await;
    consumer.check_mirrors().await;
    assert_eq!(child_ids(node_at(consumer.tree(&id), "a/list")), ["i0", "i1"]);
    assert_eq!(child_ids(node_at(consumer.tree(&whole), "n/a/list")), ["i0", "i1"]);
}

/// A list of as many lists, each of three items, and a number.
fn list_of_lists(lists: usize, number: usize) -> Descriptor {
    let parts = || (0..3).map(|part| Item::new(format!("p{part}")));
    let list = |at: usize| parts().fold(Item::new(format!("l{at}")), Item::item);
    Descriptor::group().child("lists", Descriptor::collection().items((0..lists).map(list))).prop("n", number)
}

/// How often nodes were put in order for budgets while `change` ran.
async fn orders_for(engine: &Engine, change: impl Future<Output = ()>) -> u64 {
    let before = engine.stats().collapse_orders;
    change.await;
    engine.stats().collapse_orders - before
}

#[tokio::test]
async fn all_budgets_of_one_view_share_the_order_in_which_nodes_are_collapsed() {
    // Without a cache the views are the same, and each costs as many orders as it shows trees.
    for (cache_bytes, orders) in [(4 << 20, 3), (0, 2 * (20 + 2))] {
        let engine = engine_with(|config| config.memory.cache_bytes = cache_bytes);
        let content = SharedDescriptor::serve(&engine, "n", list_of_lists(30, 0));
        let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
        let mut subscribed = Vec::new();
        for budget in 0..20 {
            let options = json!({"path": "/n", "max_nodes": 10 + 5 * budget});
            subscribed.push(consumer.subscribe_with(options).await.0);
        }
        // Another depth and another filter show other nodes.
        consumer.subscribe_with(json!({"path": "/n", "depth": 4, "max_nodes": 10})).await;
        consumer.subscribe_with(json!({"path": "/n", "filter": {"min_salience": 0.2}, "max_nodes": 10})).await;
        let changed = orders_for(&engine, async {
            content.change(&engine, list_of_lists(29, 1)).await;
            consumer.settled().await;
        });
        assert_eq!(changed.await, orders, "with {cache_bytes} bytes");
        for id in &subscribed {
            assert_eq!(consumer.tree(id)["properties"]["n"], 1);
        }
        consumer.check_mirrors().await;
    }
}

#[tokio::test]
async fn an_order_that_takes_most_of_the_cache_does_not_evict_the_others() {
    // A quarter is for orders: about 800 bytes take the small one, 5,500 the large one.
    let engine = engine_with(|config| config.memory.cache_bytes = 4 * 6_000);
    engine.register("small", |_: &Session| list_of_lists(10, 0));
    engine.register("large", |_: &Session| list_of_lists(100, 0));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for (path, orders) in [("/small", 1), ("/small", 0), ("/large", 1), ("/small", 0)] {
        let query = async { _ = consumer.query_with(json!({"path": path, "max_nodes": 10})).await };
        assert_eq!(orders_for(&engine, query).await, orders, "{path}");
    }
}

#[tokio::test]
async fn an_order_that_nobody_needs_any_more_is_not_kept() {
    let engine = engine();
    engine.register("n", |_: &Session| list_of_lists(30, 0));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let options = json!({"path": "/n", "max_nodes": 10});
    consumer.query_with(options.clone()).await;
    assert_eq!(orders_for(&engine, async { _ = consumer.query_with(options.clone()).await }).await, 0);
    drop(consumer);
    engine.settle().await;
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(orders_for(&engine, async { _ = consumer.query_with(options).await }).await, 1);
}

#[tokio::test]
async fn a_tree_above_the_engines_node_limit_is_compacted_and_that_is_reported() {
    let engine = engine_with(|config| config.sizes.nodes = 100);
    let log = EventLog::of(&engine);
    for path in ["a", "b"] {
        let list = || Descriptor::collection().items((0..80).map(|n| Item::new(format!("i{n}"))));
        engine.register(path, move |_: &Session| Descriptor::group().child("list", list()));
    }
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, tree) = consumer.subscribe("/").await;
    let count = |list: &str| child_ids(node_at(&tree, list)).len();
    assert_eq!(count("a/list") + count("b/list"), 80, "one of the two lists is collapsed");
    assert!(log.count(|event| matches!(event, Event::Compacted { nodes: 165, .. })) >= 1, "{:?}", log.all());
    assert_eq!(consumer.query("/").await, *consumer.tree(&id));
}

#[tokio::test]
async fn a_tree_that_grows_above_the_engines_node_limit_is_compacted_from_then_on() {
    let engine = engine_with(|config| config.sizes.nodes = 100);
    let list = |count: usize| {
        Descriptor::group()
            .child("list", Descriptor::collection().items((0..count).map(|n| Item::new(format!("i{n}")))))
    };
    engine.register("a", move |_: &Session| list(80));
    let growing = SharedDescriptor::serve(&engine, "b", list(2));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, _) = consumer.subscribe("/").await;
    let log = EventLog::of(&engine);
    growing.change(&engine, list(70)).await;
    consumer.settled().await;
    let tree = consumer.tree(&id);
    assert_eq!(
        child_ids(node_at(tree, "a/list")).len() + child_ids(node_at(tree, "b/list")).len(),
        70,
        "one of the two lists is collapsed"
    );
    assert!(log.count(|event| matches!(event, Event::Compacted { .. })) >= 1, "{:?}", log.all());
    consumer.check_mirrors().await;
    growing.change(&engine, list(3)).await;
    consumer.check_mirrors().await;
    assert_eq!(child_ids(node_at(consumer.tree(&id), "a/list")).len(), 80, "the tree is below the limit again");
}

#[tokio::test]
async fn a_budget_below_the_engines_node_limit_holds_in_a_tree_above_it() {
    let engine = engine_with(|config| config.sizes.nodes = 100);
    for path in ["a", "b", "c"] {
        let list = || Descriptor::collection().items((0..40).map(|n| Item::new(format!("i{n}"))));
        engine.register(path, move |_: &Session| Descriptor::group().child("one", list()).child("two", list()));
    }
    fn count(node: &Value) -> usize {
        1 + node["children"].as_array().into_iter().flatten().map(count).sum::<usize>()
    }
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for budget in [99, 60, 20] {
        let options = json!({"path": "/", "depth": -1, "max_nodes": budget});
        let reply = consumer.query_with(options.clone()).await;
        assert!(count(&reply["tree"]) <= budget, "{} nodes instead of {budget}", count(&reply["tree"]));
        let (_, tree) = consumer.subscribe_with(options).await;
        assert!(count(&tree) <= budget, "{} nodes instead of {budget}", count(&tree));
    }
    let reply = consumer.query_with(json!({"path": "/", "depth": -1, "max_nodes": 1_000})).await;
    assert!(count(&reply["tree"]) <= 100, "a larger budget does not lift the engine's limit");
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn a_view_too_large_for_a_frame_is_compacted_until_it_fits() {
    let engine = engine_with(|config| config.sizes.frame_bytes = 4_000);
    let list =
        || Descriptor::collection().items((0..40).map(|n| Item::new(format!("i{n}")).prop("text", "x".repeat(40))));
    engine.register("a", move |_: &Session| Descriptor::group().child("one", list()).child("two", list()));
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (_, tree) = consumer.subscribe("/").await;
    assert!(tree.to_string().len() <= 4_000);
    assert_eq!(node_at(&tree, "a/one")["meta"]["total_children"], 40);
    assert!(log.count(|event| matches!(event, Event::Compacted { .. })) >= 1, "{:?}", log.all());
}

#[tokio::test]
async fn a_view_that_cannot_be_compacted_enough_is_too_large() {
    let engine = engine_with(|config| config.sizes.frame_bytes = 2_000);
    let content = SharedDescriptor::serve(&engine, "n", Descriptor::document().prop("text", "x".repeat(3_000)));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let id = consumer.start_subscription(json!({"path": "/"}));
    let reply = consumer.answer(&id).await;
    assert_eq!((reply["type"].as_str(), reply["error"]["code"].as_str()), (Some("error"), Some("too_large")));
    assert_eq!(consumer.query_with(json!({"path": "/"})).await["error"]["code"], "too_large");
    // The subscription stays active and shows the view as soon as it fits.
    content.change(&engine, Descriptor::document().prop("text", "short")).await;
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "n")["properties"]["text"], "short");
}

#[tokio::test]
async fn an_empty_root_has_an_empty_list_of_children() {
    let engine = engine();
    let tree = query(&engine, json!({"path": "/"})).await;
    assert_eq!(tree, json!({"id": "app", "type": "root", "properties": {"label": "App"}, "children": []}));
}

#[tokio::test]
async fn a_view_of_which_nothing_may_be_collapsed_is_shown_whole_and_not_reported_as_compacted() {
    let engine = engine_with(|config| config.sizes.nodes = 20);
    let list = || Descriptor::collection().items((0..15).map(|n| Item::new(format!("i{n}"))));
    let content = SharedDescriptor::serve(&engine, "a", list());
    engine.register("b", move |_: &Session| list());
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, tree) = consumer.subscribe_with(json!({"path": "/", "max_nodes": 3})).await;
    assert_eq!((child_ids(node_at(&tree, "a")).len(), child_ids(node_at(&tree, "b")).len()), (15, 15));
    content.change(&engine, list().prop("changed", true)).await;
    consumer.check_mirrors().await;
    assert_eq!(node_at(consumer.tree(&id), "a")["properties"]["changed"], true);
    assert_eq!(log.count(|event| matches!(event, Event::Compacted { .. })), 0);
}
