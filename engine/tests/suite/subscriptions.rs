//! How long a subscription lasts, what replaces it, and what a slow reader gets.

use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{CloseReason, Descriptor, Item, Scope, Session};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, SharedDescriptor, SharedNumber, connect_and_subscribe, engine, engine_with, engine_with_clock,
    error_code, message_types, node_at, user_session,
};

#[tokio::test]
async fn a_subscription_with_an_id_in_use_replaces_the_previous_one() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    SharedNumber::serve(&engine, "m");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, _) = consumer.subscribe("/n").await;
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    assert_eq!(message_types(&consumer.settled().await), ["patch"]);
    consumer.send(&json!({"type": "subscribe", "id": id, "path": "/n"}));
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["snapshot"], &json!(0)));
    assert_eq!(engine.stats().subscriptions, 1);
    number.set(2);
    engine.refresh_now(Scope::all()).await;
    let messages = consumer.settled().await;
    assert_eq!((messages.len(), &messages[0]["seq"]), (1, &json!(1)), "one stream, numbered from the start");
}

#[tokio::test]
async fn unsubscribing_and_subscribing_with_the_same_id_starts_over() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, _) = consumer.subscribe("/").await;
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    consumer.settled().await;
    // This is what consumers do after a gap.
    consumer.send(&json!({"type": "unsubscribe", "id": id}));
    consumer.send(&json!({"type": "subscribe", "id": id, "path": "/"}));
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["snapshot"], &json!(0)));
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn an_id_that_is_subscribed_twice_before_the_first_snapshot_starts_once() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let number = SharedNumber::serve(&engine, "n");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let id = consumer.start_subscription(json!({"path": "/", "depth": -1}));
    for _ in 0..3 {
        consumer.send(&json!({"type": "subscribe", "id": id, "path": "/", "depth": -1}));
    }
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["snapshot"], &json!(0)));
    assert_eq!(engine.stats().subscriptions, 1);
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["patch"], &json!(1)));
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn a_subscription_that_ends_before_its_first_snapshot_never_starts() {
    let (engine, _clock) = engine_with_clock(|_| {});
    SharedNumber::serve(&engine, "n");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.send(&json!({"type": "subscribe", "id": "x", "path": "/"}));
    consumer.send(&json!({"type": "unsubscribe", "id": "x"}));
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    assert_eq!(engine.stats().subscriptions, 0);
}

#[tokio::test]
async fn a_consumer_that_never_stops_asking_still_gets_its_patches() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    for id in 0..60 {
        consumer.send(&json!({"type": "query", "id": id, "path": "/n"}));
    }
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    let messages = consumer.settled().await;
    assert_eq!(messages.len(), 61);
    let patch = messages.iter().position(|message| message["type"] == "patch");
    assert!(patch.is_some_and(|at| at <= 16), "the patch is message {patch:?}");
}

#[tokio::test]
async fn unsubscribe_gets_no_reply_and_stops_the_patches() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, _) = consumer.subscribe("/").await;
    consumer.unsubscribe(&id);
    consumer.unsubscribe("unknown");
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    assert_eq!(engine.stats().subscriptions, 0);
    let diffs = engine.stats().diffs;
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    assert_eq!(engine.stats().diffs, diffs, "nothing is compared for it");
}

