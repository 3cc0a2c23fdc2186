//! Long lists: what the tree shows of them, and how the rest is queried (contract 1.4, window).

use std::sync::Arc;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, Descriptor, Engine, Event, Invocation, Item, Outcome, PanicSite, Session, Source, WindowRequest,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::apps::{Log, at, code, engine, engine_with, ids, offers, person, runs, watching};

fn item(number: u64) -> Item {
    Item::new(format!("m{number}")).prop("n", number)
}

/// `/inbox`, a list of 142 of which 25 from an offset are inline, and nothing to load the others with.
fn inbox(offset: u64) -> Engine {
    let engine = engine();
    engine.register("inbox", move |_: &Session| {
        Descriptor::collection().summary("142 messages").window(offset, 142, (offset..offset + 25).map(item))
    });
    engine
}

/// The list `/inbox` with a loader; notes what was asked for, and for whom.
#[derive(Clone, Default)]
struct Loader(Arc<Mutex<Vec<Asked>>>);

/// Which user asked for what.
type Asked = (Option<String>, WindowRequest);

impl Loader {
    fn serve(shape: impl Fn() -> Descriptor + Send + Sync + 'static) -> (Engine, Self) {
        let (engine, loader) = (engine(), Self::default());
        let open = Action::new("open", |call: Invocation<()>| Outcome::data(call.path));
        let (note, offered) = (Arc::clone(&loader.0), open.clone());
        let source = Source::new(move |_: &Session| shape())
            .on_window(move |session: &Session, request: &WindowRequest| {
                note.lock().push((session.user().map(str::to_owned), request.clone()));
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

    fn asked(&self) -> Vec<(u64, u64)> {
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
    let (consumer, subscription) = watching(&engine, Session::new("s")).await;
    let inbox = at(consumer.tree(&subscription), "inbox");
    assert_eq!(ids(inbox).len(), 25);
    assert_eq!(inbox["meta"], json!({"total_children": 1000, "window": [0, 25]}));
}

#[tokio::test]
async fn a_window_replaces_items_that_were_added_before() {
    let engine = engine();
    engine.register("n", |_: &Session| Descriptor::collection().item(item(99)).window(5, 7, [item(5), item(6)]));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query("/n").await;
    assert_eq!((ids(&tree), &tree["meta"]), (vec!["m5", "m6"], &json!({"total_children": 7, "window": [5, 2]})));
}

#[tokio::test]
async fn a_stub_of_a_list_keeps_the_actual_total_and_has_no_window() {
    let engine = inbox(0);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query_with(json!({"path": "/", "depth": 1})).await["tree"].clone();
    assert_eq!(at(&tree, "inbox")["meta"], json!({"summary": "142 messages", "total_children": 142}));
}

#[tokio::test]
async fn a_queried_window_reports_what_it_actually_contains() {
    let engine = engine();
    engine.register("inbox", |_: &Session| Descriptor::collection().items((0..10).map(item)));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let slice = window(&mut consumer, 3, 4).await;
    assert_eq!(
        (ids(&slice), &slice["meta"]),
        (vec!["m3", "m4", "m5", "m6"], &json!({"total_children": 10, "window": [3, 4]}))
    );
    let end = window(&mut consumer, 8, 50).await;
    assert_eq!((ids(&end), &end["meta"]), (vec!["m8", "m9"], &json!({"total_children": 10, "window": [8, 2]})));
    let out = window(&mut consumer, 10, 5).await;
    assert_eq!((&out["children"], &out["meta"]), (&json!([]), &json!({"total_children": 10, "window": [10, 0]})));
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
    assert_eq!((ids(&tree), &tree["meta"]), (vec!["m2", "m4"], &json!({"total_children": 5, "window": [1, 2]})));
}

#[tokio::test]
async fn offsets_refer_to_the_whole_list_and_not_to_its_inline_items() {
    let engine = inbox(100);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let slice = window(&mut consumer, 110, 5).await;
    assert_eq!(ids(&slice), ["m110", "m111", "m112", "m113", "m114"]);
    assert_eq!(slice["meta"], json!({"summary": "142 messages", "total_children": 142, "window": [110, 5]}));
    let all = window(&mut consumer, 100, 25).await;
    assert_eq!((ids(&all).len(), &all["meta"]["window"]), (25, &json!([100, 25])));
}

#[tokio::test]
async fn without_a_loader_a_window_never_contains_items_from_elsewhere() {
    let engine = inbox(100);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let before = window(&mut consumer, 0, 25).await;
    assert_eq!(
        (&before["children"], &before["meta"]["window"]),
        (&json!([]), &json!([0, 0])),
        "not the items from 100 on"
    );
    let behind = window(&mut consumer, 130, 5).await;
    assert_eq!((&behind["children"], &behind["meta"]["window"]), (&json!([]), &json!([130, 0])));
    let over = window(&mut consumer, 95, 10).await;
    assert_eq!(ids(&over), ["m100", "m101", "m102", "m103", "m104"], "what it holds of the window");
    assert_eq!(over["meta"]["window"], json!([100, 5]));
}

#[tokio::test]
async fn items_outside_the_tree_are_loaded_only_for_the_query() {
    let (engine, loader) = Loader::serve(windowed);
    let (mut consumer, subscription) = watching(&engine, person("s", "alice")).await;
    let before = runs(&engine, "/inbox");
    let slice = window(&mut consumer, 100, 25).await;
    let wanted: Vec<String> = (100..125).map(|n| format!("m{n}")).collect();
    assert_eq!(ids(&slice), wanted);
    assert_eq!(slice["meta"], json!({"total_children": 142, "window": [100, 25]}));
    assert_eq!(offers(at(&slice, "m100")), ["open"]);
    let request = WindowRequest { path: String::new(), offset: 100, count: 25 };
    assert_eq!(*loader.0.lock(), [(Some("alice".to_owned()), request)]);
    assert_eq!(runs(&engine, "/inbox"), before, "the tree was not rendered again");
    assert_eq!(consumer.settled().await, Vec::<Value>::new(), "and nobody's subscription moved");
    assert_eq!(ids(at(consumer.tree(&subscription), "inbox")).len(), 25);
}

#[tokio::test]
async fn items_in_the_tree_are_not_loaded() {
    let (engine, loader) = Loader::serve(windowed);
    let mut consumer = TestConsumer::connect(&engine, person("s", "alice")).await;
    assert_eq!(ids(&window(&mut consumer, 5, 20).await).len(), 20);
    assert_eq!(loader.asked(), []);
    assert_eq!(window(&mut consumer, 142, 5).await["children"], json!([]), "behind the end there is nothing to load");
    assert_eq!(loader.asked(), []);
    assert_eq!(ids(&window(&mut consumer, 20, 10).await).len(), 10);
    assert_eq!(ids(&window(&mut consumer, 140, 10).await), ["m140", "m141"]);
    assert_eq!(loader.asked(), [(20, 10), (140, 2)], "a window that is held in part is loaded whole, within the list");
}

#[tokio::test]
async fn a_lazy_list_is_loaded_when_it_is_queried() {
    let (engine, loader) = Loader::serve(|| Descriptor::collection().summary("142 messages").lazy(142));
    let (mut consumer, subscription) = watching(&engine, person("s", "alice")).await;
    let shown = at(consumer.tree(&subscription), "inbox").clone();
    let expected =
        json!({"id": "inbox", "type": "collection", "meta": {"summary": "142 messages", "total_children": 142}});
    assert_eq!(shown, expected, "count and summary alone");
    assert_eq!(loader.asked(), [], "nothing was evaluated for it");
    let all = consumer.query("/inbox").await;
    assert_eq!((ids(&all).len(), &all["meta"]["window"]), (142, &json!([0, 142])));
    let stub = consumer.query_with(json!({"path": "/inbox", "depth": 0})).await["tree"].clone();
    assert_eq!(stub, expected, "a stub needs no children");
    assert_eq!(ids(&window(&mut consumer, 10, 2).await), ["m10", "m11"]);
    assert_eq!(loader.asked(), [(0, 142), (10, 2)]);
}

#[tokio::test]
async fn no_more_is_loaded_than_a_view_may_contain() {
    let engine = engine_with(|config| config.sizes.nodes = 50);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&asked);
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(1_000_000)).on_window(
        move |_: &Session, request: &WindowRequest| {
            note.lock().push(request.count);
            (0..request.count).map(item).collect::<Vec<Item>>()
        },
    );
    engine.register_source("inbox", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query("/inbox").await;
    assert_eq!((&*asked.lock(), ids(&tree).len()), (&vec![50], 50));
    assert_eq!(tree["meta"], json!({"total_children": 1_000_000, "window": [0, 50]}));
}

#[tokio::test]
async fn a_list_below_a_registered_path_is_loaded_by_its_own_path() {
    let engine = engine();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&asked);
    let source = Source::new(|_: &Session| Descriptor::group().child("old", Descriptor::collection().lazy(9)))
        .on_window(move |_: &Session, request: &WindowRequest| {
            note.lock().push(request.path.clone());
            vec![item(request.offset)]
        });
    engine.register_source("mail/box", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let tree = consumer.query_with(json!({"path": "/mail/box/old", "window": [3, 1]})).await["tree"].clone();
    assert_eq!((ids(&tree), asked.lock().clone()), (vec!["m3"], vec!["old".to_owned()]));
}

#[tokio::test]
async fn an_item_seen_only_in_a_window_can_be_queried_and_invoked() {
    let (engine, _loader) = Loader::serve(windowed);
    let mut consumer = TestConsumer::connect(&engine, person("s", "alice")).await;
    let found = consumer.query("/inbox/m120").await;
    assert_eq!((found["id"].as_str(), offers(&found)), (Some("m120"), vec!["open"]));
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
async fn an_item_that_the_loader_withholds_is_not_found() {
    let (engine, _loader) = Loader::serve(windowed);
    let mut stranger = TestConsumer::connect(&engine, person("x", "stranger")).await;
    let mut alice = TestConsumer::connect(&engine, person("s", "alice")).await;
    for (who, path) in [("stranger", "/inbox/m120"), ("alice", "/inbox/m500"), ("alice", "/inbox/x")] {
        let consumer = if who == "alice" { &mut alice } else { &mut stranger };
        assert_eq!(code(&consumer.query_with(json!({"path": path})).await), "not_found", "{path}");
        assert_eq!(code(&consumer.invoke(path, "open", Value::Null).await), "not_found", "{path}");
    }
    assert_eq!(code(&alice.invoke("/inbox/m120", "burn", Value::Null).await), "not_found", "it offers no such action");
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
    assert_eq!((offers(at(&tree, "m0")), offers(at(&tree, "m0/c"))), (Vec::<&str>::new(), Vec::new()));
    assert_eq!(code(&consumer.invoke("/inbox/m0", "open", Value::Null).await), "not_found");
}

#[tokio::test]
async fn a_loader_that_fails_or_panics_fails_only_its_own_request() {
    let engine = engine();
    let log = Log::of(&engine);
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(9))
        .on_window(|_: &Session, request: &WindowRequest| -> Result<Vec<Item>, String> {
            if request.offset == 0 { panic!("boom") } else { Err("database at 10.0.0.1 is away".to_owned()) }
        })
        .on_item(|_: &Session, _: &str| -> Option<Item> { panic!("boom") });
    engine.register_source("inbox", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for offset in [0, 1] {
        let answer = consumer.query_with(json!({"path": "/inbox", "window": [offset, 2]})).await;
        assert_eq!(code(&answer), "internal");
        assert!(!answer.to_string().contains("boom") && !answer.to_string().contains("10.0.0.1"), "{answer}");
    }
    assert_eq!(code(&consumer.invoke("/inbox/m1", "open", Value::Null).await), "internal");
    assert_eq!(log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Window, .. })), 3);
    assert_eq!(consumer.query_with(json!({"path": "/inbox", "depth": 0})).await["type"], "snapshot");
}

#[tokio::test]
async fn the_items_that_a_loader_returns_are_sanitised() {
    let engine = engine();
    let log = Log::of(&engine);
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(9))
        .on_window(|_: &Session, _: &WindowRequest| vec![item(1), item(1), Item::new("a/b"), item(2), item(3)])
        .on_item(|_: &Session, _: &str| Some(item(7)));
    engine.register_source("inbox", source);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    assert_eq!(ids(&window(&mut consumer, 0, 2).await), ["m1", "m2"], "each once, legal ids, not more than asked for");
    assert_eq!(log.sanitised().len(), 2, "{:?}", log.sanitised());
    assert_eq!(
        code(&consumer.query_with(json!({"path": "/inbox/m1"})).await),
        "not_found",
        "another item is no answer"
    );
}

#[tokio::test]
async fn a_subscription_may_also_request_a_window() {
    let engine = engine();
    let count = crate::apps::Number::default();
    count.set(10);
    let read = count.clone();
    engine.register("inbox", move |_: &Session| Descriptor::collection().items((0..read.get() as u64).map(item)));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, tree) = consumer.subscribe_with(json!({"path": "/inbox", "window": [2, 3]})).await;
    assert_eq!((ids(&tree), &tree["meta"]), (vec!["m2", "m3", "m4"], &json!({"total_children": 10, "window": [2, 3]})));
    count.set(4);
    engine.refresh_now(grove_engine::Scope::all()).await;
    consumer.check_mirrors().await;
    assert_eq!(ids(consumer.tree(&id)), ["m2", "m3"]);
    assert_eq!(consumer.tree(&id)["meta"], json!({"total_children": 4, "window": [2, 2]}));
}
