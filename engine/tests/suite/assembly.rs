//! How registered paths become one tree (contract 2.1 to 2.5).

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, ContentRef, Descriptor, Engine, Invocation, Item, Outcome, RegisterError, Session, Source};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, SharedNumber, action_names, child_ids, connect_and_subscribe, engine, evaluations, message_types, node_at,
};

async fn tree(engine: &Engine) -> Value {
    TestConsumer::connect(engine, Session::new("s")).await.query("/").await
}

fn plain(engine: &Engine, path: &str) {
    engine.register(path, |_: &Session| Descriptor::status().prop("n", 1));
}

#[tokio::test]
async fn each_field_of_a_descriptor_becomes_a_field_of_its_node() {
    let engine = engine();
    let (open, burn) = (Action::new("open", |_: Invocation<()>| ()), Action::new("burn", |_: Invocation<()>| ()));
    engine.register("shelf/books", move |_: &Session| {
        Descriptor::collection()
            .prop("b", 2)
            .prop("a", json!({"z": 1, "y": [null]}))
            .meta("summary", "overridden")
            .summary("two books")
            .action(&open)
            .action(&burn)
            .content_ref(ContentRef::binary("application/pdf", "the catalogue"))
            .child("last", Descriptor::new("note").child("inner", Descriptor::status()))
            .item(
                Item::new("b1")
                    .prop("title", "Dune")
                    .content_ref(ContentRef::text("text/plain", "all of it").uri("x:y")),
            )
            .item(Item::new("b2").action(&open).child("author", Descriptor::context()).item(Item::new("page")))
    });
    let node = node_at(&tree(&engine).await, "shelf/books").to_string();
    let expected = json!({
        "id": "books", "type": "collection",
        "properties": {"b": 2, "a": {"z": 1, "y": [null]}},
        "meta": {"summary": "two books"},
        "affordances": [{"action": "open"}, {"action": "burn"}],
        "content_ref": {
            "type": "binary", "mime": "application/pdf", "uri": "slop://content/shelf/books", "summary": "the catalogue",
        },
        "children": [
            {
                "id": "b1", "type": "item", "properties": {"title": "Dune"},
                "content_ref": {"type": "text", "mime": "text/plain", "uri": "x:y", "summary": "all of it"},
            },
            {
                "id": "b2", "type": "item", "affordances": [{"action": "open"}],
                "children": [{"id": "page", "type": "item"}, {"id": "author", "type": "context"}],
            },
            {"id": "last", "type": "note", "children": [{"id": "inner", "type": "status"}]},
        ],
    });
    assert_eq!(serde_json::from_str::<Value>(&node).unwrap(), expected);
    assert!(node.contains(r#"{"b":2,"a":{"z":1,"y":[null]}}"#), "keys keep their order: {node}");
}

#[tokio::test]
async fn the_content_uri_of_an_item_contains_its_own_path() {
    let engine = engine();
    engine.register("shelf", |_: &Session| {
        Descriptor::collection().item(Item::new("b1").content_ref(ContentRef::text("text/plain", "s")))
    });
    assert_eq!(node_at(&tree(&engine).await, "shelf/b1")["content_ref"]["uri"], "slop://content/shelf/b1");
}

#[tokio::test]
async fn registered_paths_are_sorted_regardless_of_the_order_of_registration() {
    let engine = engine();
    for path in ["m", "z", "a", "m/y", "m/b", "Z", "10", "9"] {
        plain(&engine, path);
    }
    let tree = tree(&engine).await;
    assert_eq!(child_ids(&tree), ["10", "9", "Z", "a", "m", "z"]);
    assert_eq!(child_ids(node_at(&tree, "m")), ["b", "y"]);
}

#[tokio::test]
async fn items_come_first_then_inline_children_then_registered_paths() {
    let engine = engine();
    engine.register("n", |_: &Session| {
        Descriptor::collection().child("inline", Descriptor::status()).item(Item::new("z")).item(Item::new("y"))
    });
    plain(&engine, "n/b");
    plain(&engine, "n/a");
    assert_eq!(child_ids(node_at(&tree(&engine).await, "n")), ["z", "y", "inline", "a", "b"]);
}

#[tokio::test]
async fn a_missing_ancestor_is_a_bare_group_until_it_is_registered() {
    let engine = engine();
    plain(&engine, "a/b/c");
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let ancestor = json!({
        "id": "b", "type": "group", "children": [{"id": "c", "type": "status", "properties": {"n": 1}}],
    });
    assert_eq!(*node_at(consumer.tree(&id), "a/b"), ancestor);
    // When it is registered later, it keeps what is registered below, after its own children.
    engine.register("a/b", |_: &Session| Descriptor::collection().prop("own", true).item(Item::new("i")));
    consumer.check_mirrors().await;
    let node = node_at(consumer.tree(&id), "a/b");
    assert_eq!((node["type"].as_str(), child_ids(node)), (Some("collection"), vec!["i", "c"]));
    // When it is unregistered, what is registered below stays.
    assert!(engine.unregister("a/b"));
    consumer.check_mirrors().await;
    assert_eq!(*node_at(consumer.tree(&id), "a/b"), ancestor);
    assert!(engine.unregister("a/b/c"));
    consumer.check_mirrors().await;
    assert_eq!(consumer.tree(&id)["children"], json!([]), "an ancestor without descendants is removed");
}

#[tokio::test]
async fn a_registration_replaces_an_inline_child_with_the_same_id_in_place() {
    let engine = engine();
    engine.register("n", |_: &Session| {
        Descriptor::collection().item(Item::new("a").prop("inline", true)).item(Item::new("b"))
    });
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    plain(&engine, "n/a");
    consumer.check_mirrors().await;
    let list = node_at(consumer.tree(&id), "n");
    assert_eq!(child_ids(list), ["a", "b"]);
    assert_eq!(*node_at(list, "a"), json!({"id": "a", "type": "status", "properties": {"n": 1}}));
    engine.unregister("n/a");
    consumer.check_mirrors().await;
    assert_eq!(
        node_at(consumer.tree(&id), "n/a")["properties"],
        json!({"inline": true}),
        "the inline child was only hidden"
    );
}

#[tokio::test]
async fn a_path_registered_below_an_inline_child_is_added_to_its_children() {
    let engine = engine();
    engine.register("n", |_: &Session| {
        Descriptor::collection().item(Item::new("a").prop("inline", true).child("x", Descriptor::status()))
    });
    plain(&engine, "n/a/y");
    plain(&engine, "n/gone/z");
    let tree = tree(&engine).await;
    let a = node_at(&tree, "n/a");
    assert_eq!((a["properties"]["inline"].as_bool(), child_ids(a)), (Some(true), vec!["x", "y"]));
    assert_eq!(node_at(&tree, "n/gone")["type"], "group");
}

#[tokio::test]
async fn the_later_registration_of_a_path_replaces_the_earlier_one() {
    let engine = engine();
    engine.register("n", |_: &Session| Descriptor::status().prop("which", "first"));
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    engine.register("/n/", |_: &Session| Descriptor::status().prop("which", "second"));
    assert_eq!(message_types(&consumer.settled().await), ["patch"]);
    assert_eq!(node_at(consumer.tree(&id), "n")["properties"]["which"], "second");
}

#[tokio::test]
async fn registering_the_root_extends_it_but_keeps_its_id_type_and_label() {
    for path in ["/", ""] {
        let engine = engine();
        let act = Action::new("act", |call: Invocation<()>| Outcome::data(call.path));
        engine.register(path, move |_: &Session| {
            Descriptor::collection()
                .prop("label", "impostor")
                .prop("version", 3)
                .summary("all of it")
                .action(&act)
                .child("inline", Descriptor::status())
        });
        plain(&engine, "n");
        let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
        let root = consumer.query("/").await;
        assert_eq!((root["id"].as_str(), root["type"].as_str()), (Some("app"), Some("root")));
        assert_eq!(root["properties"], json!({"label": "App", "version": 3}));
        assert_eq!((root["meta"]["summary"].as_str(), action_names(&root)), (Some("all of it"), vec!["act"]));
        assert_eq!(child_ids(&root), ["inline", "n"]);
        assert_eq!(consumer.invoke("/", "act", Value::Null).await["data"], "/");
        assert!(engine.unregister(path));
        engine.settle().await;
        let root = consumer.query("/").await;
        assert_eq!(
            (&root["properties"], child_ids(&root)),
            (&json!({"label": "App"}), vec!["n"]),
            "a bare root remains"
        );
    }
}

#[tokio::test]
async fn paths_with_invalid_segments_are_refused() {
    let engine = engine();
    for path in ["a/meta", "properties", "a~b", "x/children/y", "type", &"x".repeat(600)] {
        let refused = engine.try_register(path, Source::new(|_: &Session| Descriptor::group()));
        assert!(matches!(refused, Err(RegisterError::Path(..))), "{path}");
        let registering = std::panic::AssertUnwindSafe(|| engine.register(path, |_: &Session| Descriptor::group()));
        assert!(std::panic::catch_unwind(registering).is_err(), "{path}");
    }
    assert_eq!(tree(&engine).await["children"], json!([]));
}

#[tokio::test]
async fn registering_a_path_while_consumers_are_subscribed_renders_only_that_path() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "old");
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let before = evaluations(&engine, "/old");
    plain(&engine, "new");
    let messages = consumer.settled().await;
    let node = json!({"id": "new", "type": "status", "properties": {"n": 1}});
    assert_eq!(messages[0]["ops"], json!([{"op": "add", "path": "/new", "index": 0, "value": node}]));
    assert!(engine.unregister("new"));
    assert_eq!(consumer.settled().await[0]["ops"], json!([{"op": "remove", "path": "/new"}]));
    assert!(!engine.unregister("new"));
    assert_eq!(evaluations(&engine, "/old"), before);
    number.set(1);
    assert_eq!(node_at(consumer.tree(&id), "old")["properties"]["n"], 0);
}

