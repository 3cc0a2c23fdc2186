//! A session stays its user's, and of several credentials for it the newest counts (SEC2, SEC13).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Action, Clock, CloseReason, Config, Descriptor, Engine, Event, Invocation, PerSession, Provider, Renewed, Role,
    Session, SessionProvider,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, connect_and_subscribe, message_types, node_at, user_session};

fn engine() -> (Engine, Arc<ManualClock>) {
    let clock = ManualClock::new();
    let mut config = Config::immediate();
    crate::fixtures::without_pings(&mut config);
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).build();
    serve(&engine);
    (engine, clock)
}

fn serve(engine: &Engine) {
    let act = Action::new("act", |call: Invocation<()>| json!(call.session.user()));
    engine.register("me", move |session: &Session| {
        let node = Descriptor::group().prop("user", session.user().unwrap_or("nobody"));
        if session.can("write") { node.action(&act) } else { node }
    });
}

fn in_minutes(clock: &ManualClock, minutes: u64) -> SystemTime {
    clock.wall() + Duration::from_secs(60 * minutes)
}

fn conflicts(log: &EventLog) -> usize {
    log.count(|event| *event == Event::SessionConflict { session: "s".into() })
}

/// Every way in which somebody gets a session.
fn ways_in() -> [fn(&Engine, &Session); 5] {
    [
        |engine, session| drop(engine.connect(session).unwrap()),
        |engine, session| drop(engine.connect_tab(session).unwrap()),
        |engine, session| drop(engine.client(session).unwrap()),
        |engine, session| engine.open_session(session).unwrap(),
        |engine, session| drop(Provider::connect(engine, session.clone(), Role::Consumer).unwrap()),
    ]
}

#[tokio::test]
async fn no_open_connection_turns_to_somebody_elses_tree() {
    let alice = || user_session("s", "alice").with_project("desk");
    for somebody_else in [
        user_session("s", "bob").with_project("desk"),
        user_session("s", "alice").with_project("shop"),
        user_session("s", "alice"),
        Session::new("s"),
    ] {
        for way_in in ways_in() {
            let (engine, _) = engine();
            let log = EventLog::of(&engine);
            let (mut consumer, id) = connect_and_subscribe(&engine, alice()).await;
            let tab = engine.connect_tab(&alice()).unwrap();
            let client = engine.client(&alice()).unwrap();
            assert_eq!(engine.renew(somebody_else.clone()).unwrap(), None);
            assert_eq!((consumer.settled().await, conflicts(&log)), (vec![], 1), "a renewal is refused");
            way_in(&engine, &somebody_else);
            assert_eq!(conflicts(&log), 2);
            let messages = consumer.settled().await;
            assert_eq!((message_types(&messages), consumer.closed()), (vec!["closed"], Some(1000)));
            assert_eq!(node_at(consumer.tree(&id), "me")["properties"]["user"], "alice");
            assert_eq!((client.session().user(), client.closed()), (Some("alice"), Some(CloseReason::Closed)));
            assert!(client.invoke("/me", "act", Value::Null).await.is_err());
            drop((consumer, tab));
            assert_eq!(engine.stats().sessions, 1);
        }
    }
}

#[tokio::test]
async fn whoever_comes_under_the_id_of_another_users_session_starts_from_nothing() {
    let (engine, _) = engine();
    let (alice, _) = connect_and_subscribe(&engine, user_session("s", "alice").with_permission("write")).await;
    let (mut bob, id) = connect_and_subscribe(&engine, user_session("s", "bob")).await;
    assert_eq!(node_at(bob.tree(&id), "me")["properties"]["user"], "bob");
    assert_eq!(bob.invoke("/me", "act", Value::Null).await["error"]["code"], "not_found");
    drop(alice);
    assert_eq!(bob.settled().await, [] as [Value; 0]);
    assert_eq!((engine.stats().sessions, engine.stats().connections), (1, 1));
}

#[tokio::test]
async fn a_session_provider_ends_before_another_users_is_made_under_the_same_id() {
    let factory = |session: &Session| {
        let user = session.user().unwrap_or("nobody").to_owned();
        SessionProvider::new().register("me", move || Descriptor::group().prop("user", user.as_str()))
    };
    let desk = PerSession::with_options(Engine::builder("app", "App").config(Config::immediate()), factory);
    let (mut alice, id) = connect_and_subscribe(desk.engine(), user_session("s", "alice")).await;
    assert_eq!(desk.renew(user_session("s", "bob")).unwrap(), None);
    let (bob, of_bob) = connect_and_subscribe(desk.engine(), user_session("s", "bob")).await;
    alice.settled().await;
    assert_eq!(alice.closed(), Some(1000));
    assert_eq!(node_at(alice.tree(&id), "me")["properties"]["user"], "alice");
    assert_eq!(node_at(bob.tree(&of_bob), "me")["properties"]["user"], "bob");
}

