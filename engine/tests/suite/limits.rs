//! Every limit of the configuration: what happens when it is reached, and that this is reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, ConnectError, Descriptor, Event, Invocation, Limit, Provider, Scope, Session, Sharing, Source,
};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, Gate, SharedNumber, connect_and_subscribe, engine_with, engine_with_clock, error_code, node_at,
    user_session,
};

#[tokio::test]
async fn a_session_above_the_limit_is_refused() {
    let engine = engine_with(|config| config.limits.sessions = 2);
    let log = EventLog::of(&engine);
    let (mut first, _) = connect_and_subscribe(&engine, Session::new("a")).await;
    let (_second, _) = connect_and_subscribe(&engine, Session::new("b")).await;
    assert_eq!(engine.connect(&Session::new("c")).map(drop), Err(ConnectError::LimitReached(Limit::Sessions)));
    assert_eq!(engine.open_session(&Session::new("c")), Err(ConnectError::LimitReached(Limit::Sessions)));
    assert_eq!(log.limit_count(Limit::Sessions), 2);
    assert_eq!(first.query("/").await["id"], "app");
    let (_third, _) = connect_and_subscribe(&engine, Session::new("a")).await;
}

#[tokio::test]
async fn a_connection_above_the_limit_is_refused_until_another_one_closes() {
    let engine = engine_with(|config| config.limits.connections = 2);
    let log = EventLog::of(&engine);
    let first = TestConsumer::connect(&engine, Session::new("a")).await;
    let _second = TestConsumer::connect(&engine, Session::new("b")).await;
    for _ in 0..3 {
        assert_eq!(engine.connect(&Session::new("c")).map(drop), Err(ConnectError::LimitReached(Limit::Connections)));
    }
    assert_eq!(log.limit_count(Limit::Connections), 3);
    assert_eq!(
        (engine.stats().connections, engine.stats().sessions),
        (2, 2),
        "a refused connection leaves nothing behind"
    );
    drop(first);
    TestConsumer::connect(&engine, Session::new("c")).await;
}

#[tokio::test]
async fn a_connection_above_the_limit_per_session_is_refused() {
    let engine = engine_with(|config| config.limits.connections_per_session = 2);
    let log = EventLog::of(&engine);
    let _first = TestConsumer::connect(&engine, Session::new("a")).await;
    let _second = TestConsumer::connect(&engine, Session::new("a")).await;
    assert!(matches!(engine.connect(&Session::new("a")), Err(ConnectError::LimitReached(_))));
    assert_eq!(log.limit_count(Limit::ConnectionsPerSession), 1);
    TestConsumer::connect(&engine, Session::new("b")).await;
}

#[tokio::test]
async fn a_subscription_above_the_limit_is_busy() {
    let engine = engine_with(|config| config.limits.subscriptions_per_connection = 2);
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("a")).await;
    let (first, _) = consumer.subscribe("/").await;
    consumer.subscribe("/").await;
    let third = consumer.start_subscription(json!({"path": "/"}));
    assert_eq!(error_code(&consumer.answer(&third).await), "busy");
    assert_eq!(log.limit_count(Limit::SubscriptionsPerConnection), 1);
    // An id in use replaces its own subscription.
    consumer.send(&json!({"type": "subscribe", "id": first, "path": "/"}));
    assert_eq!(consumer.next().await["type"], "snapshot");
    consumer.unsubscribe(&first);
    consumer.subscribe("/").await;
    assert_eq!(engine.stats().subscriptions, 2);
}

