//! Passes over one session at the same time: a slow path delays neither calls nor refreshes of other paths.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Action, Config, Descriptor, Engine, Event, Invocation, Scope, Session};
use serde_json::Value;

use crate::fixtures::{
    EventLog, Gate, SharedNumber, SlowRead, connect_and_subscribe, engine, engine_with_clock, evaluations,
    message_types, node_at,
};

/// How long a result waits for the rest of its session, and for its own source, in ms.
const REST_MS: u64 = 500;
const OWN_MS: u64 = 2_000;

/// How long a descriptor function may occupy a thread before another one takes its place, in ms.
const SLOW_MS: u64 = 100;

/// A list whose action `add` increments what it shows, beside a path that hangs when the test says so.
struct App {
    engine: Engine,
    clock: Arc<ManualClock>,
    hangs: Arc<AtomicBool>,
    gate: Gate,
    log: EventLog,
}

impl App {
    /// `hanging` is the path whose descriptor hangs; `declared` are the paths that the action declares.
    fn new(hanging: &'static str, declared: Option<&[&str]>) -> Self {
        Self::with(hanging, declared, |_| {})
    }

    fn with(hanging: &'static str, declared: Option<&[&str]>, change: impl FnOnce(&mut Config)) -> Self {
        let (engine, clock) = engine_with_clock(|config| {
            // Threads that hang are replaced when time passes, which it does not by itself.
            config.execution.pass_threads = 4;
            config.times.rest_before_result = Duration::from_millis(REST_MS);
            config.times.refresh_before_result = Duration::from_millis(OWN_MS);
            change(config);
        });
        let (hangs, gate, number) = (Arc::new(AtomicBool::new(false)), Gate::default(), SharedNumber::default());
        let add = number.clone();
        let add = Action::new("add", move |_: Invocation<()>| add.set(add.get() + 1));
        let add = if let Some(paths) = declared { add.changes(paths) } else { add };
        for path in ["list", "total", "slow"] {
            let (hangs, gate, number, add) = (Arc::clone(&hangs), gate.clone(), number.clone(), add.clone());
            engine.register(path, move |_: &Session| {
                // What it shows is read first: a pass that hangs here has read the past.
                let shown = number.get();
                if path == hanging && hangs.load(Ordering::SeqCst) {
                    gate.wait();
                }
                let descriptor = Descriptor::status().prop("n", shown);
                if path == "list" { descriptor.action(&add) } else { descriptor }
            });
        }
        let log = EventLog::of(&engine);
        Self { engine, clock, hangs, gate, log }
    }

    async fn consumer(&self) -> (TestConsumer, String) {
        connect_and_subscribe(&self.engine, Session::new("s")).await
    }

    fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    fn go_on(&self) {
        self.hangs.store(false, Ordering::SeqCst);
        self.gate.open();
    }

    fn early_results(&self) -> usize {
        self.log.count(|event| matches!(event, Event::ResultBeforePatch { .. }))
    }
}

/// Everything up to the result of a call.
async fn until_result(consumer: &mut TestConsumer, call: &str) -> Vec<Value> {
    let mut messages = Vec::new();
    while messages.last().is_none_or(|message: &Value| message["id"] != call) {
        messages.push(consumer.next().await);
    }
    messages
}

/// The numbers that the three paths show.
fn shown(tree: &Value) -> [Option<i64>; 3] {
    ["list", "total", "slow"].map(|path| node_at(tree, path)["properties"]["n"].as_i64())
}

#[tokio::test]
async fn a_hanging_descriptor_of_another_path_does_not_delay_the_result_of_a_call() {
    let app = App::new("slow", None);
    let (mut consumer, subscription) = app.consumer().await;
    app.hang();
    let call = consumer.start_invoke("/list", "add", Value::Null);
    app.gate.wait_for_arrivals(1).await;
    assert_eq!(consumer.ready(), Vec::<Value>::new(), "the rest is waited for a short while");
    app.clock.advance(REST_MS);
    let messages = until_result(&mut consumer, &call).await;
    assert_eq!(
        message_types(&messages),
        ["patch", "result"],
        "the patch of the action's own source precedes the result"
    );
    assert_eq!((shown(consumer.tree(&subscription)), app.early_results()), ([Some(1), Some(0), Some(0)], 1));
    for n in 2..20 {
        // What is known to be late is not waited for again.
        let call = consumer.start_invoke("/list", "add", Value::Null);
        let messages = until_result(&mut consumer, &call).await;
        assert_eq!((message_types(&messages), app.early_results()), (vec!["patch", "result"], n));
    }
    let started = app.gate.arrivals();
    assert_eq!(started, 1, "calls do not pile up behind the source that hangs");
    app.go_on();
    for message in consumer.settled().await {
        let restored = message["ops"].as_array().into_iter().flatten().find(|op| op["path"] == "/list/properties/n");
        assert_eq!(restored, None, "a pass that took long does not bring back what a later one replaced");
    }
    assert_eq!(shown(consumer.tree(&subscription)), [Some(19); 3]);
    consumer.check_mirrors().await;
    consumer.invoke("/list", "add", Value::Null).await;
    assert_eq!(shown(consumer.tree(&subscription)), [Some(20); 3], "everything is waited for again");
    assert_eq!(app.early_results(), 19);
}

