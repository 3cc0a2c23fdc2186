//! What is held for one consumer is counted, and bounded: what was loaded for its queries, and what it subscribed to.

use grove_engine::testing::TestConsumer;
use grove_engine::{Descriptor, Engine, Item, Limit, Session, Source, WindowRequest};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, connect_and_subscribe, engine_with, error_code};

/// Serves `/inbox`, a lazy list with items of 1,000 bytes.
fn lazy_inbox(engine: &Engine) {
    let item = |n: u64| Item::new(format!("m{n}")).prop("text", format!("{n:0>1000}"));
    let source = Source::new(|_: &Session| Descriptor::collection().lazy(100_000)).on_window(
        move |_: &Session, request: &WindowRequest| {
            (request.offset..request.offset + request.count).map(item).collect::<Vec<Item>>()
        },
    );
    engine.register_source("inbox", source);
}

#[tokio::test]
async fn what_was_loaded_for_queries_that_wait_is_counted_and_bounded() {
    const BOUND: usize = 300_000;
    let engine = engine_with(|config| config.sizes.outbox_bytes = BOUND);
    lazy_inbox(&engine);
    let (mut other, _) = connect_and_subscribe(&engine, Session::new("other")).await;
    let mut greedy = TestConsumer::connect(&engine, Session::new("greedy")).await;
    greedy.query("/").await;
    let before = engine.stats().tree_bytes;
    let mut asked = 0;
    for offset in 0..60 {
        greedy.connection().receive(
            &json!({"type": "query", "id": offset, "path": "/inbox", "window": [offset * 50, 50]}).to_string(),
        );
        asked += 1;
        engine.settle().await;
        let stats = engine.stats();
        let held = stats.tree_bytes - before;
        assert!(held <= BOUND + 60_000, "{held} bytes are held");
        assert!(stats.outbox_bytes >= held, "{} bytes are counted of {held}", stats.outbox_bytes);
    }
    let replies = greedy.settled().await;
    let answered = replies.iter().filter(|reply| reply["type"] == "snapshot").count();
    let busy = replies.iter().filter(|reply| error_code(reply) == "busy").count();
    assert_eq!(answered + busy, asked, "each query is answered");
    assert!((2..20).contains(&answered), "{answered} were loaded");
    assert_eq!((greedy.closed(), engine.stats().outbox_bytes), (None, 0));
    // Nothing waits any more, so it may ask again.
    let window = json!({"path": "/inbox", "window": [0, 50]});
    assert_eq!(greedy.query_with(window.clone()).await["type"], "snapshot");
    assert_eq!(other.query_with(window).await["type"], "snapshot", "others are not refused");
}

#[tokio::test]
async fn a_query_is_answered_although_more_was_loaded_than_may_wait() {
    let engine = engine_with(|config| config.sizes.outbox_bytes = 50_000);
    lazy_inbox(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.query("/").await;
    let reply = consumer.query_with(json!({"path": "/inbox", "window": [0, 200]})).await;
    assert_eq!(reply["tree"]["children"].as_array().unwrap().len(), 200);
}

#[tokio::test]
async fn a_query_that_waits_counts_with_its_path_and_filter() {
    let engine = engine_with(|config| config.sizes.outbox_bytes = 200_000);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.query("/").await;
    let types: Vec<String> = (0..64).map(|n| format!("{n:0>500}")).collect();
    for id in 0..20 {
        consumer.send(&json!({"type": "query", "id": id, "path": "/", "filter": {"types": types}}));
    }
    let replies = consumer.settled().await;
    assert!(replies.len() < 10, "{} were kept", replies.len());
    assert_eq!(consumer.closed(), Some(1013));
}

/// The types of a filter with this many bytes.
fn types(bytes: usize) -> Vec<String> {
    (0..bytes / 500).map(|n| format!("{n:0>500}")).collect()
}

#[tokio::test]
async fn what_subscriptions_keep_is_counted_and_bounded_per_connection() {
    let engine = engine_with(|config| config.sizes.subscription_bytes = 20_000);
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, _) = consumer.subscribe_with(json!({"path": "/", "filter": {"types": types(15_000)}})).await;
    let kept = engine.stats().subscription_bytes;
    assert!((15_000..20_000).contains(&kept), "{kept}");
    for options in [json!({"path": "/", "filter": {"types": types(15_000)}}), json!({"path": "/a".repeat(5_000)})] {
        let refused = consumer.start_subscription(options);
        assert_eq!(error_code(&consumer.answer(&refused).await), "busy");
    }
    assert_eq!((log.limit_count(Limit::SubscriptionBytes), engine.stats().subscription_bytes), (2, kept));
    // One under a known id replaces that one, within the same bound.
    consumer.send(&json!({"type": "subscribe", "id": id, "path": "/", "filter": {"types": types(30_000)}}));
    assert_eq!(error_code(&consumer.next().await), "busy");
    consumer.send(&json!({"type": "subscribe", "id": id, "path": "/", "filter": {"types": types(16_000)}}));
    assert_eq!(consumer.next().await["type"], "snapshot");
    let mut second = TestConsumer::connect(&engine, Session::new("s")).await;
    second.subscribe_with(json!({"path": "/", "filter": {"types": types(15_000)}})).await;
    assert!(engine.stats().subscription_bytes > 30_000, "each connection has a bound of its own");
    drop(second);
    assert!(engine.stats().subscription_bytes > 30_000, "what is kept to resume from counts");
    consumer.unsubscribe(&id);
    engine.close_session("s");
    assert_eq!(engine.stats().subscription_bytes, 0);
}

#[tokio::test]
async fn ordinary_subscriptions_are_far_from_the_bound() {
    let engine = engine_with(|_| {});
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for n in 0..64 {
        let options = json!({"path": "/", "depth": n, "filter": {"types": ["item", "collection", "root"]}});
        consumer.subscribe_with(options).await;
    }
    assert!(engine.stats().subscription_bytes < 10_000);
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
}
