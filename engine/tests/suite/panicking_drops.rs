//! A value of the application's that panics when it is dropped disturbs nobody: the panic is reported, whoever waits is told,
//! and the engine goes on.

use std::panic::panic_any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, Config, Descriptor, Engine, Event, Invocation, Item, PanicSite, PerSession, Revocation, Scope, Session,
    SessionProvider, Source, WindowRequest,
};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, Gate, SharedNumber, connect_and_subscribe, engine, engine_with, engine_with_clock, error_code,
    message_types, node_at, user_session,
};

/// Panics each time one is dropped.
struct Bomb;

impl Bomb {
    const fn touch(&self) {}
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bomb");
    }
}

/// How many values were reported to have panicked while they were dropped.
fn reported(log: &EventLog) -> usize {
    log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Drop, why } if why.contains("a bomb")))
}

/// An action that holds a bomb.
fn mined(name: &str) -> Action {
    let bomb = Bomb;
    Action::new(name.to_owned(), move |_: Invocation<()>| bomb.touch())
}

/// A source that holds a bomb, and whose node offers two actions that hold one each.
fn minefield(number: &SharedNumber) -> Source {
    let (bomb, number, first, second) = (Bomb, number.clone(), mined("first"), mined("second"));
    Source::new(move |_: &Session| {
        bomb.touch();
        Descriptor::status().prop("n", number.get()).action(&first).action(&second)
    })
}

/// A source of which each evaluation holds two bombs of its own.
fn mined_each_time(number: &SharedNumber) -> Source {
    let number = number.clone();
    Source::new(move |_: &Session| {
        Descriptor::status().prop("n", number.get()).action(&mined("first")).action(&mined("second"))
    })
}

