//! What is decided on one instance about sessions holds on all (SEC15).

use grove_engine::testing::Weather;
use grove_engine::{
    Clock, ClusterEvent, Config, ConnectError, NewRoom, Revocation, RoomOptions, RoomState, Session, Topic,
};
use serde_json::json;

use crate::cluster_fixtures::{Instances, Watching};
use crate::fixtures::{error_code, in_project, user_session};

fn refuses(all: &Instances, name: &str, session: &Session) -> bool {
    matches!(all.engine(name).connect(session), Err(ConnectError::Revoked))
}

#[tokio::test]
async fn a_revocation_closes_the_connections_on_every_instance_and_lets_nobody_back_in() {
    let all = Instances::started(&["a", "b"]).await;
    let (mut alice, mut bob) = (all.connect("b", "s1", "alice").await, all.connect("b", "s2", "bob").await);
    assert_eq!(all.engine("a").revoke(Revocation::user("alice")), 0, "none of her sessions is open here");
    all.settle().await;
    assert!(alice.is_closed().await && !bob.is_closed().await);
    for name in ["a", "b"] {
        assert!(refuses(&all, name, &user_session("s9", "alice")), "{name}");
    }
    all.engine("b").unrevoke(&Revocation::user("alice"));
    all.settle().await;
    assert!(!refuses(&all, "a", &user_session("s9", "alice")));
}

#[tokio::test]
async fn a_session_that_is_closed_on_one_instance_ends_on_every_one_and_may_come_back() {
    let all = Instances::started(&["a", "b"]).await;
    let (mut here, mut there) = (all.connect("a", "s1", "alice").await, all.connect("b", "s1", "alice").await);
    assert!(all.engine("a").close_session("s1"));
    all.settle().await;
    assert!(here.is_closed().await && there.is_closed().await);
    drop(all.connect("b", "s1", "alice").await);
}

#[tokio::test]
async fn a_revocation_that_was_lost_holds_within_five_seconds() {
    let all = Instances::started(&["a", "b"]).await;
    let mut alice = all.connect("b", "s1", "alice").await;
    all.pass(20_000).await;
    all.bus.set_weather(Weather { lost: 1_000, ..Weather::default() });
    all.engine("a").revoke(Revocation::session("s1"));
    all.pass(100).await;
    assert!(!alice.is_closed().await);
    all.bus.set_weather(Weather::default());
    all.pass(1_000).await;
    assert!(alice.is_closed().await);
}

#[tokio::test]
async fn whoever_was_cut_off_learns_what_was_decided_from_whom_it_hears_also_if_the_one_who_decided_is_dead() {
    let mut all = Instances::started(&["a", "b", "c"]).await;
    let mut alice = all.connect("c", "s1", "alice").await;
    all.bus.cut("a", "c");
    all.bus.cut("b", "c");
    all.engine("a").revoke(Revocation::user("alice"));
    all.pass(20_000).await;
    assert!(!alice.is_closed().await);
    all.kill("a");
    all.bus.heal();
    all.pass(5_000).await;
    assert!(alice.is_closed().await && refuses(&all, "c", &user_session("s1", "alice")));
}

#[tokio::test]
async fn an_instance_that_starts_asks_for_the_revocations_that_hold() {
    let mut all = Instances::started(&["a"]).await;
    for at in 0..1_000 {
        all.engine("a").revoke(Revocation::user(format!("user {at}")));
    }
    all.engine("a").unrevoke(&Revocation::user("user 7"));
    all.pass(60_000).await;
    all.start("b", |builder| builder);
    all.settle().await;
    let refused = (0..1_000).filter(|at| refuses(&all, "b", &user_session("s1", &format!("user {at}"))));
    assert_eq!(refused.count(), 999);
    let asked = all.bus.said().iter().filter(|said| said.contains("\"kind\":\"decisions\"")).count();
    assert!((5..=7).contains(&asked), "{asked} requests for 1,000 decisions");
}

#[tokio::test]
async fn what_everybody_knows_is_asked_for_by_nobody() {
    let all = Instances::started(&["a", "b", "c"]).await;
    for at in 0..20 {
        all.engine("a").revoke(Revocation::user(format!("user {at}")));
        all.pass(100).await;
    }
    all.pass(10_000).await;
    let asked = all.bus.said().iter().filter(|said| said.contains("\"kind\":\"decisions\"")).count();
    assert_eq!(asked, 0);
}

