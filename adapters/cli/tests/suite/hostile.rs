//! What the daemon refuses.

use std::time::Duration;

use grove_attest::SecretKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::home::{Home, soon};
use crate::session::{Session, attest, now_ms};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_acts_only_with_its_own_token() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let token = Session::new(&home, "one").register(&home).await;
    let other = format!("{}{}", &token[1..], &token[..1]);
    for wrong in [None, Some(""), Some(&token[1..]), Some(other.as_str()), Some("*"), Some(&*token.to_uppercase())] {
        for (method, path) in [("GET", "/v1/peers"), ("POST", "/v1/send"), ("GET", "/v1/inbox"), ("GET", "/v1/session")]
        {
            let refused = home.local(method, path, wrong, r#"{"to":"x","body":1}"#).await;
            if wrong.is_none_or(|wrong| wrong != token) {
                assert_eq!((refused.status, refused.code()), (401, "unauthorized"), "{wrong:?} {path}");
            }
        }
    }
    assert_eq!(home.local("DELETE", "/v1/sessions/x", None, "").await.status, 404);
    assert_eq!(home.local("GET", "/v1/peers", Some(&token), "").await.status, 200);
}

/// A registration with something changed.
fn changed(session: &Session, field: &str, value: Value) -> Value {
    let mut body = session.body.clone();
    body[field] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_holds_a_secret_or_is_not_what_it_should_be_is_refused() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let session = Session::new(&home, "one");
    let other = SecretKey::generate().unwrap();
    let foreign = attest(&home.member(), &other, now_ms(), Duration::from_secs(60));
    let long = "0f".repeat(64);
    let card = |more: &str| json!({"name": "x", more: "0".repeat(64)});
    for (body, status, code) in [
        (changed(&session, "secret", json!("x")), 422, "looks_like_a_secret"),
        (changed(&session, "private", json!(null)), 422, "looks_like_a_secret"),
        (changed(&session, "card", card("seed")), 422, "looks_like_a_secret"),
        (changed(&session, "session_id", json!(long)), 422, "looks_like_a_secret"),
        (changed(&session, "member_key", json!("0".repeat(64))), 400, "malformed"),
        (changed(&session, "session_id", json!("")), 400, "malformed"),
        (changed(&session, "session_id", json!(7)), 400, "malformed"),
        (changed(&session, "card", json!({"name": ""})), 400, "malformed"),
        (changed(&session, "pid", json!(-1)), 400, "malformed"),
        (changed(&session, "pid", json!("hidden")), 400, "malformed"),
        (changed(&session, "hidden", json!(1)), 400, "malformed"),
        (changed(&session, "token", json!("short")), 400, "malformed"),
        (changed(&session, "session_secret_file", json!("relative")), 400, "malformed"),
        (changed(&session, "session_secret_file", json!("/nowhere")), 422, "unusable_secret_file"),
        (changed(&session, "session_secret_file", json!("/dev/zero")), 422, "unusable_secret_file"),
        (changed(&session, "session_secret_file", json!(home.key_file())), 422, "key_mismatch"),
        (changed(&session, "session_public_key", json!(other.public_key())), 422, "attestation_mismatch"),
        (changed(&session, "attestation", json!(foreign)), 422, "attestation_mismatch"),
        (json!([]), 400, "malformed"),
    ] {
        let refused = home.local("POST", "/v1/sessions/register", None, &body.to_string()).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{body}: {refused:?}");
        let shown = refused.json.to_string();
        assert!(!shown.contains(&"0f".repeat(64)) && !shown.contains("hidden"), "what was sent is not shown: {shown}");
    }
    assert_eq!(home.sessions().await.len(), 0);
    session.register(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_for_which_nobody_may_vouch_is_registered_and_not_present() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let mut session = Session::new(&home, "one");
    let stranger = SecretKey::generate().unwrap();
    session.body["attestation"] = json!(attest(&stranger, &session.key, now_ms(), Duration::from_secs(60)));
    let answer = home.local("POST", "/v1/sessions/register", None, &session.body.to_string()).await;
    assert_eq!((answer.status, &answer.json["link"]["code"]), (201, &json!("unauthorized")), "{answer:?}");
    assert!(answer.json.get("participant").is_none() && home.status("one").await == "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_bodies_garbage_and_wrong_paths_are_refused_and_harm_nobody() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let session = Session::new(&home, "one");
    let token = session.register(&home).await;
    for path in ["/v1/sessions/register", "/v1/send"] {
        let huge = home.local("POST", path, Some(&token), &"x".repeat(4 << 20)).await;
        assert!(huge.status == 413 || huge.status == 0, "{huge:?}");
    }
    let body = json!({"to": session.key.public_key(), "body": "x".repeat(17 << 10)}).to_string();
    assert_eq!(home.local("POST", "/v1/send", Some(&token), &body).await.status, 413);
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET / HTTP/9\r\n\r\n",
        &[0xff; 70_000],
        b"POST /v1/send HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ] {
        let mut socket = UnixStream::connect(home.socket()).await.unwrap();
        // It may be closed before it has read everything.
        let _ = socket.write_all(garbage).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let _ = soon("the end of garbage", socket.read_to_end(&mut answer)).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v1/sessions/register", 405),
        ("POST", "/v1/peers", 405),
        ("GET", "/v1/nothing", 404),
    ] {
        let refused = home.local(method, path, None, "").await;
        assert_eq!(refused.status, status, "{path}");
        assert!(refused.json["error"]["code"].is_string(), "{path}");
    }
    for body in ["", "7", "{}", r#"{"to":1,"body":1}"#, r#"{"to":"x"}"#, r#"{"to":"x","body":1,"from":"y"}"#] {
        assert_eq!(home.local("POST", "/v1/send", Some(&token), body).await.code(), "malformed", "{body}");
    }
    assert_eq!(home.local("GET", "/v1/peers", Some(&token), "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_sessions_than_there_may_be() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&["--max-sessions", "2"]).await;
    let token = Session::new(&home, "one").register(&home).await;
    Session::new(&home, "two").register(&home).await;
    let third = Session::new(&home, "three");
    let refused = home.local("POST", "/v1/sessions/register", None, &third.body.to_string()).await;
    assert_eq!((refused.status, refused.code()), (429, "capacity"));
    home.local("DELETE", &format!("/v1/sessions/{token}"), None, "").await;
    third.register(&home).await;
}
