//! Revocations that hold, however many there are.

use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Clock, ConnectError, Engine, Limit, Revocation, Session};

use crate::fixtures::{EventLog, connect_and_subscribe, engine, engine_with, engine_with_clock, user_session};

#[tokio::test]
async fn a_hundred_thousand_logouts_let_no_revoked_user_token_or_session_in_again() {
    let engine = engine();
    let kept_out = [
        user_session("new", "mallory"),
        user_session("other", "alice").with_attribute("token", "t1"),
        user_session("first", "alice"),
    ];
    engine.revoke(Revocation::user("mallory"));
    engine.revoke(Revocation::attribute("token", "t1"));
    engine.revoke(Revocation::session("first"));
    for number in 0..100_001 {
        engine.revoke(Revocation::session(format!("logged-out-{number}")));
    }
    for session in kept_out {
        assert_eq!(engine.connect(&session).unwrap_err(), ConnectError::Revoked);
    }
    assert_eq!(engine.connect(&Session::new("logged-out-0")).unwrap_err(), ConnectError::Revoked);
    TestConsumer::connect(&engine, user_session("s", "alice")).await;
}

#[tokio::test]
async fn beyond_the_limit_whoever_is_in_stays_and_nobody_new_is_let_in() {
    let engine = engine_with(|config| config.limits.revocations = 2);
    let log = EventLog::of(&engine);
    let (mut alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (mut bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    for user in ["mallory", "trudy"] {
        engine.revoke(Revocation::user(user));
    }
    assert_eq!(engine.revoke(Revocation::user("bob")), 1, "it is closed all the same");
    bob.settled().await;
    assert_eq!((bob.closed(), log.limit_count(Limit::Revocations)), (Some(1008), 1));
    let full = ConnectError::LimitReached(Limit::Revocations);
    assert_eq!(engine.connect(&user_session("b", "bob")).unwrap_err(), full);
    assert_eq!(engine.connect(&user_session("c", "carol")).unwrap_err(), full);
    assert_eq!(engine.connect(&user_session("m", "mallory")).unwrap_err(), ConnectError::Revoked);
    assert_eq!(alice.query("/").await["id"], "app");
    engine.connect(&user_session("a", "alice")).unwrap();
    assert!(engine.update_session(&user_session("a", "alice").with_permission("write")));
}

const HOUR: Duration = Duration::from_secs(3_600);

/// A session whose credential expires after this time.
fn expiring(clock: &ManualClock, id: &str, after: Duration) -> Session {
    user_session(id, "alice").with_expiry(clock.wall() + after)
}

fn pass(clock: &ManualClock, time: Duration) {
    clock.advance(u64::try_from(time.as_millis()).unwrap());
}

fn is_revoked(engine: &Engine, session: &Session) -> bool {
    match engine.connect(session) {
        Ok(_) => false,
        Err(error) => error == ConnectError::Revoked,
    }
}

#[tokio::test]
async fn a_user_who_logs_in_and_out_for_ever_keeps_nobody_out_if_credentials_have_a_bound() {
    let (engine, clock) = engine_with_clock(|config| {
        config.limits.revocations = 1_000;
        config.times.credential_lifetime = Some(HOUR);
    });
    let log = EventLog::of(&engine);
    for number in 0..5_000 {
        let session = expiring(&clock, &format!("login-{number}"), HOUR);
        engine.open_session(&session).unwrap();
        assert_eq!(engine.revoke(Revocation::session(session.id())), 1);
        assert!(is_revoked(&engine, &session));
        pass(&clock, HOUR / 500);
    }
    assert_eq!(log.limit_count(Limit::Revocations), 0);
    TestConsumer::connect(&engine, user_session("s", "bob")).await;
}

#[tokio::test]
async fn a_revoked_session_stays_out_as_long_as_any_credential_of_it_can_be_valid() {
    let (engine, clock) = engine_with_clock(|config| config.times.credential_lifetime = Some(HOUR));
    // The one that was shown ends earlier than one that may have been issued since, or later than any should.
    engine.open_session(&expiring(&clock, "short", HOUR / 60)).unwrap();
    engine.open_session(&expiring(&clock, "long", 3 * HOUR)).unwrap();
    engine.open_session(&user_session("no expiry", "alice")).unwrap();
    for id in ["short", "long", "no expiry", "never seen"] {
        engine.revoke(Revocation::session(id));
    }
    engine.revoke(Revocation::user("mallory"));
    engine.revoke(Revocation::attribute("jti", "7"));
    let revoked = || {
        let sessions = ["short", "long", "no expiry", "never seen"].map(|id| user_session(id, "alice"));
        let others = [user_session("m", "mallory"), user_session("j", "alice").with_attribute("jti", "7")];
        let all = sessions.into_iter().chain(others).map(|session| is_revoked(&engine, &session));
        all.collect::<Vec<_>>()
    };
    pass(&clock, HOUR - Duration::from_secs(1));
    assert_eq!(revoked(), [true; 6]);
    pass(&clock, Duration::from_secs(1));
    assert_eq!(revoked(), [false, true, true, false, true, true]);
    pass(&clock, 2 * HOUR);
    assert_eq!(revoked(), [false, false, true, false, true, true]);
    pass(&clock, 100_000 * HOUR);
    assert_eq!(revoked(), [false, false, true, false, true, true], "users and attributes are kept");
}

#[tokio::test]
async fn a_revocation_may_say_itself_until_when_it_is_kept() {
    let (engine, clock) = engine_with_clock(|config| config.limits.revocations = 1);
    let session = user_session("s", "alice").with_attribute("jti", "7");
    engine.revoke(Revocation::attribute("jti", "7").until(clock.wall() + HOUR));
    engine.revoke(Revocation::attribute("jti", "8").until(clock.wall() + 2 * HOUR));
    assert!(is_revoked(&engine, &session));
    pass(&clock, HOUR);
    let full = ConnectError::LimitReached(Limit::Revocations);
    assert_eq!(engine.connect(&session).unwrap_err(), full, "the one for which there was no room still holds");
    pass(&clock, HOUR);
    engine.connect(&session).unwrap();
}
