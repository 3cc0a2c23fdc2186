//! A change on one instance reaches the consumers on all (cluster 2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grove_engine::testing::Weather;
use grove_engine::{
    Cluster, ClusterEvent, Engine, Inbox, Instance, Local, RepairCause, RequestError, Scope, Selector, Session, Topic,
};
use serde_json::json;

use crate::cluster_fixtures::Instances;
use crate::fixtures::{SharedNumber, engine, evaluations, in_project};

const NOTHING: [String; 0] = [];

#[tokio::test]
async fn a_refresh_on_one_instance_is_seen_on_another_and_by_nobody_else() {
    let all = Instances::started(&["a", "b"]).await;
    let mut alice = all.connect("b", "s1", "alice").await;
    let mut bob = all.connect("b", "s2", "bob").await;
    all.store.push("alice", "new");
    assert_eq!(all.engine("a").refresh(Scope::user("alice")), 0, "it has none of her sessions");
    all.settle().await;
    assert_eq!(alice.titles().await, ["new"]);
    assert!(bob.consumer.settled().await.is_empty());
    assert_eq!(bob.titles().await, NOTHING);
}

#[tokio::test]
async fn a_call_on_one_instance_is_seen_by_the_same_session_on_another() {
    let all = Instances::started(&["a", "b"]).await;
    let (mut here, mut there) = (all.connect("a", "s1", "alice").await, all.connect("b", "s1", "alice").await);
    assert_eq!(here.invoke("/todos", "add", json!({"title": "called"})).await["status"], "ok");
    all.settle().await;
    assert_eq!(there.titles().await, ["called"]);
}

#[tokio::test]
async fn a_refresh_for_which_somebody_waits_crosses_and_one_of_this_instance_does_not() {
    let all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.store.push("alice", "one");
    all.engine("a").refresh_here(Scope::all());
    all.engine("a").refresh(Scope::matching(|_: &Session| true));
    all.settle().await;
    assert_eq!(there.titles().await, NOTHING);
    all.engine("a").refresh_now(Scope::session("s1")).await;
    all.settle().await;
    assert_eq!(there.titles().await, ["one"], "a session that is not open here may be open there");
}

#[tokio::test]
async fn a_predicate_crosses_by_its_name_and_means_everybody_where_there_is_none() {
    let mut all = Instances::started(&["a"]).await;
    let mut numbers = Vec::new();
    for name in ["b", "c"] {
        let engine = all.start(name, |builder| builder);
        numbers.push(SharedNumber::serve(&engine, "n"));
        if name == "b" {
            engine.register_predicate("of alice", |session: &Session| session.user() == Some("alice"));
        }
    }
    let mut watching = Vec::new();
    for (name, id, user) in [("b", "s1", "alice"), ("b", "s2", "bob"), ("c", "s3", "bob")] {
        watching.push(all.connect(name, id, user).await);
    }
    numbers.iter().for_each(|number| number.set(7));
    all.engine("a").refresh(Scope::named("of alice").paths(["n"]));
    all.settle().await;
    let mut reached = Vec::new();
    for one in &mut watching {
        reached.push(!one.consumer.settled().await.is_empty());
    }
    assert_eq!(reached, [true, false, true]);
    let events = all.engine("b").emit(Scope::named("nobody knows"), "hello", None);
    assert_eq!(events, Ok(0), "an event goes to nobody of whom it is not certain");
}

#[tokio::test]
async fn an_instance_without_sessions_of_a_project_does_not_hear_of_it() {
    let all = Instances::started(&["a", "b"]).await;
    let mut watching = all.connect_session("b", in_project("s1", "alice", "q")).await;
    for _ in 0..10 {
        all.engine("a").refresh(Scope::project("p"));
        all.pass(50).await;
    }
    assert_eq!((all.engine("a").stats().notices_out, all.engine("b").stats().notices_in), (10, 0));
    all.store.push("alice", "q's");
    all.engine("a").refresh(Scope::project("q"));
    all.settle().await;
    assert_eq!((watching.titles().await, all.engine("b").stats().notices_in), (vec!["q's".to_owned()], 1));
    drop(watching);
    all.engine("b").close_session("s1");
    all.engine("a").refresh(Scope::project("q"));
    all.pass(50).await;
    assert_eq!(all.engine("b").stats().notices_in, 1, "its last session has ended");
}