#[tokio::test]
async fn subscription_ids_are_scoped_to_their_connection() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    // All of them use the id `sub-1` for their subscription.
    let (mut first, one) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let (mut second, two) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let (mut other, three) = connect_and_subscribe(&engine, user_session("t", "bob")).await;
    assert!(one == two && two == three);
    second.unsubscribe(&two);
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    assert_eq!(message_types(&first.settled().await), ["patch"]);
    assert_eq!(message_types(&other.settled().await), ["patch"]);
    assert_eq!(second.settled().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_vanished_path_is_reported_once_and_a_snapshot_follows_when_it_returns() {
    let engine = engine();
    let with = |n: i64| Descriptor::group().child("c", Descriptor::status().prop("n", n));
    let content = SharedDescriptor::serve(&engine, "n", with(1));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (id, _) = consumer.subscribe("/n/c").await;
    content.change(&engine, Descriptor::group()).await;
    let messages = consumer.settled().await;
    assert_eq!(
        (message_types(&messages), error_code(&messages[0]), messages[0]["id"].as_str()),
        (vec!["error"], "not_found", Some(id.as_str()))
    );
    content.change(&engine, Descriptor::group().prop("other", 1)).await;
    assert_eq!(consumer.settled().await, Vec::<Value>::new(), "it is reported only once");
    assert_eq!(engine.stats().subscriptions, 1, "the subscription is kept");
    content.change(&engine, with(2)).await;
    let messages = consumer.settled().await;
    assert_eq!(
        (message_types(&messages), &messages[0]["seq"], &messages[0]["id"]),
        (vec!["snapshot"], &json!(0), &json!(id))
    );
    content.change(&engine, with(3)).await;
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["patch"], &json!(1)));
    assert_eq!(consumer.tree(&id)["properties"]["n"], 3);
    // It can vanish again.
    content.change(&engine, Descriptor::group()).await;
    assert_eq!(message_types(&consumer.settled().await), ["error"]);
}

#[tokio::test]
async fn unregistering_a_path_is_reported_like_any_vanished_path() {
    let engine = engine();
    SharedNumber::serve(&engine, "n");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (_, _) = consumer.subscribe("/n").await;
    assert!(engine.unregister("/n/"));
    assert!(!engine.unregister("/n"));
    assert_eq!(error_code(&consumer.settled().await[0]), "not_found");
    SharedNumber::serve(&engine, "n");
    assert_eq!(message_types(&consumer.settled().await), ["snapshot"]);
}

#[tokio::test]
async fn the_first_patch_is_delayed_briefly_after_the_snapshot() {
    let (engine, clock) = engine_with_clock(|config| config.times.first_patch_delay = Duration::from_millis(50));
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    clock.advance(10);
    for value in 1..=3 {
        number.set(value);
        engine.refresh_now(Scope::all()).await;
        assert_eq!(consumer.settled().await, Vec::<Value>::new());
    }
    clock.advance(39);
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    clock.advance(1);
    let messages = consumer.settled().await;
    assert_eq!(
        (message_types(&messages), &messages[0]["seq"]),
        (vec!["patch"], &json!(1)),
        "one patch for all changes"
    );
    assert_eq!(node_at(consumer.tree(&subscription), "n")["properties"]["n"], 3);
    number.set(4);
    engine.refresh_now(Scope::all()).await;
    assert_eq!(message_types(&consumer.settled().await), ["patch"], "later patches are not delayed");
    assert_eq!(grove_engine::Config::default().times.first_patch_delay, Duration::from_millis(50));
}

#[tokio::test]
async fn a_delayed_first_patch_does_not_delay_other_subscriptions() {
    let (engine, clock) = engine_with_clock(|config| config.times.first_patch_delay = Duration::from_millis(50));
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, old) = connect_and_subscribe(&engine, Session::new("s")).await;
    clock.advance(50);
    let (fresh, _) = consumer.subscribe("/n").await;
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    let messages = consumer.settled().await;
    assert_eq!((messages.len(), messages[0]["subscription"].as_str()), (1, Some(old.as_str())));
    assert_eq!(consumer.query("/n").await["properties"]["n"], 1, "query replies are not delayed");
    clock.advance(50);
    assert_eq!(consumer.settled().await[0]["subscription"], fresh.as_str());
}

