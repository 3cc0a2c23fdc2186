//! Descriptor functions that block a thread and never return: they never stop the engine from serving.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Action, Config, Descriptor, Engine, Event, Invocation, Scope, Session, Sharing, Source};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, Gate, SharedNumber, connect_and_subscribe, engine_with_clock, evaluations, node_at, user_session,
};

/// How many evaluations of one path may be slow at a time.
const SLOW_PER_PATH: usize = 3;

/// Sessions that show a number at `/n`, beside a function at `/bad` that hangs from when the test says so.
struct App {
    engine: Engine,
    clock: Arc<ManualClock>,
    number: SharedNumber,
    hangs: Arc<AtomicBool>,
    gate: Gate,
    consumers: Vec<(TestConsumer, String)>,
}

impl App {
    /// `once` if the function hangs one time only, for whoever comes first.
    async fn new(sessions: usize, once: bool, sharing: Option<Sharing>) -> Self {
        let (engine, clock) = engine_with_clock(|config: &mut Config| {
            config.execution.pass_threads = 2;
            config.execution.slow_evaluations = 8;
            config.execution.slow_evaluations_per_path = SLOW_PER_PATH;
            config.times.rest_before_result = Duration::from_millis(100);
        });
        let (hangs, gate) = (Arc::new(AtomicBool::new(false)), Gate::default());
        let number = SharedNumber::serve(&engine, "n");
        let (armed, shut) = (Arc::clone(&hangs), gate.clone());
        let bad = Source::new(move |_: &Session| {
            let hang = if once { armed.swap(false, Ordering::SeqCst) } else { armed.load(Ordering::SeqCst) };
            if hang {
                shut.wait();
            }
            Descriptor::status().prop("ok", true)
        });
        engine.register_source("bad", if let Some(sharing) = sharing { bad.sharing(sharing) } else { bad });
        let ping = Action::new("ping", |_: Invocation<()>| ());
        engine.register("calls", move |_: &Session| Descriptor::group().action(&ping));
        let mut consumers = Vec::new();
        for id in 0..sessions {
            consumers.push(connect_and_subscribe(&engine, user_session(&format!("s{id}"), "u")).await);
        }
        Self { engine, clock, number, hangs, gate, consumers }
    }

    fn change(&self, n: i64) {
        self.number.set(n);
        self.engine.refresh(Scope::all());
    }

    /// How many consumers see this number by now.
    fn seen(&mut self, n: i64) -> usize {
        let sees = |(consumer, subscription): &mut (TestConsumer, String)| {
            drop(consumer.ready());
            node_at(consumer.tree(subscription), "n")["properties"]["n"] == n
        };
        self.consumers.iter_mut().map(sees).filter(|sees| *sees).count()
    }

    /// Lets time pass until so many see this number.
    async fn until_seen(&mut self, n: i64, count: usize) {
        while self.seen(n) < count {
            self.clock.advance(100);
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn whoever_waits_for_a_function_that_blocks_evaluates_for_himself_after_a_while() {
    let mut app = App::new(6, true, None).await;
    app.hangs.store(true, Ordering::SeqCst);
    app.change(1);
    app.gate.wait_for_arrivals(1).await;
    // The same source, and the others of the same pass.
    app.until_seen(1, 5).await;
    for (consumer, subscription) in &app.consumers {
        assert_eq!(node_at(consumer.tree(subscription), "bad")["properties"], json!({"ok": true}));
    }
    app.change(2);
    app.until_seen(2, 5).await;
    assert_eq!(app.gate.arrivals(), 1);
    app.gate.open();
    app.engine.settle().await;
    assert_eq!(app.seen(2), 6, "whoever had to wait catches up");
}

#[tokio::test]
async fn a_function_that_hangs_for_everybody_stops_no_other_and_is_not_started_again() {
    for sharing in [None, Some(Sharing::Never)] {
        let mut app = App::new(30, false, sharing).await;
        let log = EventLog::of(&app.engine);
        app.hangs.store(true, Ordering::SeqCst);
        app.change(1);
        app.gate.wait_for_arrivals(1).await;
        // Those whose thread is blocked see nothing new but what their calls change.
        let most = SLOW_PER_PATH + 2;
        app.until_seen(1, 30 - most).await;
        let hanging = app.gate.arrivals();
        assert!(hanging <= most, "{hanging} threads are blocked");
        // As many as may take longer than anybody waits: from now on nobody waits at all.
        app.clock.advance(20_000);
        let before = evaluations(&app.engine, "/bad");
        for n in 2..12 {
            app.change(n);
            while app.seen(n) < 30 - hanging {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!((app.gate.arrivals(), evaluations(&app.engine, "/bad")), (hanging, before));
        assert!(log.count(|event| matches!(event, Event::SourceFailed { path, .. } if path == "bad")) > 0);
        let mut late = TestConsumer::connect(&app.engine, user_session("late", "u")).await;
        let (_, tree) = late.subscribe("/").await;
        assert_eq!(node_at(&tree, "bad")["properties"], json!({"error": "unavailable"}));
        assert_eq!(node_at(&tree, "n")["properties"]["n"], 11);
        for at in 0..30 {
            let (consumer, _) = &mut app.consumers[at];
            let call = consumer.start_invoke("/calls", "ping", Value::Null);
            while !consumer.ready().iter().any(|message| message["id"] == call && message["status"] == "ok") {
                app.clock.advance(10);
                tokio::task::yield_now().await;
            }
        }
        app.hangs.store(false, Ordering::SeqCst);
        app.gate.open();
        app.engine.settle().await;
        app.change(12);
        app.engine.settle().await;
        assert_eq!(app.seen(12), 30, "it recovers");
    }
}

#[tokio::test]
async fn slow_functions_of_one_path_leave_threads_to_the_others() {
    let mut app = App::new(20, false, Some(Sharing::Never)).await;
    app.hangs.store(true, Ordering::SeqCst);
    app.change(1);
    app.gate.wait_for_arrivals(2).await;
    for _ in 0..20 {
        app.clock.advance(100);
        tokio::task::yield_now().await;
    }
    let own = Scope::all().paths(["n"]);
    // What does not touch the path is rendered at once where no turn is taken.
    let rendered = tokio::spawn({
        let engine = app.engine.clone();
        async move { engine.refresh_now(own).await }
    });
    app.until_seen(1, 20 - SLOW_PER_PATH - 2).await;
    assert!(app.gate.arrivals() <= SLOW_PER_PATH + 2);
    app.hangs.store(false, Ordering::SeqCst);
    app.gate.open();
    assert_eq!(rendered.await.unwrap(), 20);
    app.engine.settle().await;
    assert_eq!(app.seen(1), 20);
}
