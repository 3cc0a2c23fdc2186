//! Processes with keys of their own (peers 3).

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use grove_attest::{Attestation, Card, ChallengeFrame, NewAttestation, PeerHello, SecretKey};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::http;
use crate::running::{Running, soon};

const TIMES: [&str; 7] = ["--peers", "--offline-ms", "300", "--left-ms", "900", "--max-peers", "3"];

struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    welcome: Value,
}

fn member() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn session(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

async fn add_member(running: &Running, rights: &[&str]) {
    let body = json!({"project": "main", "member_id": "alice", "public_key": member().public_key(), "rights": rights});
    let added = running.post("/control/member", &body.to_string()).await;
    assert_eq!((added.status, added.json), (200, json!({"member_id": "alice"})));
}

impl Peer {
    async fn open(running: &Running) -> (Self, ChallengeFrame) {
        let (socket, _) = connect_async(format!("ws://{}/peers", running.address)).await.unwrap();
        let mut peer = Self { socket, welcome: Value::Null };
        let challenge = serde_json::from_value(peer.next().await).unwrap();
        (peer, challenge)
    }

    /// What comes for the hello of a session.
    async fn arrive(running: &Running, number: u8, audience: &str) -> Self {
        let (mut peer, challenge) = Self::open(running).await;
        let key = session(number);
        #[expect(clippy::disallowed_methods, reason = "an attestation is for a time of day")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let new = NewAttestation::new(audience, "main", key.public_key(), now.as_millis().try_into().unwrap());
        let attestation = Attestation::sign(&member(), &new.rights(["read", "agent:*"]));
        let hello = PeerHello::session(&key, &challenge, "main", attestation).unwrap();
        let hello = hello.card(Card { cwd: Some("/work".into()), ..Card::new(format!("worker {number}")) });
        peer.send_text(hello.to_json()).await;
        peer.welcome = peer.next().await;
        peer
    }

    async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        loop {
            match soon("a frame of a peer", self.socket.next()).await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => return json!({"close": frame.map(|frame| u16::from(frame.code))}),
                _ => {}
            }
        }
    }

    async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
            assert!(frame.get("close").is_none(), "{frame} instead of {kind}");
        }
    }

    fn token(&self) -> &str {
        self.welcome["access_token"].as_str().unwrap()
    }
}