#[tokio::test]
async fn a_result_does_not_wait_for_its_own_source_longer_than_the_bound() {
    let app = App::new("list", None);
    let (mut consumer, subscription) = app.consumer().await;
    app.hang();
    let call = consumer.start_invoke("/list", "add", Value::Null);
    app.gate.wait_for_arrivals(1).await;
    app.clock.advance(REST_MS);
    app.gate.wait_for_arrivals(2).await;
    assert_eq!(consumer.ready(), Vec::<Value>::new());
    app.clock.advance(OWN_MS - REST_MS);
    assert_eq!(message_types(&until_result(&mut consumer, &call).await), ["result"]);
    assert_eq!(app.early_results(), 1);
    app.go_on();
    consumer.settled().await;
    assert_eq!(shown(consumer.tree(&subscription)), [Some(1); 3], "the patch follows");
}

#[tokio::test]
async fn a_call_of_an_action_that_declares_paths_renders_and_waits_for_these_alone() {
    let app = App::new("slow", Some(&["/total/", "list"]));
    let (mut consumer, subscription) = app.consumer().await;
    app.hang();
    let before = evaluations(&app.engine, "/slow");
    consumer.start_invoke("/list", "add", Value::Null);
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), app.early_results()), (vec!["patch", "result"], 0));
    assert_eq!(shown(consumer.tree(&subscription)), [Some(1), Some(1), Some(0)]);
    assert_eq!(evaluations(&app.engine, "/slow"), before);
    // Something else renders the whole session, and hangs.
    app.engine.refresh(Scope::all());
    app.gate.wait_for_arrivals(1).await;
    let call = consumer.start_invoke("/list", "add", Value::Null);
    let messages = until_result(&mut consumer, &call).await;
    assert_eq!((message_types(&messages), app.early_results()), (vec!["patch", "result"], 0));
    assert_eq!(shown(consumer.tree(&subscription)), [Some(2), Some(2), Some(0)]);
    app.go_on();
    consumer.settled().await;
    assert_eq!(shown(consumer.tree(&subscription))[..2], [Some(2); 2]);
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn above_the_limit_of_side_turns_a_call_waits_for_the_pass_that_hangs() {
    for (most, early) in [(0, 1), (1, 0)] {
        let app = App::with("slow", Some(&["list"]), |config| config.execution.side_turns_per_session = most);
        let (mut consumer, subscription) = app.consumer().await;
        app.hang();
        app.engine.refresh(Scope::all());
        app.gate.wait_for_arrivals(1).await;
        let call = consumer.start_invoke("/list", "add", Value::Null);
        while !consumer.ready().iter().any(|message| message["id"] == call) {
            if early > 0 {
                app.clock.advance(OWN_MS / 10);
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(app.early_results(), early);
        app.go_on();
        consumer.settled().await;
        assert_eq!(shown(consumer.tree(&subscription))[0], Some(1));
    }
}

#[tokio::test]
async fn an_action_may_declare_that_it_changes_nothing() {
    let app = App::new("list", Some(&[]));
    let (mut consumer, _) = app.consumer().await;
    let before = app.engine.stats().evaluations;
    consumer.start_invoke("/list", "add", Value::Null);
    assert_eq!(message_types(&consumer.settled().await), ["result"]);
    assert_eq!(app.engine.stats().evaluations, before);
}

#[tokio::test]
async fn a_path_that_is_registered_while_another_one_hangs_is_shown_and_stays() {
    let app = App::new("slow", Some(&["list", "total"]));
    let (mut consumer, subscription) = app.consumer().await;
    app.hang();
    app.engine.refresh(Scope::all());
    app.gate.wait_for_arrivals(1).await;
    app.engine.register("new", |_: &Session| Descriptor::status());
    let call = consumer.start_invoke("/list", "add", Value::Null);
    until_result(&mut consumer, &call).await;
    assert_eq!(node_at(consumer.tree(&subscription), "new")["id"], "new", "the layout of the call's pass has it");
    app.go_on();
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&subscription), "new")["id"], "new");
    assert_eq!(shown(consumer.tree(&subscription))[..2], [Some(1); 2]);
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn a_session_that_is_closed_while_a_pass_goes_beside_another_gets_no_tree() {
    let app = App::new("slow", None);
    let (mut consumer, _) = app.consumer().await;
    app.hang();
    let call = consumer.start_invoke("/list", "add", Value::Null);
    app.gate.wait_for_arrivals(1).await;
    app.clock.advance(REST_MS);
    until_result(&mut consumer, &call).await;
    assert!(app.engine.close_session("s"));
    app.go_on();
    app.engine.settle().await;
    assert_eq!((app.engine.stats().sessions, app.engine.stats().trees), (0, 0));
}

