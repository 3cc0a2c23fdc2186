//! Several instances on a real server of NATS, each message checked by a mirror (cluster 5).

mod instances;
mod partition;

use std::time::Duration;

use grove_engine::client::Node;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::consumer::{Consumer, upgrade};
use instances::{Instances, stamp_of};
use partition::Proxy;

/// Within this time after the last change, or after the bus is back, all copies are exact.
const REPAIRED: Duration = Duration::from_secs(6);

/// Waits until all consumers see a stamp, and their copies are what a query returns.
async fn all_see(consumers: &mut [Consumer], n: u64, within: Duration) {
    let until = Instant::now() + within;
    for consumer in consumers {
        let exact = async {
            consumer.until(|tree| stamp_of(tree) == n).await;
            while !is_exact(consumer).await {
                consumer.receive().await;
            }
        };
        assert!(timeout_at(until, exact).await.is_ok(), "a consumer does not see {n}: {}", consumer.at("/me"));
    }
}

/// Whether a consumer's copy is what a query returns. The query may be ahead by what is still debounced, such as who is
/// present.
async fn is_exact(consumer: &mut Consumer) -> bool {
    let fresh = consumer.query_tree("/").await;
    Node::try_from(&fresh).expect("a tree").to_json() == *consumer.tree()
}

