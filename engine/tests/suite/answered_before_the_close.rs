//! Whatever the reason for a close, every request in flight is answered exactly once, and then the connection closes with
//! the reason's code (contract T25).

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grove_engine::client::Query;
use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Action, Clock, CloseReason, Config, Connection, Descriptor, Engine, Frame, Invocation, Item, Limit, PerSession,
    Revocation, Session, SessionProvider, Source, WindowRequest,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::fixtures::{EventLog, Gate, connect_and_subscribe, engine_with, error_code, user_session};

/// Every reason for which a connection may close while its consumer still listens. Idle and least recently used sessions
/// have no connection; a silent peer and one that takes nothing lose their sockets.
const REASONS: [CloseReason; 10] = [
    CloseReason::Closed,
    CloseReason::Revoked,
    CloseReason::Expired,
    CloseReason::Superseded,
    CloseReason::Abuse,
    CloseReason::ControlFlood,
    CloseReason::MessageTooLarge,
    CloseReason::Slow,
    CloseReason::ShuttingDown,
    CloseReason::ProviderFailed,
];

/// How long a frame may take, in real time.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine whose application code stands at a gate, and one connection with requests in flight.
struct World {
    desk: PerSession,
    clock: Arc<ManualClock>,
    /// Where handlers and loaders stand.
    calls: Gate,
    /// Where the descriptor function stands, for the claims at first and for new ones.
    trees: Gate,
    new_trees: Gate,
    session: Session,
    factory_fails: Arc<AtomicBool>,
    /// Whether the handler runs that never ends.
    hanging: Arc<AtomicBool>,
    connection: Connection,
    /// What replaced the connection.
    other: Option<TestConsumer>,
}

fn bounds(reason: CloseReason) -> Config {
    let mut config = Config::immediate();
    config.execution.blocking_calls_per_session = 2;
    crate::fixtures::without_pings(&mut config);
    match reason {
        CloseReason::Slow => config.sizes.outbox_bytes = 20_000,
        CloseReason::Abuse => config.limits.messages_per_second = NonZeroU32::new(100),
        _ => {}
    }
    config
}

impl World {
    fn new(reason: CloseReason) -> Self {
        let (clock, factory_fails) = (ManualClock::new(), Arc::new(AtomicBool::new(false)));
        let fails = Arc::clone(&factory_fails);
        let builder = Engine::builder("app", "App").config(bounds(reason)).clock(clock.clone());
        let desk = PerSession::with_options(builder, move |_: &Session| {
            assert!(!fails.load(Ordering::SeqCst), "the factory fails");
            SessionProvider::new()
        });
        let session = user_session("s", "alice").with_expiry(clock.wall() + Duration::from_secs(3600));
        let connection = desk.engine().connect(&session).unwrap();
        let world = Self {
            desk,
            clock,
            calls: Gate::default(),
            trees: Gate::default(),
            new_trees: Gate::default(),
            session,
            factory_fails,
            hanging: Arc::default(),
            connection,
            other: None,
        };
        world.serve();
        world
    }

    fn engine(&self) -> &Engine {
        self.desk.engine()
    }

    fn serve(&self) {
        let stand = self.calls.clone();
        let blocks = Action::new("blocks", move |_: Invocation<()>| stand.wait());
        let hanging = Arc::clone(&self.hanging);
        let hangs = Action::new_async("hangs", move |_: Invocation<()>| {
            hanging.store(true, Ordering::SeqCst);
            std::future::pending::<()>()
        });
        let (stand, stand_anew) = (self.trees.clone(), self.new_trees.clone());
        self.engine().register("n", move |session: &Session| {
            if session.can("write") {
                stand_anew.wait()
            } else {
                stand.wait()
            }
            Descriptor::status().prop("write", session.can("write")).action(&blocks).action(&hangs)
        });
        let stand = self.calls.clone();
        let list = Source::new(|_: &Session| Descriptor::collection().lazy(9));
        let list = list.on_window(move |_: &Session, _: &WindowRequest| {
            stand.wait();
            Vec::<Item>::new()
        });
        self.engine().register_source("list", list);
    }

