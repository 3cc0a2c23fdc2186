//! One connection over one socket, from `hello` to its close.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use grove_axum::Slop;
use grove_engine::testing::ManualClock;
use grove_engine::{Engine, Event, Scope};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::server::{PeerAddresses, Server, known_users, subscribe, user_in, within_deadline};

#[tokio::test]
async fn hello_is_the_first_message_and_is_sent_once() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    let hello = peer.receive().await;
    assert_eq!(hello["type"], "hello");
    assert_eq!(hello["provider"]["name"], "Desk");
    for _ in 0..3 {
        peer.send(subscribe()).await;
        assert_eq!(peer.receive().await["type"], "snapshot");
    }
}

#[tokio::test]
async fn a_tab_is_addressed_as_a_provider() {
    let server = Server::for_known_users().await;
    let mut tab = server.dial("/slop?token=alice&slop_role=provider", &[]).await.unwrap();
    assert_eq!(tab.receive().await["type"], "connect");
}

#[tokio::test]
async fn json_in_a_binary_frame_is_served() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    assert_eq!(peer.receive().await["type"], "hello");
    peer.send(subscribe().into_bytes()).await;
    assert_eq!(user_in(&peer.receive().await), "alice");
}

#[tokio::test]
async fn two_sessions_each_see_their_own_tree() {
    let server = Server::for_known_users().await;
    let mut alice = server.alice().await;
    let mut bob = server.dial("/slop?token=bob", &[]).await.unwrap();
    assert_eq!(alice.user().await, "alice");
    assert_eq!(bob.user().await, "bob");
}

#[tokio::test]
async fn neither_a_subprotocol_nor_compression_is_negotiated() {
    let server = Server::for_known_users().await;
    let request = "GET /slop?token=alice HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive, Upgrade\r\n\
                   upgrade: WebSocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   sec-websocket-protocol: slop\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n";
    let head = server.head(request).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(!head.contains("sec-websocket-protocol") && !head.contains("sec-websocket-extensions"), "{head}");
}

#[tokio::test]
async fn headers_that_are_lists_may_be_spread_over_lines() {
    let server = Server::for_known_users().await;
    let lists = [
        "connection: keep-alive\r\nconnection: Upgrade\r\nupgrade: websocket\r\n",
        "connection: close, upgrade\r\nconnection: \r\nupgrade: h2c\r\nupgrade: x, WebSocket\r\n",
    ];
    for lists in lists {
        let request = format!(
            "GET /slop?token=alice HTTP/1.1\r\nhost: localhost\r\n{lists}sec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let head = server.head(&request).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{lists}: {head}");
    }
}

#[tokio::test]
async fn what_is_not_a_handshake_gets_a_426() {
    let server = Server::for_known_users().await;
    let handshake = [
        "connection: upgrade, close\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-version: 13\r\n",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ];
    for missing in 0..handshake.len() {
        let mut lines = handshake;
        lines[missing] = "";
        let lines = lines.concat();
        let request = format!("GET /slop?token=alice HTTP/1.1\r\nhost: localhost\r\n{lines}connection: close\r\n\r\n");
        assert_eq!(server.raw(&request).await.0, 426, "{lines}");
    }
    let lines = handshake.concat();
    let old = format!("GET /slop?token=alice HTTP/1.0\r\nhost: localhost\r\n{lines}\r\n");
    assert_eq!(server.raw(&old).await.0, 426, "HTTP/1.0");
    let connect = format!("CONNECT /slop?token=alice HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n");
    assert_ne!(server.raw(&connect).await.0, 101, "CONNECT over HTTP/1.1");
}

#[tokio::test]
async fn another_websocket_version_gets_a_426_with_the_supported_one() {
    let server = Server::for_known_users().await;
    let request = "GET /slop?token=alice HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 12\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let head = server.head(request).await;
    assert!(head.starts_with("HTTP/1.1 426 ") && head.contains("sec-websocket-version: 13"), "{head}");
}