#[tokio::test]
async fn an_async_source_that_hangs_does_not_delay_the_result_of_a_call_to_another_path() {
    let (engine, clock) = engine_with_clock(|config| {
        config.times.rest_before_result = Duration::from_millis(REST_MS);
        config.times.evaluation_timeout = Duration::from_secs(60);
    });
    let slow = SlowRead::serve(&engine, "slow");
    slow.release.add_permits(1);
    let number = SharedNumber::serve(&engine, "n");
    let set = number.clone();
    let add = Action::new("add", move |_: Invocation<()>| set.set(set.get() + 1));
    engine.register("list", move |_: &Session| Descriptor::status().prop("n", number.get()).action(&add));
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    slow.has_read().await;
    let call = consumer.start_invoke("/list", "add", Value::Null);
    slow.has_read().await;
    clock.advance(REST_MS);
    assert_eq!(message_types(&until_result(&mut consumer, &call).await), ["patch", "result"]);
    slow.number.set(1);
    slow.release.add_permits(100);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&subscription), "n")["properties"]["n"], 1);
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn an_async_source_is_not_run_again_because_another_path_was_refreshed_meanwhile() {
    let engine = engine();
    let slow = SlowRead::serve(&engine, "slow");
    slow.release.add_permits(1);
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    slow.has_read().await;
    slow.number.set(1);
    engine.refresh(Scope::all());
    slow.has_read().await;
    for n in 1..=3 {
        number.set(n);
        engine.refresh_now(Scope::all().paths(["n"])).await;
        assert_eq!(node_at(&consumer.query("/").await, "n")["properties"]["n"], n, "it waits for nothing");
    }
    let before = evaluations(&engine, "/slow");
    slow.release.add_permits(100);
    consumer.settled().await;
    assert_eq!(evaluations(&engine, "/slow"), before, "what was awaited is taken");
    let tree = consumer.tree(&subscription);
    assert_eq!(
        (&node_at(tree, "slow")["properties"]["n"], &node_at(tree, "n")["properties"]["n"]),
        (&Value::from(1), &Value::from(3))
    );
}

#[tokio::test]
async fn an_async_source_is_run_again_if_something_below_it_was_refreshed_meanwhile() {
    let engine = engine();
    let slow = SlowRead::serve(&engine, "slow");
    slow.release.add_permits(1);
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    slow.has_read().await;
    engine.refresh(Scope::all());
    slow.has_read().await;
    slow.number.set(1);
    engine.refresh(Scope::all().paths(["slow/below"]));
    slow.has_read().await;
    slow.release.add_permits(100);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&subscription), "slow")["properties"]["n"], 1);
}

/// An action that changes what `path` shows, and says so.
fn action_of(path: &'static str) -> Action {
    Action::new(path, |_: Invocation<()>| ()).changes([path])
}

#[tokio::test]
async fn calls_whose_passes_begin_together_do_not_wait_for_each_others_paths() {
    let (engine, clock) = engine_with_clock(|config| config.execution.pass_threads = 1);
    let (hangs, busy, slow) = (Arc::new(AtomicBool::new(false)), Gate::default(), Gate::default());
    for (path, gate) in [("busy", Some(&busy)), ("a", Some(&slow)), ("b", None)] {
        let (hangs, gate, action) = (Arc::clone(&hangs), gate.cloned(), action_of(path));
        engine.register(path, move |session: &Session| {
            let gate = gate.as_ref().filter(|_| session.can("busy") == (path == "busy"));
            if let Some(gate) = gate.filter(|_| hangs.load(Ordering::SeqCst)) {
                gate.wait();
            }
            Descriptor::status().action(&action)
        });
    }
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let (_other, _) = connect_and_subscribe(&engine, Session::new("t").with_permission("busy")).await;
    hangs.store(true, Ordering::SeqCst);
    engine.refresh(Scope::session("t").paths(["busy"]));
    busy.wait_for_arrivals(1).await;
    let [_, b] = ["a", "b"].map(|path| consumer.start_invoke(&format!("/{path}"), path, Value::Null));
    while engine.stats().waiting_sessions < 3 {
        tokio::task::yield_now().await;
    }
    busy.open();
    slow.wait_for_arrivals(1).await;
    clock.advance(SLOW_MS);
    assert_eq!(consumer.answer(&b).await["status"], "ok");
    slow.open();
    engine.settle().await;
}

#[tokio::test]
async fn a_call_does_not_wait_for_async_sources_of_its_session_that_it_does_not_change() {
    let engine = engine();
    let slow = SlowRead::serve(&engine, "slow");
    slow.release.add_permits(1);
    let action = action_of("own");
    engine.register_async("own", move |_: Session| {
        let action = action.clone();
        async move { Descriptor::status().action(&action) }
    });
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    slow.has_read().await;
    for _ in 0..2 {
        engine.refresh(Scope::all());
        slow.has_read().await;
    }
    // One more follows them.
    engine.refresh(Scope::all());
    let log = EventLog::of(&engine);
    assert_eq!(consumer.invoke("/own", "own", Value::Null).await["status"], "ok");
    assert_eq!(log.count(|event| matches!(event, Event::ResultBeforePatch { .. })), 0);
    slow.release.add_permits(100);
    engine.settle().await;
}
