//! A credential that is renewed while the socket stays open (SEC13, U11).

use std::time::Duration;

use axum::Router;
use grove_axum::{Authenticator, Refusal, Slop, UpgradeRequest, authenticate_with};
use grove_engine::SystemClock;
use grove_engine::{Clock, Revocation, Session};
use serde_json::{Value, json};

use crate::server::{PeerAddresses, Server, known_users, user_in, within_deadline};

/// Credentials such as `visit/alice/600`: a session, its user if it has one, and how many seconds it lasts.
fn logins() -> impl Authenticator {
    authenticate_with(|request: UpgradeRequest| async move {
        let credential = request.credential("session").ok_or_else(Refusal::unauthorized)?;
        let parts: Vec<&str> = credential.split('/').collect();
        let session = Session::new(parts[0]);
        let session = if parts[1].is_empty() { session } else { session.with_user(parts[1]) };
        match parts[2].parse() {
            Ok(seconds) => Ok(session.with_expiry(SystemClock::new().wall() + Duration::from_secs(seconds))),
            Err(_) => Ok(session),
        }
    })
}

async fn serving_logins() -> Server {
    Server::start(|engine| Slop::new(engine, logins())).await
}

impl Server {
    /// The status and the JSON of the response to a request of this method.
    async fn request(&self, method: &str, target: &str, headers: &str) -> (u16, Value) {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n"
        );
        let (status, all) = self.raw(&request).await;
        let (_, body) = all.split_once("\r\n\r\n").unwrap_or_default();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    async fn renew(&self, query: &str, headers: &str) -> (u16, Value) {
        self.request("POST", &format!("/slop/renew{query}"), headers).await
    }
}

