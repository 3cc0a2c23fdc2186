//! Others are not disturbed, as in the engine's test of that name, by peers that misuse their sockets.

use std::net::SocketAddr;
use std::pin::Pin;

use futures_util::SinkExt;
use grove_attackers::{Stage, Victim};
use grove_engine::Config;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::server::{Peer, Server, known_users, subscribe, within_deadline};

/// How often each attacker connects.
const STRIKES: usize = 3;

/// What an attacker does on one socket, which it gives back if it stays open.
type Strike = Pin<Box<dyn Future<Output = Option<TcpStream>> + Send>>;

type Attack = fn(SocketAddr) -> Strike;

/// The attackers, each with what it does.
const ATTACKERS: [(&str, Attack); 7] = [
    ("empty continuation frames", |to| Box::pin(flood_of_frames(to, OpCode::Data(Data::Continue), b""))),
    ("small continuation frames", |to| Box::pin(flood_of_frames(to, OpCode::Data(Data::Continue), b" "))),
    ("sockets that read nothing", |to| Box::pin(reads_nothing(to))),
    ("a message that is announced as huge", |to| {
        Box::pin(raw(to, [&[0x81, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 60_000]].concat()))
    }),
    ("a message that is never finished", |to| Box::pin(raw(to, vec![0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0, b'{']))),
    ("bytes that are no frames", |to| Box::pin(raw(to, vec![0xff; 60_000]))),
    ("half a request", |to| {
        Box::pin(async move {
            let mut stream = TcpStream::connect(to).await.ok()?;
            stream.write_all(b"GET /slop?token=alice HTTP/1.1\r\nhost: ").await.ok()?;
            Some(stream)
        })
    }),
];

async fn dial(to: SocketAddr) -> Option<Peer> {
    let url = format!("ws://{to}/slop?token=alice");
    let (socket, _) = tokio_tungstenite::connect_async(url).await.ok()?;
    Some(Peer { socket })
}

/// Sends as many frames of one message as the server takes, up to a number.
async fn flood_of_frames(to: SocketAddr, opcode: OpCode, payload: &'static [u8]) -> Option<TcpStream> {
    let mut peer = dial(to).await?;
    peer.socket.feed(Message::Frame(RawFrame::message("{", OpCode::Data(Data::Text), false))).await.ok()?;
    for _ in 0..100_000 {
        peer.socket.feed(Message::Frame(RawFrame::message(payload, opcode, false))).await.ok()?;
    }
    None
}

/// Asks for the whole tree again and again.
async fn reads_nothing(to: SocketAddr) -> Option<TcpStream> {
    let mut peer = dial(to).await?;
    peer.socket.feed(subscribe().into()).await.ok()?;
    for number in 0..150 {
        let query = json!({"type": "query", "id": number, "depth": -1}).to_string();
        peer.socket.feed(query.into()).await.ok()?;
    }
    peer.socket.flush().await.ok()?;
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = peer.socket.into_inner() else { return None };
    Some(stream)
}

/// Upgrades, and then sends these bytes.
async fn raw(to: SocketAddr, bytes: Vec<u8>) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(to).await.ok()?;
    let request = "GET /slop?token=alice HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let length = stream.read(&mut [0; 1024]).await.ok()?;
    stream.write_all(&bytes).await.ok()?;
    (length > 0).then_some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_victim_does_not_notice_sockets_that_are_misused() {
    for (name, attack) in ATTACKERS {
        let mut config = Config::immediate();
        config.sizes.outbox_bytes = 1 << 20;
        let stage = Stage::new(config);
        let engine = stage.engine().clone();
        let server = Server::of(engine.clone(), grove_axum::router(engine, known_users())).await;
        let mut victim = Victim::connect(&stage).await;
        let mut open = Vec::new();
        for _ in 0..STRIKES {
            let strike = tokio::spawn(attack(server.address));
            victim.change().await;
            victim.call().await;
            open.extend(within_deadline(strike).await.unwrap());
            victim.change().await;
            victim.call().await;
        }
        let stats = stage.engine().stats();
        assert!(stats.outbox_bytes <= STRIKES << 20, "{name}: {} bytes wait", stats.outbox_bytes);
        drop(open);
        server.until_connections_are(1).await;
        victim.check_at_rest().await;
    }
}