#[tokio::test]
async fn a_lost_notice_is_repaired_by_the_next_heartbeat_and_many_lost_ones_by_one_repair() {
    let all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.pass(2_000).await;
    let resyncs = all.engine("b").stats().resyncs;
    all.bus.set_weather(Weather { lost: 1_000, ..Weather::default() });
    for at in 0..20 {
        all.store.push("alice", &at.to_string());
        all.engine("a").refresh(Scope::session("s1"));
        all.pass(5).await;
    }
    assert_eq!(there.titles().await, NOTHING);
    all.bus.set_weather(Weather::default());
    all.pass(1_000).await;
    assert_eq!((there.titles().await.len(), all.engine("b").stats().resyncs - resyncs), (20, 1));
    assert!(all.events("b").contains(&ClusterEvent::Resynced { project: None, cause: RepairCause::Mark }));
}

#[tokio::test]
async fn a_notice_that_names_a_commit_waits_for_it_on_the_other_instance() {
    let mut all = Instances::started(&["a"]).await;
    let (visible, asked) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (wait, count) = (Arc::clone(&visible), Arc::clone(&asked));
    let engine = all.start("b", |builder| {
        builder.wait_for(move |commit| {
            assert_eq!(commit, "c7");
            count.fetch_add(1, Ordering::SeqCst);
            let wait = Arc::clone(&wait);
            async move { wait.acquire().await.expect("never closed").forget() }
        })
    });
    let number = SharedNumber::serve(&engine, "n");
    all.settle().await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.pass(2_000).await;
    number.set(1);
    all.engine("a").refresh(Scope::all().after("c7"));
    all.bus.deliver();
    assert_eq!((asked.load(Ordering::SeqCst), there.consumer.ready().len()), (1, 0));
    visible.add_permits(1);
    all.settle().await;
    assert_eq!(there.consumer.settled().await.len(), 1);
    number.set(2);
    all.pass(50).await;
    all.engine("a").refresh(Scope::all().after("c7"));
    all.bus.deliver();
    all.clock.advance(1_000);
    all.settle().await;
    assert_eq!(there.consumer.settled().await.len(), 1, "after a second it looks in any case");
}

#[tokio::test]
async fn without_somebody_who_waits_it_looks_at_once_and_again_a_second_later() {
    let all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.pass(2_000).await;
    let before = evaluations(all.engine("b"), "/todos");
    all.engine("a").refresh(Scope::all().after("c7"));
    all.settle().await;
    assert_eq!(evaluations(all.engine("b"), "/todos"), before + 1);
    all.store.push("alice", "replicated");
    all.pass(1_200).await;
    assert_eq!(there.titles().await, ["replicated"]);
}

#[tokio::test]
async fn an_unknown_selector_means_all_of_the_project_and_what_cannot_be_read_is_reported_and_repaired() {
    let all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.pass(2_000).await;
    all.store.push("alice", "one");
    let from = json!({"name": "a", "incarnation": all.engine("a").instances()[0].incarnation});
    let newer = json!({"v": 9, "from": from, "number": 1, "after": 0, "notices": [{"whom": {"tide": "high"}}]});
    all.bus.say("a", &Topic::ProjectNotices("p".into()), &newer.to_string());
    all.settle().await;
    assert_eq!(there.titles().await, ["one"]);
    all.store.push("alice", "two");
    all.bus.say("a", &Topic::ProjectNotices("p".into()), "{\"from\": 7");
    all.pass(200).await;
    assert_eq!(there.titles().await, ["one", "two"]);
    let dropped = |event: &ClusterEvent| matches!(event, ClusterEvent::MessageDropped { topic: "project_notices", .. });
    assert_eq!(all.events("b").iter().filter(|event| dropped(event)).count(), 1);
}

