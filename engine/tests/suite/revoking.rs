//! Revocations that hold, however many there are.

use grove_engine::testing::TestConsumer;
use grove_engine::{ConnectError, Limit, Revocation, Session};

use crate::fixtures::{EventLog, connect_and_subscribe, engine, engine_with, user_session};

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
