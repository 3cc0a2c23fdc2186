//! Long lists: which part the tree shows, and how the rest is queried (contract 1.4, window).

use std::sync::Arc;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, Descriptor, Engine, Event, Invocation, Item, Outcome, PanicSite, Session, Source, WindowRequest,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, action_names, child_ids, connect_and_subscribe, engine, engine_with, error_code, evaluations, node_at,
    user_session,
};

fn item(number: u64) -> Item {
    Item::new(format!("m{number}")).prop("n", number)
}

/// `/inbox`, a list of 142 items of which 25 are inline, starting at an offset, without a loader for the others.
fn inbox(offset: u64) -> Engine {
    let engine = engine();
    engine.register("inbox", move |_: &Session| {
        Descriptor::collection().summary("142 messages").window(offset, 142, (offset..offset + 25).map(item))
    });
    engine
}

/// The list `/inbox` with a loader; records which windows were requested, and for whom.
#[derive(Clone, Default)]
struct Loader(Arc<Mutex<Vec<Request>>>);

/// The user, and the window that was requested.
type Request = (Option<String>, WindowRequest);

impl Loader {
    fn serve(describe: impl Fn() -> Descriptor + Send + Sync + 'static) -> (Engine, Self) {
        let (engine, loader) = (engine(), Self::default());
        let open = Action::new("open", |call: Invocation<()>| Outcome::data(call.path));
        let (record, offered) = (Arc::clone(&loader.0), open.clone());
        let source = Source::new(move |_: &Session| describe())
            .on_window(move |session: &Session, request: &WindowRequest| {
                record.lock().push((session.user().map(str::to_owned), request.clone()));
                let all = request.offset..request.offset + request.count;
                all.map(|n| item(n).action(&offered)).collect::<Vec<Item>>()
            })
            .on_item(move |session: &Session, path: &str| {
                let number = path.strip_prefix('m').and_then(|n| n.parse().ok()).filter(|n| *n < 142);
                number.filter(|_| session.user() != Some("stranger")).map(|n| item(n).action(&open))
            });
        engine.register_source("inbox", source);
        (engine, loader)
    }

    fn requested(&self) -> Vec<(u64, u64)> {
        self.0.lock().iter().map(|(_, request)| (request.offset, request.count)).collect()
    }
}

fn windowed() -> Descriptor {
    Descriptor::collection().window(0, 142, (0..25).map(item))
}

async fn window(consumer: &mut TestConsumer, offset: u64, count: u64) -> Value {
    consumer.query_with(json!({"path": "/inbox", "window": [offset, count]})).await["tree"].clone()
}