    fn say(&self, message: &Value) {
        self.connection.receive(&message.to_string());
    }

    fn invoke(&self, id: &str, action: &str) {
        self.say(&json!({"type": "invoke", "id": id, "path": "/n", "action": action}));
    }

    /// Requests that run, wait for a permit, wait to be loaded, or wait for the writer.
    async fn requests_with_a_tree(&self) -> Vec<&'static str> {
        self.trees.open();
        self.say(&json!({"type": "query", "id": "first", "path": "/"}));
        self.engine().settle().await;
        while self.connection.try_next_frame().is_some() {}
        self.invoke("runs", "blocks");
        self.calls.wait_for_arrivals(1).await;
        self.say(&json!({"type": "query", "id": "loads", "path": "/list", "window": [0, 3]}));
        self.calls.wait_for_arrivals(2).await;
        let log = EventLog::of(self.engine());
        self.invoke("waits to run", "blocks");
        self.say(&json!({"type": "query", "id": "waits to load", "path": "/list", "window": [3, 3]}));
        self.invoke("hangs", "hangs");
        while log.limit_count(Limit::BlockingCallsPerSession) < 2 || !self.hanging.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        self.say(&json!({"type": "query", "id": "is ready", "path": "/n"}));
        self.say(&json!({"type": "subscribe", "id": "begins", "path": "/n"}));
        vec!["runs", "loads", "waits to run", "waits to load", "hangs", "is ready", "begins"]
    }

    /// Requests that wait for a first tree.
    async fn requests_without_a_tree(&self) -> Vec<&'static str> {
        self.say(&json!({"type": "subscribe", "id": "subscribe", "path": "/n"}));
        self.trees.wait_for_arrivals(1).await;
        self.say(&json!({"type": "query", "id": "query", "path": "/n"}));
        self.say(&json!({"type": "subscribe", "id": "nowhere", "path": "/nowhere"}));
        self.invoke("invoke", "blocks");
        vec!["subscribe", "query", "nowhere", "invoke"]
    }

    /// Makes the connection close for a reason.
    async fn end(&mut self, reason: CloseReason) {
        let engine = self.engine().clone();
        match reason {
            CloseReason::Closed => assert!(engine.close_session("s")),
            CloseReason::Revoked => assert_eq!(engine.revoke(Revocation::user("alice")), 1),
            CloseReason::Expired => self.clock.advance(3_600_000),
            CloseReason::Superseded => self.supersede().await,
            CloseReason::Abuse => self.flood(2_100, &json!({"type": "unsubscribe", "id": "flood"})),
            CloseReason::ControlFlood => self.connection.flooded(),
            CloseReason::MessageTooLarge => self.connection.receive(&"x".repeat(100_000)),
            CloseReason::Slow => self.flood(400, &json!({"type": "nonsense"})),
            CloseReason::ShuttingDown => drop(tokio::spawn(async move { engine.shutdown(Duration::ZERO).await })),
            CloseReason::ProviderFailed => {
                self.factory_fails.store(true, Ordering::SeqCst);
                assert!(self.desk.restart("s").is_err());
            }
            _ => panic!("nothing closes a connection that listens for `{reason}`"),
        }
    }

    fn flood(&self, count: usize, message: &Value) {
        (0..count).for_each(|_| self.say(message));
    }

    async fn supersede(&mut self) {
        let mut other = TestConsumer::connect(self.engine(), self.session.clone()).await;
        let name = self.engine().connection_name(&self.connection);
        let resume = json!({"epoch": other.epoch(), "version": 0, "connection": name});
        other.start_subscription(json!({"path": "/n", "resume": resume}));
        self.other = Some(other);
    }

    /// Takes all frames up to the close. Returns the replies by request, and the close code.
    async fn replies(&self) -> (BTreeMap<String, Vec<Value>>, u16) {
        let mut replies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.connection.next_frame()).await.expect("nothing came");
            match frame {
                Frame::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if let Some(id) = message["id"].as_str() {
                        replies.entry(id.to_owned()).or_default().push(message);
                    }
                }
                Frame::Ping => {}
                Frame::Close { code, .. } => return (replies, code.as_u16()),
            }
        }
    }

    /// Nothing more goes out, whatever the application's code does now.
    async fn check_silence(&self) {
        self.calls.open();
        self.trees.open();
        self.calls.wait_for_arrivals(1).await;
        assert_eq!(self.connection.try_next_frame(), None, "something follows the close");
    }
}

