//! Servers that are away, are killed, or come back; and readers and messages that are too much for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grove_engine::{Cluster, RequestError, Topic};
use grove_nats::testing::NatsServer;
use grove_nats::{ConfigError, NatsCluster, NatsEvent, NatsOptions};
use parking_lot::Mutex;

use crate::recorder::Seen;
use crate::{LONG, connected, of_project, programs, started};

/// Options that write down what is told.
pub(crate) fn observed(url: &str) -> (NatsOptions, Arc<Mutex<Vec<NatsEvent>>>) {
    let events = Arc::<Mutex<Vec<NatsEvent>>>::default();
    let told = Arc::clone(&events);
    (NatsOptions::new(url).on_event(move |event| told.lock().push(event.clone())), events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_and_comes_back_costs_only_what_was_published_meanwhile() {
    for program in programs() {
        let mut server = NatsServer::start(&program);
        let (one, seen_by_one) = connected(NatsOptions::new(&server.url()), "one").await;
        let (two, seen_by_two) = connected(NatsOptions::new(&server.url()), "two").await;
        let (topic, one) = (of_project("red"), Arc::new(one));
        two.subscribe(&topic);
        seen_by_two.saw(&Seen::Subscribed(topic.clone())).await;
        let (load, on) = (Arc::new(AtomicBool::new(true)), topic.clone());
        let (publisher, goes_on) = (Arc::clone(&one), Arc::clone(&load));
        let publishing = std::thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                publisher.publish(&on, "load".into());
            }
        });
        seen_by_two.received(&topic, "load").await;
        server.kill();
        seen_by_one.disconnected().await;
        seen_by_two.disconnected().await;
        assert!(!one.is_connected());
        assert_eq!(one.request("two", "x".into(), LONG).await, Err(RequestError::Away));
        // Asked for while it is away.
        let meanwhile = of_project("blue");
        two.subscribe(&meanwhile);
        server.restart();
        seen_by_one.saw_times(&Seen::Connected, 2).await;
        seen_by_two.saw_times(&Seen::Connected, 2).await;
        seen_by_two.saw(&Seen::Subscribed(meanwhile.clone())).await;
        load.store(false, Ordering::Relaxed);
        publishing.join().unwrap();
        for topic in [&topic, &meanwhile] {
            // The queue may still be full for a moment.
            while seen_by_two.published_on(topic).last().is_none_or(|last| last != "afterwards") {
                one.publish(topic, "afterwards".into());
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(one.request("two", "x".into(), LONG).await.as_deref(), Ok("x"));
        assert!(one.stats().dropped_away > 0, "{:?}", one.stats());
        assert_eq!(one.stats().connections, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_starts_without_a_server_and_connects_when_there_is_one() {
    for program in programs() {
        let mut server = NatsServer::start(&program);
        server.kill();
        let (cluster, recorder) = started(NatsOptions::new(&server.url()), "one").await;
        cluster.subscribe(&Topic::Heartbeats);
        cluster.publish(&Topic::Heartbeats, "lost".into());
        assert!(!recorder.disconnected().await.is_empty());
        assert!(!cluster.is_connected() && cluster.server_version().is_none());
        server.restart();
        recorder.connected().await;
        recorder.saw(&Seen::Subscribed(Topic::Heartbeats)).await;
        cluster.publish(&Topic::Heartbeats, "back".into());
        recorder.received(&Topic::Heartbeats, "back").await;
        assert_eq!(recorder.published_on(&Topic::Heartbeats), ["back"]);
        assert!(cluster.server_version().is_some_and(|version| version.starts_with("2.")));
    }
}

#[tokio::test]
async fn a_first_connection_can_be_required() {
    let Some(program) = NatsServer::program() else { return };
    let mut server = NatsServer::start(&program);
    let mut options = NatsOptions::new(&server.url());
    options.require_within = Some(LONG);
    assert!(NatsCluster::connect(options.clone()).await.unwrap().is_connected());
    server.kill();
    options.require_within = Some(Duration::from_millis(100));
    let error = NatsCluster::connect(options).await.unwrap_err();
    assert!(matches!(error, ConfigError::NotConnected { within_ms: 100, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_too_slow_is_told_that_it_lost_something_and_goes_on() {
    for program in programs() {
        let server = NatsServer::start(&program);
        let (mut options, events) = observed(&server.url());
        options.received_messages = 8;
        let (slow, recorder) = connected(options, "slow").await;
        let (fast, _) = connected(NatsOptions::new(&server.url()), "fast").await;
        slow.subscribe(&Topic::Notices);
        recorder.saw(&Seen::Subscribed(Topic::Notices)).await;
        let busy = Arc::clone(&recorder);
        let (locked, is_locked) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let reader = std::thread::spawn(move || {
            let _busy = busy.busy.lock();
            locked.send(()).unwrap();
            let _ = released.recv();
        });
        is_locked.recv().unwrap();
        for _ in 0..1_000 {
            fast.publish(&Topic::Notices, "x".into());
        }
        recorder.saw(&Seen::Lost).await;
        release.send(()).unwrap();
        reader.join().unwrap();
        while !recorder.published_on(&Topic::Notices).contains(&"afterwards".to_owned()) {
            fast.publish(&Topic::Notices, "afterwards".into());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(slow.stats().too_slow > 0 && events.lock().contains(&NatsEvent::TooSlow));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_the_server_would_refuse_is_dropped_and_told_and_the_connection_stays() {
    for program in programs() {
        let server = NatsServer::start_with(&program, "max_payload: 1000", &[]);
        let (options, events) = observed(&server.url());
        let (cluster, recorder) = connected(options, "one").await;
        cluster.subscribe(&Topic::Notices);
        recorder.saw(&Seen::Subscribed(Topic::Notices)).await;
        cluster.publish(&Topic::Notices, "x".repeat(1_001).into());
        cluster.publish(&Topic::Notices, "x".repeat(1_000).into());
        recorder.received(&Topic::Notices, &"x".repeat(1_000)).await;
        let large = "x".repeat(1_001);
        assert_eq!(cluster.request("one", large.into(), LONG).await, Err(RequestError::TooLarge));
        assert_eq!(cluster.stats().dropped_too_large, 1);
        let told = NatsEvent::NotSent { full: 0, away: 0, too_large: 1 };
        while !events.lock().contains(&told) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!recorder.seen().iter().any(|seen| matches!(seen, Seen::Disconnected(_))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finds_no_place_in_the_queue_is_dropped_and_nobody_waits() {
    let Some(program) = NatsServer::program() else { return };
    let server = NatsServer::start(&program);
    let mut options = NatsOptions::new(&server.url());
    options.queued_messages = 4;
    let (cluster, _) = connected(options, "one").await;
    for _ in 0..100_000 {
        cluster.publish(&Topic::Notices, "x".into());
    }
    let stats = cluster.stats();
    assert!(stats.dropped_full > 0 && stats.sent > 0, "{stats:?}");
    cluster.stop().await;
    let stats = cluster.stats();
    assert_eq!(stats.dropped_full + stats.sent, 100_000, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_of_the_server_is_read_and_an_old_one_is_told() {
    for program in programs() {
        let server = NatsServer::start(&program);
        let (options, events) = observed(&server.url());
        let (cluster, _) = connected(options, "one").await;
        let version = cluster.server_version().unwrap();
        let told = |wanted: fn(&NatsEvent) -> bool| events.lock().iter().any(wanted);
        while !told(|event| matches!(event, NatsEvent::Connected { .. })) {
            tokio::task::yield_now().await;
        }
        let is_old = version.starts_with("2.9.");
        cluster.stop().await;
        assert_eq!(told(|event| matches!(event, NatsEvent::OldServer { .. })), is_old, "{version}");
    }
}