/// Nothing of a change has come for a consumer before the reply to its query.
async fn sees_still(consumer: &mut Consumer, n: u64) {
    consumer.query_tree("/me").await;
    assert_eq!(stamp_of(consumer.tree()), n);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_instance_patches_those_whom_it_concerns_on_the_other_and_nobody_else() {
    let Some(instances) = Instances::start(&["a", "b"]).await else { return };
    let [a, b] = &instances.all[..] else { unreachable!() };
    let mut alice = b.consumer("alice-1").await;
    let mut bobs = [a.consumer("bob-1").await, b.consumer("bob-2").await];
    instances.rest().await;
    let mut fastest = Duration::MAX;
    for (n, whom) in (1_u64..).zip([
        json!({"session": "alice-1"}),
        json!({"user": "alice"}),
        json!({"session": "alice-1"}),
        json!({"user": "alice"}),
        json!({"user": "alice"}),
    ]) {
        instances.stamp(n).await;
        let changed = Instant::now();
        a.refresh(whom).await;
        all_see(std::slice::from_mut(&mut alice), n, Duration::from_secs(10)).await;
        fastest = fastest.min(changed.elapsed());
    }
    for bob in &mut bobs {
        sees_still(bob, 0).await;
    }
    assert!(fastest < Duration::from_millis(205), "it took {fastest:?}, with a debounce of 5 ms");
    a.refresh(json!({"all": true})).await;
    all_see(&mut bobs, 5, Duration::from_secs(10)).await;
    let bus = a.get("/control/bus").await;
    assert!(bus["notices_out"].as_u64() >= Some(6) && bus["connected"] == true, "{bus}");
    assert!(b.get("/control/bus").await["notices_in"].as_u64() >= Some(6));
    instances.check_secrets();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_tenth_of_all_messages_lost_every_copy_is_exact_within_six_seconds() {
    let Some(instances) = Instances::start(&["a", "b", "c"]).await else { return };
    let mut consumers = Vec::new();
    for (at, instance) in instances.all.iter().enumerate() {
        for user in ["alice", "bob", "nora"] {
            consumers.push(instance.consumer(&format!("{user}-{at}")).await);
            consumers.push(instance.consumer(&format!("{user}-pred-{at}")).await);
        }
    }
    instances.lose(0.1).await;
    let whom = [json!({"user": "alice"}), json!({"org": "acme"}), json!({"session": "nora-2"}), json!({"all": true})];
    for n in 1..=40 {
        instances.stamp(n).await;
        let at = usize::try_from(n).unwrap();
        instances.all[at % 3].refresh(whom[at % whom.len()].clone()).await;
    }
    // The last change, one notice for each user.
    instances.stamp(41).await;
    for (at, user) in ["alice", "bob", "nora"].iter().enumerate() {
        instances.all[at].refresh(json!({ "user": user })).await;
    }
    all_see(&mut consumers, 41, REPAIRED).await;
    instances.check_secrets();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_each_instance_serves_its_own_and_afterwards_all_are_exact() {
    let Some(mut instances) = Instances::start(&["a", "b"]).await else { return };
    let mut here = [instances.all[0].consumer("alice-1").await];
    let mut there = [instances.all[1].consumer("alice-2").await];
    for n in 1..=30 {
        if n == 10 {
            instances.nats.kill();
            instances.all[0].until_bus("is away", |bus| bus["connected"] == false).await;
        }
        instances.stamp(n).await;
        instances.all[0].refresh(json!({"user": "alice"})).await;
        all_see(&mut here, n, Duration::from_secs(10)).await;
        if n < 10 {
            all_see(&mut there, n, REPAIRED).await;
        }
    }
    instances.nats.restart();
    for instance in &instances.all {
        instance.until_bus("is back", |bus| bus["connected"] == true).await;
    }
    all_see(&mut there, 30, REPAIRED).await;
    instances.stamp(31).await;
    instances.all[1].refresh(json!({"user": "alice"})).await;
    all_see(&mut here, 31, REPAIRED).await;
    instances.check_secrets();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumers_of_an_instance_that_was_killed_go_on_at_another_and_it_is_gone_within_sixteen_seconds() {
    let Some(mut instances) = Instances::start(&["a", "b"]).await else { return };
    let alice = instances.all[0].consumer("alice-1").await;
    assert_eq!(alice.at("/me")["properties"]["session"], "alice-1");
    instances.all[0].kill().await;
    let killed = Instant::now();
    let b = &instances.all[1];
    let mut again = [b.consumer("alice-1").await];
    b.post("/control/stamp", json!({"n": 7})).await;
    b.refresh(json!({"user": "alice"})).await;
    all_see(&mut again, 7, Duration::from_secs(10)).await;
    b.until_it_knows(&["b"]).await;
    assert!(killed.elapsed() < Duration::from_secs(17), "{:?}", killed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_on_one_instance_closes_the_connections_on_all_and_refuses_the_session_there() {
    let Some(instances) = Instances::start(&["a", "b"]).await else { return };
    let [a, b] = &instances.all[..] else { unreachable!() };
    let (mut here, mut there) = (a.consumer("alice-1").await, b.consumer("alice-1").await);
    let mut other = b.consumer("alice-2").await;
    a.post("/control/revoke", json!({"session": "alice-1"})).await;
    let closed = timeout(Duration::from_secs(5), async { (here.closed().await, there.closed().await) }).await;
    assert_eq!(closed, Ok((1008, 1008)));
    let again = upgrade(&format!("ws://{}/slop?token=alice-1", b.address), &[]).await;
    assert!(again.is_err(), "it does not come in again");
    assert_eq!(other.query_tree("/me").await["properties"]["session"], "alice-2");
    instances.check_secrets();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_of_a_newer_version_means_all_of_its_project() {
    let Some(instances) = Instances::start(&["a"]).await else { return };
    let a = &instances.all[0];
    let mut alice = [a.consumer("alice-1").await];
    let mut other = a.consumer("alice-pred-1").await;
    let notice = |number: u64, whom: Value| {
        let from = json!({"name": "newer", "incarnation": 1});
        let notices = json!([{"whom": whom, "reason": "cosmic", "colour": "blue"}]);
        json!({"v": 9, "from": from, "number": number, "after": number - 1, "notices": notices, "more": [1]})
            .to_string()
    };
    // Another instance that is new may be a reason to look at everything: that comes first.
    for number in 1..=3 {
        instances.wiretap.say("grove.v1.main.notice", &notice(number, json!({"session": "nobody"}))).await;
    }
    sleep(Duration::from_secs(3)).await;
    instances.stamp(5).await;
    instances.wiretap.say("grove.v1.main.notice", &notice(4, json!({"session": "nobody"}))).await;
    sees_still(&mut alice[0], 0).await;
    instances.wiretap.say("grove.v1.main.notice", &notice(5, json!({"constellation": "orion"}))).await;
    all_see(&mut alice, 5, Duration::from_secs(10)).await;
    sees_still(&mut other, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_change_is_not_evaluated_for_each_consumer_of_an_instance() {
    let Some(instances) = Instances::start(&["a", "b", "c"]).await else { return };
    let mut consumers = Vec::new();
    for (at, instance) in instances.all.iter().enumerate() {
        for number in 0..20 {
            consumers.push(instance.consumer(&format!("user{number}-{at}")).await);
        }
    }
    let evaluations = async || {
        let mut all = Vec::new();
        for instance in &instances.all {
            all.push(instance.get("/control/stats").await["evaluations"]["/stamp"].as_u64().unwrap());
        }
        all
    };
    instances.rest().await;
    let before = evaluations().await;
    instances.stamp(1).await;
    instances.all[0].refresh(json!({"all": true})).await;
    // Without a query, which may evaluate something itself.
    for consumer in &mut consumers {
        consumer.until(|tree| stamp_of(tree) == 1).await;
    }
    let after = evaluations().await;
    // Once; and on a busy machine, users for whom something of their own took long are rendered apart, by other threads.
    let each: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert!(each.iter().all(|evaluations| (1..=3).contains(evaluations)), "{each:?}");
    instances.check_secrets();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_that_could_not_hear_each_other_are_exact_again_when_they_can() {
    let Some(mut instances) = Instances::start(&["a"]).await else { return };
    let proxy = Proxy::start(instances.nats.address()).await;
    instances.all.push(instances::Instance::start("b", &proxy.url()).await);
    for instance in &instances.all {
        instance.until_it_knows(&["a", "b"]).await;
    }
    let mut alice = [instances.all[0].consumer("alice-1").await];
    let mut other = [instances.all[1].consumer("alice-2").await];
    proxy.stall(true);
    for (at, mine) in [&mut alice, &mut other].into_iter().enumerate() {
        let n = 10 + u64::try_from(at).unwrap();
        instances.stamp(n).await;
        instances.all[at].refresh(json!({"user": "alice"})).await;
        all_see(mine, n, Duration::from_secs(10)).await;
    }
    // Long enough for each to take the other for gone.
    let gone = async {
        instances.all[0].until_it_knows(&["a"]).await;
        instances.all[1].until_it_knows(&["b"]).await;
    };
    assert!(timeout(Duration::from_secs(30), gone).await.is_ok());
    instances.stamp(20).await;
    proxy.stall(false);
    for instance in &instances.all {
        instance.until_it_knows(&["a", "b"]).await;
    }
    all_see(&mut alice, 20, REPAIRED).await;
    all_see(&mut other, 20, REPAIRED).await;
    instances.check_secrets();
}