#[tokio::test]
async fn a_slow_reader_costs_constant_memory_and_gets_one_patch_to_the_latest_state() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    engine.register("list", |_: &Session| Descriptor::collection().items((0..50).map(|n| Item::new(format!("i{n}")))));
    let (mut slow, subscription) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let (mut fast, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    let mut bytes = engine.stats().tree_bytes;
    for value in 1..=10_000 {
        number.set(value);
        engine.refresh_now(Scope::all()).await;
        if value == 10 {
            bytes = engine.stats().tree_bytes;
        }
        if value % 1_000 == 0 {
            let stats = engine.stats();
            assert_eq!(stats.outbox_bytes, 0, "nothing is queued");
            assert!(
                stats.tree_bytes <= bytes + 1_000,
                "{} bytes after {value} changes, {bytes} before",
                stats.tree_bytes
            );
            assert_eq!(fast.settled().await.len(), 1, "other consumers are not delayed");
        }
    }
    let messages = slow.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["patch"], &json!(1)));
    assert_eq!(node_at(slow.tree(&subscription), "n")["properties"]["n"], 10_000);
    slow.check_mirrors().await;
}

#[tokio::test]
async fn a_slow_reader_that_missed_most_of_a_tree_is_re_based_and_then_gets_patches() {
    let engine = engine_with(|config| config.sizes.rebase_bytes = 500);
    let list = |revision: u32| {
        let item = move |n: u32| Item::new(format!("i{n}")).prop("text", format!("{revision} {}", "x".repeat(40)));
        Descriptor::collection().items((0..50).map(item))
    };
    let content = SharedDescriptor::serve(&engine, "n", list(0));
    let (mut slow, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    for revision in 1..=100 {
        content.change(&engine, list(revision)).await;
    }
    assert_eq!(engine.stats().outbox_bytes, 0, "nothing is queued");
    let messages = slow.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["snapshot"], &json!(0)));
    content.change(&engine, list(100).prop("more", true)).await;
    let messages = slow.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["patch"], &json!(1)));
    slow.check_mirrors().await;
}

#[tokio::test]
async fn a_consumer_that_queries_without_reading_is_closed_when_its_outbox_is_full() {
    let engine = engine_with(|config| config.sizes.outbox_bytes = 20_000);
    engine.register("n", |_: &Session| Descriptor::document().prop("text", "x".repeat(1_000)));
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (mut other, _) = connect_and_subscribe(&engine, Session::new("t")).await;
    consumer.query("/").await;
    for number in 0..100 {
        consumer.send(&json!({"type": "query", "id": number, "path": "/"}));
        assert!(engine.stats().outbox_bytes <= 22_000);
    }
    consumer.settled().await;
    assert_eq!(consumer.closed(), Some(1013));
    drop(consumer);
    assert_eq!(other.query("/n").await["id"], "n");
    let slow = |event: &grove_engine::Event| {
        matches!(event, grove_engine::Event::Disconnected { reason: CloseReason::Slow, .. })
    };
    assert_eq!(log.count(slow), 1);
}

#[tokio::test]
async fn subscriptions_are_served_in_turn() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(consumer.subscribe("/n").await.0);
    }
    let mut served = Vec::new();
    for value in 1..=30 {
        number.set(value);
        engine.refresh_now(Scope::all()).await;
        // The socket takes one frame per change.
        served.push(consumer.next().await["subscription"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        assert!(served.iter().filter(|one| *one == id).count() >= 9, "{id} is starved: {served:?}");
    }
    consumer.check_mirrors().await;
}

#[tokio::test]
async fn after_an_eviction_a_subscription_starts_with_a_snapshot_and_versions_keep_increasing() {
    let (engine, clock) = engine_with_clock(|_| {});
    let number = SharedNumber::serve(&engine, "n");
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let mut witness = TestConsumer::connect(&engine, Session::new("s")).await;
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    let before = witness.query_with(json!({"path": "/"})).await["version"].as_u64().unwrap();
    drop((consumer, witness));
    clock.advance(60_000);
    engine.settle().await;
    assert_eq!(engine.stats().trees, 0);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.start_subscription(json!({"path": "/"}));
    let messages = consumer.settled().await;
    assert_eq!((message_types(&messages), &messages[0]["seq"]), (vec!["snapshot"], &json!(0)));
    assert!(messages[0]["version"].as_u64().unwrap() > before, "versions never decrease");
}