/// Checks that a consumer is sent what changes now.
async fn check_goes_on(engine: &Engine, consumer: &mut TestConsumer) {
    let number = SharedNumber::serve(engine, "alive");
    for value in [1, 2] {
        number.set(value);
        engine.refresh_now(Scope::all()).await;
        assert_eq!(consumer.query("/alive").await["properties"]["n"], value);
    }
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn of_a_source_that_is_replaced_or_removed_every_value_is_reported() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    engine.register_source("n", minefield(&SharedNumber::default()));
    consumer.settled().await;
    engine.register_source("n", minefield(&SharedNumber::default()));
    consumer.settled().await;
    assert_eq!(reported(&log), 3, "the source's, and one of each action");
    assert!(engine.unregister("n"));
    consumer.settled().await;
    assert_eq!(reported(&log), 6);
    check_goes_on(&engine, &mut consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_lets_a_tree_go_tells_everybody_who_waits_for_it() {
    let engine = engine();
    let (log, number, gate) = (EventLog::of(&engine), SharedNumber::default(), Gate::default());
    engine.register_source("n", mined_each_time(&number));
    let stand = gate.clone();
    engine.register("slow", move |session: &Session| {
        if session.can("wait") {
            stand.wait();
        }
        Descriptor::status()
    });
    let (mut consumer, id) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    assert!(engine.update_session(&user_session("s", "alice").with_permission("wait")));
    gate.wait_for_arrivals(1).await;
    // Two more wait for the pass that stands at the gate.
    let waiting = [(); 2].map(|()| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.refresh_now(Scope::all()).await })
    });
    number.set(7);
    gate.open();
    for refresh in waiting {
        assert_eq!(refresh.await.unwrap(), 1);
    }
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "n")["properties"]["n"], 7);
    assert!(reported(&log) >= 2);
    check_goes_on(&engine, &mut consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_closed_during_a_pass_takes_nothing_from_the_others_in_it() {
    let engine = engine_with(|config| config.execution.pass_threads = 1);
    let (log, number, gate) = (EventLog::of(&engine), SharedNumber::default(), Gate::default());
    engine.register_source("n", mined_each_time(&number));
    let (stand, slow) = (gate.clone(), number.clone());
    engine.register("slow", move |session: &Session| {
        if session.user() == Some("alice") && slow.get() > 0 {
            stand.wait();
        }
        Descriptor::status()
    });
    let (alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut bob, id) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    number.set(7);
    let refresh = |engine: Engine| tokio::spawn(async move { engine.refresh_now(Scope::all()).await });
    let first = refresh(engine.clone());
    gate.wait_for_arrivals(1).await;
    let second = refresh(engine.clone());
    assert!(engine.close_session("a"));
    gate.open();
    assert_eq!(first.await.unwrap(), 2);
    second.await.unwrap();
    bob.settled().await;
    assert_eq!(node_at(bob.tree(&id), "n")["properties"]["n"], 7);
    assert!(reported(&log) >= 2);
    drop(alice);
    check_goes_on(&engine, &mut bob).await;
}

/// Is ready at once or never, and panics when it is dropped.
struct MinedFuture {
    ready: bool,
    _bomb: Bomb,
}

impl Future for MinedFuture {
    type Output = Descriptor;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Descriptor> {
        if self.ready { Poll::Ready(Descriptor::status().prop("ready", true)) } else { Poll::Pending }
    }
}

#[tokio::test]
async fn a_descriptor_that_is_late_ends_neither_its_pass_nor_whoever_waits_for_it() {
    let (engine, clock) = engine_with_clock(|config| config.times.evaluation_timeout = Duration::from_secs(1));
    let log = EventLog::of(&engine);
    engine.register("n", |_: &Session| Descriptor::status().prop("n", 7));
    engine
        .register_async("late", |session: Session| MinedFuture { ready: session.user() != Some("alice"), _bomb: Bomb });
    let sessions = [user_session("a", "alice"), user_session("b", "bob")];
    let mut consumers = Vec::new();
    for session in sessions {
        let mut consumer = TestConsumer::connect(&engine, session).await;
        consumer.start_subscription(json!({"path": "/", "depth": -1}));
        consumers.push(consumer);
    }
    let all = engine.clone();
    let settled = tokio::spawn(async move { all.settle().await });
    while !settled.is_finished() {
        clock.advance(1_000);
        tokio::task::yield_now().await;
    }
    for consumer in &mut consumers {
        let messages = consumer.settled().await;
        assert_eq!(message_types(&messages), ["snapshot"]);
        assert_eq!(node_at(&messages[0]["tree"], "n")["properties"]["n"], 7);
    }
    let alice = consumers[0].query("/late").await;
    assert_eq!(alice["properties"], json!({"error": "unavailable"}));
    assert!(reported(&log) >= 1);
    for _ in 0..2 {
        let refreshed = engine.clone();
        let refresh = tokio::spawn(async move { refreshed.refresh_now(Scope::user("alice")).await });
        while !refresh.is_finished() {
            clock.advance(1_000);
            tokio::task::yield_now().await;
        }
        assert_eq!(refresh.await.unwrap(), 1);
    }
}

#[tokio::test]
async fn ended_sessions_close_their_connections_whatever_they_held() {
    let end: [fn(&Engine) -> bool; 2] =
        [|engine| engine.close_session("s"), |engine| engine.revoke(Revocation::session("s")) == 1];
    for (end, code) in end.into_iter().zip([1000, 1008]) {
        let engine = engine();
        let log = EventLog::of(&engine);
        let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice").with_data(Bomb)).await;
        engine.register_for("s", "own", minefield(&SharedNumber::default())).unwrap();
        consumer.settled().await;
        assert!(end(&engine));
        consumer.settled().await;
        assert_eq!(consumer.closed(), Some(code));
        drop(consumer);
        assert_eq!(reported(&log), 4, "the source's, of each action, and the session's data");
        assert_eq!(engine.stats().sessions, 0);
    }
}

#[tokio::test]
async fn new_claims_are_shown_although_the_data_of_the_old_ones_panics() {
    let engine = engine();
    let log = EventLog::of(&engine);
    engine.register("me", |session: &Session| Descriptor::context_of(session));
    let (mut consumer, id) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    assert!(engine.update_session(&user_session("s", "alice").with_data(Bomb)));
    consumer.settled().await;
    assert!(engine.update_session(&user_session("s", "alice").with_permission("write")));
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "me")["properties"]["permissions"], json!(["write"]));
    assert_eq!(reported(&log), 1);
    check_goes_on(&engine, &mut consumer).await;
}

