//! What the trait promises, on a bus within this process and on servers.

use std::sync::Arc;
use std::time::Duration;

use grove_engine::{Cluster, RequestError, Topic};
use grove_nats::testing::{Dropping, NatsServer};
use grove_nats::{NatsCluster, NatsOptions};

use crate::memory::{MemoryBus, OnMemoryBus};
use crate::recorder::{Recorder, Seen};
use crate::{LONG, instance, of_project, of_room, programs};

/// Two instances that are connected, and what each has seen.
struct Two {
    clusters: [Arc<dyn Cluster>; 2],
    recorders: [Arc<Recorder>; 2],
}

impl Two {
    async fn start(clusters: [Arc<dyn Cluster>; 2]) -> Self {
        let recorders = [(); 2].map(|()| Arc::new(Recorder::default()));
        for ((cluster, recorder), name) in clusters.iter().zip(&recorders).zip(["one", "two"]) {
            cluster.start(&instance(name), recorder.clone());
            recorder.connected().await;
        }
        Self { clusters, recorders }
    }

    async fn subscribe(&self, topic: &Topic) {
        for (cluster, recorder) in self.clusters.iter().zip(&self.recorders) {
            let before = recorder.seen().iter().filter(|seen| **seen == Seen::Subscribed(topic.clone())).count();
            cluster.subscribe(topic);
            recorder.saw_times(&Seen::Subscribed(topic.clone()), before + 1).await;
        }
    }
}

/// Runs a test on all kinds of buses.
fn on_each<F: Future<Output = ()>>(test: impl Fn(Two) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let bus = Arc::<MemoryBus>::default();
        test(Two::start([(); 2].map(|()| Arc::new(OnMemoryBus::new(&bus)) as Arc<dyn Cluster>)).await).await;
        for program in programs() {
            let server = NatsServer::start(&program);
            let connect = || async { Arc::new(NatsCluster::connect(NatsOptions::new(&server.url())).await.unwrap()) };
            test(Two::start([connect().await, connect().await]).await).await;
            let wrapped = || async { Arc::new(Dropping::new(connect().await, 1)) };
            test(Two::start([wrapped().await, wrapped().await]).await).await;
        }
    });
}

#[test]
fn what_is_published_arrives_unchanged_where_it_was_subscribed_to_and_nowhere_else() {
    on_each(|two| async move {
        let names = ["a", "a.b", "a*", ">", "", "é \u{1f333}\n", &"p".repeat(300)];
        let mut topics = vec![Topic::Heartbeats, Topic::Notices];
        topics.extend(names.iter().flat_map(|name| {
            [of_project(name), Topic::Presence((*name).into()), of_room(name, "r"), of_room("a", name)]
        }));
        let [one, two_] = &two.clusters;
        for topic in &topics {
            two.subscribe(topic).await;
        }
        one.unsubscribe(&Topic::Notices);
        // What is asked for later is confirmed later.
        two.subscribe(&of_project("later")).await;
        for topic in &topics {
            two_.publish(topic, format!("{topic:?} é\0\n").into());
        }
        for topic in topics.iter().filter(|topic| **topic != Topic::Notices) {
            for recorder in &two.recorders {
                recorder.received(topic, &format!("{topic:?} é\0\n")).await;
            }
        }
        two.recorders[1].received(&Topic::Notices, "Notices é\0\n").await;
        for recorder in &two.recorders {
            for topic in &topics {
                let received = recorder.published_on(topic);
                assert!(
                    received.iter().all(|message| *message == format!("{topic:?} é\0\n")),
                    "{topic:?} {received:?}"
                );
            }
        }
        assert_eq!(two.recorders[0].published_on(&Topic::Notices), [""; 0]);
    });
}

#[test]
fn after_it_is_subscribed_nothing_is_missed() {
    on_each(|two| async move {
        let topic = of_project("red");
        for round in 0..5 {
            two.subscribe(&topic).await;
            for number in 0..1_000 {
                two.clusters[0].publish(&topic, format!("{round} {number}").into());
            }
            for recorder in &two.recorders {
                let of_round =
                    |seen: &Seen| matches!(seen, Seen::Published(_, text) if text.starts_with(&round.to_string()));
                recorder
                    .until("all of a round", |seen| seen.iter().filter(|seen| of_round(seen)).count() == 1_000)
                    .await;
            }
            for cluster in &two.clusters {
                cluster.unsubscribe(&topic);
            }
        }
    });
}

#[test]
fn a_request_is_answered_by_the_instance_that_it_names_or_fails_with_the_reason() {
    on_each(|two| async move {
        let [one, _] = &two.clusters;
        for text in ["", "é\0\n", &"x".repeat(500_000)] {
            assert_eq!(one.request("two", text.into(), LONG).await.as_deref(), Ok(text));
        }
        assert_eq!(one.request("one", "itself".into(), LONG).await.as_deref(), Ok("itself"));
        for nobody in ["three", "*", ">", "", "two.x"] {
            assert_eq!(one.request(nobody, "x".into(), LONG).await, Err(RequestError::NoInstance), "{nobody}");
        }
        let large = "x".repeat((1 << 20) + 1);
        assert_eq!(one.request("two", large.into(), LONG).await, Err(RequestError::TooLarge));
        let soon = Duration::from_millis(50);
        assert_eq!(one.request("two", "silence".into(), soon).await, Err(RequestError::TimedOut));
        let requests =
            |recorder: &Recorder| recorder.seen().iter().filter(|seen| matches!(seen, Seen::Requested(_))).count();
        assert_eq!((requests(&two.recorders[0]), requests(&two.recorders[1])), (1, 4));
    });
}

#[test]
fn at_the_end_what_waits_is_sent_and_nothing_more_is_handed_over() {
    on_each(|two| async move {
        let topic = of_project("red");
        two.subscribe(&topic).await;
        for number in 0..2_000 {
            two.clusters[0].publish(&topic, number.to_string().into());
        }
        two.clusters[0].stop().await;
        let handed_over = two.recorders[0].seen().len();
        let all = |seen: &[Seen]| seen.iter().filter(|seen| matches!(seen, Seen::Published(..))).count() == 2_000;
        two.recorders[1].until("all of them", all).await;
        two.clusters[1].publish(&topic, "afterwards".into());
        two.recorders[1].received(&topic, "afterwards").await;
        assert_eq!(two.recorders[0].seen().len(), handed_over);
        assert_eq!(two.clusters[1].request("one", "x".into(), LONG).await, Err(RequestError::NoInstance));
    });
}