fn text_source(text: &'static str) -> Source {
    Source::new(move |_: &Session| Descriptor::status().prop("text", text))
}

#[tokio::test]
async fn a_path_registered_for_one_session_overrides_the_shared_one() {
    let engine = engine();
    engine.register("n", |_: &Session| Descriptor::status().prop("text", "shared"));
    let (mut alice, alice_id) = connect_and_subscribe(&engine, Session::new("a")).await;
    let (mut bob, bob_id) = connect_and_subscribe(&engine, Session::new("b")).await;
    let log = EventLog::of(&engine);
    engine.register_for("a", "n", text_source("alice's")).unwrap();
    engine.register_for("a", "/only/here/", text_source("alice's")).unwrap();
    alice.check_mirrors().await;
    assert_eq!(node_at(alice.tree(&alice_id), "n")["properties"]["text"], "alice's");
    assert_eq!(node_at(alice.tree(&alice_id), "only/here")["properties"]["text"], "alice's");
    assert_eq!((bob.settled().await.len(), log.work_for("b")), (0, 0));
    assert_eq!(child_ids(bob.tree(&bob_id)), ["n"]);
    // A change of the shared path reaches bob; alice keeps her own.
    engine.register("n", |_: &Session| Descriptor::status().prop("text", "new"));
    alice.check_mirrors().await;
    bob.check_mirrors().await;
    assert_eq!(node_at(alice.tree(&alice_id), "n")["properties"]["text"], "alice's");
    assert_eq!(node_at(bob.tree(&bob_id), "n")["properties"]["text"], "new");
    engine.restore_for("a", "n").unwrap();
    engine.restore_for("a", "only/here").unwrap();
    alice.check_mirrors().await;
    assert_eq!(alice.tree(&alice_id), bob.tree(&bob_id));
}