#[tokio::test]
async fn a_call_above_the_limit_is_busy() {
    let engine = engine_with(|config| config.limits.calls_per_connection = 2);
    let log = EventLog::of(&engine);
    let gate = Gate::default();
    let handler_gate = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| handler_gate.wait());
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let mut consumer = TestConsumer::connect(&engine, Session::new("a")).await;
    consumer.query("/").await;
    let running = [consumer.start_invoke("/n", "act", Value::Null), consumer.start_invoke("/n", "act", Value::Null)];
    let refused = consumer.invoke("/n", "act", Value::Null).await;
    assert_eq!((refused["type"].as_str(), error_code(&refused)), (Some("result"), "busy"));
    assert_eq!(log.limit_count(Limit::CallsPerConnection), 1);
    assert_eq!(consumer.query("/n").await["id"], "n", "queries still work");
    gate.open();
    let results = [consumer.next().await, consumer.next().await];
    assert!(results.iter().all(|result| result["status"] == "ok"), "{results:?}");
    assert!(running.iter().all(|id| results.iter().any(|result| result["id"] == id.as_str())), "{results:?}");
    assert_eq!(consumer.invoke("/n", "act", Value::Null).await["status"], "ok");
}

#[tokio::test]
async fn a_tab_above_the_limit_is_refused() {
    let engine = engine_with(|config| config.limits.tabs_per_session = 1);
    let log = EventLog::of(&engine);
    let first = engine.connect_tab(&Session::new("a")).unwrap();
    assert!(matches!(engine.connect_tab(&Session::new("a")), Err(ConnectError::LimitReached(_))));
    assert_eq!((log.limit_count(Limit::TabsPerSession), engine.stats().connections), (1, 1));
    drop(first);
    engine.settle().await;
    assert!(engine.connect_tab(&Session::new("a")).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn async_evaluations_run_concurrently_up_to_the_limit() {
    let engine = engine_with(|config| config.execution.async_evaluations = 4);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (current, maximum) = (Arc::clone(&running), Arc::clone(&most));
    let source = Source::new_async(move |_: Session| {
        let (current, maximum) = (Arc::clone(&current), Arc::clone(&maximum));
        async move {
            let now = current.fetch_add(1, Ordering::SeqCst) + 1;
            maximum.fetch_max(now, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            current.fetch_sub(1, Ordering::SeqCst);
            Descriptor::status()
        }
    });
    engine.register_source("n", source.sharing(Sharing::Never));
    let mut consumers = Vec::new();
    for id in 0..40 {
        consumers.push(connect_and_subscribe(&engine, Session::new(format!("s{id}"))).await);
    }
    most.store(0, Ordering::SeqCst);
    engine.refresh_now(Scope::all()).await;
    let most = most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} ran concurrently");
    assert_eq!(running.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_async_source_that_times_out_keeps_its_content_and_blocks_nothing_else() {
    let (engine, clock) = engine_with_clock(|config| config.times.evaluation_timeout = Duration::from_millis(1_000));
    let (number, log) = (SharedNumber::default(), EventLog::of(&engine));
    let read = number.clone();
    engine.register_async("slow", move |_: Session| {
        let n = read.get();
        async move {
            if n > 0 {
                std::future::pending::<()>().await;
            }
            Descriptor::status().prop("n", n)
        }
    });
    let quick = SharedNumber::serve(&engine, "quick");
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    number.set(1);
    quick.set(1);
    engine.refresh(Scope::all());
    // The pass waits for the source until its timeout.
    while log.count(|event| matches!(event, Event::SourceFailed { .. })) == 0 {
        clock.advance(100);
        tokio::task::yield_now().await;
    }
    assert!(grove_engine::Clock::now_ms(&*clock) >= 1_000);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "slow")["properties"]["n"], 0);
    assert_eq!(node_at(consumer.tree(&id), "quick")["properties"]["n"], 1);
}

#[tokio::test]
async fn the_handlers_of_one_session_cannot_occupy_all_threads() {
    let engine = engine_with(|config| {
        config.execution.blocking_calls_per_session = 2;
        config.execution.blocking_calls = 4;
    });
    let gate = Gate::default();
    let handler_gate = gate.clone();
    let wait = Action::new("wait", move |_: Invocation<()>| handler_gate.wait());
    let quick = Action::new("quick", |_: Invocation<()>| ());
    let log = EventLog::of(&engine);
    engine.register("n", move |_: &Session| Descriptor::group().action(&wait).action(&quick));
    let mut greedy = TestConsumer::connect(&engine, Session::new("greedy")).await;
    let (mut other, _) = connect_and_subscribe(&engine, Session::new("other")).await;
    for _ in 0..10 {
        greedy.start_invoke("/n", "wait", Value::Null);
    }
    gate.wait_for_arrivals(2).await;
    assert_eq!(other.invoke("/n", "quick", Value::Null).await["status"], "ok");
    assert!(log.limit_count(Limit::BlockingCallsPerSession) > 0, "waiting calls are reported");
    assert_eq!(log.limit_count(Limit::BlockingCalls), 0);
    engine.refresh_now(Scope::all()).await;
    gate.open();
    let results = greedy.settled().await;
    assert_eq!(results.iter().filter(|result| result["status"] == "ok").count(), 10, "waiting calls run later");
}

#[tokio::test]
async fn reconnecting_gives_a_session_no_additional_threads() {
    let engine = engine_with(|config| {
        config.execution.blocking_calls_per_session = 1;
        config.execution.blocking_calls = 4;
    });
    let gate = Gate::default();
    let handler_gate = gate.clone();
    let wait = Action::new("wait", move |_: Invocation<()>| handler_gate.wait());
    let quick = Action::new("quick", |_: Invocation<()>| ());
    engine.register("n", move |_: &Session| Descriptor::group().action(&wait).action(&quick));
    let (mut other, _) = connect_and_subscribe(&engine, Session::new("other")).await;
    let (mut greedy, _) = connect_and_subscribe(&engine, Session::new("greedy")).await;
    greedy.start_invoke("/n", "wait", Value::Null);
    gate.wait_for_arrivals(1).await;
    drop(greedy);
    let mut greedy = TestConsumer::connect(&engine, Session::new("greedy")).await;
    let late = greedy.start_invoke("/n", "quick", Value::Null);
    assert_eq!(other.invoke("/n", "quick", Value::Null).await["status"], "ok");
    assert_eq!(greedy.ready(), Vec::<Value>::new(), "its only thread is occupied");
    gate.open();
    assert_eq!(greedy.answer(&late).await["status"], "ok");
}

#[tokio::test]
async fn content_is_correct_with_a_full_dictionary_and_no_cache() {
    let engine = engine_with(|config| {
        config.memory.dictionary_bytes = 0;
        config.memory.cache_bytes = 0;
    });
    let (number, log) = (SharedNumber::serve(&engine, "n"), EventLog::of(&engine));
    let mut consumers = Vec::new();
    for id in 0..20 {
        consumers.push(connect_and_subscribe(&engine, user_session(&format!("s{id}"), "alice")).await);
    }
    number.set(5);
    engine.refresh_now(Scope::all()).await;
    for (consumer, subscription) in &mut consumers {
        consumer.check_mirrors().await;
        assert_eq!(node_at(consumer.tree(subscription), "n")["properties"]["n"], 5);
    }
    assert_eq!(log.limit_count(Limit::DictionaryBytes), 1, "the full dictionary is reported once");
    assert_eq!(log.limit_count(Limit::CacheBytes), 1);
}

#[tokio::test]
async fn blocking_calls_above_the_total_limit_wait_and_that_is_reported() {
    let engine = engine_with(|config| config.execution.blocking_calls = 1);
    let (gate, log) = (Gate::default(), EventLog::of(&engine));
    let handler_gate = gate.clone();
    let wait = Action::new("wait", move |_: Invocation<()>| handler_gate.wait());
    engine.register("n", move |_: &Session| Descriptor::group().action(&wait));
    let mut consumers = Vec::new();
    for id in ["a", "b"] {
        consumers.push(connect_and_subscribe(&engine, Session::new(id)).await.0);
    }
    for consumer in &mut consumers {
        consumer.start_invoke("/n", "wait", Value::Null);
    }
    gate.wait_for_arrivals(1).await;
    // Lets the other call get as far as it can without a thread.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.limit_count(Limit::BlockingCalls), 1);
    gate.open();
    for consumer in &mut consumers {
        let results = consumer.settled().await;
        assert!(results.iter().any(|result| result["status"] == "ok"), "{results:?}");
    }
}

#[tokio::test]
async fn a_view_too_large_for_a_frame_is_an_error_and_is_reported() {
    let engine = engine_with(|config| config.sizes.frame_bytes = 1_024);
    let log = EventLog::of(&engine);
    engine.register("n", |_: &Session| Descriptor::status().prop("text", "x".repeat(2_000)));
    let mut consumer = TestConsumer::connect(&engine, Session::new("a")).await;
    let subscription = consumer.start_subscription(json!({"path": "/n"}));
    assert_eq!(error_code(&consumer.answer(&subscription).await), "too_large");
    assert_eq!(error_code(&consumer.query_with(json!({"path": "/n"})).await), "too_large");
    assert_eq!(log.limit_count(Limit::FrameBytes), 2);
}

#[tokio::test]
async fn a_session_above_the_limit_per_user_replaces_an_idle_one_of_that_user() {
    let (engine, clock) = engine_with_clock(|config| config.limits.sessions_per_user = 2);
    let log = EventLog::of(&engine);
    let (mut other, _) = connect_and_subscribe(&engine, user_session("b1", "bob")).await;
    for id in ["a1", "a2"] {
        drop(connect_and_subscribe(&engine, user_session(id, "alice")).await);
        clock.advance(1_000);
    }
    let (_third, _) = connect_and_subscribe(&engine, user_session("a3", "alice")).await;
    assert_eq!(log.count(|event| matches!(event, Event::SessionClosed { session, .. } if session == "a1")), 1);
    let (_second, _) = connect_and_subscribe(&engine, user_session("a2", "alice")).await;
    // Both sessions have a consumer now.
    let full = Err(ConnectError::LimitReached(Limit::SessionsPerUser));
    assert_eq!(engine.connect(&user_session("a4", "alice")).map(drop), full);
    // An anonymous session that logs in counts against the limit as well.
    let (_visitor, _) = connect_and_subscribe(&engine, Session::new("visit")).await;
    assert_eq!(engine.renew(user_session("visit", "alice")).map(drop), full);
    assert_eq!((log.limit_count(Limit::SessionsPerUser), engine.stats().sessions), (2, 4));
    connect_and_subscribe(&engine, user_session("b2", "bob")).await;
    assert_eq!(other.query("/").await["id"], "app");
}

#[tokio::test]
async fn a_connection_above_the_limit_per_user_is_refused() {
    let engine = engine_with(|config| config.limits.connections_per_user = 2);
    let log = EventLog::of(&engine);
    let first = TestConsumer::connect(&engine, user_session("a1", "alice")).await;
    let _second = TestConsumer::connect(&engine, user_session("a2", "alice")).await;
    let full = Err(ConnectError::LimitReached(Limit::ConnectionsPerUser));
    assert_eq!(engine.connect(&user_session("a2", "alice")).map(drop), full);
    assert_eq!(engine.connect_tab(&user_session("a3", "alice")).map(drop), full);
    assert_eq!((log.limit_count(Limit::ConnectionsPerUser), engine.stats().connections), (2, 2));
    TestConsumer::connect(&engine, user_session("b1", "bob")).await;
    drop(first);
    TestConsumer::connect(&engine, user_session("a3", "alice")).await;
}

#[tokio::test]
async fn a_subscription_above_a_limit_per_session_per_user_or_in_total_is_busy_until_one_ends() {
    for (limit, busy_for) in [
        (Limit::SubscriptionsPerSession, [true, false, false]),
        (Limit::SubscriptionsPerUser, [true, true, false]),
        (Limit::Subscriptions, [true, true, true]),
    ] {
        let engine = engine_with(|config| match limit {
            Limit::SubscriptionsPerSession => config.limits.subscriptions_per_session = 1,
            Limit::SubscriptionsPerUser => config.limits.subscriptions_per_user = 1,
            _ => config.limits.subscriptions = 1,
        });
        let log = EventLog::of(&engine);
        let (mut first, id) = connect_and_subscribe(&engine, user_session("a1", "alice")).await;
        let others = [user_session("a1", "alice"), user_session("a2", "alice"), user_session("b1", "bob")];
        for (session, busy) in others.into_iter().zip(busy_for) {
            let mut other = TestConsumer::connect(&engine, session).await;
            let subscription = other.start_subscription(json!({"path": "/"}));
            let reply = other.answer(&subscription).await;
            assert_eq!(error_code(&reply) == "busy", busy, "{limit}: {reply}");
        }
        assert_eq!(log.limit_count(limit), busy_for.iter().filter(|busy| **busy).count(), "{limit}");
        // An id in use replaces its own subscription; whatever ends a subscription frees its place.
        first.send(&json!({"type": "subscribe", "id": id, "path": "/", "depth": -1}));
        assert_eq!(first.next().await["type"], "snapshot", "{limit}");
        first.unsubscribe(&id);
        let nowhere = first.start_subscription(json!({"path": "/nowhere"}));
        assert_eq!(error_code(&first.answer(&nowhere).await), "not_found", "{limit}");
        first.subscribe("/").await;
        drop(first);
        let (_again, _) = connect_and_subscribe(&engine, user_session("a1", "alice")).await;
    }
}

#[tokio::test]
async fn a_call_above_a_limit_per_session_per_user_or_in_total_is_busy_until_one_ends() {
    for (limit, busy_for) in [
        (Limit::CallsPerSession, [true, false, false]),
        (Limit::CallsPerUser, [true, true, false]),
        (Limit::Calls, [true, true, true]),
    ] {
        let engine = engine_with(|config| match limit {
            Limit::CallsPerSession => config.limits.calls_per_session = 1,
            Limit::CallsPerUser => config.limits.calls_per_user = 1,
            _ => config.limits.calls = 1,
        });
        let (gate, log) = (Gate::default(), EventLog::of(&engine));
        let handler_gate = gate.clone();
        let wait = Action::new("wait", move |_: Invocation<()>| handler_gate.wait());
        let quick = Action::new("quick", |_: Invocation<()>| ());
        engine.register("n", move |_: &Session| Descriptor::group().action(&wait).action(&quick));
        let (mut first, _) = connect_and_subscribe(&engine, user_session("a1", "alice")).await;
        first.start_invoke("/n", "wait", Value::Null);
        gate.wait_for_arrivals(1).await;
        // Reconnecting does not free the place of a call that is still running.
        drop(first);
        let others = [user_session("a1", "alice"), user_session("a2", "alice"), user_session("b1", "bob")];
        for (session, busy) in others.clone().into_iter().zip(busy_for) {
            let mut other = TestConsumer::connect(&engine, session).await;
            let result = other.invoke("/n", "quick", Value::Null).await;
            assert_eq!(error_code(&result) == "busy", busy, "{limit}: {result}");
        }
        assert_eq!(log.limit_count(limit), busy_for.iter().filter(|busy| **busy).count(), "{limit}");
        gate.open();
        engine.settle().await;
        for session in others {
            let (mut other, _) = connect_and_subscribe(&engine, session).await;
            assert_eq!(other.invoke("/n", "quick", Value::Null).await["status"], "ok", "{limit}");
        }
    }
}

#[tokio::test]
async fn a_tab_above_a_limit_per_user_or_in_total_is_refused() {
    for limit in [Limit::TabsPerUser, Limit::Tabs] {
        let engine = engine_with(|config| match limit {
            Limit::TabsPerUser => config.limits.tabs_per_user = 1,
            _ => config.limits.tabs = 1,
        });
        let log = EventLog::of(&engine);
        let first = engine.connect_tab(&user_session("a1", "alice")).unwrap();
        for _ in 0..2 {
            assert_eq!(
                engine.connect_tab(&user_session("a2", "alice")).map(drop),
                Err(ConnectError::LimitReached(limit))
            );
        }
        let bob = engine.connect_tab(&user_session("b1", "bob"));
        assert_eq!(bob.is_ok(), limit == Limit::TabsPerUser, "{limit}");
        drop((first, bob));
        engine.settle().await;
        assert!(engine.connect_tab(&user_session("a2", "alice")).is_ok());
        assert_eq!(log.limit_count(limit), if limit == Limit::TabsPerUser { 2 } else { 3 });
        assert_eq!(engine.stats().connections, 0);
    }
}
