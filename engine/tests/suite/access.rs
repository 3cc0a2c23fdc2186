//! Access over time: expiry, renewal, new claims, revocation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Action, Clock, CloseReason, Config, ConnectError, Descriptor, Engine, Event, Invocation, Limit, Provider, Renewed,
    Revocation, Scope, Selector, Session,
};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, Gate, SharedNumber, action_names, connect_and_subscribe, engine_with_clock, error_code, message_types,
    node_at, user_session,
};

fn engine() -> (Engine, Arc<ManualClock>) {
    let clock = ManualClock::new();
    let mut config = Config::immediate();
    crate::fixtures::without_pings(&mut config);
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
async fn a_consumer_is_warned_a_minute_before_its_session_expires_and_closed_when_it_does() {
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
async fn an_out_of_band_renewal_keeps_the_connection_open() {
    let (engine, clock) = engine();
    let mut consumer = TestConsumer::connect(&engine, alice(in_minutes(&clock, 10))).await;
    consumer.subscribe("/").await;
    clock.advance(9 * 60_000);
    consumer.settled().await;
    assert!(engine.update_session(&alice(in_minutes(&clock, 30))));
    clock.advance(20 * 60_000);
    assert!(consumer.settled().await.is_empty(), "neither warned nor closed at the old expiry");
    consumer.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_a_hundred_years_ahead_is_accepted() {
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
async fn a_revocation_closes_exactly_the_matching_sessions_and_refuses_them_afterwards() {
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
        assert!(engine.unrevoke(&revocation));
    }
}

#[tokio::test]
async fn every_step_from_the_first_connection_to_the_revocation_is_reported() {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s1").with_user("alice")).await;
    let number = consumer.connection().number();
    assert_eq!(engine.revoke(Revocation::user("alice")), 1);
    assert_eq!(consumer.next().await["code"], 1008);
    drop(consumer);
    let audited = log.all().into_iter().filter(|event| !matches!(event, Event::PassFinished { .. }));
    assert_eq!(
        audited.collect::<Vec<_>>(),
        [
            Event::SessionOpened { session: "s1".into() },
            Event::Connected { session: "s1".into(), connection: number },
            Event::SessionClosed { session: "s1".into(), reason: CloseReason::Revoked },
            Event::Revoked { whom: Selector::User("alice".into()), sessions: 1 },
            Event::Disconnected { session: "s1".into(), connection: number, reason: CloseReason::Revoked },
        ]
    );
    assert_eq!(engine.revoke(Revocation::attribute("token", "t7")), 0);
    let refused =
        Event::Revoked { whom: Selector::Attribute { name: "token".into(), value: "t7".into() }, sessions: 0 };
    assert_eq!(log.all().last(), Some(&refused), "also for someone without an open session");
}

/// The event that a consumer gets `ms` before its session expires.
fn expiring(ms: u64) -> Value {
    json!({"type": "event", "name": "session.expiring", "data": {"expires_in_ms": ms}})
}

#[tokio::test]
async fn after_expiry_a_call_is_refused_no_patch_is_sent_and_the_connection_closes() {
    let (engine, clock) = engine();
    let number = SharedNumber::serve(&engine, "n");
    let runs = SharedNumber::default();
    let counter = runs.clone();
    let act = Action::new("act", move |_: Invocation<()>| counter.set(1));
    engine.register("do", move |_: &Session| Descriptor::group().action(&act));
    let mut consumer = TestConsumer::connect(&engine, alice(in_minutes(&clock, 10))).await;
    consumer.subscribe("/").await;
    clock.advance(9 * 60_000);
    consumer.settled().await;
    // A change that is committed but not sent yet.
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    // The timer has not run when these messages arrive, because nothing here awaits.
    clock.advance(60_000);
    assert_eq!(consumer.connection().try_next_frame(), None, "no patch is sent");
    consumer.send(&json!({"type": "query", "id": "q", "path": "/n"}));
    assert_eq!(consumer.connection().try_next_frame(), None, "no reply is sent");
    consumer.start_invoke("/do", "act", Value::Null);
    let rest = consumer.settled().await;
    assert_eq!(message_types(&rest), ["error", "result", "closed"], "{rest:?}");
    assert_eq!((&rest[0]["id"], error_code(&rest[0])), (&json!("q"), "internal"), "every request gets a reply");
    assert_eq!((error_code(&rest[1]), &rest[2]["code"], runs.get()), ("unauthorized", &json!(4401), 0));
    let stats = engine.stats();
    assert_eq!((stats.sessions, stats.trees), (0, 0));
}

#[tokio::test]
async fn a_queued_call_does_not_run_once_its_session_has_expired_or_been_revoked() {
    for (revoked, code) in [(false, 4401), (true, 1008)] {
        let (engine, clock) = engine_with_clock(|config| config.execution.blocking_calls_per_session = 1);
        let (gate, log) = (Gate::default(), EventLog::of(&engine));
        let handler_gate = gate.clone();
        let wait = Action::new("wait", move |_: Invocation<()>| handler_gate.wait());
        engine.register("n", move |_: &Session| Descriptor::group().action(&wait));
        let mut consumer = TestConsumer::connect(&engine, alice(in_minutes(&clock, 10))).await;
        consumer.query("/").await;
        consumer.start_invoke("/n", "wait", Value::Null);
        gate.wait_for_arrivals(1).await;
        consumer.start_invoke("/n", "wait", Value::Null);
        // It has passed all checks but the last, and waits for a thread.
        while log.limit_count(Limit::BlockingCallsPerSession) == 0 {
            tokio::task::yield_now().await;
        }
        match revoked {
            true => drop(engine.revoke(Revocation::user("alice"))),
            false => clock.advance(10 * 60_000),
        }
        gate.open();
        consumer.settled().await;
        assert_eq!((consumer.closed(), gate.arrivals()), (Some(code), 1));
    }
}

#[tokio::test]
async fn a_renewal_postpones_the_warning_and_the_expiry() {
    let (engine, clock) = engine();
    let mut consumer = TestConsumer::connect(&engine, alice(in_minutes(&clock, 10))).await;
    clock.advance(9 * 60_000);
    assert_eq!(consumer.settled().await, [expiring(60_000)]);
    let renewed = engine.renew(alice(in_minutes(&clock, 10))).unwrap();
    assert_eq!(renewed, Some(Renewed { expires_in: Some(Duration::from_secs(600)) }));
    clock.advance(9 * 60_000 - 1);
    assert_eq!(consumer.settled().await, [] as [Value; 0]);
    clock.advance(1);
    assert_eq!(consumer.settled().await, [expiring(60_000)], "warned again");
    clock.advance(60_000);
    consumer.settled().await;
    assert_eq!(consumer.closed(), Some(4401));
    assert_eq!(engine.renew(alice(in_minutes(&clock, 10))).unwrap(), None, "a closed session is not renewed");
}

#[tokio::test]
async fn a_session_with_less_than_a_minute_left_is_warned_immediately() {
    let (engine, clock) = engine();
    let in_s = |s: u64| clock.wall() + Duration::from_secs(s);
    let mut consumer = TestConsumer::connect(&engine, alice(in_s(40))).await;
    assert_eq!(consumer.settled().await, [expiring(40_000)]);
    let renewed = engine.renew(alice(in_s(50))).unwrap();
    assert_eq!(renewed.unwrap().expires_in, Some(Duration::from_secs(50)));
    assert_eq!(consumer.settled().await, [expiring(50_000)]);
    clock.advance(50_000);
    consumer.settled().await;
    assert_eq!(consumer.closed(), Some(4401));
}

#[tokio::test]
async fn only_an_open_session_can_be_renewed_and_only_for_its_own_user_and_project() {
    let (engine, clock) = engine();
    let fresh = || alice(in_minutes(&clock, 30));
    assert_eq!(engine.renew(fresh()).unwrap(), None, "a renewal opens no session");
    assert_eq!(engine.stats().sessions, 0);
    let mut consumer = TestConsumer::connect(&engine, alice(in_minutes(&clock, 10)).with_project("desk")).await;
    for other in [
        Session::new("s2").with_user("alice").with_project("desk"),
        Session::new("s1").with_user("bob").with_project("desk"),
        Session::new("s1").with_user("alice").with_project("shop"),
        Session::new("s1"),
    ] {
        assert_eq!(engine.renew(other).unwrap(), None);
    }
    let old = fresh().with_project("desk").with_expiry(clock.wall());
    assert_eq!(engine.renew(old).unwrap_err(), ConnectError::Expired);
    assert_eq!(
        engine.renew(Session::new("s1").with_user("alice").with_project("desk")).unwrap(),
        Some(Renewed { expires_in: None })
    );
    clock.advance(60 * 60_000);
    assert_eq!(consumer.settled().await, [] as [Value; 0], "it no longer expires");
    engine.revoke(Revocation::user("alice"));
    assert_eq!(
        engine.renew(fresh().with_project("desk").with_expiry(in_minutes(&clock, 1))).unwrap_err(),
        ConnectError::Revoked
    );
    drop(consumer);
    engine.shutdown(Duration::ZERO).await;
    assert_eq!(engine.renew(Session::new("s1")).unwrap_err(), ConnectError::Closing);
}

#[tokio::test]
async fn an_anonymous_session_that_logs_in_keeps_its_connection_and_gains_permissions() {
    let (engine, _) = engine();
    let write = Action::new("write", |call: Invocation<()>| json!({"by": call.session.user()}));
    engine.register("desk", move |session: &Session| {
        let descriptor = Descriptor::group().prop("of", session.user().unwrap_or("nobody"));
        if session.can("write") { descriptor.action(&write) } else { descriptor }
    });
    let (mut visitor, id) = connect_and_subscribe(&engine, Session::new("visit")).await;
    assert_eq!(visitor.invoke("/desk", "write", Value::Null).await["error"]["code"], "not_found");
    let login = user_session("visit", "alice").with_permission("write");
    assert!(engine.renew(login).unwrap().is_some());
    visitor.settled().await;
    let desk = node_at(visitor.tree(&id), "desk");
    assert_eq!((&desk["properties"]["of"], action_names(desk)), (&json!("alice"), vec!["write"]));
    assert_eq!(visitor.invoke("/desk", "write", Value::Null).await["data"], json!({"by": "alice"}));
    assert_eq!(engine.refresh(Scope::user("alice")), 1, "the session is found by its user");
}

#[tokio::test]
async fn a_running_handler_keeps_the_claims_it_started_with() {
    let (engine, _) = engine();
    let gate = Gate::default();
    let handler_gate = gate.clone();
    let check = Action::new("check", move |call: Invocation<()>| {
        handler_gate.wait();
        json!(call.session.can("write"))
    });
    engine.register("n", move |_: &Session| Descriptor::group().action(&check));
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice").with_permission("write")).await;
    let running = consumer.start_invoke("/n", "check", Value::Null);
    gate.wait_for_arrivals(1).await;
    assert!(engine.update_session(&user_session("s", "alice")));
    gate.open();
    assert_eq!(consumer.answer(&running).await["data"], true);
    assert_eq!(consumer.invoke("/n", "check", Value::Null).await["data"], false, "the next call has the new claims");
}

/// A session whose claims have just changed and whose tree still shows the old ones; nothing is rendered before 50 ms.
async fn with_changed_claims() -> (Engine, Arc<ManualClock>, Session, TestConsumer) {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    engine.register("board", |session: &Session| Descriptor::group().prop("org", session.attribute("org")));
    let (sibling, _) = connect_and_subscribe(&engine, user_session("s", "alice").with_attribute("org", "acme")).await;
    clock.advance(1_000);
    engine.settle().await;
    let now = user_session("s", "alice").with_attribute("org", "globex");
    assert!(engine.update_session(&now));
    (engine, clock, now, sibling)
}

#[tokio::test]
async fn a_first_snapshot_waits_until_the_tree_reflects_the_new_claims() {
    let (engine, clock, now, mut sibling) = with_changed_claims().await;
    let mut consumer = TestConsumer::connect(&engine, now).await;
    let first = consumer.start_subscription(json!({"path": "/", "depth": -1}));
    let second = sibling.start_subscription(json!({"path": "/board"}));
    assert_eq!((consumer.settled().await, sibling.settled().await), (vec![], vec![]));
    clock.advance(50);
    consumer.settled().await;
    sibling.settled().await;
    assert_eq!(node_at(consumer.tree(&first), "board")["properties"]["org"], "globex");
    assert_eq!(sibling.tree(&second)["properties"]["org"], "globex");
}

#[tokio::test]
async fn a_query_immediately_renders_the_tree_for_the_new_claims() {
    let (_engine, _clock, _, mut sibling) = with_changed_claims().await;
    assert_eq!(sibling.query("/board").await["properties"]["org"], "globex");
}

#[tokio::test]
async fn resuming_after_the_claims_changed_starts_over_with_a_snapshot() {
    let (engine, clock, now, _sibling) = with_changed_claims().await;
    let mut consumer = TestConsumer::connect(&engine, now).await;
    consumer.start_subscription(json!({"path": "/"}));
    for org in ["globex", "acme"] {
        engine.update_session(&user_session("s", "alice").with_attribute("org", org));
        clock.advance(50);
        assert!(format!("{:?}", consumer.settled().await).contains(org));
    }
    // It reconnects with the claims of its first connection.
    consumer.reconnect().await;
    assert_eq!(consumer.settled().await, [] as [Value; 0]);
    clock.advance(50);
    let messages = consumer.settled().await;
    assert_eq!(message_types(&messages), ["snapshot"]);
    assert!(!format!("{messages:?}").contains("acme"), "{messages:?}");
}

#[tokio::test]
async fn a_delayed_snapshot_is_sent_even_if_the_new_claims_change_nothing() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    SharedNumber::serve(&engine, "n");
    let (_sibling, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    clock.advance(1_000);
    engine.settle().await;
    let now = user_session("s", "alice").with_permission("never read");
    assert!(engine.update_session(&now));
    let mut consumer = TestConsumer::connect(&engine, now).await;
    consumer.start_subscription(json!({"path": "/"}));
    assert_eq!(consumer.settled().await, [] as [Value; 0]);
    clock.advance(50);
    assert_eq!(message_types(&consumer.settled().await), ["snapshot"]);
}

#[tokio::test]
async fn the_latest_expiry_that_a_clock_can_represent_is_accepted() {
    let (engine, clock) = engine();
    let latest = clock.wall().checked_add(Duration::from_secs(i64::MAX as u64 / 2)).unwrap();
    let mut consumer = TestConsumer::connect(&engine, alice(latest)).await;
    clock.advance(60 * 60_000);
    assert_eq!(consumer.settled().await, [] as [Value; 0]);
    assert!(engine.renew(alice(latest)).unwrap().unwrap().expires_in > Some(Duration::from_secs(1 << 40)));
}
