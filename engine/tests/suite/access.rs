//! Access over time: expiry, renewal, new claims, revocation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Clock, Config, ConnectError, Descriptor, Engine, Event, Revocation, Session};
use serde_json::json;

use crate::apps::Log;

fn engine() -> (Engine, Arc<ManualClock>) {
    let clock = ManualClock::new();
    let mut config = Config::immediate();
    (config.ping_ms, config.silence_ms) = (u64::MAX / 4, u64::MAX / 4);
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).build();
    engine.register("me", |session: &Session| Descriptor::context_of(session));
    (engine, clock)
}

fn in_minutes(clock: &ManualClock, minutes: u64) -> SystemTime {
    clock.wall() + Duration::from_secs(60 * minutes)
}

fn alice(expiry: SystemTime) -> Session {
    Session::new("s1").with_user("alice").with_expiry(expiry)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_is_warned_a_minute_before_its_session_expires_and_closed_at_the_minute() {
    let (engine, clock) = engine();
    let session = alice(in_minutes(&clock, 10));
    let mut consumer = TestConsumer::connect(&engine, session.clone()).await;
    consumer.subscribe("/").await;
    clock.advance(9 * 60_000 - 1);
    assert!(consumer.settled().await.is_empty());
    clock.advance(1);
    let warned = consumer.settled().await;
    assert_eq!(warned, [json!({"type": "event", "name": "session.expiring", "data": {"expires_in_ms": 60_000}})]);
    clock.advance(60_000);
    let closed = consumer.settled().await;
    assert_eq!(closed.last().unwrap()["code"], 4401);
    assert_eq!(engine.stats().sessions, 0);
    assert_eq!(engine.connect(&session).unwrap_err(), ConnectError::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_out_of_band_keeps_the_socket() {
    let (engine, clock) = engine();
    let mut consumer = TestConsumer::connect(&engine, alice(in_minutes(&clock, 10))).await;
    consumer.subscribe("/").await;
    clock.advance(9 * 60_000);
    consumer.settled().await;
    assert!(engine.update_session(&alice(in_minutes(&clock, 30))));
    clock.advance(20 * 60_000);
    assert!(consumer.settled().await.is_empty(), "neither warned nor closed at the old time");
    consumer.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_of_many_years_fits_the_wheel() {
    let (engine, clock) = engine();
    let mut consumer = TestConsumer::connect(&engine, alice(in_minutes(&clock, 60 * 24 * 365 * 100))).await;
    for _ in 0..3 {
        clock.advance(24 * 60 * 60_000);
        assert!(consumer.settled().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_claims_change_the_tree_of_a_connected_consumer() {
    let (engine, _) = engine();
    let mut consumer = TestConsumer::connect(&engine, Session::new("s1").with_user("alice")).await;
    let (me, _) = consumer.subscribe("/me").await;
    assert!(engine.update_session(&Session::new("s1").with_user("alice").with_permission("write")));
    consumer.settled().await;
    assert_eq!(consumer.tree(&me)["properties"]["permissions"], json!(["write"]));
    assert!(!engine.update_session(&Session::new("nobody")), "only an open session can be updated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_closes_exactly_whom_it_means_and_keeps_them_out() {
    let (engine, _) = engine();
    let token = |id: &str, user: &str, token: &str| Session::new(id).with_user(user).with_attribute("token", token);
    for (revocation, closed) in [
        (Revocation::session("a1"), [true, false, false]),
        (Revocation::user("alice"), [true, true, false]),
        (Revocation::attribute("token", "t3"), [false, false, true]),
    ] {
        let sessions = [token("a1", "alice", "t1"), token("a2", "alice", "t2"), token("b1", "bob", "t3")];
        let mut consumers = Vec::new();
        for session in &sessions {
            consumers.push(TestConsumer::connect(&engine, session.clone()).await);
        }
        let count = closed.iter().filter(|closed| **closed).count();
        assert_eq!(engine.revoke(revocation.clone()), count);
        for ((consumer, session), closed) in consumers.iter_mut().zip(&sessions).zip(closed) {
            consumer.settled().await;
            assert_eq!(consumer.closed(), closed.then_some(1008));
            assert_eq!(engine.connect(session).err(), closed.then_some(ConnectError::Revoked));
        }
        assert!(engine.lift(&revocation));
    }
}

#[tokio::test]
async fn what_an_auditor_asks_for_is_an_event_from_the_first_connection_to_the_revocation() {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    let log = Log::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s1").with_user("alice")).await;
    let number = consumer.connection().number();
    assert_eq!(engine.revoke(Revocation::user("alice")), 1);
    assert_eq!(consumer.next().await["code"], 1008);
    drop(consumer);
    let audited = log.all().into_iter().filter(|event| !matches!(event, Event::Passed { .. }));
    assert_eq!(
        audited.collect::<Vec<_>>(),
        [
            Event::SessionOpened { session: "s1".into() },
            Event::Connected { session: "s1".into(), connection: number },
            Event::SessionClosed { session: "s1".into(), reason: "revoked" },
            Event::Revoked { of: "user", whom: "alice".into(), sessions: 1 },
            Event::Disconnected { session: "s1".into(), connection: number, reason: "revoked" },
        ]
    );
    assert_eq!(engine.revoke(Revocation::attribute("token", "t7")), 0);
    let barred = Event::Revoked { of: "attribute", whom: "token=t7".into(), sessions: 0 };
    assert_eq!(log.all().last(), Some(&barred), "also of somebody who is not there");
}
