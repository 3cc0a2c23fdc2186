//! Every bound of the configuration: what happens when it is reached, and that it is an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Action, ConnectError, Descriptor, Event, Invocation, Limit, Provider, Revocation, Scope, Session, Sharing, Source,
};
use serde_json::{Value, json};

use crate::apps::{Gate, Log, Number, at, clocked, code, engine_with, person, watching};

#[tokio::test]
async fn a_session_above_the_limit_is_refused() {
    let engine = engine_with(|config| config.limits.sessions = 2);
    let log = Log::of(&engine);
    let (mut first, _) = watching(&engine, Session::new("a")).await;
    let (_second, _) = watching(&engine, Session::new("b")).await;
    assert_eq!(engine.connect(&Session::new("c")).map(drop), Err(ConnectError::LimitReached(Limit::Sessions)));
    assert_eq!(engine.open_session(&Session::new("c")), Err(ConnectError::LimitReached(Limit::Sessions)));
    assert_eq!(log.limit(Limit::Sessions), 2);
    assert_eq!(first.query("/").await["id"], "app");
    let (_third, _) = watching(&engine, Session::new("a")).await;
}

#[tokio::test]
async fn a_connection_above_the_limit_is_refused_until_another_one_closes() {
    let engine = engine_with(|config| config.limits.connections = 2);
    let log = Log::of(&engine);
    let first = TestConsumer::connect(&engine, Session::new("a")).await;
    let _second = TestConsumer::connect(&engine, Session::new("b")).await;
    for _ in 0..3 {
        assert_eq!(engine.connect(&Session::new("c")).map(drop), Err(ConnectError::LimitReached(Limit::Connections)));
    }
    assert_eq!(log.limit(Limit::Connections), 3);
    assert_eq!((engine.stats().connections, engine.stats().sessions), (2, 2), "who is refused leaves nothing");
    drop(first);
    TestConsumer::connect(&engine, Session::new("c")).await;
}

#[tokio::test]
async fn a_connection_above_the_limit_per_session_is_refused() {
    let engine = engine_with(|config| config.limits.connections_per_session = 2);
    let log = Log::of(&engine);
    let _first = TestConsumer::connect(&engine, Session::new("a")).await;
    let _second = TestConsumer::connect(&engine, Session::new("a")).await;
    assert!(matches!(engine.connect(&Session::new("a")), Err(ConnectError::LimitReached(_))));
    assert_eq!(log.limit(Limit::ConnectionsPerSession), 1);
    TestConsumer::connect(&engine, Session::new("b")).await;
}

#[tokio::test]
async fn a_subscription_above_the_limit_is_busy() {
    let engine = engine_with(|config| config.limits.subscriptions_per_connection = 2);
    let log = Log::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("a")).await;
    let (first, _) = consumer.subscribe("/").await;
    consumer.subscribe("/").await;
    let third = consumer.start_subscription(json!({"path": "/"}));
    assert_eq!(code(&consumer.answer(&third).await), "busy");
    assert_eq!(log.limit(Limit::SubscriptionsPerConnection), 1);
    // A known id takes its own place.
    consumer.send(&json!({"type": "subscribe", "id": first, "path": "/"}));
    assert_eq!(consumer.next().await["type"], "snapshot");
    consumer.unsubscribe(&first);
    consumer.subscribe("/").await;
    assert_eq!(engine.stats().subscriptions, 2);
}

#[tokio::test]
async fn a_call_above_the_limit_is_busy() {
    let engine = engine_with(|config| config.limits.calls_per_connection = 2);
    let log = Log::of(&engine);
    let gate = Gate::default();
    let stand = gate.clone();
    let act = Action::new("act", move |_: Invocation<()>| stand.pass());
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    let mut consumer = TestConsumer::connect(&engine, Session::new("a")).await;
    consumer.query("/").await;
    let running = [consumer.start_invoke("/n", "act", Value::Null), consumer.start_invoke("/n", "act", Value::Null)];
    let refused = consumer.invoke("/n", "act", Value::Null).await;
    assert_eq!((refused["type"].as_str(), code(&refused)), (Some("result"), "busy"));
    assert_eq!(log.limit(Limit::CallsPerConnection), 1);
    assert_eq!(consumer.query("/n").await["id"], "n", "what is there can be asked for");
    gate.open();
    let answers = [consumer.next().await, consumer.next().await];
    assert!(answers.iter().all(|answer| answer["status"] == "ok"), "{answers:?}");
    assert!(running.iter().all(|id| answers.iter().any(|answer| answer["id"] == id.as_str())), "{answers:?}");
    assert_eq!(consumer.invoke("/n", "act", Value::Null).await["status"], "ok");
}

