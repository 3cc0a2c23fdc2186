//! One connection over one socket, from `hello` to its end.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use grove_axum::Slop;
use grove_engine::Event;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use crate::server::{PeerAddresses, Server, known_users, soon, subscribe, user_in};

#[tokio::test]
async fn hello_is_first_and_comes_once() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    let hello = peer.hear().await;
    assert_eq!(hello["type"], "hello");
    assert_eq!(hello["provider"]["name"], "Desk");
    for _ in 0..3 {
        peer.say(subscribe()).await;
        assert_eq!(peer.hear().await["type"], "snapshot");
    }
}

#[tokio::test]
async fn a_tab_is_spoken_to_as_a_provider() {
    let server = Server::for_known_users().await;
    let mut tab = server.dial("/slop?token=alice&slop_role=provider", &[]).await.unwrap();
    assert_eq!(tab.hear().await["type"], "connect");
}

#[tokio::test]
async fn json_in_a_binary_frame_is_served() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    assert_eq!(peer.hear().await["type"], "hello");
    peer.say(subscribe().into_bytes()).await;
    assert_eq!(user_in(&peer.hear().await), "alice");
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
async fn a_subprotocol_is_not_chosen_nor_compression_taken() {
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
async fn another_version_of_websocket_is_told_which_one_is_spoken() {
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
    peer.say(Message::Frame(RawFrame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true))).await;
    assert_eq!(peer.hear_close().await.code, CloseCode::Invalid);
}

#[tokio::test]
async fn a_message_too_large_closes_with_1009_and_the_server_goes_on() {
    let server = Server::for_known_users().await;
    let mut other = server.dial("/slop?token=bob", &[]).await.unwrap();
    let mut peer = server.alice().await;
    assert_eq!(peer.hear().await["type"], "hello");
    // More than any buffer between us holds, so that it is still being sent when the server says no.
    soon(peer.socket.send(Message::text("x".repeat(8 << 20)))).await.unwrap();
    assert_eq!(peer.hear_close().await.code, CloseCode::Size);
    assert_eq!(other.user().await, "bob");
    assert_eq!(server.alice().await.user().await, "alice");
}

#[tokio::test]
async fn a_message_too_large_in_parts_is_too_large() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    for part in 0..3 {
        let opcode = OpCode::Data(if part == 0 { Data::Text } else { Data::Continue });
        peer.say(Message::Frame(RawFrame::message("x".repeat(40_000), opcode, false))).await;
    }
    assert_eq!(peer.hear_close().await.code, CloseCode::Size);
}

#[tokio::test]
async fn a_ping_is_answered() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    assert_eq!(peer.hear().await["type"], "hello");
    peer.say(Message::Ping("are you there".into())).await;
    assert_eq!(soon(peer.socket.next()).await.unwrap().unwrap(), Message::Pong("are you there".into()));
}

#[tokio::test]
async fn a_peer_that_only_pings_is_closed() {
    let server = Server::for_known_users().await;
    let (reasons, mut reason) = watch::channel("");
    server.engine.observe(move |event: &Event| {
        if let Event::Disconnected { reason, .. } = event {
            reasons.send_replace(reason);
        }
    });
    let mut peer = server.alice().await;
    for _ in 0..200 {
        peer.socket.feed(Message::Ping("x".into())).await.unwrap();
    }
    soon(peer.socket.flush()).await.unwrap();
    assert_eq!(peer.hear_close().await.code, CloseCode::Policy);
    soon(reason.wait_for(|reason| *reason == "abuse")).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_closes_is_answered_and_forgotten() {
    let server = Server::for_known_users().await;
    let mut peer = server.alice().await;
    server.until_connections_are(1).await;
    soon(peer.socket.close(None)).await.unwrap();
    while let Some(message) = soon(peer.socket.next()).await {
        message.unwrap();
    }
    server.until_connections_are(0).await;
}

#[tokio::test]
async fn a_peer_that_vanishes_is_forgotten() {
    let server = Server::for_known_users().await;
    let peer = server.alice().await;
    server.until_connections_are(1).await;
    drop(peer);
    server.until_connections_are(0).await;
}

#[tokio::test]
async fn at_shutdown_the_peer_is_told() {
    let server = Server::start(|engine| Slop::new(engine, known_users())).await;
    let mut peer = server.alice().await;
    assert_eq!(peer.hear().await["type"], "hello");
    let stopping = server.engine.shutdown(Duration::from_secs(5));
    let (_, frame) = tokio::join!(stopping, peer.hear_close());
    assert_eq!(frame.code, CloseCode::Away);
    server.until_connections_are(0).await;
}

#[tokio::test]
async fn a_revoked_session_is_closed_with_1008_and_stays_out() {
    let server = Server::for_known_users().await;
    let (mut one, mut two) = (server.alice().await, server.alice().await);
    let mut bob = server.dial("/slop?token=bob", &[]).await.unwrap();
    assert_eq!(one.user().await, "alice");
    assert_eq!(server.engine.revoke(grove_engine::Revocation::session("session of alice")), 1);
    assert_eq!(one.hear_close().await.code, CloseCode::Policy);
    assert_eq!(two.hear_close().await.code, CloseCode::Policy);
    assert_eq!(server.dial("/slop?token=alice", &[]).await.unwrap_err().status, 401);
    assert_eq!(bob.user().await, "bob");
}
