//! Sessions that people launch with keys of their own.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use grove_attest::{Attestation, Card, NewAttestation, PeerHello, SecretKey};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::guest::Guest;
use crate::running::{Running, within_deadline};

const ACME: &str = "/rooms/board-acme";

/// A launched session, as far as it was let in.
struct Launched {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    welcome: Value,
}

impl Launched {
    /// Whoever holds a member's key launches a session that asks for these rights.
    async fn new(running: &Running, member: &SecretKey, name: &str, rights: &[&str]) -> Self {
        let (socket, _) = connect_async(running.peers_url()).await.expect("a link");
        let mut launched = Self { socket, welcome: Value::Null };
        let challenge = serde_json::from_value(launched.next().await).expect("a challenge");
        let key = SecretKey::generate().expect("a key");
        #[expect(clippy::disallowed_methods, reason = "an attestation is for a time of day")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis();
        let now = u64::try_from(now).expect("a time of day");
        let new = NewAttestation::new("desk", "acme", key.public_key(), now).rights(rights.iter().copied());
        let attestation = Attestation::sign(member, &new);
        let hello = PeerHello::session(&key, &challenge, "acme", attestation).expect("a hello");
        let text = hello.card(Card::new(name)).to_json();
        launched.socket.send(Message::text(text)).await.expect("it is sent");
        launched.welcome = launched.next().await;
        launched
    }

    /// The next frame; a close as its code.
    async fn next(&mut self) -> Value {
        loop {
            match within_deadline("a frame", self.socket.next()).await.expect("a frame").expect("a frame") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Close(frame) => return json!(frame.map(|frame| u16::from(frame.code))),
                _ => {}
            }
        }
    }

    fn token(&self) -> &str {
        self.welcome["access_token"].as_str().unwrap_or_else(|| panic!("no welcome: {}", self.welcome))
    }
}

/// The names, kinds, users and roles of those in the room.
fn participants(room: &Value) -> Vec<String> {
    let children = room["children"].as_array().expect("children");
    let there = children.iter().find(|child| child["id"] == "participants").expect("participants");
    let text = |row: &Value, key: &str| row["properties"][key].as_str().unwrap_or_default().to_owned();
    let shown = |row: &Value| ["name", "kind", "user", "role"].map(|key| text(row, key)).join(", ");
    there["children"].as_array().map(|rows| rows.iter().map(shown).collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_an_owner_launches_are_at_the_board_as_theirs_with_the_rights_that_the_launch_asked_for() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let key = SecretKey::generate().expect("a key");
    assert_eq!(Launched::new(&running, &key, "early", &[]).await.welcome["code"], "unauthorized");
    alice.submit("/settings/key", &format!("key={}", key.public_key())).await;
    let (_, settings) = alice.get("/sections/settings").await;
    assert!(settings.contains(&format!("<code id=\"current-key\">{}</code>", key.public_key())), "{settings}");

    let writer = Launched::new(&running, &key, "writer", &["write", "manage"]).await;
    let reader = Launched::new(&running, &key, "reader", &[]).await;
    let mut as_writer = Guest::ai(&running, writer.token()).await;
    let mut as_reader = Guest::ai(&running, reader.token()).await;
    as_writer.join(ACME).await;
    let room = as_reader.join(ACME).await;
    assert_eq!(participants(&room), ["writer, session, alice, member", "reader, session, alice, observer"]);
    let (_, faces) = alice.get("/sections/people").await;
    assert!(faces.contains("writer <small>online") && faces.contains("reader <small>online"), "{faces}");

    let card = json!({"title": "From a terminal", "column": "ideas"});
    let board = format!("{ACME}/board");
    assert_eq!(as_writer.invoke(&board, "add_card", card.clone()).await["status"], "ok");
    assert_eq!(as_reader.refusal(&board, "add_card", card).await, "unauthorized", "it asked for no right");
    let context = as_writer.query("/context").await;
    let shown = &context["properties"];
    assert_eq!((&shown["user"], &shown["permissions"]), (&json!("alice"), &json!(["write"])), "{shown}");
    // The board of alice's org, on the session's own desk.
    as_reader.until("/board/ideas", |column| column.to_string().contains("From a terminal")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_removes_a_key_ends_what_was_launched_with_it() {
    let running = Running::start().await;
    let alice = running.browser("alice").await;
    let key = SecretKey::generate().expect("a key");
    alice.submit("/settings/key", &format!("key={}", key.public_key())).await;
    let mut launched = Launched::new(&running, &key, "worker", &["write"]).await;
    let mut guest = Guest::ai(&running, launched.token()).await;
    alice.submit("/settings/key/remove", "").await;
    assert_eq!(launched.next().await, json!(4403));
    guest.ended().await;
    assert_eq!(Launched::new(&running, &key, "worker", &["write"]).await.welcome["code"], "revoked");
    assert!(!alice.get("/sections/settings").await.1.contains("current-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_must_be_one_and_nobody_elses_and_a_viewer_sets_none() {
    let running = Running::start().await;
    let [alice, amir, victor] =
        [running.browser("alice").await, running.browser("amir").await, running.browser("victor").await];
    let key = SecretKey::generate().expect("a key").public_key();
    for wrong in ["", "x", &"0".repeat(64), &key.to_string().to_uppercase()] {
        assert_eq!(
            alice.post("/settings/key", &format!("key={wrong}")).await.0,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
    }
    amir.submit("/settings/key", &format!("key={key}")).await;
    assert_eq!(alice.post("/settings/key", &format!("key={key}")).await.0, StatusCode::CONFLICT);
    for path in ["/settings/key", "/settings/key/remove"] {
        assert_eq!(victor.post(path, &format!("key={key}")).await.0, StatusCode::FORBIDDEN);
    }
    assert!(!victor.get("/").await.1.contains("/settings/key"));
}