#[tokio::test]
async fn a_list_shows_a_slice_with_its_actual_total() {
    let engine = engine();
    engine.register("inbox", |_: &Session| Descriptor::collection().window(0, 1000, (0..25).map(item)));
    let (consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    let inbox = node_at(consumer.tree(&subscription), "inbox");
    assert_eq!(child_ids(inbox).len(), 25);
    assert_eq!(inbox["meta"], json!({"total_children": 1000, "window": [0, 25]}));
}

#[tokio::test]
async fn a_window_replaces_items_that_were_added_before() {
    let engine = engine();
    engine.register("n", |_: &Session| Descriptor::collection().item(item(99)).window(5, 7, [item(5), item(6)]));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query("/n").await;
    assert_eq!((child_ids(&tree), &tree["meta"]), (vec!["m5", "m6"], &json!({"total_children": 7, "window": [5, 2]})));
}

#[tokio::test]
async fn a_stub_of_a_list_keeps_the_actual_total_and_has_no_window() {
    let engine = inbox(0);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query_with(json!({"path": "/", "depth": 1})).await["tree"].clone();
    assert_eq!(node_at(&tree, "inbox")["meta"], json!({"summary": "142 messages", "total_children": 142}));
}

#[tokio::test]
async fn a_queried_window_reports_what_it_actually_contains() {
    let engine = engine();
    engine.register("inbox", |_: &Session| Descriptor::collection().items((0..10).map(item)));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let slice = window(&mut consumer, 3, 4).await;
    assert_eq!(
        (child_ids(&slice), &slice["meta"]),
        (vec!["m3", "m4", "m5", "m6"], &json!({"total_children": 10, "window": [3, 4]}))
    );
    let end = window(&mut consumer, 8, 50).await;
    assert_eq!((child_ids(&end), &end["meta"]), (vec!["m8", "m9"], &json!({"total_children": 10, "window": [8, 2]})));
    let beyond = window(&mut consumer, 10, 5).await;
    assert_eq!((&beyond["children"], &beyond["meta"]), (&json!([]), &json!({"total_children": 10, "window": [10, 0]})));
    let none = window(&mut consumer, 0, 0).await;
    assert_eq!((&none["children"], &none["meta"]), (&json!([]), &json!({"total_children": 10, "window": [0, 0]})));
    let far = window(&mut consumer, u64::MAX, u64::MAX).await;
    assert_eq!(far["children"], json!([]));
}

#[tokio::test]
async fn the_window_is_applied_after_the_filter() {
    let engine = engine();
    engine.register("inbox", |_: &Session| {
        Descriptor::collection().items((0..10).map(|n| item(n).salience(if n % 2 == 0 { 0.9 } else { 0.1 })))
    });
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let options = json!({"path": "/inbox", "window": [1, 2], "filter": {"min_salience": 0.5}});
    let tree = consumer.query_with(options).await["tree"].clone();
    assert_eq!((child_ids(&tree), &tree["meta"]), (vec!["m2", "m4"], &json!({"total_children": 5, "window": [1, 2]})));
}

#[tokio::test]
async fn offsets_refer_to_the_whole_list_and_not_to_its_inline_items() {
    let engine = inbox(100);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let slice = window(&mut consumer, 110, 5).await;
    assert_eq!(child_ids(&slice), ["m110", "m111", "m112", "m113", "m114"]);
    assert_eq!(slice["meta"], json!({"summary": "142 messages", "total_children": 142, "window": [110, 5]}));
    let all = window(&mut consumer, 100, 25).await;
    assert_eq!((child_ids(&all).len(), &all["meta"]["window"]), (25, &json!([100, 25])));
}

#[tokio::test]
async fn without_a_loader_a_window_contains_only_the_inline_items_within_it() {
    let engine = inbox(100);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let before = window(&mut consumer, 0, 25).await;
    assert_eq!(
        (&before["children"], &before["meta"]["window"]),
        (&json!([]), &json!([0, 0])),
        "not the items from 100 on"
    );
    let after = window(&mut consumer, 130, 5).await;
    assert_eq!((&after["children"], &after["meta"]["window"]), (&json!([]), &json!([130, 0])));
    let overlapping = window(&mut consumer, 95, 10).await;
    assert_eq!(
        child_ids(&overlapping),
        ["m100", "m101", "m102", "m103", "m104"],
        "the part of the window that is inline"
    );
    assert_eq!(overlapping["meta"]["window"], json!([100, 5]));
}

#[tokio::test]
async fn items_outside_the_tree_are_loaded_only_for_the_query() {
    let (engine, loader) = Loader::serve(windowed);
    let (mut consumer, subscription) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let before = evaluations(&engine, "/inbox");
    let slice = window(&mut consumer, 100, 25).await;
    let wanted: Vec<String> = (100..125).map(|n| format!("m{n}")).collect();
    assert_eq!(child_ids(&slice), wanted);
    assert_eq!(slice["meta"], json!({"total_children": 142, "window": [100, 25]}));
    assert_eq!(action_names(node_at(&slice, "m100")), ["open"]);
    let request = WindowRequest { path: String::new(), offset: 100, count: 25 };
    assert_eq!(*loader.0.lock(), [(Some("alice".to_owned()), request)]);
    assert_eq!(evaluations(&engine, "/inbox"), before, "the tree was not rendered again");
    assert_eq!(consumer.settled().await, Vec::<Value>::new(), "subscriptions are not affected");
    assert_eq!(child_ids(node_at(consumer.tree(&subscription), "inbox")).len(), 25);
}

#[tokio::test]
async fn items_in_the_tree_are_not_loaded() {
    let (engine, loader) = Loader::serve(windowed);
    let mut consumer = TestConsumer::connect(&engine, user_session("s", "alice")).await;
    assert_eq!(child_ids(&window(&mut consumer, 5, 20).await).len(), 20);
    assert_eq!(loader.requested(), []);
    assert_eq!(window(&mut consumer, 142, 5).await["children"], json!([]), "there is nothing to load beyond the end");
    assert_eq!(loader.requested(), []);
    assert_eq!(child_ids(&window(&mut consumer, 20, 10).await).len(), 10);
    assert_eq!(child_ids(&window(&mut consumer, 140, 10).await), ["m140", "m141"]);
    assert_eq!(
        loader.requested(),
        [(20, 10), (140, 2)],
        "a window that is only partly inline is loaded whole, up to the end of the list"
    );
}

#[tokio::test]
async fn a_lazy_list_is_loaded_when_it_is_queried() {
    let (engine, loader) = Loader::serve(|| Descriptor::collection().summary("142 messages").lazy(142));
    let (mut consumer, subscription) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let stub = node_at(consumer.tree(&subscription), "inbox").clone();
    let expected =
        json!({"id": "inbox", "type": "collection", "meta": {"summary": "142 messages", "total_children": 142}});
    assert_eq!(stub, expected, "only the total and the summary");
    assert_eq!(loader.requested(), [], "nothing is loaded for a subscription");
    let all = consumer.query("/inbox").await;
    assert_eq!((child_ids(&all).len(), &all["meta"]["window"]), (142, &json!([0, 142])));
    let queried = consumer.query_with(json!({"path": "/inbox", "depth": 0})).await["tree"].clone();
    assert_eq!(queried, expected, "a stub needs no children");
    assert_eq!(child_ids(&window(&mut consumer, 10, 2).await), ["m10", "m11"]);
    assert_eq!(loader.requested(), [(0, 142), (10, 2)]);
}

#[tokio::test]
async fn no_more_is_loaded_than_a_view_may_contain() {
    let engine = engine_with(|config| config.sizes.nodes = 50);
    let requested = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&requested);
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(1_000_000)).on_window(
        move |_: &Session, request: &WindowRequest| {
            record.lock().push(request.count);
            (0..request.count).map(item).collect::<Vec<Item>>()
        },
    );
    engine.register_source("inbox", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query("/inbox").await;
    assert_eq!((&*requested.lock(), child_ids(&tree).len()), (&vec![50], 50));
    assert_eq!(tree["meta"], json!({"total_children": 1_000_000, "window": [0, 50]}));
}