#[tokio::test]
async fn resume_points_that_expire_do_not_stop_the_time() {
    let (engine, clock) = engine_with_clock(|config| config.times.resume_window = Duration::from_secs(5));
    let (log, number) = (EventLog::of(&engine), SharedNumber::default());
    engine.register_source("n", mined_each_time(&number));
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let (mut other, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    drop(consumer);
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    other.settled().await;
    let before = reported(&log);
    clock.advance(5_000);
    engine.settle().await;
    assert!(reported(&log) >= before + 2);
    check_goes_on(&engine, &mut other).await;
}

#[tokio::test]
async fn what_was_loaded_for_a_query_or_a_call_is_answered_and_reported() {
    let engine = engine();
    let log = EventLog::of(&engine);
    let bombs = (Bomb, Bomb);
    let list = Source::new(|_: &Session| Descriptor::collection().lazy(9))
        .on_window(move |_: &Session, wanted: &WindowRequest| {
            bombs.0.touch();
            (0..wanted.count).map(|at| Item::new(format!("i{at}")).action(&mined("act"))).collect::<Vec<_>>()
        })
        .on_item(move |_: &Session, id: &str| {
            bombs.1.touch();
            Some(Item::new(id).action(&mined("act")))
        });
    engine.register_source("list", list);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let window = consumer.query_with(json!({"path": "/list", "window": [0, 3]})).await;
    assert_eq!(window["tree"]["children"].as_array().unwrap().len(), 3);
    assert_eq!(reported(&log), 3);
    assert_eq!(consumer.invoke("/list/i1", "act", Value::Null).await["status"], "ok");
    engine.unregister("list");
    consumer.settled().await;
    assert_eq!(reported(&log), 6, "the item that was called, and both functions");
    check_goes_on(&engine, &mut consumer).await;
}

#[tokio::test]
async fn a_task_ends_in_its_state_and_a_refused_one_is_refused() {
    let engine = engine_with(|config| config.limits.tasks_per_session = 1);
    let log = EventLog::of(&engine);
    let start = Action::new("start", |call: Invocation<()>| {
        let bomb = Bomb;
        call.start_task("work", move |_| async move {
            bomb.touch();
            std::future::pending::<()>().await;
            Ok(Value::Null)
        })
    });
    engine.register("do", move |_: &Session| Descriptor::group().action(&start));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(consumer.invoke("/do", "start", Value::Null).await["status"], "accepted");
    let before = reported(&log);
    assert_eq!(error_code(&consumer.invoke("/do", "start", Value::Null).await), "busy");
    assert!(reported(&log) > before, "what the refused one held");
    consumer.invoke("/tasks/task-1", "cancel", Value::Null).await;
    consumer.settled().await;
    assert_eq!(consumer.query("/tasks/task-1").await["properties"]["status"], "cancelled");
    check_goes_on(&engine, &mut consumer).await;
}

#[tokio::test]
async fn a_call_is_answered_whatever_its_handler_and_its_future_hold() {
    let engine = engine();
    let number = SharedNumber::default();
    let gate = Gate::default();
    let stand = gate.clone();
    let bomb = Bomb;
    let waits = Action::new("waits", move |_: Invocation<()>| {
        bomb.touch();
        stand.wait();
        json!("done")
    });
    let later = Action::new_async("later", |_: Invocation<()>| {
        let future = MinedFuture { ready: true, _bomb: Bomb };
        async move {
            future.await;
        }
    });
    let offered = parking_lot::Mutex::new(Some((waits, later)));
    engine.register("do", move |_: &Session| match &*offered.lock() {
        Some((waits, later)) => Descriptor::group().action(waits).action(later),
        None => Descriptor::group(),
    });
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(error_code(&consumer.invoke("/do", "later", Value::Null).await), "internal");
    // While it runs, only the call holds the action.
    let id = consumer.start_invoke("/do", "waits", Value::Null);
    gate.wait_for_arrivals(1).await;
    engine.register_source("do", minefield(&number));
    gate.open();
    assert_eq!(consumer.answer(&id).await["data"], "done");
    check_goes_on(&engine, &mut consumer).await;
}

#[tokio::test]
async fn the_provider_of_one_session_is_made_anew_whatever_the_one_before_held() {
    let builder = Engine::builder("app", "App").config(Config::immediate());
    let bomb = Bomb;
    let desk = PerSession::with_options(builder, move |_: &Session| {
        bomb.touch();
        let sources = [(); 3].map(|()| minefield(&SharedNumber::default()));
        let [first, second, beside] = sources;
        SessionProvider::new().register_source("n", first).register_source("n", second).register_source("b", beside)
    });
    let log = EventLog::of(desk.engine());
    let (mut consumer, _) = connect_and_subscribe(desk.engine(), Session::new("s")).await;
    assert_eq!(desk.restart("s"), Ok(true));
    consumer.settled().await;
    assert!(reported(&log) >= 3);
    check_goes_on(desk.engine(), &mut consumer).await;
    assert!(desk.close("s"));
    consumer.settled().await;
    assert_eq!(consumer.closed(), Some(1000));
    // The factory and the observers end with the engine, and nobody is left to be told.
    drop((consumer, desk));
}

/// What is thrown panics in turn when it is dropped.
fn throw() {
    panic_any(Bomb);
}

#[tokio::test]
async fn what_is_thrown_may_panic_as_well() {
    let builder = Engine::builder("app", "App").config(Config::immediate());
    let engine = builder.authorize(|_: &Session, _: &str, action: &Action| {
        if action.name() == "refused" {
            throw();
        }
        Ok(())
    });
    let engine = engine.build();
    let log = EventLog::of(&engine);
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    engine.observe(move |event| {
        if matches!(event, Event::Connected { .. }) {
            count.fetch_add(1, Ordering::SeqCst);
            throw();
        }
    });
    engine.register("n", |_: &Session| Descriptor::status().prop("n", 7));
    engine.register("throws", |_: &Session| {
        throw();
        Descriptor::status()
    });
    engine.register_async("later", |_: Session| async {
        throw();
        Descriptor::status()
    });
    let list = Source::new(|_: &Session| Descriptor::collection().lazy(9));
    engine.register_source(
        "list",
        list.on_window(|_: &Session, _: &WindowRequest| {
            throw();
            Vec::<Item>::new()
        }),
    );
    let actions = [
        Action::new("blocks", |_: Invocation<()>| throw()),
        Action::new_async("awaits", |_: Invocation<()>| async { throw() }),
        Action::new("refused", |_: Invocation<()>| ()),
        Action::new("task", |call: Invocation<()>| {
            call.start_task("t", |_| async {
                throw();
                Ok(Value::Null)
            })
        }),
    ];
    engine.register("do", move |_: &Session| Descriptor::group().actions(&actions));
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert_eq!(node_at(consumer.tree(&id), "n")["properties"]["n"], 7);
    assert_eq!(node_at(consumer.tree(&id), "throws")["properties"]["error"], "unavailable");
    assert_eq!(node_at(consumer.tree(&id), "later")["properties"]["error"], "unavailable");
    assert_eq!(error_code(&consumer.query_with(json!({"path": "/list", "window": [0, 3]})).await), "internal");
    for action in ["blocks", "awaits", "refused"] {
        assert_eq!(error_code(&consumer.invoke("/do", action, Value::Null).await), "internal", "{action}");
    }
    consumer.invoke("/do", "task", Value::Null).await;
    consumer.settled().await;
    assert_eq!(consumer.query("/tasks/task-1").await["properties"]["status"], "failed");
    engine
        .refresh_now(Scope::matching(|_: &Session| {
            throw();
            true
        }))
        .await;
    assert!(log.count(|event| matches!(event, Event::Panicked { .. })) >= 6);
    check_goes_on(&engine, &mut consumer).await;
}