#[tokio::test]
async fn several_sources_of_one_session_change_in_one_step() {
    let engine = engine();
    plain(&engine, "n");
    plain(&engine, "m");
    let (mut alice, id) = connect_and_subscribe(&engine, Session::new("a")).await;
    let commits = engine.stats().commits;
    engine
        .edit_sources_for("a", |sources| {
            sources.register("only/here", text_source("hers")).unregister("n");
            sources.register("m", text_source("not kept")).restore("m");
        })
        .unwrap();
    alice.check_mirrors().await;
    assert_eq!(engine.stats().commits, commits + 1);
    assert_eq!(child_ids(alice.tree(&id)), ["m", "only"]);
    assert_eq!(node_at(alice.tree(&id), "m")["properties"], json!({"n": 1}));
}

#[tokio::test]
async fn sources_edited_in_a_handler_are_rendered_by_the_refresh_that_follows_the_call() {
    let engine = engine();
    let held = std::sync::Mutex::new(Some(engine.clone()));
    let edit = Action::new("edit", move |call: Invocation<()>| {
        let engine = held.lock().unwrap().take().expect("it is called once");
        let edited = engine.edit_sources_for(call.session.id(), |sources| {
            sources.register("own", text_source("hers")).unregister("n").without_refresh();
        });
        edited.map_err(|error| grove_engine::ActionError::internal(error.to_string()))
    });
    plain(&engine, "n");
    engine.register("ctl", move |_: &Session| Descriptor::status().action(&edit));
    let (mut alice, id) = connect_and_subscribe(&engine, Session::new("a")).await;
    let commits = engine.stats().commits;
    assert_eq!(alice.invoke("/ctl", "edit", json!({})).await["status"], "ok");
    assert_eq!(engine.stats().commits, commits + 1);
    assert_eq!(child_ids(alice.tree(&id)), ["ctl", "own"]);
}