#[tokio::test]
async fn a_tab_above_the_limit_is_refused() {
    let engine = engine_with(|config| config.limits.tabs_per_session = 1);
    let log = Log::of(&engine);
    let first = engine.connect_tab(&Session::new("a")).unwrap();
    assert!(matches!(engine.connect_tab(&Session::new("a")), Err(ConnectError::LimitReached(_))));
    assert_eq!((log.limit(Limit::TabsPerSession), engine.stats().connections), (1, 1));
    drop(first);
    engine.settle().await;
    assert!(engine.connect_tab(&Session::new("a")).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn async_evaluations_run_concurrently_up_to_the_limit() {
    let engine = engine_with(|config| config.execution.async_evaluations = 4);
    let inside = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let count = Arc::clone(&inside);
    let source = Source::new_async(move |_: Session| {
        let count = Arc::clone(&count);
        async move {
            let now = count.0.fetch_add(1, Ordering::SeqCst) + 1;
            count.1.fetch_max(now, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            count.0.fetch_sub(1, Ordering::SeqCst);
            Descriptor::status()
        }
    });
    engine.register_source("n", source.sharing(Sharing::Never));
    let mut consumers = Vec::new();
    for id in 0..40 {
        consumers.push(watching(&engine, Session::new(format!("s{id}"))).await);
    }
    inside.1.store(0, Ordering::SeqCst);
    engine.refresh_now(Scope::all()).await;
    let most = inside.1.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} at once");
}

#[tokio::test]
async fn an_async_source_that_times_out_keeps_its_content_and_blocks_nothing_else() {
    let (engine, clock) = clocked(|config| config.times.evaluation_timeout = Duration::from_millis(1_000));
    let (number, log) = (Number::default(), Log::of(&engine));
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
    let quick = Number::at(&engine, "quick");
    let (mut consumer, id) = watching(&engine, Session::new("s")).await;
    number.set(1);
    quick.set(1);
    engine.refresh(Scope::all());
    // The pass waits for the source; time has to go on for it.
    while log.count(|event| matches!(event, Event::SourceFailed { .. })) == 0 {
        clock.advance(100);
        tokio::task::yield_now().await;
    }
    assert!(grove_engine::Clock::now_ms(&*clock) >= 1_000);
    consumer.settled().await;
    assert_eq!(at(consumer.tree(&id), "slow")["properties"]["n"], 0);
    assert_eq!(at(consumer.tree(&id), "quick")["properties"]["n"], 1);
}

#[tokio::test]
async fn the_handlers_of_one_session_cannot_occupy_all_threads() {
    let engine = engine_with(|config| {
        config.execution.blocking_calls_per_session = 2;
        config.execution.blocking_calls = 4;
    });
    let gate = Gate::default();
    let stand = gate.clone();
    let wait = Action::new("wait", move |_: Invocation<()>| stand.pass());
    let quick = Action::new("quick", |_: Invocation<()>| ());
    let log = Log::of(&engine);
    engine.register("n", move |_: &Session| Descriptor::group().action(&wait).action(&quick));
    let mut greedy = TestConsumer::connect(&engine, Session::new("greedy")).await;
    let (mut other, _) = watching(&engine, Session::new("other")).await;
    for _ in 0..10 {
        greedy.start_invoke("/n", "wait", Value::Null);
    }
    gate.arrived(2).await;
    assert_eq!(other.invoke("/n", "quick", Value::Null).await["status"], "ok");
    assert!(log.limit(Limit::BlockingCallsPerSession) > 0, "that they wait is an event");
    assert_eq!(log.limit(Limit::BlockingCalls), 0);
    engine.refresh_now(Scope::all()).await;
    gate.open();
    let answers = greedy.settled().await;
    assert_eq!(answers.iter().filter(|answer| answer["status"] == "ok").count(), 10, "the others waited");
}

#[tokio::test]
async fn reconnecting_gives_a_session_no_additional_threads() {
    let engine = engine_with(|config| {
        config.execution.blocking_calls_per_session = 1;
        config.execution.blocking_calls = 4;
    });
    let gate = Gate::default();
    let stand = gate.clone();
    let wait = Action::new("wait", move |_: Invocation<()>| stand.pass());
    let quick = Action::new("quick", |_: Invocation<()>| ());
    engine.register("n", move |_: &Session| Descriptor::group().action(&wait).action(&quick));
    let (mut other, _) = watching(&engine, Session::new("other")).await;
    let (mut greedy, _) = watching(&engine, Session::new("greedy")).await;
    greedy.start_invoke("/n", "wait", Value::Null);
    gate.arrived(1).await;
    drop(greedy);
    let mut greedy = TestConsumer::connect(&engine, Session::new("greedy")).await;
    let late = greedy.start_invoke("/n", "quick", Value::Null);
    assert_eq!(other.invoke("/n", "quick", Value::Null).await["status"], "ok");
    assert_eq!(greedy.ready(), Vec::<Value>::new(), "its one thread is taken");
    gate.open();
    assert_eq!(greedy.answer(&late).await["status"], "ok");
}

#[tokio::test]
async fn content_is_correct_with_a_full_dictionary_and_no_cache() {
    let engine = engine_with(|config| {
        config.memory.dictionary_bytes = 0;
        config.memory.cache_bytes = 0;
    });
    let (number, log) = (Number::at(&engine, "n"), Log::of(&engine));
    let mut consumers = Vec::new();
    for id in 0..20 {
        consumers.push(watching(&engine, person(&format!("s{id}"), "alice")).await);
    }
    number.set(5);
    engine.refresh_now(Scope::all()).await;
    for (consumer, subscription) in &mut consumers {
        consumer.check_mirrors().await;
        assert_eq!(at(consumer.tree(subscription), "n")["properties"]["n"], 5);
    }
    assert_eq!(log.limit(Limit::DictionaryBytes), 1, "the dictionary stays full and says so once");
    assert_eq!(log.limit(Limit::CacheBytes), 1);
}

#[tokio::test]
async fn blocking_calls_above_the_total_limit_wait_and_that_is_reported() {
    let engine = engine_with(|config| config.execution.blocking_calls = 1);
    let (gate, log) = (Gate::default(), Log::of(&engine));
    let stand = gate.clone();
    let wait = Action::new("wait", move |_: Invocation<()>| stand.pass());
    engine.register("n", move |_: &Session| Descriptor::group().action(&wait));
    let mut consumers = Vec::new();
    for id in ["a", "b"] {
        consumers.push(watching(&engine, Session::new(id)).await.0);
    }
    for consumer in &mut consumers {
        consumer.start_invoke("/n", "wait", Value::Null);
    }
    gate.arrived(1).await;
    // The other has come as far as it can without a thread.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.limit(Limit::BlockingCalls), 1);
    gate.open();
    for consumer in &mut consumers {
        let answers = consumer.settled().await;
        assert!(answers.iter().any(|answer| answer["status"] == "ok"), "{answers:?}");
    }
}

#[tokio::test]
async fn a_view_too_large_for_a_frame_is_an_error_and_is_reported() {
    let engine = engine_with(|config| config.sizes.frame_bytes = 1_000);
    let log = Log::of(&engine);
    engine.register("n", |_: &Session| Descriptor::status().prop("text", "x".repeat(2_000)));
    let mut consumer = TestConsumer::connect(&engine, Session::new("a")).await;
    let subscription = consumer.start_subscription(json!({"path": "/n"}));
    assert_eq!(code(&consumer.answer(&subscription).await), "too_large");
    assert_eq!(code(&consumer.query_with(json!({"path": "/n"})).await), "too_large");
    assert_eq!(log.limit(Limit::FrameBytes), 2);
}

#[tokio::test]
async fn forgetting_the_oldest_revocation_at_the_limit_is_reported() {
    let engine = engine_with(|config| config.limits.revocations = 2);
    let log = Log::of(&engine);
    for session in ["a", "b", "b"] {
        engine.revoke(Revocation::session(session));
    }
    assert_eq!(log.limit(Limit::Revocations), 0);
    engine.revoke(Revocation::user("carl"));
    assert_eq!(log.limit(Limit::Revocations), 1);
    assert_eq!(engine.connect(&Session::new("b")).map(drop), Err(ConnectError::Revoked));
    assert!(engine.connect(&Session::new("a")).is_ok(), "the oldest is forgotten");
}

#[tokio::test]
async fn a_session_above_the_limit_per_user_replaces_an_idle_one_of_that_user() {
    let (engine, clock) = clocked(|config| config.limits.sessions_per_user = 2);
    let log = Log::of(&engine);
    let (mut other, _) = watching(&engine, person("b1", "bob")).await;
    for id in ["a1", "a2"] {
        drop(watching(&engine, person(id, "alice")).await);
        clock.advance(1_000);
    }
    let (_third, _) = watching(&engine, person("a3", "alice")).await;
    assert_eq!(log.count(|event| matches!(event, Event::SessionClosed { session, .. } if session == "a1")), 1);
    let (_second, _) = watching(&engine, person("a2", "alice")).await;
    // Both have a consumer now.
    let full = Err(ConnectError::LimitReached(Limit::SessionsPerUser));
    assert_eq!(engine.connect(&person("a4", "alice")).map(drop), full);
    // Nor is the bound passed by a login in a session that was anonymous.
    let (_visitor, _) = watching(&engine, Session::new("visit")).await;
    assert_eq!(engine.renew(person("visit", "alice")).map(drop), full);
    assert_eq!((log.limit(Limit::SessionsPerUser), engine.stats().sessions), (2, 4));
    watching(&engine, person("b2", "bob")).await;
    assert_eq!(other.query("/").await["id"], "app");
}

#[tokio::test]
async fn a_connection_above_the_limit_per_user_is_refused() {
    let engine = engine_with(|config| config.limits.connections_per_user = 2);
    let log = Log::of(&engine);
    let first = TestConsumer::connect(&engine, person("a1", "alice")).await;
    let _second = TestConsumer::connect(&engine, person("a2", "alice")).await;
    let full = Err(ConnectError::LimitReached(Limit::ConnectionsPerUser));
    assert_eq!(engine.connect(&person("a2", "alice")).map(drop), full);
    assert_eq!(engine.connect_tab(&person("a3", "alice")).map(drop), full);
    assert_eq!((log.limit(Limit::ConnectionsPerUser), engine.stats().connections), (2, 2));
    TestConsumer::connect(&engine, person("b1", "bob")).await;
    drop(first);
    TestConsumer::connect(&engine, person("a3", "alice")).await;
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
        let log = Log::of(&engine);
        let (mut first, id) = watching(&engine, person("a1", "alice")).await;
        let others = [person("a1", "alice"), person("a2", "alice"), person("b1", "bob")];
        for (session, busy) in others.into_iter().zip(busy_for) {
            let mut other = TestConsumer::connect(&engine, session).await;
            let wish = other.start_subscription(json!({"path": "/"}));
            let answer = other.answer(&wish).await;
            assert_eq!(code(&answer) == "busy", busy, "{limit}: {answer}");
        }
        assert_eq!(log.limit(limit), busy_for.iter().filter(|busy| **busy).count(), "{limit}");
        // A known id takes its own place; a place is free again after an end of any kind.
        first.send(&json!({"type": "subscribe", "id": id, "path": "/", "depth": -1}));
        assert_eq!(first.next().await["type"], "snapshot", "{limit}");
        first.unsubscribe(&id);
        let nowhere = first.start_subscription(json!({"path": "/nowhere"}));
        assert_eq!(code(&first.answer(&nowhere).await), "not_found", "{limit}");
        first.subscribe("/").await;
        drop(first);
        let (_again, _) = watching(&engine, person("a1", "alice")).await;
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
        let (gate, log) = (Gate::default(), Log::of(&engine));
        let stand = gate.clone();
        let wait = Action::new("wait", move |_: Invocation<()>| stand.pass());
        let quick = Action::new("quick", |_: Invocation<()>| ());
        engine.register("n", move |_: &Session| Descriptor::group().action(&wait).action(&quick));
        let (mut first, _) = watching(&engine, person("a1", "alice")).await;
        first.start_invoke("/n", "wait", Value::Null);
        gate.arrived(1).await;
        // Who leaves a call behind and comes again gets no other for it.
        drop(first);
        let others = [person("a1", "alice"), person("a2", "alice"), person("b1", "bob")];
        for (session, busy) in others.clone().into_iter().zip(busy_for) {
            let mut other = TestConsumer::connect(&engine, session).await;
            let answer = other.invoke("/n", "quick", Value::Null).await;
            assert_eq!(code(&answer) == "busy", busy, "{limit}: {answer}");
        }
        assert_eq!(log.limit(limit), busy_for.iter().filter(|busy| **busy).count(), "{limit}");
        gate.open();
        engine.settle().await;
        for session in others {
            let (mut other, _) = watching(&engine, session).await;
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
        let log = Log::of(&engine);
        let first = engine.connect_tab(&person("a1", "alice")).unwrap();
        for _ in 0..2 {
            assert_eq!(engine.connect_tab(&person("a2", "alice")).map(drop), Err(ConnectError::LimitReached(limit)));
        }
        let bob = engine.connect_tab(&person("b1", "bob"));
        assert_eq!(bob.is_ok(), limit == Limit::TabsPerUser, "{limit}");
        drop((first, bob));
        engine.settle().await;
        assert!(engine.connect_tab(&person("a2", "alice")).is_ok());
        assert_eq!(log.limit(limit), if limit == Limit::TabsPerUser { 2 } else { 3 });
        assert_eq!(engine.stats().connections, 0);
    }
}
