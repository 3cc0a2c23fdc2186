//! What is computed once for many sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Outcome, Scope, Session, Sharing, Source};
use parking_lot::Mutex;
use serde_json::json;

use crate::fixtures::{
    EventLog, SharedDescriptor, SharedNumber, connect_and_subscribe, engine, engine_with, engine_with_clock,
    evaluations, node_at, user_session,
};

/// Sessions `s0`, `s1`, ..: user `u0`, `u1`, ..; five organisations; every third one an administrator.
fn member(number: usize) -> Session {
    let session = user_session(&format!("s{number}"), &format!("u{number}"));
    let session = session.with_attribute("org", format!("org{}", number % 5));
    if number.is_multiple_of(3) { session.with_permission("admin") } else { session }
}

async fn members(engine: &Engine, count: usize) -> Vec<(TestConsumer, String)> {
    let mut consumers = Vec::with_capacity(count);
    for number in 0..count {
        consumers.push(connect_and_subscribe(engine, member(number)).await);
    }
    consumers
}

/// Returns how many evaluations one refresh of all sessions takes.
async fn evaluations_per_refresh(engine: &Engine, path: &str) -> u64 {
    let before = evaluations(engine, path);
    engine.refresh_now(Scope::all()).await;
    evaluations(engine, path) - before
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_reads_nothing_runs_once_for_a_thousand_sessions() {
    let engine = engine();
    engine.register("news", |_: &Session| Descriptor::collection().item(Item::new("n1").prop("text", "hello")));
    let consumers = members(&engine, 1000).await;
    assert_eq!(evaluations_per_refresh(&engine, "/news").await, 1);
    assert!(engine.stats().shared_evaluations >= 999);
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_content_is_evaluated_and_compared_once_for_a_thousand_sessions() {
    let engine = engine();
    let news =
        SharedDescriptor::serve(&engine, "news", Descriptor::collection().item(Item::new("n1").prop("text", "hello")));
    let mut consumers = members(&engine, 1000).await;
    let before = engine.stats();
    news.change(&engine, Descriptor::collection().item(Item::new("n1").prop("text", "news"))).await;
    for (consumer, subscription) in &mut consumers {
        assert_eq!(consumer.settled().await.len(), 1);
        assert_eq!(node_at(consumer.tree(subscription), "news/n1")["properties"]["text"], "news");
    }
    let after = engine.stats();
    assert_eq!(after.evaluations["/news"] - before.evaluations["/news"], 1);
    assert_eq!(after.commits - before.commits, 1000);
    // Each session compares the handful of pointers of its own root; the shared fragment is compared once.
    assert!(after.diffs - before.diffs <= 1001, "{} comparisons", after.diffs - before.diffs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_shared_content_is_encoded_once() {
    let engine = engine();
    engine.register("news", |_: &Session| Descriptor::collection().item(Item::new("n1").prop("text", "hello")));
    let mut consumers = members(&engine, 100).await;
    let (first, _) = &mut consumers[0];
    first.subscribe("/news").await;
    let before = engine.stats().encodes;
    for (consumer, _) in &mut consumers {
        consumer.subscribe("/news").await;
    }
    assert_eq!(engine.stats().encodes - before, 0, "everyone got the cached text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_tree_is_put_together_from_cached_texts() {
    let engine = engine();
    for path in ["news", "weather"] {
        engine.register(path, |_: &Session| Descriptor::collection().item(Item::new("n1").prop("text", "hello")));
    }
    let mut consumers = members(&engine, 10).await;
    let (first, _) = &mut consumers[0];
    let tree = first.query("/").await;
    let before = engine.stats().encodes;
    for (consumer, _) in &mut consumers {
        assert_eq!(consumer.query("/").await, tree);
    }
    assert_eq!(engine.stats().encodes, before, "everyone got the cached texts");
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_texts_are_evicted_when_they_take_more_than_the_cache_may() {
    for (cache_bytes, encoded_again) in [(1 << 20, 0), (20_000, 1)] {
        let engine = engine_with(|config| config.memory.cache_bytes = cache_bytes);
        for path in 0..30 {
            let text = format!("{path}").repeat(2_000);
            engine.register(&format!("p{path}"), move |_: &Session| Descriptor::document().prop("text", text.clone()));
        }
        let mut consumers = members(&engine, 2).await;
        let (consumer, _) = &mut consumers[0];
        for path in 0..30 {
            consumer.query(&format!("/p{path}")).await;
        }
        let before = engine.stats().encodes;
        consumer.query("/p29").await;
        assert_eq!(engine.stats().encodes, before, "the latest is still cached");
        consumer.query("/p0").await;
        assert_eq!(engine.stats().encodes - before, encoded_again, "with {cache_bytes} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_texts_are_evicted_when_nobody_has_used_them_for_two_seconds() {
    let (engine, clock) = engine_with_clock(|_| {});
    engine.register("news", |_: &Session| Descriptor::collection().item(Item::new("n1").prop("text", "hello")));
    let mut consumers = members(&engine, 2).await;
    let (consumer, _) = &mut consumers[0];
    consumer.query("/news").await;
    let before = engine.stats().encodes;
    for _ in 0..5 {
        clock.advance(1_000);
        engine.settle().await;
        consumer.query("/news").await;
    }
    assert_eq!(engine.stats().encodes, before, "it was used in every second");
    for _ in 0..2 {
        clock.advance(1_000);
        engine.settle().await;
    }
    consumer.query("/news").await;
    assert_eq!(engine.stats().encodes - before, 1, "nobody has used it for two seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_texts_are_evicted_when_the_last_consumer_is_gone() {
    let engine = engine();
    engine.register("news", |_: &Session| Descriptor::collection().item(Item::new("n1").prop("text", "hello")));
    let mut others = members(&engine, 2).await;
    for (other, _) in &mut others {
        other.query("/news").await;
    }
    let (mut latest, _) = others.remove(0);
    drop(others);
    let before = engine.stats().encodes;
    latest.query("/news").await;
    assert_eq!(engine.stats().encodes, before, "somebody is left");
    drop(latest);
    engine.settle().await;
    let mut again = TestConsumer::connect(&engine, member(0)).await;
    again.query("/news").await;
    assert_eq!(engine.stats().encodes - before, 1, "nobody was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_reads_the_organisation_runs_once_per_organisation() {
    let engine = engine();
    engine.register("board", |session: &Session| Descriptor::group().prop("org", session.attribute("org")));
    let consumers = members(&engine, 100).await;
    assert_eq!(evaluations_per_refresh(&engine, "/board").await, 5);
    for (number, (consumer, subscription)) in consumers.iter().enumerate() {
        let org = format!("org{}", number % 5);
        assert_eq!(node_at(consumer.tree(subscription), "board")["properties"]["org"], org.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_reads_the_user_runs_once_per_user() {
    let engine = engine();
    engine.register("me", |session: &Session| Descriptor::context().prop("user", session.user()));
    let consumers = members(&engine, 50).await;
    // Two more sessions of users who already have one.
    let again = [
        connect_and_subscribe(&engine, user_session("x", "u1")).await,
        connect_and_subscribe(&engine, user_session("y", "u2")).await,
    ];
    assert_eq!(evaluations_per_refresh(&engine, "/me").await, 50);
    assert_eq!(node_at(again[0].0.tree(&again[0].1), "me")["properties"]["user"], "u1");
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_read_that_depends_on_the_first_separates_only_the_sessions_that_make_it() {
    let engine = engine();
    engine.register("panel", |session: &Session| {
        if session.can("admin") {
            Descriptor::group().prop("for", session.user())
        } else {
            Descriptor::group().prop("for", session.attribute("org"))
        }
    });
    let mut consumers = members(&engine, 60).await;
    // Each of the 20 administrators separately; the others by organisation.
    assert_eq!(evaluations_per_refresh(&engine, "/panel").await, 20 + 5);
    for (number, (consumer, _)) in consumers.iter_mut().enumerate() {
        let wanted = if number % 3 == 0 { format!("u{number}") } else { format!("org{}", number % 5) };
        assert_eq!(consumer.query("/panel").await["properties"]["for"], wanted.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_share_an_evaluation_unless_a_permission_that_it_reads_differs() {
    let engine = engine();
    engine.register("tools", |session: &Session| Descriptor::group().prop("admin", session.can("admin")));
    let mut consumers = Vec::new();
    for number in 0..30 {
        // Each session has another permission too, which the source does not read.
        consumers.push(connect_and_subscribe(&engine, member(number).with_permission(format!("p{number}"))).await);
    }
    assert_eq!(evaluations_per_refresh(&engine, "/tools").await, 2);
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_opts_out_of_sharing_runs_for_every_session() {
    let engine = engine();
    let seen = Arc::new(Mutex::new(0));
    let next = Arc::clone(&seen);
    // Its result depends on something that it does not read from the session, so it must not be shared.
    let source = Source::new(move |_: &Session| {
        *next.lock() += 1;
        Descriptor::status()
    });
    engine.register_source("each", source.sharing(Sharing::Never));
    let consumers = members(&engine, 20).await;
    assert_eq!(evaluations_per_refresh(&engine, "/each").await, 20);
    assert_eq!(*seen.lock(), 40);
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_data_counts_as_reading_the_whole_session() {
    let engine = engine();
    engine.register("cart", |session: &Session| {
        Descriptor::group().prop("things", session.data::<Vec<&str>>().cloned().unwrap_or_default())
    });
    let (one, first) = connect_and_subscribe(&engine, user_session("a", "alice").with_data(vec!["spade"])).await;
    let (two, second) = connect_and_subscribe(&engine, user_session("b", "alice").with_data(vec!["rake"])).await;
    assert_eq!(evaluations_per_refresh(&engine, "/cart").await, 2);
    assert_eq!(node_at(one.tree(&first), "cart")["properties"]["things"], json!(["spade"]));
    assert_eq!(node_at(two.tree(&second), "cart")["properties"]["things"], json!(["rake"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_async_source_is_shared_like_any_other() {
    let engine = engine();
    engine.register_async("board", |session: Session| async move {
        tokio::task::yield_now().await;
        Descriptor::group().prop("org", session.attribute("org"))
    });
    let mut consumers = members(&engine, 50).await;
    assert_eq!(evaluations_per_refresh(&engine, "/board").await, 5);
    for (number, (consumer, _)) in consumers.iter_mut().enumerate() {
        let org = format!("org{}", number % 5);
        assert_eq!(consumer.query("/board").await["properties"]["org"], org.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_storm_costs_one_evaluation_per_read_class() {
    let (engine, clock) =
        crate::fixtures::engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    engine.register("news", |_: &Session| Descriptor::group());
    engine.register("board", |session: &Session| Descriptor::group().prop("org", session.attribute("org")));
    // The first one is served at once; those that connect within the debounce share one pass.
    let mut first = TestConsumer::connect(&engine, member(0)).await;
    first.subscribe("/").await;
    let (news, board) = (evaluations(&engine, "/news"), evaluations(&engine, "/board"));
    let mut storm = Vec::new();
    for number in 1..=200 {
        let mut consumer = TestConsumer::connect(&engine, member(number)).await;
        let id = consumer.start_subscription(json!({"path": "/", "depth": -1}));
        storm.push((consumer, id));
    }
    engine.settle().await;
    assert_eq!(evaluations(&engine, "/news") - news, 0, "they wait for the debounce");
    clock.advance(50);
    for (consumer, id) in &mut storm {
        consumer.settled().await;
        assert!(consumer.tree(id).is_object(), "it got its first tree");
    }
    assert_eq!((evaluations(&engine, "/news") - news, evaluations(&engine, "/board") - board), (1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_one_pass_over_the_affected_sources_and_sessions() {
    let engine = engine();
    for path in ["billing", "inbox", "board"] {
        engine.register(path, |session: &Session| Descriptor::group().prop("user", session.user()));
    }
    let consumers = members(&engine, 1000).await;
    let mut acme = Vec::new();
    for number in 0..40 {
        let session = user_session(&format!("acme{number}"), &format!("acme{number}")).with_attribute("org", "acme");
        acme.push(connect_and_subscribe(&engine, session).await);
    }
    let (before, log) = (engine.stats(), EventLog::of(&engine));
    assert_eq!(engine.refresh_now(Scope::attribute("org", "acme").paths(["billing"])).await, 40);
    let after = engine.stats();
    let ran = |path: &str| after.evaluations[path] - before.evaluations[path];
    assert_eq!((ran("/billing"), ran("/inbox"), ran("/board")), (40, 0, 0));
    assert_eq!(log.count(|event| matches!(event, grove_engine::Event::PassFinished { sessions: 40, .. })), 1);
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_trees_of_many_sessions_are_stored_once() {
    let list =
        || Descriptor::collection().items((0..200).map(|n| Item::new(format!("n{n}")).prop("text", "some text")));
    let engine = engine();
    engine.register("news", move |_: &Session| list());
    let (_one, _) = connect_and_subscribe(&engine, member(0)).await;
    let before = engine.stats().tree_bytes;
    let consumers = members(&engine, 100).await;
    let more = engine.stats().tree_bytes - before;
    assert!(more < before / 10, "a hundred sessions more hold {more} bytes more than {before}");
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluations_of_one_read_class_are_single_flight() {
    let engine = engine_with(|config| config.execution.pass_threads = 4);
    engine.register("slow", |_: &Session| {
        // Takes long enough for the other workers to need the same evaluation.
        (0..1000).for_each(|_| std::thread::yield_now());
        Descriptor::status()
    });
    let consumers = members(&engine, 256).await;
    for _ in 0..5 {
        assert_eq!(evaluations_per_refresh(&engine, "/slow").await, 1);
    }
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_very_many_reads_counts_as_reading_the_whole_session() {
    let engine = engine();
    let read = |count: usize| {
        move |session: &Session| {
            let granted = (0..count).filter(|n| session.can(&format!("p{n}"))).count();
            Descriptor::status().prop("granted", granted)
        }
    };
    engine.register("few", read(1_000));
    engine.register("many", read(40_000));
    let consumers = members(&engine, 4).await;
    assert_eq!(evaluations_per_refresh(&engine, "/few").await, 1, "all have the same permissions");
    assert_eq!(evaluations_per_refresh(&engine, "/many").await, 4);
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_keeps_its_session_is_not_shared() {
    let engine = engine();
    engine.register("n", |session: &Session| {
        let session = session.clone();
        Descriptor::group()
            .action(&Action::new("whoami", move |_: Invocation<()>| Outcome::data(session.user().unwrap_or_default())))
    });
    let source = Source::new_async(|session: Session| async move {
        let session = Arc::new(session);
        let held = Arc::clone(&session);
        Descriptor::group()
            .action(&Action::new("whoami", move |_: Invocation<()>| Outcome::data(held.user().unwrap_or_default())))
    });
    engine.register_source("async", source);
    let mut consumers = members(&engine, 3).await;
    // In one pass, so that what can be shared is.
    engine.refresh_now(Scope::all()).await;
    for (number, (consumer, _)) in consumers.iter_mut().enumerate() {
        for path in ["/n", "/async"] {
            let result = consumer.invoke(path, "whoami", json!({})).await;
            assert_eq!(result["data"], format!("u{number}"), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_that_timed_out_is_not_shared() {
    let (engine, clock) = engine_with_clock(|config| config.times.evaluation_timeout = Duration::from_secs(5));
    let (hangs, number) = (Arc::new(AtomicBool::new(false)), SharedNumber::default());
    let (hang, current) = (Arc::clone(&hangs), number.clone());
    engine.register_source(
        "slow",
        Source::new_async(move |_: Session| {
            let (hangs, number) = (hang.swap(false, Ordering::SeqCst), current.get());
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Descriptor::status().prop("n", number)
            }
        }),
    );
    let mut consumers = members(&engine, 4).await;
    number.set(1);
    hangs.store(true, Ordering::SeqCst);
    let all = engine.clone();
    let pass = tokio::spawn(async move { all.refresh_now(Scope::all()).await });
    while hangs.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    clock.advance(6_000);
    pass.await.unwrap();
    let mut numbers = Vec::new();
    for (consumer, subscription) in &mut consumers {
        consumer.settled().await;
        numbers.push(node_at(consumer.tree(subscription), "slow")["properties"]["n"].as_i64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 1, 1], "one timed out, the others did not");
}
