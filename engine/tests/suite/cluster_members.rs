//! Which instances there are, as each of them knows it (cluster 2).

use std::time::Duration;

use grove_engine::{ClusterEvent, RepairCause, Scope};

use crate::cluster_fixtures::Instances;

#[tokio::test]
async fn instances_know_each_other_as_soon_as_they_are_there() {
    let mut all = Instances::started(&["a", "b"]).await;
    all.start("c", |builder| builder);
    all.settle().await;
    for name in ["a", "b", "c"] {
        assert_eq!(all.known_to(name), ["a", "b", "c"], "to {name}");
        assert_eq!(all.engine(name).stats().instances, 3);
    }
}

#[tokio::test]
async fn one_that_dies_is_suspect_after_ten_seconds_and_gone_after_fifteen() {
    let mut all = Instances::started(&["a", "b"]).await;
    all.pass(5_000).await;
    all.kill("b");
    all.pass(9_000).await;
    let suspect = ClusterEvent::InstanceSuspect { instance: "b".into() };
    let gone = ClusterEvent::InstanceGone { instance: "b".into() };
    assert!(!all.events("a").contains(&suspect));
    all.pass(1_100).await;
    assert!(all.events("a").contains(&suspect) && !all.events("a").contains(&gone));
    assert_eq!(all.known_to("a"), ["a", "b"]);
    all.pass(5_000).await;
    assert!(all.events("a").contains(&gone));
    assert_eq!(all.known_to("a"), ["a"]);
    all.pass(1_500).await;
    all.start("b", |builder| builder);
    all.settle().await;
    assert_eq!(all.known_to("a"), ["a", "b"]);
    all.pass(200).await;
    assert!(all.events("a").contains(&ClusterEvent::Resynced { project: None, cause: RepairCause::Restarted }));
}

#[tokio::test]
async fn one_that_shuts_down_is_gone_at_once() {
    let all = Instances::started(&["a", "b"]).await;
    let (leaving, clock) = (all.engine("b").clone(), all.clock.clone());
    let shutdown = tokio::spawn(async move { leaving.shutdown(Duration::from_millis(1)).await });
    while !shutdown.is_finished() {
        clock.advance(1_000);
        tokio::task::yield_now().await;
        all.bus.deliver();
    }
    assert_eq!(all.known_to("a"), ["a"]);
}

#[tokio::test]
async fn what_was_missed_while_there_was_no_connection_is_repaired_when_there_is_one() {
    let all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.pass(2_000).await;
    all.bus.disconnect("b");
    assert!(!all.engine("b").stats().bus_connected);
    all.store.push("alice", "missed");
    all.engine("a").refresh(Scope::user("alice"));
    all.pass(5_000).await;
    assert!(there.titles().await.is_empty());
    all.pass(15_000).await;
    assert_eq!(all.known_to("b"), ["b"]);
    all.bus.connect("b");
    all.settle().await;
    all.pass(1_200).await;
    assert_eq!(
        (there.titles().await, all.known_to("b")),
        (vec!["missed".to_owned()], vec!["a".to_owned(), "b".to_owned()])
    );
    let events = all.events("b");
    let disconnected = |event: &ClusterEvent| matches!(event, ClusterEvent::Disconnected { .. });
    assert!(events.iter().any(disconnected) && events.contains(&ClusterEvent::Connected));
}