#[tokio::test]
async fn nothing_changes_if_one_of_several_paths_cannot_be_used() {
    let engine = engine();
    plain(&engine, "n");
    let (mut alice, id) = connect_and_subscribe(&engine, Session::new("a")).await;
    let refused = engine.edit_sources_for("a", |sources| {
        sources.unregister("n").register("ui/tab-1", text_source("a tab's place"));
    });
    assert_eq!(refused, Err(RegisterError::ReservedForTabs("ui/tab-1".to_owned())));
    assert_eq!(engine.edit_sources_for("nobody", |_| {}), Err(RegisterError::NoSession));
    assert_eq!(alice.settled().await.len(), 0);
    assert_eq!(child_ids(alice.tree(&id)), ["n"]);
}

#[tokio::test]
async fn a_path_can_be_hidden_from_one_session() {
    let engine = engine();
    plain(&engine, "n");
    plain(&engine, "n/below");
    plain(&engine, "m");
    let (mut alice, alice_id) = connect_and_subscribe(&engine, Session::new("a")).await;
    let (mut bob, bob_id) = connect_and_subscribe(&engine, Session::new("b")).await;
    engine.unregister_for("a", "m").unwrap();
    engine.unregister_for("a", "n").unwrap();
    alice.check_mirrors().await;
    assert_eq!(child_ids(alice.tree(&alice_id)), ["n"]);
    assert_eq!(
        node_at(alice.tree(&alice_id), "n")["type"],
        "group",
        "what is registered below stays under a bare group"
    );
    assert_eq!(bob.settled().await, Vec::<Value>::new());
    // A path registered for one session can be hidden as well.
    engine.register_for("a", "own", text_source("alice's")).unwrap();
    engine.unregister_for("a", "own").unwrap();
    alice.check_mirrors().await;
    assert_eq!(child_ids(alice.tree(&alice_id)), ["n"]);
    engine.restore_for("a", "m").unwrap();
    engine.restore_for("a", "n").unwrap();
    alice.check_mirrors().await;
    assert_eq!(alice.tree(&alice_id), bob.tree(&bob_id));
}

#[tokio::test]
async fn a_root_hidden_from_one_session_becomes_a_bare_root() {
    let engine = engine();
    engine.register("/", |_: &Session| Descriptor::group().prop("secret", true));
    plain(&engine, "n");
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    engine.unregister_for("s", "/").unwrap();
    consumer.check_mirrors().await;
    let root = consumer.tree(&id);
    assert_eq!((root["id"].as_str(), root["type"].as_str(), child_ids(root)), (Some("app"), Some("root"), vec!["n"]));
    assert_eq!(root["properties"], json!({"label": "App"}));
    engine.restore_for("s", "/").unwrap();
    consumer.check_mirrors().await;
    assert_eq!(consumer.tree(&id)["properties"]["secret"], true);
}

#[tokio::test]
async fn only_an_open_session_can_have_its_own_paths() {
    let engine = engine();
    assert_eq!(engine.register_for("nobody", "n", text_source("x")), Err(RegisterError::NoSession));
    assert_eq!(engine.unregister_for("nobody", "n"), Err(RegisterError::NoSession));
    assert_eq!(engine.restore_for("nobody", "n"), Err(RegisterError::NoSession));
    engine.open_session(&Session::new("s")).unwrap();
    assert!(matches!(engine.register_for("s", "a/meta", text_source("x")), Err(RegisterError::Path(..))));
    engine.register_for("s", "n", text_source("x")).unwrap();
    assert_eq!(node_at(&tree(&engine).await, "n")["properties"]["text"], "x", "registered before the first connection");
}