#[tokio::test]
async fn a_visitor_may_log_in_by_a_new_connection_as_by_a_renewal() {
    let (engine, _) = engine();
    let (mut visitor, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let _alice = TestConsumer::connect(&engine, user_session("s", "alice")).await;
    visitor.settled().await;
    assert_eq!(node_at(visitor.tree(&id), "me")["properties"]["user"], "alice");
}

#[tokio::test]
async fn an_older_credential_takes_neither_time_nor_permissions_from_a_newer_one() {
    let (engine, clock) = engine();
    let token = |minutes| user_session("s", "alice").with_expiry(in_minutes(&clock, minutes));
    let (old, new) = (token(10), token(60).with_permission("write"));
    let (mut first, _) = connect_and_subscribe(&engine, old.clone()).await;
    assert!(engine.renew(new).unwrap().is_some());
    first.settled().await;
    let mut second = TestConsumer::connect(&engine, old.clone()).await;
    let _tab = engine.connect_tab(&old).unwrap();
    let client = engine.client(&old).unwrap();
    engine.open_session(&old).unwrap();
    assert_eq!(client.session().permissions(), ["write"]);
    let renewed = engine.renew(old).unwrap();
    assert_eq!(renewed, Some(Renewed { expires_in: Some(Duration::from_secs(3_600)) }), "what holds is reported");
    assert_eq!(first.invoke("/me", "act", Value::Null).await["data"], "alice");
    clock.advance(30 * 60_000);
    assert_eq!((first.settled().await, second.settled().await), (vec![], vec![]), "neither warned nor closed");
    assert_eq!(first.invoke("/me", "act", Value::Null).await["data"], "alice");
    clock.advance(30 * 60_000);
    first.settled().await;
    assert_eq!(first.closed(), Some(4401));
}

#[tokio::test]
async fn the_time_of_issue_counts_before_the_expiry() {
    let (engine, clock) = engine();
    let issued = clock.wall();
    let token = |issue, minutes| {
        let issued = issued + Duration::from_secs(issue);
        user_session("s", "alice").with_issued_at(issued).with_expiry(in_minutes(&clock, minutes))
    };
    let (mut consumer, _) = connect_and_subscribe(&engine, token(2, 30)).await;
    engine.connect(&token(1, 600).with_permission("write")).unwrap();
    assert_eq!(consumer.invoke("/me", "act", Value::Null).await["error"]["code"], "not_found", "older permissions");
    engine.connect(&token(3, 10)).unwrap();
    clock.advance(10 * 60_000);
    consumer.settled().await;
    assert_eq!(consumer.closed(), Some(4401), "what was issued later may end earlier");
}

#[tokio::test]
async fn what_the_application_says_counts_until_a_credential_is_issued_later() {
    let (engine, clock) = engine();
    let token = |minutes: u64| {
        let session = user_session("s", "alice").with_issued_at(clock.wall());
        session.with_expiry(in_minutes(&clock, minutes)).with_permission("write")
    };
    let first = token(60);
    let (mut consumer, _) = connect_and_subscribe(&engine, first.clone()).await;
    clock.advance(1_000);
    let revised = user_session("s", "alice").with_expiry(in_minutes(&clock, 30));
    assert!(engine.update_session(&revised), "fewer permissions, and less time");
    let _again = TestConsumer::connect(&engine, first).await;
    assert_eq!(consumer.invoke("/me", "act", Value::Null).await["error"]["code"], "not_found");
    clock.advance(1_000);
    let _later = TestConsumer::connect(&engine, token(20)).await;
    assert_eq!(consumer.invoke("/me", "act", Value::Null).await["data"], "alice");
}

#[tokio::test]
async fn a_credential_that_holds_revives_a_session_whose_newer_one_is_over() {
    let (engine, clock) = engine();
    let issued = |s| user_session("s", "alice").with_issued_at(clock.wall() + Duration::from_secs(s));
    let (brief, long) = (issued(2).with_expiry(in_minutes(&clock, 10)), issued(1).with_expiry(in_minutes(&clock, 60)));
    let (mut consumer, _) = connect_and_subscribe(&engine, brief).await;
    // The timer has not run yet, because nothing here awaits.
    clock.advance(10 * 60_000);
    let second = engine.connect(&long).unwrap();
    assert_eq!(consumer.settled().await, [] as [Value; 0]);
    assert_eq!(engine.stats().connections, 2);
    drop(second);
}