#[tokio::test]
async fn it_merges_into_an_application_with_state() {
    #[derive(Clone)]
    struct AppState(&'static str);

    let make = |engine| {
        let page = get(|State(AppState(text)): State<AppState>| async move { text });
        let app: Router<AppState> = Router::new().route("/", page).merge(grove_axum::router(engine, known_users()));
        app.with_state(AppState("the page"))
    };
    let server = Server::start_app(make, PeerAddresses::Unknown).await;
    assert_eq!(server.alice().await.user().await, "alice");
    let (status, all) = server.raw("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status, 200);
    assert!(all.ends_with("the page"), "{all}");
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    peer.send(Message::Frame(RawFrame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true))).await;
    assert_eq!(peer.receive_close().await.code, CloseCode::Invalid);
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_with_1009_and_others_are_served() {
    let server = Server::for_known_users().await;
    let mut other = server.dial("/slop?token=bob", &[]).await.unwrap();
    let mut peer = server.alice().await;
    assert_eq!(peer.receive().await["type"], "hello");
    // More than any buffer in between holds, so that it is still being sent when the server closes.
    within_deadline(peer.socket.send(Message::text("x".repeat(8 << 20)))).await.unwrap();
    assert_eq!(peer.receive_close().await.code, CloseCode::Size);
    assert_eq!(other.user().await, "bob");
    assert_eq!(server.alice().await.user().await, "alice");
}

#[tokio::test]
async fn a_message_that_is_too_large_in_fragments_closes_with_1009() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    for part in 0..3 {
        let opcode = OpCode::Data(if part == 0 { Data::Text } else { Data::Continue });
        peer.send(Message::Frame(RawFrame::message("x".repeat(40_000), opcode, false))).await;
    }
    assert_eq!(peer.receive_close().await.code, CloseCode::Size);
}

#[tokio::test]
async fn a_ping_gets_a_pong() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    assert_eq!(peer.receive().await["type"], "hello");
    peer.send(Message::Ping("are you there".into())).await;
    assert_eq!(within_deadline(peer.socket.next()).await.unwrap().unwrap(), Message::Pong("are you there".into()));
}

/// An event whose message is this long.
fn announce(engine: &Engine, length: usize) {
    let around = json!({"type": "event", "name": "e", "data": ""}).to_string().len();
    engine.emit(Scope::all(), "e", Some(&json!("x".repeat(length - around)))).unwrap();
}

/// Connects as alice with a small receive buffer: the rest waits in the server, in the middle of a message.
async fn narrow(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = within_deadline(socket.connect(address)).await.unwrap();
    within_deadline(client_async(format!("ws://{address}/slop?token=alice"), stream)).await.unwrap().0
}

#[tokio::test]
async fn messages_of_all_lengths_arrive_intact() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    assert_eq!(peer.receive().await["type"], "hello");
    let lengths = [60, 125, 126, 127, 128, 255, 256, 4095, 4096, 4097, 65_535, 65_536, 65_537, 300_000];
    for length in lengths {
        announce(&server.engine, length);
    }
    for length in lengths {
        let Message::Text(text) = within_deadline(peer.socket.next()).await.unwrap().unwrap() else {
            panic!("not a text")
        };
        let event: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((text.len(), &event["type"]), (length, &json!("event")));
    }
}