fn refusal(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

#[tokio::test]
async fn the_new_credential_may_be_anywhere_and_the_response_has_its_expiry() {
    let server = serving_logins().await;
    let mut peer = server.dial("/slop?token=s1/alice/600", &[]).await.unwrap();
    assert_eq!(peer.user().await, "alice");
    for (query, headers) in [
        ("?token=s1/alice/3600", ""),
        ("", "authorization: Bearer s1/alice/3600\r\n"),
        ("", "cookie: session=s1/alice/3600\r\n"),
    ] {
        let (status, answer) = server.renew(query, headers).await;
        let left_ms = answer["expires_in_ms"].as_u64().unwrap_or_default();
        assert_eq!(status, 200, "{query}{headers}");
        assert!((600_001..=3_600_000).contains(&left_ms), "{answer}");
    }
    assert_eq!(server.renew("?token=s1/alice/", "").await, (200, json!({})), "without an end there is none to tell");
    assert_eq!(server.engine.stats().connections, 1, "the socket is the same");
    assert_eq!(server.refused(), []);
}

#[tokio::test]
async fn an_anonymous_session_logs_in_and_its_open_socket_shows_it() {
    let server = serving_logins().await;
    let mut peer = server.dial("/slop?token=visit//600", &[]).await.unwrap();
    assert_eq!(peer.user().await, "nobody");
    assert_eq!(server.renew("?token=visit/alice/", "").await, (200, json!({})));
    let patch = peer.receive().await;
    assert_eq!(patch["type"], "patch");
    assert_eq!(patch["ops"][0]["value"], "alice", "{patch}");
    peer.send(r#"{"type":"query","id":"q","path":"/","depth":-1}"#).await;
    assert_eq!(user_in(&peer.receive().await), "alice");
}

#[tokio::test]
async fn a_session_that_is_not_open_or_belongs_to_someone_else_gets_a_409() {
    let server = serving_logins().await;
    let _alice = server.dial("/slop?token=s1/alice/600", &[]).await.unwrap();
    let conflict = (409, refusal("conflict", "no session is open that this credential is for"));
    for token in ["s2/alice/600", "s1/bob/600", "s1//600"] {
        assert_eq!(server.renew(&format!("?token={token}"), "").await, conflict, "{token}");
    }
    assert_eq!(server.engine.stats().sessions, 1, "none is opened by it");
    assert_eq!(server.refused(), [(409, "no session is open that this credential is for"); 3]);
}

#[tokio::test]
async fn a_socket_is_closed_before_another_user_connects_under_its_session() {
    let server = serving_logins().await;
    let mut alice = server.dial("/slop?token=s1/alice/600", &[]).await.unwrap();
    assert_eq!(alice.user().await, "alice");
    let mut bob = server.dial("/slop?token=s1/bob/600", &[]).await.unwrap();
    assert_eq!(u16::from(alice.receive_close().await.code), 1000);
    assert_eq!(bob.user().await, "bob");
    assert_eq!(server.renew("?token=s1/alice/600", "").await.0, 409);
}

#[tokio::test]
async fn an_older_token_takes_nothing_from_a_renewed_session() {
    let server = serving_logins().await;
    let mut first = server.dial("/slop?token=s1/alice/600", &[]).await.unwrap();
    assert_eq!(first.user().await, "alice");
    let left_ms = |renewed: (u16, Value)| renewed.1["expires_in_ms"].as_u64().unwrap_or_default();
    assert!(left_ms(server.renew("?token=s1/alice/3600", "").await) > 600_000);
    let mut second = server.dial("/slop?token=s1/alice/2", &[]).await.unwrap();
    assert_eq!(second.user().await, "alice", "and is not warned");
    assert!(left_ms(server.renew("?token=s1/alice/600", "").await) > 600_000, "what holds is reported");
}

#[tokio::test]
async fn a_credential_that_cannot_connect_cannot_renew() {
    let server = serving_logins().await;
    let _alice = server.dial("/slop?token=s1/alice/600", &[]).await.unwrap();
    let nobody = (401, refusal("unauthorized", "authentication is required"));
    assert_eq!(server.renew("", "").await, nobody);
    assert_eq!(server.renew("?token=s1/alice/0", "").await, nobody);
    server.engine.revoke(Revocation::user("alice"));
    assert_eq!(server.renew("?token=s1/alice/600", "").await, nobody);
    let foreign = server.renew("?token=s1/alice/600", "origin: http://evil.example\r\n").await;
    assert_eq!(foreign, (403, refusal("forbidden", "pages of this origin may not connect")));
    within_deadline(server.engine.shutdown(Duration::from_secs(1))).await;
    assert_eq!(server.renew("?token=s1/alice/600", "").await.0, 503);
    let reported = [
        (401, "authentication is required"),
        (401, "the session has expired"),
        (401, "the session was revoked"),
        (403, "the origin is neither ours nor allowed"),
        (503, "the provider is shutting down"),
    ];
    assert_eq!(server.refused(), reported);
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_renew() {
    let server = Server::start(|engine| Slop::new(engine, known_users()).allow_origin("https://desk.example")).await;
    let _alice = server.alice().await;
    assert_eq!(server.renew("?token=alice", "origin: https://desk.example\r\n").await, (200, json!({})));
    assert_eq!(server.renew("?token=alice", "origin: http://localhost\r\n").await, (200, json!({})), "our own");
}

#[tokio::test]
async fn an_authenticator_that_hangs_or_panics_gets_a_503() {
    let authenticator = authenticate_with(|request: UpgradeRequest| async move {
        match request.query("token").as_deref() {
            Some("slow") => std::future::pending().await,
            _ => panic!("the database password is wrong"),
        }
    });
    let server =
        Server::start(|engine| Slop::new(engine, authenticator).authenticate_timeout(Duration::from_millis(20))).await;
    for (token, why) in [("slow", "the authenticator took too long"), ("other", "the authenticator panicked")] {
        let (status, answer) = server.renew(&format!("?token={token}"), "").await;
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("unavailable")));
        assert!(!answer.to_string().contains("password"), "{answer}");
        assert_eq!(server.refused().last(), Some(&(503, why)));
    }
}

#[tokio::test]
async fn a_renewal_is_a_post_below_the_endpoint() {
    let make = |engine| -> Router { Slop::new(engine, known_users()).path("/ai/slop").router() };
    let server = Server::start_app(make, PeerAddresses::Known).await;
    let _alice = server.dial("/ai/slop?token=alice", &[]).await.unwrap();
    assert_eq!(server.request("POST", "/ai/slop/renew?token=alice", "").await, (200, json!({})));
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(server.request(method, "/ai/slop/renew?token=alice", "").await.0, 405, "{method}");
    }
    assert_eq!(server.request("POST", "/slop/renew?token=alice", "").await.0, 404);
}
