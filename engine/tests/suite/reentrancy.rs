//! Descriptor functions that ask the engine to render.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Engine, Event, Invocation, Item, Scope, Session, Source, WindowRequest};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, SharedNumber, connect_and_subscribe, engine, engine_with, engine_with_clock, evaluations, user_session,
};

/// Blocks this thread, as application code may where it is allowed to block.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(future)
}

/// The refusals that name a path.
fn refusals(log: &EventLog, named: &str) -> usize {
    log.count(|event| matches!(event, Event::RefreshRefused { why, .. } if why.contains(&format!("`/{named}`"))))
}

/// Asserts that a session whose `/n` asks for a refresh gets its tree and answers to its calls, and that it says so.
async fn check(engine: &Engine) {
    let log = EventLog::of(engine);
    let act = Action::new("act", |_: Invocation<()>| ());
    engine.register("other", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, subscription) = connect_and_subscribe(engine, user_session("s", "alice")).await;
    assert_eq!(consumer.tree(&subscription)["children"][0]["properties"], json!({"n": 7}));
    assert_eq!(consumer.invoke("/other", "act", Value::Null).await["status"], "ok");
    assert_eq!(engine.refresh_now(Scope::all()).await, 1);
    engine.settle().await;
    let ran = evaluations(engine, "/n");
    assert!((3..=4).contains(&ran), "{ran} evaluations");
    assert_eq!(refusals(&log, "n"), usize::try_from(ran).unwrap());
}

#[tokio::test]
async fn a_descriptor_that_refreshes_is_refused_and_shown() {
    let engine = engine();
    let inner = engine.clone();
    engine.register("n", move |_: &Session| {
        assert_eq!(inner.refresh(Scope::all()), 0);
        Descriptor::status().prop("n", 7)
    });
    check(&engine).await;
}

#[tokio::test]
async fn a_descriptor_that_blocks_on_a_refresh_is_refused_and_shown() {
    let engine = engine();
    let inner = engine.clone();
    engine.register("n", move |session: &Session| {
        assert_eq!(block_on(inner.refresh_now(Scope::session(session.id()))), 0);
        Descriptor::status().prop("n", 7)
    });
    check(&engine).await;
}

#[tokio::test]
async fn an_async_descriptor_that_awaits_a_refresh_is_refused_and_shown() {
    let engine = engine();
    let inner = engine.clone();
    engine.register_async("n", move |_: Session| {
        let inner = inner.clone();
        async move {
            tokio::task::yield_now().await;
            assert_eq!(inner.refresh_now(Scope::all()).await, 0);
            Descriptor::status().prop("n", 7)
        }
    });
    check(&engine).await;
}