#[tokio::test]
async fn a_peer_that_reads_late_gets_whole_messages_and_its_pongs_and_the_reply_to_its_close() {
    const EVENTS: usize = 20;
    const LENGTH: usize = 200_000;
    let server = Server::for_known_users().await;
    let mut socket = narrow(server.address).await;
    assert!(within_deadline(socket.next()).await.unwrap().unwrap().is_text());
    for _ in 0..EVENTS {
        announce(&server.engine, LENGTH);
    }
    for number in 0..40_u8 {
        within_deadline(socket.send(Message::Ping(vec![number].into()))).await.unwrap();
    }
    let (mut events, mut pongs) = (0, Vec::new());
    while events < EVENTS || pongs.last() != Some(&39) {
        match within_deadline(socket.next()).await.unwrap().unwrap() {
            Message::Text(text) => {
                assert_eq!((text.len(), &serde_json::from_str::<Value>(&text).unwrap()["name"]), (LENGTH, &json!("e")));
                events += 1;
            }
            Message::Pong(number) => pongs.push(number[0]),
            other => panic!("neither an event nor a pong: {other:?}"),
        }
    }
    assert!(pongs.is_sorted(), "{pongs:?}");
    for _ in 0..EVENTS {
        announce(&server.engine, LENGTH);
    }
    within_deadline(socket.send(Message::Close(None))).await.unwrap();
    while let Some(message) = within_deadline(socket.next()).await {
        let message = message.unwrap();
        assert!(message.len() == LENGTH || message.is_close(), "nothing is cut off: {message:?}");
    }
    server.until_connections_are(0).await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_dropped_in_the_middle_of_a_message() {
    let clock = ManualClock::new();
    let engine = Engine::builder("desk", "Desk").clock(clock.clone()).build();
    let server = Server::of(engine.clone(), grove_axum::router(engine, known_users())).await;
    let mut socket = narrow(server.address).await;
    server.until_connections_are(1).await;
    // `hello` is delayed.
    let (hello, ()) = tokio::join!(within_deadline(socket.next()), async { clock.advance(1_000) });
    assert!(hello.unwrap().unwrap().is_text());
    for _ in 0..20 {
        announce(&server.engine, 200_000);
    }
    // There is always more to send, and no room for it.
    for _ in 0..200 {
        announce(&server.engine, 100);
        tokio::task::yield_now().await;
    }
    clock.advance(60_000);
    server.until_connections_are(0).await;
}

#[tokio::test]
async fn a_peer_that_only_pings_is_closed() {
    let server = Server::for_known_users().await;
    let (reasons, mut reason) = watch::channel("");
    server.engine.observe(move |event: &Event| {
        if let Event::Disconnected { reason, .. } = event {
            reasons.send_replace(reason.as_str());
        }
    });
    let mut peer = server.alice().await;
    for _ in 0..200 {
        peer.socket.feed(Message::Ping("x".into())).await.unwrap();
    }
    within_deadline(peer.socket.flush()).await.unwrap();
    assert_eq!(peer.receive_close().await.code, CloseCode::Policy);
    within_deadline(reason.wait_for(|reason| *reason == "control_flood")).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_only_sends_empty_fragments_is_closed_and_others_are_served() {
    let server = Server::for_known_users().await;
    let mut other = server.dial("/slop?token=bob", &[]).await.unwrap();
    let mut peer = server.alice().await;
    assert_eq!(peer.receive().await["type"], "hello");
    let fragment = |opcode| Message::Frame(RawFrame::message("", OpCode::Data(opcode), false));
    peer.socket.feed(fragment(Data::Text)).await.unwrap();
    let flood = async {
        // It ends when the server has closed.
        while peer.socket.feed(fragment(Data::Continue)).await.is_ok() {}
    };
    within_deadline(flood).await;
    server.until_connections_are(1).await;
    assert_eq!(other.user().await, "bob");
}

#[tokio::test]
async fn a_peer_that_sends_too_many_empty_fragments_gets_1008() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    for number in 0..10_000 {
        let opcode = OpCode::Data(if number == 0 { Data::Text } else { Data::Continue });
        peer.socket.feed(Message::Frame(RawFrame::message("", opcode, false))).await.unwrap();
    }
    within_deadline(peer.socket.flush()).await.unwrap();
    assert_eq!(peer.receive_close().await.code, CloseCode::Policy);
}

#[tokio::test]
async fn a_large_message_in_small_fragments_is_served() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    assert_eq!(peer.receive().await["type"], "hello");
    let padded = format!("{}{}", subscribe(), " ".repeat(60_000));
    let parts: Vec<&[u8]> = padded.as_bytes().chunks(100).collect();
    for (number, part) in parts.iter().enumerate() {
        let opcode = OpCode::Data(if number == 0 { Data::Text } else { Data::Continue });
        let last = number + 1 == parts.len();
        peer.socket.feed(Message::Frame(RawFrame::message(part.to_vec(), opcode, last))).await.unwrap();
    }
    within_deadline(peer.socket.flush()).await.unwrap();
    assert_eq!(user_in(&peer.receive().await), "alice");
}

#[tokio::test]
async fn a_peer_that_closes_gets_a_reply_and_its_connection_ends() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    server.until_connections_are(1).await;
    within_deadline(peer.socket.close(None)).await.unwrap();
    while let Some(message) = within_deadline(peer.socket.next()).await {
        message.unwrap();
    }
    server.until_connections_are(0).await;
}

#[tokio::test]
async fn the_connection_of_a_peer_that_vanishes_ends() {
    let server = Server::for_known_users().await;
    let peer = server.alice().await;
    server.until_connections_are(1).await;
    drop(peer);
    server.until_connections_are(0).await;
}

#[tokio::test]
async fn at_shutdown_the_peer_gets_a_close_frame() {
    let server = Server::start(|engine| Slop::new(engine, known_users())).await;
    let mut peer = server.alice().await;
    assert_eq!(peer.receive().await["type"], "hello");
    let stopping = server.engine.shutdown(Duration::from_secs(5));
    let (_, frame) = tokio::join!(stopping, peer.receive_close());
    assert_eq!(frame.code, CloseCode::Away);
    server.until_connections_are(0).await;
}

#[tokio::test]
async fn a_revoked_session_is_closed_with_1008_and_cannot_reconnect() {
    let server = Server::for_known_users().await;
    let (mut one, mut two) = (server.alice().await, server.alice().await);
    let mut bob = server.dial("/slop?token=bob", &[]).await.unwrap();
    assert_eq!(one.user().await, "alice");
    assert_eq!(server.engine.revoke(grove_engine::Revocation::session("session of alice")), 1);
    assert_eq!(one.receive_close().await.code, CloseCode::Policy);
    assert_eq!(two.receive_close().await.code, CloseCode::Policy);
    assert_eq!(server.dial("/slop?token=alice", &[]).await.unwrap_err().status, 401);
    assert_eq!(bob.user().await, "bob");
}