#[tokio::test]
async fn a_storm_of_refreshes_makes_few_messages_and_loses_nothing() {
    let all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.pass(2_000).await;
    let said = all.bus.said().len();
    for at in 0..5_000 {
        if at % 100 == 0 {
            all.store.push("alice", "x");
        }
        all.engine("a").refresh(Scope::user(format!("user {}", at % 3_000)));
        all.engine("a").refresh(Scope::user("alice"));
    }
    all.pass(5).await;
    assert_eq!(there.titles().await.len(), 50);
    let messages = all.bus.said().len() - said;
    assert!(messages < 100, "{messages} messages for 10,000 refreshes");
}

#[tokio::test]
async fn nothing_but_ids_is_said() {
    let all = Instances::started(&["a", "b"]).await;
    let secret = in_project("s1", "alice", "p").with_attribute("token", "t0p-secret").with_permission("write");
    let mut here = all.connect_session("a", secret.clone()).await;
    let _there = all.connect_session("b", secret).await;
    here.invoke("/todos", "add", json!({"title": "private title"})).await;
    all.pass(6_000).await;
    let said = all.bus.said().join("\n");
    assert!(said.contains("\"s1\"") && said.contains("incarnation"));
    for word in ["t0p-secret", "private", "write", "alice", "todos"] {
        assert!(!said.contains(word), "{word} is in {said}");
    }
}

/// Says that there is nobody else, and does not expect to be used.
#[derive(Debug)]
struct Nobody;

impl Cluster for Nobody {
    fn start(&self, _: &Instance, _: Arc<dyn Inbox>) {}

    fn subscribe(&self, topic: &Topic) {
        assert!(!matches!(topic, Topic::ProjectNotices(_)), "nobody publishes anything");
    }

    fn unsubscribe(&self, _: &Topic) {
        panic!("nothing was subscribed to");
    }

    fn publish(&self, _: &Topic, message: grove_engine::Text) {
        panic!("nobody hears {message}");
    }

    fn request(
        &self,
        to: &str,
        message: grove_engine::Text,
        at_most: Duration,
    ) -> futures_util::future::BoxFuture<'static, Result<grove_engine::Text, RequestError>> {
        Local.request(to, message, at_most)
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn is_alone(&self) -> bool {
        true
    }

    fn stop(&self) -> futures_util::future::BoxFuture<'static, ()> {
        Local.stop()
    }
}

#[tokio::test]
async fn an_instance_without_others_encodes_nothing_and_waits_for_nothing() {
    let mut all = Instances::on_seed(0);
    let engine = Engine::builder("app", "App").clock(all.clock.clone()).cluster("only", Arc::new(Nobody)).build();
    all.store.serve_in(&engine);
    let session = in_project("s1", "alice", "p").with_permission("write");
    let client = engine.client(&session).expect("it is admitted");
    engine.refresh(Scope::all());
    engine.refresh_now(Selector::Session("s1".into()).into()).await;
    drop(client);
    engine.close_session("s1");
    for _ in 0..100 {
        all.clock.advance(1_000);
        engine.settle().await;
    }
    let stats = engine.stats();
    assert_eq!((stats.instances, stats.notices_out, stats.notices_in, stats.resyncs), (1, 0, 0, 0));
    assert!(stats.bus_connected);
    all.start("a", |builder| builder);
}

#[tokio::test]
async fn an_engine_that_nobody_told_of_others_is_a_cluster_of_one() {
    let engine = engine();
    assert_eq!(engine.instances().len(), 1);
    engine.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
#[should_panic(expected = "cannot be the name of an instance")]
async fn the_name_of_an_instance_is_checked() {
    let _ = Engine::builder("app", "App").cluster("line\nbreak", Arc::new(Local));
}