#[tokio::test]
async fn a_list_below_a_registered_path_is_loaded_by_its_own_path() {
    let engine = engine();
    let requested = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&requested);
    let source = Source::new(|_: &Session| Descriptor::group().child("old", Descriptor::collection().lazy(9)))
        .on_window(move |_: &Session, request: &WindowRequest| {
            record.lock().push(request.path.clone());
            vec![item(request.offset)]
        });
    engine.register_source("mail/box", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query_with(json!({"path": "/mail/box/old", "window": [3, 1]})).await["tree"].clone();
    assert_eq!((child_ids(&tree), requested.lock().clone()), (vec!["m3"], vec!["old".to_owned()]));
}

#[tokio::test]
async fn an_item_seen_only_in_a_window_can_be_queried_and_invoked() {
    let (engine, _loader) = Loader::serve(windowed);
    let mut consumer = TestConsumer::connect(&engine, user_session("s", "alice")).await;
    let found = consumer.query("/inbox/m120").await;
    assert_eq!((found["id"].as_str(), action_names(&found)), (Some("m120"), vec!["open"]));
    assert_eq!(consumer.query("/app/inbox/m120").await, found);
    for spelling in ["/inbox/m120", "inbox/m120/", "/app/inbox/m120"] {
        let result = consumer.invoke(spelling, "open", Value::Null).await;
        assert_eq!(
            (result["status"].as_str(), result["data"].as_str()),
            (Some("ok"), Some("/inbox/m120")),
            "{spelling}"
        );
    }
}

#[tokio::test]
async fn a_budget_holds_for_an_item_that_is_loaded_for_a_query() {
    let engine = engine();
    let many = || Descriptor::group().child("list", Descriptor::collection().items((0..20).map(item)));
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(9))
        .on_item(move |_: &Session, path: &str| (path == "m7").then(|| item(7).child("parts", many())));
    engine.register_source("inbox", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for (max_nodes, shown) in [(2, 0), (30, 20)] {
        let reply = consumer.query_with(json!({"path": "/inbox/m7", "max_nodes": max_nodes})).await;
        let list = node_at(&reply["tree"], "parts/list");
        assert_eq!(child_ids(list).len(), shown, "{max_nodes} nodes: {reply}");
    }
}