/// Nothing of the application's waits longer than its test.
impl Drop for World {
    fn drop(&mut self) {
        [&self.calls, &self.trees, &self.new_trees].into_iter().for_each(Gate::open);
    }
}

fn check(reason: CloseReason, requests: &[&str], replies: &BTreeMap<String, Vec<Value>>, closed: u16) {
    for request in requests {
        let got = replies.get(*request).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(got.len(), 1, "{reason}: `{request}` is answered {} times: {got:?}", got.len());
    }
    assert_eq!(closed, reason.code().as_u16(), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_run_wait_for_a_permit_or_are_loaded_are_answered_before_every_close() {
    for reason in REASONS {
        let mut world = World::new(reason);
        let requests = world.requests_with_a_tree().await;
        world.end(reason).await;
        let (replies, closed) = world.replies().await;
        check(reason, &requests, &replies, closed);
        for id in ["runs", "loads", "waits to run", "waits to load", "hangs"] {
            assert_eq!(error_code(&replies[id][0]), "internal", "{reason}: {id}");
        }
        world.check_silence().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_a_first_tree_are_answered_before_every_close() {
    for reason in REASONS {
        let mut world = World::new(reason);
        let requests = world.requests_without_a_tree().await;
        world.end(reason).await;
        let (replies, closed) = world.replies().await;
        check(reason, &requests, &replies, closed);
        for id in requests {
            assert_eq!(error_code(&replies[id][0]), "internal", "{reason}: {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_tree_that_comes_between_the_reason_and_the_close_leaves_no_request_without_an_answer() {
    for reason in REASONS {
        let mut world = World::new(reason);
        let requests = world.requests_without_a_tree().await;
        world.end(reason).await;
        world.calls.open();
        world.trees.open();
        world.engine().settle().await;
        let (replies, closed) = world.replies().await;
        check(reason, &requests, &replies, closed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_the_tree_of_new_claims_are_answered_before_every_close() {
    for reason in REASONS {
        let mut world = World::new(reason);
        world.trees.open();
        world.say(&json!({"type": "query", "id": "old", "path": "/n"}));
        world.engine().settle().await;
        while world.connection.try_next_frame().is_some() {}
        world.session = world.session.clone().with_permission("write");
        assert!(world.engine().update_session(&world.session));
        world.new_trees.wait_for_arrivals(1).await;
        let requests = world.requests_without_a_tree().await;
        world.end(reason).await;
        let (replies, closed) = world.replies().await;
        check(reason, &requests, &replies, closed);
    }
}

/// A tab with one action, and its connection.
fn tab(engine: &Engine) -> Connection {
    let tab = engine.connect_tab(&user_session("s", "alice")).unwrap();
    let act = json!({"action": "act"});
    tab.receive(&json!({"type": "hello", "provider": {"id": "page"}}).to_string());
    let tree = json!({"id": "page", "type": "root", "affordances": [act]});
    tab.receive(&json!({"type": "snapshot", "id": "ui-mount", "version": 1, "tree": tree}).to_string());
    tab
}

#[tokio::test]
async fn calls_to_a_tab_that_is_closed_are_answered_once() {
    let engine = engine_with(|config| config.sizes.tab_bytes = 2_000);
    let tab = tab(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let ids = [(); 2].map(|()| consumer.start_invoke("/ui/tab-1", "act", Value::Null));
    while !matches!(tab.next_frame().await, Frame::Text(text) if text.contains("invoke-2")) {}
    let tree = json!({"id": "page", "type": "root", "properties": {"text": "x".repeat(3_000)}});
    tab.receive(&json!({"type": "snapshot", "id": "ui-mount", "version": 2, "tree": tree}).to_string());
    let Some(Frame::Close { code: closed, .. }) = tab.try_next_frame() else { panic!("the tab is not closed") };
    assert_eq!(closed, CloseReason::TabTooLarge.code());
    drop(tab);
    let messages = consumer.settled().await;
    for id in ids {
        let results: Vec<_> = messages.iter().filter(|message| message["id"] == id.as_str()).collect();
        assert_eq!(results.len(), 1, "{messages:?}");
        assert_eq!(error_code(results[0]), "internal");
    }
}

#[tokio::test]
async fn the_rest_of_a_batch_that_ends_its_connection_is_answered_too() {
    let engine = engine_with(|config| config.sizes.outbox_bytes = 3_000);
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let batch: Vec<_> =
        (0..50).map(|at| json!({"type": "query", "id": format!("q{at}"), "path": "/nowhere"})).collect();
    consumer.connection().receive(&json!({"type": "batch", "messages": batch}).to_string());
    let mut answered = 0;
    loop {
        match consumer.connection().try_next_frame() {
            Some(Frame::Close { code, .. }) => break assert_eq!(code, CloseReason::Slow.code()),
            Some(Frame::Text(_)) => answered += 1,
            other => panic!("{other:?} after {answered} answers"),
        }
    }
    assert_eq!(answered, 50);
}

/// An in-process client with a call that runs, a query that is loaded, a watch that waits for a change, and one that waits
/// for an event. Each task returns whether it was told of the end.
async fn client_requests(engine: &Engine, gate: &Gate) -> Vec<JoinHandle<bool>> {
    let running = Arc::new(AtomicBool::new(false));
    let (stand, runs) = (gate.clone(), Arc::clone(&running));
    let hangs = Action::new_async("hangs", move |_: Invocation<()>| {
        runs.store(true, Ordering::SeqCst);
        std::future::pending::<()>()
    });
    engine.register("n", move |_: &Session| Descriptor::status().action(&hangs));
    let list = Source::new(|_: &Session| Descriptor::collection().lazy(9));
    let list = list.on_window(move |_: &Session, _: &WindowRequest| {
        stand.wait();
        Vec::<Item>::new()
    });
    engine.register_source("list", list);
    let client = engine.client(&user_session("s", "alice")).unwrap();
    let mut watch = client.watch(Query::at("/n"));
    assert!(watch.next().await.is_some());
    let (calling, asking) = (client.clone(), client.clone());
    let tasks = vec![
        tokio::spawn(async move { calling.invoke("/n", "hangs", Value::Null).await.unwrap_err().code() == "internal" }),
        tokio::spawn(async move { asking.query(&Query::at("/list").window(0, 3)).await.is_err() }),
        tokio::spawn(async move { watch.next().await.is_none() }),
        tokio::spawn(async move { client.next_event().await.is_none() }),
    ];
    gate.wait_for_arrivals(1).await;
    while !running.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_client_in_this_process_are_answered_when_its_connection_ends() {
    for reason in [CloseReason::Closed, CloseReason::Revoked, CloseReason::ShuttingDown] {
        let (engine, gate) = (engine_with(|_| {}), Gate::default());
        let tasks = client_requests(&engine, &gate).await;
        match reason {
            CloseReason::Closed => assert!(engine.close_session("s")),
            CloseReason::Revoked => assert_eq!(engine.revoke(Revocation::user("alice")), 1),
            _ => engine.shutdown(Duration::ZERO).await,
        }
        for task in tasks {
            let told = tokio::time::timeout(PATIENCE, task).await.expect("it waits for ever");
            assert!(told.unwrap(), "{reason}");
        }
        gate.open();
        assert_eq!(engine.stats().connections, 0);
    }
}
