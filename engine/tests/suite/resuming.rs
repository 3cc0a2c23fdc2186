//! A consumer that lost its socket resumes from its copy, as long as the engine keeps its resume point.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Config, Descriptor, Engine, Item, Scope, Session};
use serde_json::{Value, json};

use crate::fixtures::{SharedDescriptor, SharedNumber, engine_with, message_types, node_at};

struct App {
    engine: Engine,
    clock: Arc<ManualClock>,
    rev: Arc<AtomicU64>,
}

impl App {
    fn new() -> Self {
        let clock = ManualClock::new();
        let mut config = Config::immediate();
        crate::fixtures::without_pings(&mut config);
        let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).build();
        let rev = Arc::new(AtomicU64::new(0));
        let current = Arc::clone(&rev);
        engine.register("todos", move |_: &Session| {
            let rev = current.load(Ordering::SeqCst);
            let item = |n: u64| {
                Item::new(format!("t{n}")).prop("title", format!("todo {n}")).prop("rev", if n == 0 { rev } else { 0 })
            };
            Descriptor::collection().prop("label", "Todos").items((0..50).map(item))
        });
        Self { engine, clock, rev }
    }

    async fn change(&self) {
        self.rev.fetch_add(1, Ordering::SeqCst);
        self.engine.refresh_now(Scope::all()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_sends_one_patch_instead_of_a_snapshot() {
    let app = App::new();
    let mut consumer = TestConsumer::connect(&app.engine, Session::new("s1")).await;
    let (_, tree) = consumer.subscribe("/").await;
    app.change().await;
    consumer.settled().await;
    consumer.reconnect().await;
    for _ in 0..3 {
        app.change().await;
    }
    let messages = consumer.settled().await;
    assert_eq!(message_types(&messages), ["resumed", "patch"]);
    let bytes: usize = messages.iter().map(|message| message.to_string().len()).sum();
    assert!(bytes * 10 < tree.to_string().len(), "{bytes} bytes instead of {}", tree.to_string().len());
    consumer.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_made_while_disconnected_arrive_on_resuming() {
    let app = App::new();
    let mut consumer = TestConsumer::connect(&app.engine, Session::new("s1")).await;
    consumer.subscribe("/").await;
    let mut other = TestConsumer::connect(&app.engine, Session::new("s1")).await;
    other.subscribe("/").await;
    drop(other);
    app.change().await;
    consumer.reconnect().await;
    let messages = consumer.settled().await;
    assert_eq!(message_types(&messages), ["resumed", "patch"], "the change that was missed is one patch");
    consumer.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_without_changes_sends_one_short_message() {
    let app = App::new();
    let mut consumer = TestConsumer::connect(&app.engine, Session::new("s1")).await;
    consumer.subscribe_with(json!({"path": "/todos", "depth": 1})).await;
    consumer.reconnect().await;
    assert_eq!(message_types(&consumer.settled().await), ["resumed"]);
    app.change().await;
    assert_eq!(message_types(&consumer.settled().await), ["patch"]);
    consumer.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_older_than_the_resume_point_gets_a_snapshot() {
    let app = App::new();
    let mut consumer = TestConsumer::connect(&app.engine, Session::new("s1")).await;
    consumer.subscribe("/").await;
    app.change().await;
    // The patch is never read, so the copy is older than the resume point.
    consumer.connection().try_next_frame().unwrap();
    consumer.reconnect().await;
    assert_eq!(message_types(&consumer.settled().await), ["snapshot"]);
    app.clock.advance(1);
    consumer.reconnect().await;
    assert_eq!(message_types(&consumer.settled().await), ["resumed"]);
    consumer.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_another_session_view_or_engine_is_never_resumed() {
    let app = App::new();
    let mut alice = TestConsumer::connect(&app.engine, Session::new("s1")).await;
    let hello_epoch = |engine: &Engine| {
        let consumer = TestConsumer::silent(engine, Session::new("probe"));
        async move {
            let mut consumer = consumer;
            consumer.next().await["provider"]["epoch"].clone()
        }
    };
    let epoch = hello_epoch(&app.engine).await;
    assert_ne!(epoch, hello_epoch(&App::new().engine).await);
    let (_, _) = alice.subscribe("/").await;
    let version = alice.query_with(json!({"path": "/"})).await["version"].clone();
    drop(alice);
    for (session, options, epoch) in [
        ("s2", json!({"path": "/", "depth": -1}), epoch.clone()),
        ("s1", json!({"path": "/", "depth": 1}), epoch.clone()),
        ("s1", json!({"path": "/", "depth": -1}), json!("another")),
    ] {
        let mut consumer = TestConsumer::connect(&app.engine, Session::new(session)).await;
        let mut options = options;
        options["resume"] = json!({"epoch": epoch, "version": version});
        consumer.subscribe_with(options).await;
    }
}

/// A document whose text the test chooses, beside two lists, in frames of at most 4,000 bytes.
fn small_frames() -> (Engine, SharedDescriptor, SharedNumber) {
    let engine = engine_with(|config| config.sizes.frame_bytes = 4_000);
    let document = SharedDescriptor::serve(&engine, "document", Descriptor::document().prop("text", "short"));
    let number = SharedNumber::default();
    let read = number.clone();
    engine.register("lists", move |_: &Session| {
        let number = read.get();
        let list = || {
            let first = |n| if n == 0 { number } else { 0 };
            let item = |n| Item::new(format!("i{n}")).prop("text", "x".repeat(40)).prop("n", first(n));
            Descriptor::collection().items((0..40).map(item))
        };
        Descriptor::group().child("one", list()).child("two", list())
    });
    (engine, document, number)
}

#[tokio::test]
async fn a_subscription_whose_view_fits_no_frame_is_not_resumed_from_what_it_was_sent_before() {
    let (engine, document, _) = small_frames();
    let options = json!({"path": "/document", "depth": -1});
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (epoch, id) = (consumer.epoch().to_owned(), consumer.start_subscription(options.clone()));
    let version = consumer.answer(&id).await["version"].clone();
    document.change(&engine, Descriptor::document().prop("text", "x".repeat(5_000))).await;
    assert_eq!(consumer.settled().await[0]["error"]["code"], "too_large");
    drop(consumer);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    // The consumer still has its first copy, but the engine has gone on from it.
    let mut resuming = options;
    resuming["resume"] = json!({"epoch": epoch, "version": version});
    let id = consumer.start_subscription(resuming);
    assert_eq!(consumer.answer(&id).await["error"]["code"], "too_large");
    document.change(&engine, Descriptor::document().prop("text", "short again")).await;
    assert_eq!(message_types(&consumer.settled().await), ["snapshot"]);
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn a_compacted_copy_stays_compacted_after_resuming() {
    let (engine, _, number) = small_frames();
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (_, tree) = consumer.subscribe("/").await;
    let shown = ["one", "two"].map(|list| node_at(&tree, &format!("lists/{list}/i0"))["id"] == "i0");
    assert!(shown.contains(&false), "a list is collapsed: {tree}");
    consumer.reconnect().await;
    assert_eq!(message_types(&consumer.settled().await), ["resumed"]);
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    // An operation within the collapsed list would have no place in the copy.
    consumer.settled().await;
    consumer.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_resume_window_a_snapshot_is_sent() {
    let app = App::new();
    let mut keeper = TestConsumer::connect(&app.engine, Session::new("s1")).await;
    keeper.subscribe("/todos").await;
    let mut probe = TestConsumer::silent(&app.engine, Session::new("s1"));
    let epoch = probe.next().await["provider"]["epoch"].clone();
    for (gap_ms, expected) in [(59_999, "resumed"), (60_000, "snapshot")] {
        let mut consumer = TestConsumer::connect(&app.engine, Session::new("s1")).await;
        consumer.subscribe("/").await;
        let version = consumer.query_with(json!({"path": "/"})).await["version"].clone();
        drop(consumer);
        app.clock.advance(gap_ms);
        app.engine.settle().await;
        let message = json!({"type": "subscribe", "id": "s", "path": "/", "depth": -1,
            "resume": {"epoch": epoch, "version": version}});
        let late = app.engine.connect(&Session::new("s1")).unwrap();
        late.receive(&message.to_string());
        let frames: Vec<String> =
            std::iter::from_fn(|| late.try_next_frame()).map(|frame| format!("{frame:?}")).collect();
        assert_eq!(frames.len(), 2, "hello and the reply");
        assert!(frames[1].contains(expected), "{expected} after {gap_ms} ms: {}", frames[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_resume_field_is_refused_with_its_name() {
    let app = App::new();
    let mut consumer = TestConsumer::connect(&app.engine, Session::new("s1")).await;
    let resume = |connection: Value| json!({"epoch": "e", "version": 1, "connection": connection});
    for malformed in [json!(7), json!({"epoch": "e"}), resume(json!(7)), resume(json!({}))] {
        consumer.send(&json!({"type": "subscribe", "id": "s", "resume": malformed}));
        let error = consumer.next().await;
        let message = "`resume` must be an object with `epoch`, `version` and optionally `connection`, a string";
        assert_eq!(error["error"]["message"], message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_after_almost_everything_changed_sends_a_snapshot() {
    let mut config = Config::immediate();
    config.sizes.rebase_bytes = 500;
    let engine = Engine::builder("app", "App").config(config).build();
    let content = SharedNumber::default();
    let read = content.clone();
    engine.register("list", move |_: &Session| {
        let item = |n: i64| Item::new(format!("i{n}")).prop("text", format!("{} {}", read.get(), "x".repeat(40)));
        Descriptor::collection().items((0..50).map(item))
    });
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.subscribe("/").await;
    content.set(1);
    engine.refresh_now(Scope::all()).await;
    consumer.reconnect().await;
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), &messages[1]["seq"]), (vec!["resumed", "snapshot"], &json!(0)));
    consumer.check_mirrors().await;
}