async fn names(running: &Running, token: &str) -> Vec<String> {
    let response = http::request(running.address, "GET", &format!("/v1/peers?token={token}"), "").await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json["peers"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_present_talk_to_each_other_and_take_part_as_their_member() {
    let running = Running::with(&TIMES).await;
    add_member(&running, &["read", "agent:*"]).await;
    let mut first = Peer::arrive(&running, 2, "conformance").await;
    assert_eq!(
        (&first.welcome["type"], &first.welcome["member"], &first.welcome["lease_ms"]),
        (&json!("welcome"), &json!("alice"), &json!(900))
    );
    let mut second = Peer::arrive(&running, 3, "conformance").await;
    assert_eq!(first.next_of("joined").await["row"]["name"], "worker 3");
    assert_eq!(names(&running, "bob-1").await, ["worker 2", "worker 3"]);
    assert_eq!(names(&running, first.token()).await.len(), 2);
    let to = second.welcome["participant"].clone();
    first.send_text(json!({"type": "send", "id": 1, "to": to, "body": {"n": 1}}).to_string()).await;
    let message = second.next_of("message").await;
    assert_eq!((&message["from"]["name"], &message["body"]), (&json!("worker 2"), &json!({"n": 1})));
    second.send_text(json!({"type": "ack", "message": message["message"]}).to_string()).await;
    first.next_of("acked").await;
    let mut consumer = running.consumer(first.token()).await;
    let presence = consumer.query_tree("/presence").await;
    let shown: Vec<_> =
        presence["children"].as_array().unwrap().iter().map(|row| row["properties"]["name"].clone()).collect();
    assert_eq!(shown, ["worker 2", "worker 3"], "a consumer with the token is the same session: {presence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_lost_is_gone_after_its_lease_and_its_token_with_it() {
    let running = Running::with(&TIMES).await;
    add_member(&running, &[]).await;
    let mut watcher = Peer::arrive(&running, 2, "conformance").await;
    let lost = Peer::arrive(&running, 3, "conformance").await;
    let mut consumer = running.consumer(lost.token()).await;
    let token = lost.token().to_owned();
    drop(lost);
    let left = watcher.next_of("left").await;
    assert_eq!(left["row"]["name"], "worker 3");
    assert_eq!(http::request(running.address, "GET", &format!("/v1/peers?token={token}"), "").await.status, 401);
    soon("the end of what was opened with the token", consumer.closed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_members_of_this_server_are_welcomed_and_no_more_than_there_may_be() {
    let running = Running::with(&TIMES).await;
    assert_eq!(Peer::arrive(&running, 2, "conformance").await.welcome["code"], "unauthorized");
    add_member(&running, &["read"]).await;
    assert_eq!(Peer::arrive(&running, 2, "elsewhere").await.welcome["code"], "bad_signature");
    let mut peers = Vec::new();
    for number in 2..=4 {
        peers.push(Peer::arrive(&running, number, "conformance").await);
    }
    assert_eq!(Peer::arrive(&running, 5, "conformance").await.welcome["code"], "capacity");
    let gone = json!({"project": "main", "member_id": "alice"}).to_string();
    let removed = http::request(running.address, "DELETE", "/control/member", &gone).await;
    assert_eq!(removed.json, json!({"removed": true}));
    for mut peer in peers {
        while peer.next().await != json!({"close": 4403}) {}
    }
    assert_eq!(Peer::arrive(&running, 2, "conformance").await.welcome["code"], "revoked");
    let weak = json!({"project": "main", "member_id": "x", "public_key": "0".repeat(64)}).to_string();
    assert_eq!(running.post("/control/member", &weak).await.status, 400);
    let other = Running::with(&["--rooms"]).await;
    assert_eq!(other.get("/peers").await.status, 404, "without the flag there is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_takeovers_and_revocations_of_peers_are_in_the_audit() {
    let running = Running::with(&TIMES).await;
    assert_eq!(Peer::arrive(&running, 2, "conformance").await.welcome["code"], "unauthorized");
    add_member(&running, &["read"]).await;
    assert_eq!(Peer::arrive(&running, 2, "elsewhere").await.welcome["code"], "bad_signature");
    let mut first = Peer::arrive(&running, 2, "conformance").await;
    let second = Peer::arrive(&running, 2, "conformance").await;
    first.next_of("replaced").await;
    let path = format!("/v1/peers/{}", second.welcome["participant"].as_str().unwrap());
    let revoked = http::request(running.address, "DELETE", &format!("{path}?token={}", second.token()), "").await;
    assert_eq!(revoked.status, 204);
    assert_eq!(Peer::arrive(&running, 2, "conformance").await.welcome["code"], "revoked");
    let refused = |code: &str| json!({"what": "connect", "code": code});
    let expected = [
        refused("unauthorized"),
        refused("bad_signature"),
        json!({"what": "takeover", "user": "alice"}),
        json!({"what": "revoke", "user": "alice"}),
        refused("revoked"),
    ];
    assert_eq!(running.get("/control/audit?since=0").await.json["events"], json!(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_storage_directory_members_and_what_was_revoked_are_there_again_after_a_restart() {
    let [first, second] = ["first", "second"]
        .map(|name| std::env::temp_dir().join(format!("grove-conformance-peers-{name}-{}", std::process::id())));
    let options = |directory: &Path| ["--peers", "--storage", directory.to_str().unwrap()].map(str::to_owned);
    let start = async |directory: &Path| Running::with(&options(directory).each_ref().map(String::as_str)).await;
    let running = start(&first).await;
    add_member(&running, &["read"]).await;
    let peer = Peer::arrive(&running, 2, "conformance").await;
    let path = format!("/v1/peers/{}?token={}", peer.welcome["participant"].as_str().unwrap(), peer.token());
    assert_eq!(http::request(running.address, "DELETE", &path, "").await.status, 204);
    // What is there when the process is killed.
    std::fs::create_dir_all(&second).unwrap();
    for file in ["members.db", "members.db-wal"] {
        std::fs::copy(first.join(file), second.join(file)).unwrap();
    }
    let again = start(&second).await;
    assert_eq!(Peer::arrive(&again, 2, "conformance").await.welcome["code"], "revoked");
    assert_eq!(Peer::arrive(&again, 3, "conformance").await.welcome["type"], "welcome");
    for (running, directory) in [(running, first), (again, second)] {
        running.app.stop().await.unwrap();
        let _ = std::fs::remove_dir_all(&directory);
    }
}
