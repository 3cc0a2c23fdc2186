//! Links that are lost, refused, replaced and opened again.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use crate::home::{Home, until};
use crate::session::{Session, attest, now_ms};

async fn links_up(home: &Home) -> u64 {
    home.local("GET", "/v1/daemon", None, "").await.json["links_up"].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_come_back_when_the_server_does() {
    let mut home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let token = Session::new(&home, "one").register(&home).await;
    home.stop_server().await;
    until("the loss of the links", || async { links_up(&home).await == 0 }).await;
    let lost = home.local("GET", "/v1/session", Some(&token), "").await.json;
    assert_eq!(lost["link"]["state"], "connecting", "{lost}");
    home.start_server().await;
    home.add_member().await;
    until("the links", || async { links_up(&home).await == 2 }).await;
    assert_eq!(home.local("GET", "/v1/peers", Some(&token), "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_registered_while_the_server_is_away_and_present_when_it_comes() {
    let mut home = Home::new(&[]).await;
    home.stop_server().await;
    let _daemon = home.daemon_alone(&[]).await;
    let answer = home.local("POST", "/v1/sessions/register", None, &Session::new(&home, "one").body.to_string()).await;
    assert_eq!((answer.status, &answer.json["link"]["state"]), (201, &json!("connecting")), "{answer:?}");
    home.start_server().await;
    home.add_member().await;
    until("the links", || async { links_up(&home).await == 2 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_attestation_is_replaced_by_a_fresh_one_of_the_launcher() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let hour = Duration::from_secs(3_600);
    let expired = |session: &Session| json!(attest(&home.member(), &session.key, now_ms() - 7_200_000, hour));
    let mut alone = Session::new(&home, "alone");
    alone.body["attestation"] = expired(&alone);
    let answer = home.local("POST", "/v1/sessions/register", None, &alone.body.to_string()).await;
    assert_eq!(answer.json["link"]["code"], "expired", "nobody signs a fresh one: {answer:?}");

    let mut signed = Session::new(&home, "signed");
    signed.body["attestation"] = expired(&signed);
    let signer = UnixListener::bind(signed.secret.parent().unwrap().join("signer.sock")).unwrap();
    let fresh = serde_json::to_vec(&attest(&home.member(), &signed.key, now_ms(), hour)).unwrap();
    let signing = tokio::spawn(async move {
        let (mut stream, _) = signer.accept().await.unwrap();
        stream.write_all(&fresh).await.unwrap();
    });
    let answer = home.local("POST", "/v1/sessions/register", None, &signed.body.to_string()).await;
    assert!(answer.json["participant"].is_string(), "{answer:?}");
    signing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_signer_says_about_another_key_is_not_used() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let mut session = Session::new(&home, "one");
    let minute = Duration::from_secs(60);
    session.body["attestation"] = json!(attest(&home.member(), &session.key, now_ms(), minute));
    let signer = UnixListener::bind(session.secret.parent().unwrap().join("signer.sock")).unwrap();
    let other = Session::new(&home, "other");
    let foreign = other.body["attestation"].to_string();
    let signing = tokio::spawn(async move {
        for text in [foreign, "x".repeat(300_000)] {
            let (mut stream, _) = signer.accept().await.unwrap();
            // It is not read to its end.
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    for _ in 0..2 {
        let answer = home.local("POST", "/v1/sessions/register", None, &session.body.to_string()).await;
        assert!(answer.json["participant"].is_string(), "the old one is still valid: {answer:?}");
    }
    signing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_stays_away() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let token = Session::new(&home, "one").register(&home).await;
    let own = home.local("GET", "/v1/session", Some(&token), "").await.json;
    let (participant, access) = (own["participant"].as_str().unwrap(), own["access_token"].as_str().unwrap());
    let path = format!("/v1/peers/{participant}?token={access}");
    assert_eq!(home.control("DELETE", &path, &json!({})).await.status, 204);
    until("the session to be revoked", || async { home.sessions().await[0]["link"]["state"] == "revoked" }).await;
    let refused = home.local("GET", "/v1/peers", Some(&token), "").await;
    assert_eq!((refused.status, refused.code()), (503, "not_connected"));
    assert_eq!(links_up(&home).await, 1, "the member's link is another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_key_another_link_uses_does_not_fight_for_it() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let session = Session::new(&home, "one");
    session.register(&home).await;
    let mut same_key = session.body.clone();
    same_key["session_id"] = json!("two");
    let answer = home.local("POST", "/v1/sessions/register", None, &same_key.to_string()).await;
    assert!(answer.json["participant"].is_string(), "{answer:?}");
    until("the first link to be replaced", || async {
        home.sessions().await.iter().any(|session| session["link"]["state"] == "replaced")
    })
    .await;
    assert_eq!(links_up(&home).await, 2);
    session.register(&home).await;
    until("the second link to be replaced", || async {
        let sessions = home.sessions().await;
        sessions.iter().any(|session| session["session_id"] == "two" && session["link"]["state"] == "replaced")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_access_is_given_back_returns_with_its_sessions() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&["--name", "alice"]).await;
    Session::new(&home, "one").register(&home).await;
    home.remove_member().await;
    until("the revocation", || async { home.sessions().await[0]["link"]["state"] == "revoked" }).await;
    home.add_member().await;
    until("the links", || async { links_up(&home).await == 2 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_calls_itself_otherwise_is_not_answered() {
    let home = Home::new(&[]).await;
    let refused = home.grove(&["peers", "--audience", "other"]).await;
    assert!(refused.code == 3 && refused.stderr.contains("calls itself `demo`"), "{}", refused.stderr);
    assert_eq!(home.grove(&["peers", "--audience", "demo"]).await.code, 0);
    let _daemon = home.daemon_alone(&["--audience", "other"]).await;
    until("the refusal", || async {
        home.local("GET", "/v1/daemon", None, "").await.json["link"]["code"] == "not_answered"
    })
    .await;
}
