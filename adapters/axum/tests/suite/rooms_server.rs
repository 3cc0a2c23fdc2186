//! A served engine with rooms, and the clients of its HTTP interface.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use grove_axum::{Authenticator, Refusal, Slop, UpgradeRequest, authenticate_with};
use grove_engine::testing::ManualClock;
use grove_engine::{Clock, Config, Engine, Presence, RoomOptions, Session};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::server::{Server, within_deadline};

/// How long the sessions of [`people`] last that are named `guest`.
pub(crate) const GUEST_MS: u64 = 60_000;

/// An engine with rooms, on a clock that only the test advances.
pub(crate) fn engine(change: impl FnOnce(&mut Config)) -> (Engine, Arc<ManualClock>) {
    let mut config = Config::immediate();
    change(&mut config);
    let clock = ManualClock::new();
    let engine = Engine::builder("desk", "Desk").config(config).clock(clock.clone()).rooms(RoomOptions::new()).build();
    (engine, clock)
}

/// The session of a user of the project acme.
pub(crate) fn session_of(user: &str) -> Session {
    let card = Presence::new(user.to_uppercase()).cwd("/home").groups(["staff"]);
    Session::new(format!("session of {user}")).with_user(user).with_project("acme").with_presence(card)
}

/// Credentials that are the user's name: ann, bob, bot, which may be every agent, and guest, whose session expires; eve is of another project, and nobody
/// has no user.
pub(crate) fn people(clock: &Arc<ManualClock>) -> impl Authenticator + use<> {
    let clock = Arc::clone(clock);
    authenticate_with(move |request: UpgradeRequest| {
        let expires = clock.wall() + Duration::from_millis(GUEST_MS);
        async move {
            match request.credential("session").as_deref() {
                Some(user @ ("ann" | "bob")) => Ok(session_of(user)),
                Some("bot") => Ok(session_of("bot").with_permission("agent:*")),
                Some("guest") => Ok(session_of("guest").with_expiry(expires)),
                Some("eve") => Ok(session_of("eve").with_project("other")),
                Some("nobody") => Ok(Session::new("n").with_project("acme")),
                _ => Err(Refusal::unauthorized()),
            }
        }
    })
}

/// The routes for [`people`].
pub(crate) fn slop(engine: &Engine, clock: &Arc<ManualClock>) -> Slop {
    Slop::new(engine.clone(), people(clock)).rooms(engine.rooms())
}

/// A server with the default limits.
pub(crate) async fn serving() -> (Server, Arc<ManualClock>) {
    let (engine, clock) = engine(|_| {});
    let app: Router = slop(&engine, &clock).router();
    (Server::of(engine, app).await, clock)
}

impl Server {
    /// The status and the JSON of the response to a request with these header lines and this body.
    pub(crate) async fn json(&self, method: &str, target: &str, headers: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}");
        let (status, all) = self.raw(format!("{head}content-length: {length}\r\n\r\n{body}")).await;
        let (_, body) = all.split_once("\r\n\r\n").unwrap_or_default();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// A request of a user.
    pub(crate) async fn asks(&self, user: &str, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.json(method, target, &format!("authorization: Bearer {user}\r\n"), &body).await
    }

    pub(crate) async fn gets(&self, user: &str, target: &str) -> (u16, Value) {
        self.asks(user, "GET", target, &Value::Null).await
    }

    /// The path of a room of ann's that is open to the project.
    pub(crate) async fn open_room(&self) -> String {
        let (status, created) = self.asks("ann", "POST", "/v1/rooms", &json!({"access": "project"})).await;
        assert_eq!(status, 201, "{created}");
        format!("/v1/rooms/{}", created["room"]["id"].as_str().unwrap())
    }

    pub(crate) async fn say(&self, user: &str, room: &str, text: &str) {
        let (status, said) = self.asks(user, "POST", &format!("{room}/messages"), &json!({"text": text})).await;
        assert_eq!(status, 201, "{said}");
    }

    /// The events of a room as a user receives them.
    pub(crate) async fn events(&self, user: &str, room: &str, query: &str, headers: &str) -> EventStream {
        let target = format!("{room}/events{query}");
        let headers = format!("host: localhost\r\nauthorization: Bearer {user}\r\n{headers}");
        EventStream::open(self, &format!("GET {target} HTTP/1.1\r\n{headers}\r\n")).await
    }
}

/// The client of a stream of events.
pub(crate) struct EventStream {
    stream: BufReader<TcpStream>,
    pub(crate) head: String,
}

/// What came: its lines by name. A comment has none.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Received {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl EventStream {
    async fn open(server: &Server, request: &str) -> Self {
        let mut stream = BufReader::new(TcpStream::connect(server.address).await.unwrap());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(within_deadline(stream.read_line(&mut head)).await.unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self { stream, head }
    }

    /// The next event or comment; `None` at the end of a response that is complete.
    pub(crate) async fn next(&mut self) -> Option<Received> {
        let chunk = within_deadline(self.chunk()).await;
        let (text, rest) = chunk.split_once("\n\n")?;
        assert_eq!(rest, "", "one event at a time");
        let mut received = Received::default();
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => received.id = Some(id.to_owned()),
                Some(("event", kind)) => kind.clone_into(&mut received.kind),
                Some(("data", data)) => received.data = serde_json::from_str(data).unwrap(),
                _ => assert_eq!(line, ":"),
            }
        }
        Some(received)
    }

    /// Kind and number of the next event.
    pub(crate) async fn summary(&mut self) -> (String, u64) {
        let Received { kind, data, .. } = self.next().await.expect("an event");
        (kind, data["seq"].as_u64().unwrap_or_default())
    }

    async fn chunk(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).await.unwrap() > 0, "the response is not complete");
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }
}
