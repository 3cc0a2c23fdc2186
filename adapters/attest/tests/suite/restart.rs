//! What holds when a server is started again.
#![cfg(feature = "storage")]

use grove_attest::{Member, StoredMembers};
use grove_engine::Config;
use serde_json::json;

use crate::server::{Server, member_key, session_key};

const DAY_MS: u64 = 24 * 3_600_000;

async fn start(directory: &std::path::Path) -> Server {
    Server::of(Config::default(), StoredMembers::open(directory).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_before_a_restart_is_refused_after_it() {
    let directory = std::env::temp_dir().join(format!("grove-peers-restart-{}", std::process::id()));
    let first = start(&directory).await;
    let carol = Member::new("carol", member_key("carol").public_key());
    first.peers.add_member("acme", carol).unwrap();
    let mut ann = first.session("ann", 1).await;
    first.peers.revoke_session_key("acme", &session_key(2).public_key()).unwrap();
    assert_eq!(first.peers.remove_member("acme", "carol"), Ok(true));
    let (_unanswered, challenge) = first.open().await;
    let recorded = first.session_hello("ann", 3, &challenge).to_json();
    ann.send(json!({"type": "bye"})).await;
    assert_eq!(ann.code().await, 1000);

    let second = start(&directory).await;
    let refused = async |frame: String| {
        let (mut link, _) = second.open().await;
        link.send_text(frame).await;
        link.next().await["code"].clone()
    };
    assert_eq!(refused(recorded).await, "bad_proof", "a hello for a challenge of before");
    for (member, number) in [("ann", 2), ("carol", 4)] {
        let (mut link, challenge) = second.open().await;
        link.send_text(second.session_hello(member, number, &challenge).to_json()).await;
        assert_eq!((link.next().await["code"].clone(), link.code().await), (json!("revoked"), 4401), "{member}");
    }
    assert_eq!(second.http("GET", "/v1/peers", &ann.token).await.0, 401, "its token was the first server's");
    let back = second.session("ann", 1).await;
    assert_ne!(back.participant, ann.participant);
    second.clock.advance(2 * DAY_MS);
    let (mut link, challenge) = second.open().await;
    link.send_text(second.session_hello("ann", 2, &challenge).to_json()).await;
    assert_eq!(link.next().await["code"], "revoked", "also when the member vouches for the key anew");
    drop((first, second));
    let _ = std::fs::remove_dir_all(&directory);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_can_be_listed_for_thirty_days_and_details_are_for_the_same_member() {
    let directory = std::env::temp_dir().join(format!("grove-peers-left-{}", std::process::id()));
    let server = start(&directory).await;
    let mut ann = server.session("ann", 1).await;
    let mut shown_to_nobody = server.member("ann", None).await;
    for link in [&mut ann, &mut shown_to_nobody] {
        link.send(json!({"type": "bye"})).await;
        link.code().await;
    }
    drop(server);
    let server = start(&directory).await;
    let (own, other) = (server.session("ann", 2).await, server.session("bob", 3).await);
    let (status, left) = server.http("GET", "/v1/peers/left", &own.token).await;
    assert_eq!((status, left["left"].as_array().unwrap().len()), (200, 1), "{left}");
    let row = &left["left"][0];
    assert_eq!(
        (&row["participant"], &row["name"], &row["status"], &row["kind"], &row["cwd"]),
        (&json!(ann.participant), &json!("ann-1"), &json!("left"), &json!("session"), &json!("/work"))
    );
    assert!(row["left_at"].as_str() >= row["connected_at"].as_str(), "{row}");
    let (_, left) = server.http("GET", "/v1/peers/left?limit=5", &other.token).await;
    let row = left["left"][0].as_object().unwrap();
    assert!(row["kind"] == "session" && !row.contains_key("cwd") && !row.contains_key("session_public_key"), "{row:?}");
    assert_eq!(server.http("GET", "/v1/peers/left", "").await.0, 401);
    server.clock.advance(30 * DAY_MS);
    let later = server.session("bob", 4).await;
    let (status, left) = server.http("GET", "/v1/peers/left", &later.token).await;
    let is_shown = |row: &serde_json::Value| row["participant"] == json!(ann.participant);
    assert!(status == 200 && !left["left"].as_array().unwrap().iter().any(is_shown), "{left}");
    drop((own, other));
    let _ = std::fs::remove_dir_all(&directory);
}