#[tokio::test]
async fn new_claims_reach_the_session_on_every_instance_and_are_told_only_to_whom_it_is_open() {
    let all = Instances::started(&["a", "b", "c"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    let refused = there.invoke("/todos", "add", json!({"title": "before"})).await;
    assert_eq!(refused["status"], "ok");
    let read_only = in_project("s1", "alice", "p").with_attribute("token", "t0p-secret");
    assert!(!all.engine("a").update_session(&read_only), "it is not open here");
    all.settle().await;
    assert!(!there.is_closed().await, "its connection stays");
    assert_eq!(error_code(&there.invoke("/todos", "add", json!({"title": "after"})).await), "not_found");
    let said = all.bus.said();
    assert_eq!(said.iter().filter(|said| said.contains("\"kind\":\"claims\"")).count(), 1, "the others need not ask");
    assert_eq!(said.iter().filter(|said| said.contains("t0p-secret")).count(), 1, "in the one reply");
}

#[tokio::test]
async fn a_session_whose_new_claims_cannot_be_had_ends() {
    let mut all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.engine("a").update_session(&in_project("s1", "alice", "p"));
    all.bus.deliver();
    all.kill("a");
    all.pass(5_000).await;
    assert!(there.is_closed().await);
}

async fn may_add(watching: &mut Watching) -> bool {
    watching.invoke("/todos", "add", json!({"title": "x"})).await["status"] == "ok"
}

#[tokio::test]
async fn a_renewal_of_more_sessions_than_requests_may_be_in_flight_closes_none() {
    let all = Instances::started(&["a", "b"]).await;
    let ids: Vec<_> = (0..600).map(|at| format!("s{at}")).collect();
    for id in &ids {
        all.engine("b").connect(&in_project(id, id, "p")).expect("it is admitted");
    }
    let mut there = all.connect("b", "s9", "s9").await;
    for id in &ids {
        all.engine("a").update_session(&in_project(id, id, "p"));
    }
    all.pass(5_000).await;
    assert_eq!(all.engine("b").stats().sessions, 600);
    assert!(!there.is_closed().await && !may_add(&mut there).await);
}

#[tokio::test]
async fn an_instance_that_is_away_for_a_moment_keeps_its_sessions_and_gets_their_new_claims() {
    let all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.engine("a").update_session(&in_project("s1", "alice", "p"));
    all.bus.deliver();
    all.bus.cut("a", "b");
    all.pass(3_000).await;
    all.bus.heal();
    all.pass(1_500).await;
    assert!(!there.is_closed().await && !may_add(&mut there).await);
}

#[tokio::test]
async fn new_claims_are_had_from_an_instance_of_which_no_heartbeat_was_heard() {
    let mut all = Instances::started(&["b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.bus.cut("a", "b");
    all.start("a", |builder| builder);
    all.settle().await;
    all.bus.heal();
    all.engine("a").update_session(&in_project("s1", "alice", "p"));
    assert_eq!(all.known_to("b"), ["b"]);
    all.settle().await;
    assert!(!there.is_closed().await && !may_add(&mut there).await);
}

#[tokio::test]
async fn claims_that_come_late_do_not_replace_later_ones() {
    let all = Instances::started(&["a", "b"]).await;
    let mut there = all.connect("b", "s1", "alice").await;
    all.engine("a").update_session(&in_project("s1", "alice", "p"));
    all.bus.deliver();
    // It asks, but has no reply yet.
    tokio::task::yield_now().await;
    all.engine("b").update_session(&in_project("s1", "alice", "p").with_permission("write"));
    all.settle().await;
    assert!(!there.is_closed().await && may_add(&mut there).await);
}

#[tokio::test]
async fn a_shorter_revocation_does_not_end_a_longer_one_for_those_who_learn_it_later() {
    let mut all = Instances::started(&["a"]).await;
    let soon = all.clock.wall() + std::time::Duration::from_secs(600);
    all.engine("a").revoke(Revocation::user("alice"));
    all.engine("a").revoke(Revocation::user("alice").until(soon));
    all.start("b", |builder| builder);
    all.pass_in_steps(700_000, 1_000).await;
    for name in ["a", "b"] {
        assert!(refuses(&all, name, &user_session("s9", "alice")), "{name}");
    }
}

#[tokio::test]
async fn the_end_that_is_computed_where_a_session_is_revoked_is_told_to_all() {
    let mut all = Instances::on_seed(0);
    let mut config = Config::immediate();
    config.times.credential_lifetime = Some(std::time::Duration::from_secs(60));
    all.start("a", |builder| builder.config(config));
    all.start("b", |builder| builder);
    all.settle().await;
    all.engine("a").revoke(Revocation::session("s1"));
    all.pass(1_000).await;
    assert!(refuses(&all, "b", &user_session("s1", "alice")));
    all.pass_in_steps(62_000, 1_000).await;
    assert!(!refuses(&all, "a", &user_session("s1", "alice")) && !refuses(&all, "b", &user_session("s1", "alice")));
}

#[tokio::test]
async fn a_decision_that_fits_into_no_message_is_reported_and_does_not_keep_others_from_being_told() {
    let mut all = Instances::started(&["a"]).await;
    let long = "x".repeat(300_000);
    all.engine("a").revoke(Revocation::user(long.clone()));
    all.engine("a").revoke(Revocation::user("alice"));
    assert!(refuses(&all, "a", &user_session("s1", &long)), "it holds here");
    assert_eq!(dropped(&all, "a"), 1);
    all.start("b", |builder| builder);
    all.pass(1_000).await;
    assert!(refuses(&all, "b", &user_session("s2", "alice")));
}

fn dropped(all: &Instances, name: &str) -> usize {
    let dropped = |event: &&ClusterEvent| matches!(event, ClusterEvent::MessageDropped { topic: "notices", .. });
    all.events(name).iter().filter(dropped).count()
}

#[tokio::test]
async fn what_another_life_has_decided_is_learnt_although_the_first_that_is_heard_of_it_says_so() {
    let mut all = Instances::started(&["a", "b"]).await;
    let mut alice = all.connect("b", "s1", "alice").await;
    all.kill("a");
    all.bus.cut("a", "b");
    all.start("a", |builder| builder);
    all.engine("a").revoke(Revocation::user("alice"));
    all.settle().await;
    all.bus.heal();
    all.pass(1_000).await;
    assert!(alice.is_closed().await);
}

#[tokio::test]
async fn a_decision_that_nobody_can_have_made_is_not_applied() {
    let all = Instances::started(&["a", "b"]).await;
    let mut alice = all.connect("b", "s1", "alice").await;
    let say = |about: serde_json::Value, at: u64| {
        let stamp = json!({"at": at, "by": "a"});
        let decision = json!({"about": {"access": about}, "verdict": {"revoked": null}, "stamp": stamp});
        let from = json!({"name": "a", "incarnation": 1});
        let message = json!({"v": 1, "from": from, "number": 1, "after": 0, "notices": [], "decisions": [decision]});
        all.bus.say("a", &Topic::Notices, &message.to_string());
        all.bus.deliver();
    };
    for about in [json!("all"), json!({"project": "p"}), json!({"named": "nobody knows"})] {
        say(about, 5);
    }
    assert_eq!(dropped(&all, "b"), 0);
    say(json!({"user": "alice"}), u64::MAX);
    assert!(!alice.is_closed().await);
    assert_eq!(dropped(&all, "b"), 1, "it comes from a clock that cannot be right");
}

#[tokio::test]
async fn whoever_asks_gets_the_last_claims_or_none_if_there_is_no_place_for_them() {
    let all = Instances::started(&["a", "b"]).await;
    let (mut alice, mut bob) = (all.connect("b", "s1", "alice").await, all.connect("b", "s2", "bob").await);
    all.engine("a").update_session(&in_project("s1", "alice", "p").with_permission("write"));
    for at in 1..10_000 {
        all.engine("a").update_session(&in_project(&format!("other {at}"), "carol", "p"));
    }
    all.settle().await;
    assert!(may_add(&mut alice).await);
    for (id, user) in [("s1", "alice"), ("s2", "bob")] {
        all.engine("a").update_session(&in_project(id, user, "p"));
    }
    all.settle().await;
    assert!(!alice.is_closed().await && !may_add(&mut alice).await);
    assert!(bob.is_closed().await, "nobody can tell what he may do");
}

#[tokio::test]
async fn a_session_that_is_revoked_elsewhere_leaves_the_rooms_of_its_user() {
    let mut all = Instances::started(&["a"]).await;
    let engine = all.start("b", |builder| builder.rooms(RoomOptions::new()));
    all.settle().await;
    let mut alice = all.connect("b", "s1", "alice").await;
    let new = NewRoom::new("t");
    let room = engine.rooms().create(&in_project("s1", "alice", "p"), &new).expect("a user may create a room").room;
    let _other = all.connect("a", "s2", "alice").await;
    all.engine("a").revoke(Revocation::session("s1"));
    all.settle().await;
    assert!(alice.is_closed().await && room.state() == RoomState::Active);
    all.engine("a").revoke(Revocation::user("alice"));
    all.settle().await;
    assert_eq!(room.state(), RoomState::Ended);
}