#[tokio::test]
async fn a_descriptor_that_calls_as_a_client_of_its_own_session_does_not_wait_for_itself() {
    let engine = engine();
    let inner = engine.clone();
    engine.register("n", move |_: &Session| {
        let client = inner.client(&user_session("s", "alice")).unwrap();
        assert!(block_on(client.invoke("/other", "act", json!({}))).is_err() || inner.stats().trees > 0);
        Descriptor::status().prop("n", 7)
    });
    let log = EventLog::of(&engine);
    let act = Action::new("act", |_: Invocation<()>| ());
    engine.register("other", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    assert_eq!(consumer.invoke("/other", "act", Value::Null).await["status"], "ok");
    assert!(refusals(&log, "n") > 0);
}

#[tokio::test]
async fn a_descriptor_may_refresh_another_engine() {
    let (engine, other) = (engine(), engine());
    let number = SharedNumber::serve(&other, "n");
    let (mut seen, _) = connect_and_subscribe(&other, Session::new("s")).await;
    let inner = other.clone();
    engine.register("n", move |_: &Session| {
        number.set(number.get() + 1);
        assert_eq!(block_on(inner.refresh_now(Scope::all())), 1);
        Descriptor::status()
    });
    connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(seen.settled().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_windows_and_items_may_refresh() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let [handling, loading, finding] = [engine.clone(), engine.clone(), engine.clone()];
    let act = Action::new("act", move |_: Invocation<()>| {
        assert_eq!(block_on(handling.refresh_now(Scope::all())), 1);
    });
    let action = act.clone();
    let list = Source::new(move |_: &Session| Descriptor::collection().window(0, 100, []).action(&action));
    let list = list.on_window(move |_: &Session, wanted: &WindowRequest| {
        assert_eq!(block_on(loading.refresh_now(Scope::all())), 1);
        vec![Item::new(format!("i{}", wanted.offset))]
    });
    let list = list.on_item(move |_: &Session, id: &str| {
        assert_eq!(block_on(finding.refresh_now(Scope::all())), 1);
        Some(Item::new(id.to_owned()).action(&act))
    });
    engine.register_source("list", list);
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    assert_eq!(consumer.invoke("/list", "act", Value::Null).await["status"], "ok");
    assert_eq!(consumer.invoke("/list/i7", "act", Value::Null).await["status"], "ok");
    let window = consumer.query_with(json!({"path": "/list", "window": [5, 1]})).await;
    assert_eq!(window["tree"]["children"][0]["id"], "i5");
    assert_eq!(log.count(|event| matches!(event, Event::RefreshRefused { .. })), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_descriptor_that_runs_again_for_the_rest_of_its_list_is_refused_as_well() {
    let engine = engine_with(|config| config.sizes.nodes = 10);
    let log = EventLog::of(&engine);
    let inner = engine.clone();
    engine.register("n", move |_: &Session| {
        assert_eq!(inner.refresh(Scope::all()), 0);
        Descriptor::collection().items((0..50).map(|n| Item::new(format!("i{n}"))))
    });
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let before = refusals(&log, "n");
    let window = consumer.query_with(json!({"path": "/n", "window": [20, 1]})).await;
    assert_eq!(window["tree"]["children"][0]["id"], "i20");
    engine.settle().await;
    assert_eq!(refusals(&log, "n"), before + 1);
}

/// Blocks a thread of its own, as code may that must not block a runtime's.
fn block_elsewhere<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let handle = tokio::runtime::Handle::current();
    std::thread::scope(|scope| scope.spawn(|| handle.block_on(future)).join().unwrap())
}

#[tokio::test]
async fn a_predicate_may_refresh_and_register_but_not_ask_by_a_predicate() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let (mut alice, subscription) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (_bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    number.set(1);
    let inner = engine.clone();
    let asks = move |session: &Session| {
        assert_eq!(inner.refresh(Scope::matching(|_| true)), 0, "it would be asked for ever");
        assert_eq!(block_elsewhere(inner.refresh_now(Scope::all())), 2);
        inner.register("new", |_: &Session| Descriptor::status());
        assert_eq!(inner.refresh(Scope::user("alice")), 1);
        session.user() == Some("bob")
    };
    assert_eq!(engine.refresh(Scope::matching(asks.clone())), 1);
    assert_eq!(engine.refresh_now(Scope::matching(asks.clone())).await, 1);
    assert_eq!(engine.emit(Scope::matching(asks), "news", None), Ok(1));
    engine.settle().await;
    alice.settled().await;
    let tree = alice.tree(&subscription);
    assert_eq!((tree["children"].as_array().unwrap().len(), &tree["children"][0]["properties"]["n"]), (2, &json!(1)));
}

#[tokio::test]
async fn a_predicate_that_asks_for_itself_ends() {
    let engine = engine();
    let (_alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let scope: Arc<OnceLock<Scope>> = Arc::default();
    let (inner, itself) = (engine.clone(), Arc::clone(&scope));
    let asks = Scope::matching(move |_| itself.get().is_none_or(|scope| inner.refresh(scope.clone()) == 0));
    scope.set(asks.clone()).unwrap();
    assert_eq!(engine.refresh(asks), 1);
}

#[tokio::test]
async fn an_observer_may_refresh_and_is_refused_to_wait_for_it() {
    let (engine, clock) = engine_with_clock(|config| {
        config.execution.pass_threads = 1;
        config.times.debounce = Duration::from_millis(50);
    });
    let number = SharedNumber::serve(&engine, "n");
    let act = Action::new("act", |_: Invocation<()>| ());
    engine.register("other", move |_: &Session| Descriptor::group().action(&act));
    let (inner, runtime) = (engine.clone(), tokio::runtime::Handle::current());
    engine.observe(move |event| match event {
        Event::Evaluated { .. } | Event::PassFinished { .. } | Event::Committed { .. } => {
            // On the only thread that renders.
            assert_eq!(runtime.block_on(inner.refresh_now(Scope::all())), 0);
            inner.refresh(Scope::all());
        }
        _ => {}
    });
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, user_session("s", "alice")).await;
    let subscription = consumer.start_subscription(json!({"path": "/", "depth": -1}));
    for n in 1..20 {
        // Each pass causes another one, and everybody is served all the same.
        number.set(n);
        clock.advance(50);
        let call = consumer.start_invoke("/other", "act", Value::Null);
        assert_eq!(consumer.answer(&call).await["status"], "ok");
        assert_eq!(consumer.tree(&subscription)["children"][0]["properties"]["n"], n);
    }
    assert_eq!(log.count(|event| matches!(event, Event::Panicked { .. })), 0);
    let stopped = engine.clone();
    let shutdown = tokio::spawn(async move { stopped.shutdown(Duration::ZERO).await });
    drop(consumer);
    while !shutdown.is_finished() {
        clock.advance(50);
        tokio::task::yield_now().await;
    }
    let before = engine.stats().evaluations;
    clock.advance(1_000);
    engine.settle().await;
    assert_eq!(engine.stats().evaluations, before, "no loop outlives the shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorize_hook_may_block_on_a_refresh() {
    let inner: Arc<OnceLock<Engine>> = Arc::default();
    let refreshing = Arc::clone(&inner);
    let engine = Engine::builder("app", "App").config(grove_engine::Config::immediate());
    let engine = engine.authorize(move |_, _, _| {
        assert_eq!(block_elsewhere(refreshing.get().unwrap().refresh_now(Scope::all())), 1);
        Ok(())
    });
    let engine = engine.build();
    inner.set(engine.clone()).unwrap();
    let act = Action::new("act", |_: Invocation<()>| ());
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    assert_eq!(consumer.invoke("/n", "act", Value::Null).await["status"], "ok");
    assert_eq!(evaluations(&engine, "/n"), 3, "the first tree, the hook's refresh and the call's");
}

/// Each evaluation starts another refresh by a task, which nobody can connect with it.
#[tokio::test]
async fn no_loop_of_refreshes_outlives_the_shutdown() {
    let engine = engine();
    let inner: Arc<OnceLock<Engine>> = Arc::default();
    let looping = Arc::clone(&inner);
    engine.register_async("n", move |_: Session| {
        let engine = looping.get().cloned();
        async move {
            tokio::spawn(async move { engine.map(|engine| engine.refresh(Scope::all())) });
            Descriptor::status()
        }
    });
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.start_subscription(json!({"path": "/", "depth": -1}));
    inner.set(engine.clone()).unwrap();
    engine.refresh(Scope::all());
    let stopped = engine.clone();
    let shutdown = tokio::spawn(async move { stopped.shutdown(Duration::ZERO).await });
    while consumer.next().await["type"] != "closed" {}
    drop(consumer);
    shutdown.await.unwrap();
    engine.settle().await;
    let before = evaluations(&engine, "/n");
    assert_eq!(engine.refresh_now(Scope::all()).await, 1, "it means one session");
    engine.refresh(Scope::all());
    engine.settle().await;
    assert_eq!(evaluations(&engine, "/n"), before, "and renders none");
}
