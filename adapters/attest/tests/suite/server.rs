//! A server with peers, on a real socket, and links to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use grove_attest::{
    Attestation, Card, ChallengeFrame, Member, Members, MemoryMembers, NewAttestation, PeerHello, Peers, SecretKey,
};
use grove_axum::{Slop, opaque, serve};
use grove_engine::testing::ManualClock;
use grove_engine::{Clock, Config, Engine, RoomOptions, Session};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A server with two members of one project.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) peers: Peers,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) address: SocketAddr,
}

pub(crate) fn member_key(name: &str) -> SecretKey {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    SecretKey::from_seed(&seed)
}

pub(crate) fn session_key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[100 + number; 32])
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::of(config, MemoryMembers::new()).await
    }

    /// A server with these members, and the two.
    pub(crate) async fn of(config: Config, members: impl Members + 'static) -> Self {
        let clock = ManualClock::new();
        let builder = Engine::builder("app", "App").config(config).clock(clock.clone());
        let engine = builder.rooms(RoomOptions::new().presence()).build();
        let peers = Peers::new(&engine, members, "desk").unwrap().max_peers(5);
        for name in ["ann", "bob"] {
            let member = Member::new(name, member_key(name).public_key()).rights(["read", "write"]);
            peers.add_member("acme", member).unwrap();
        }
        let person =
            |user: String| async move { Some(Session::new(format!("s-{user}")).with_user(user).with_project("acme")) };
        let authenticator = Arc::new(peers.authenticator(opaque("session", person)));
        let slop = Slop::new(engine.clone(), Arc::clone(&authenticator)).rooms(engine.rooms());
        let app = slop.router().merge(peers.routes(authenticator));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, app, std::future::pending()));
        Self { engine, peers, clock, address }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        let since = self.clock.wall().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    }

    pub(crate) async fn open(&self) -> (Link, ChallengeFrame) {
        let (socket, _) = connect_async(format!("ws://{}/peers", self.address)).await.unwrap();
        let mut link = Link { socket, participant: String::new(), token: String::new() };
        let challenge = serde_json::from_value(link.next().await).unwrap();
        (link, challenge)
    }

    pub(crate) fn session_hello(&self, member: &str, number: u8, challenge: &ChallengeFrame) -> PeerHello {
        let key = session_key(number);
        let new = NewAttestation::new("desk", "acme", key.public_key(), self.now_ms()).rights(["write"]);
        let attestation = Attestation::sign(&member_key(member), &new);
        let card = Card { cwd: Some("/work".into()), pid: Some(7), ..Card::new(format!("{member}-{number}")) };
        PeerHello::session(&key, challenge, "acme", attestation).unwrap().card(card)
    }

    /// A session of a member, welcomed.
    pub(crate) async fn session(&self, member: &str, number: u8) -> Link {
        let (mut link, challenge) = self.open().await;
        link.send_text(self.session_hello(member, number, &challenge).to_json()).await;
        link.welcome().await;
        link
    }

    /// A program of a member's own, welcomed.
    pub(crate) async fn member(&self, member: &str, card: Option<Card>) -> Link {
        let (mut link, challenge) = self.open().await;
        let hello = PeerHello::member(&member_key(member), &challenge, "acme").unwrap();
        link.send_text(card.into_iter().fold(hello, PeerHello::card).to_json()).await;
        link.welcome().await;
        link
    }

    pub(crate) async fn http(&self, method: &str, path: &str, token: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }

    /// The names of those whom a session sees.
    pub(crate) async fn names(&self, token: &str) -> Vec<String> {
        let (status, list) = self.http("GET", "/v1/peers", token).await;
        assert_eq!(status, 200, "{list}");
        list["peers"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Time passes, and whatever is due is done.
    pub(crate) async fn pass(&self, ms: u64) {
        for _ in 0..ms / 1_000 {
            self.clock.advance(1_000);
            self.engine.settle().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) struct Link {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) participant: String,
    pub(crate) token: String,
}

impl Link {
    pub(crate) async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(frame.to_string()).await;
    }

    pub(crate) async fn message(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await.expect("something comes")
    }

    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.message().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} instead of a frame"),
            }
        }
    }

    pub(crate) async fn welcome(&mut self) -> Value {
        let welcome = self.next().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        self.participant = welcome["participant"].as_str().unwrap_or_default().to_owned();
        self.token = welcome["access_token"].as_str().unwrap().to_owned();
        welcome
    }

    /// The next frame of a type, whatever comes before it.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// How the link is closed.
    pub(crate) async fn code(&mut self) -> u16 {
        loop {
            match self.message().await {
                Some(Ok(Message::Close(frame))) => return frame.map_or(1005, |frame| frame.code.into()),
                Some(Ok(_)) => {}
                other => panic!("{other:?} instead of a close"),
            }
        }
    }

    pub(crate) async fn rows(&mut self) -> Vec<Value> {
        self.send(json!({"type": "list", "id": 1})).await;
        self.next_of("peers").await["peers"].as_array().unwrap().clone()
    }

    /// The socket is gone, without a word.
    pub(crate) fn lose(self) {
        drop(self.socket);
    }
}