#[tokio::test]
async fn an_item_that_the_loader_withholds_is_not_found() {
    let (engine, _loader) = Loader::serve(windowed);
    let mut stranger = TestConsumer::connect(&engine, user_session("x", "stranger")).await;
    let mut alice = TestConsumer::connect(&engine, user_session("s", "alice")).await;
    for (who, path) in [("stranger", "/inbox/m120"), ("alice", "/inbox/m500"), ("alice", "/inbox/x")] {
        let consumer = if who == "alice" { &mut alice } else { &mut stranger };
        assert_eq!(error_code(&consumer.query_with(json!({"path": path})).await), "not_found", "{path}");
        assert_eq!(error_code(&consumer.invoke(path, "open", Value::Null).await), "not_found", "{path}");
    }
    assert_eq!(
        error_code(&alice.invoke("/inbox/m120", "burn", Value::Null).await),
        "not_found",
        "the item has no such action"
    );
}

#[tokio::test]
async fn loaded_items_offer_no_actions_without_an_item_loader() {
    let engine = engine();
    let open = Action::new("open", |_: Invocation<()>| ());
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(9)).on_window(
        move |_: &Session, request: &WindowRequest| {
            vec![item(request.offset).action(&open).child("c", Descriptor::status().action(&open))]
        },
    );
    engine.register_source("inbox", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = window(&mut consumer, 0, 1).await;
    assert_eq!(
        (action_names(node_at(&tree, "m0")), action_names(node_at(&tree, "m0/c"))),
        (Vec::<&str>::new(), Vec::new())
    );
    assert_eq!(error_code(&consumer.invoke("/inbox/m0", "open", Value::Null).await), "not_found");
}

#[tokio::test]
async fn a_loader_that_fails_or_panics_fails_only_its_own_request() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(9))
        .on_window(|_: &Session, request: &WindowRequest| -> Result<Vec<Item>, String> {
            if request.offset == 0 { panic!("boom") } else { Err("database at 10.0.0.1 is unreachable".to_owned()) }
        })
        .on_item(|_: &Session, _: &str| -> Option<Item> { panic!("boom") });
    engine.register_source("inbox", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for offset in [0, 1] {
        let reply = consumer.query_with(json!({"path": "/inbox", "window": [offset, 2]})).await;
        assert_eq!(error_code(&reply), "internal");
        assert!(!reply.to_string().contains("boom") && !reply.to_string().contains("10.0.0.1"), "{reply}");
    }
    assert_eq!(error_code(&consumer.invoke("/inbox/m1", "open", Value::Null).await), "internal");
    assert_eq!(log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Window, .. })), 3);
    assert_eq!(consumer.query_with(json!({"path": "/inbox", "depth": 0})).await["type"], "snapshot");
}

#[tokio::test]
async fn the_items_that_a_loader_returns_are_sanitised() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(9))
        .on_window(|_: &Session, _: &WindowRequest| vec![item(1), item(1), Item::new("a/b"), item(2), item(3)])
        .on_item(|_: &Session, _: &str| Some(item(7)));
    engine.register_source("inbox", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(
        child_ids(&window(&mut consumer, 0, 2).await),
        ["m1", "m2"],
        "unique and valid ids, and not more than requested"
    );
    assert_eq!(log.sanitised().len(), 2, "{:?}", log.sanitised());
    assert_eq!(
        error_code(&consumer.query_with(json!({"path": "/inbox/m1"})).await),
        "not_found",
        "an item with another id is not accepted"
    );
}

#[tokio::test]
async fn a_subscription_may_also_request_a_window() {
    let engine = engine();
    let count = crate::fixtures::SharedNumber::default();
    count.set(10);
    let read = count.clone();
    engine.register("inbox", move |_: &Session| Descriptor::collection().items((0..read.get() as u64).map(item)));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, tree) = consumer.subscribe_with(json!({"path": "/inbox", "window": [2, 3]})).await;
    assert_eq!(
        (child_ids(&tree), &tree["meta"]),
        (vec!["m2", "m3", "m4"], &json!({"total_children": 10, "window": [2, 3]}))
    );
    count.set(4);
    engine.refresh_now(grove_engine::Scope::all()).await;
    consumer.check_mirrors().await;
    assert_eq!(child_ids(consumer.tree(&id)), ["m2", "m3"]);
    assert_eq!(consumer.tree(&id)["meta"], json!({"total_children": 4, "window": [2, 2]}));
}

/// 20,000 items and an application that does nothing about it.
fn long_list(engine: &Engine) {
    let open = Action::new("open", |call: Invocation<()>| Outcome::data(call.path));
    engine.register("list", move |_: &Session| {
        let item = |n: u64| Item::new(format!("i{n}")).prop("n", n).action(&open);
        Descriptor::collection().items((0..20_000).map(item))
    });
}

#[tokio::test]
async fn a_list_above_the_node_limit_shows_its_actual_total_and_a_window() {
    let engine = engine();
    long_list(&engine);
    let (consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let list = node_at(consumer.tree(&id), "list");
    assert_eq!(
        (child_ids(list).len(), &list["meta"]),
        (9_999, &json!({"total_children": 20_000, "window": [0, 9_999]}))
    );
}

#[tokio::test]
async fn the_rest_of_a_list_above_the_node_limit_can_be_queried_and_invoked() {
    let engine = engine();
    long_list(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.query_with(json!({"path": "/list", "window": [0, 1]})).await;
    for (offset, count, ids) in
        [(9_999, 1, vec!["i9999"]), (9_998, 3, vec!["i9998", "i9999", "i10000"]), (19_999, 5, vec!["i19999"])]
    {
        let reply = consumer.query_with(json!({"path": "/list", "window": [offset, count]})).await;
        let tree = &reply["tree"];
        let meta = json!({"total_children": 20_000, "window": [offset, ids.len()]});
        assert_eq!((child_ids(tree), &tree["meta"]), (ids, &meta));
    }
    let item = consumer.query("/list/i9999").await;
    assert_eq!((&item["properties"], action_names(&item)), (&json!({"n": 9_999}), vec!["open"]));
    assert_eq!(consumer.invoke("/list/i15000", "open", Value::Null).await["data"], "/list/i15000");
    for path in ["/list/i20000", "/list/i9999/x", "/list/x"] {
        assert_eq!(error_code(&consumer.query_with(json!({"path": path})).await), "not_found", "{path}");
    }
}

#[tokio::test]
async fn a_nested_list_that_the_node_limit_leaves_no_place_for_is_loaded_when_queried() {
    let engine = engine_with(|config| config.sizes.nodes = 20);
    engine.register_async("n", |_: Session| async {
        let list = || Descriptor::collection().items((0..30).map(item));
        Descriptor::group().child("first", list()).child("second", list())
    });
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let tree = consumer.query("/n").await;
    assert_eq!(node_at(&tree, "first")["meta"], json!({"total_children": 30, "window": [0, 17]}));
    let second = node_at(&tree, "second");
    assert_eq!((&second["meta"], second.get("children")), (&json!({"total_children": 30}), None));
    let reply = consumer.query("/n/second").await;
    assert_eq!((child_ids(&reply).len(), &reply["meta"]), (20, &json!({"total_children": 30, "window": [0, 20]})));
    assert_eq!(consumer.query("/n/second/m29").await["properties"]["n"], 29);
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn what_a_session_may_not_see_is_not_in_the_rest_of_a_list() {
    let engine = engine_with(|config| config.sizes.nodes = 20);
    engine.register("n", |session: &Session| {
        let may = |n: &u64| session.user() == Some("alice") || n.is_multiple_of(2);
        Descriptor::collection().items((0..100).filter(may).map(item))
    });
    for (user, ids) in [("alice", ["m30", "m31"]), ("bob", ["m60", "m62"])] {
        let (mut consumer, _) = connect_and_subscribe(&engine, user_session(user, user)).await;
        let reply = consumer.query_with(json!({"path": "/n", "window": [30, 2]})).await;
        assert_eq!(child_ids(&reply["tree"]), ids);
        let odd = consumer.query_with(json!({"path": "/n/m31"})).await;
        assert_eq!(odd["type"] == "snapshot", user == "alice", "{odd}");
    }
}
