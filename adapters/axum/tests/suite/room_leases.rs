//! How a socket ends decides whether its session leaves its rooms at once, or keeps its place for the lease (rooms 3, 5).

use serde_json::json;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::rooms_server::{EventStream, serving};
use crate::server::{Peer, Server, within_deadline};

/// A consumer of this user that has joined the room.
async fn joined(server: &Server, user: &str, room: &str) -> Peer {
    let mut peer = server.dial(&format!("/slop?token={user}"), &[]).await.unwrap();
    let path = room.strip_prefix("/v1").unwrap();
    peer.send(json!({"type": "subscribe", "id": "room", "path": path}).to_string()).await;
    while peer.receive().await["type"] != "snapshot" {}
    peer
}

/// What a stream tells next besides signs of life: the kind, and why somebody left.
async fn told(stream: &mut EventStream) -> String {
    loop {
        let received = stream.next().await.expect("an event");
        if !received.kind.is_empty() && received.kind != "heartbeat" {
            let reason = received.data["body"]["reason"].as_str().unwrap_or_default();
            return format!("{} {reason}", received.kind).trim_end().to_owned();
        }
    }
}

async fn close(mut peer: Peer, code: Option<u16>) {
    let frame = code.map(|code| CloseFrame { code: code.into(), reason: "".into() });
    within_deadline(peer.socket.close(frame)).await.unwrap();
}

/// Ends the connection without a word: with FIN, or with RST.
fn abort(peer: Peer, reset: bool) {
    let MaybeTlsStream::Plain(stream) = peer.socket.get_ref() else { panic!("the tests use no TLS") };
    if reset {
        stream.set_zero_linger().unwrap();
    }
    drop(peer);
}

#[tokio::test]
async fn a_clean_close_of_the_last_socket_leaves_at_once() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let mut ann = server.events("ann", &room, "", "").await;
    assert_eq!(told(&mut ann).await, "participant.joined");
    // A browser that calls `close()` sends no code.
    for code in [Some(1000), Some(1001), None] {
        let (first, last) = (joined(&server, "bob", &room).await, joined(&server, "bob", &room).await);
        assert_eq!(told(&mut ann).await, "participant.joined", "{code:?}");
        close(first, code).await;
        server.until_connections_are(2).await;
        server.say("ann", &room, "marker").await;
        assert_eq!(told(&mut ann).await, "message", "{code:?}: another socket is there");
        close(last, code).await;
        assert_eq!(told(&mut ann).await, "participant.left closed", "{code:?}");
        server.until_connections_are(1).await;
    }
}

#[tokio::test]
async fn a_socket_that_is_aborted_or_reports_a_fault_keeps_the_place_for_the_lease() {
    let (server, clock) = serving().await;
    let room = server.open_room().await;
    let mut ann = server.events("ann", &room, "", "").await;
    assert_eq!(told(&mut ann).await, "participant.joined");
    let lost = async |way: &str| {
        let peer = joined(&server, "bob", &room).await;
        match way {
            "reset" => abort(peer, true),
            "end" => abort(peer, false),
            code => close(peer, Some(code.parse().unwrap())).await,
        }
        server.until_connections_are(1).await;
    };
    lost("reset").await;
    assert_eq!(told(&mut ann).await, "participant.joined");
    for way in ["end", "4000", "1011", "reset"] {
        clock.advance(20_000);
        lost(way).await;
        server.say("ann", &room, way).await;
        assert_eq!(told(&mut ann).await, "message", "{way}: nobody left, and nobody came");
    }
    clock.advance(33_000);
    assert_eq!(told(&mut ann).await, "participant.offline");
    clock.advance(60_000);
    assert_eq!(told(&mut ann).await, "participant.left lost");
}

/// As a process that is stopped: its socket is open, and nobody answers.
#[tokio::test]
async fn a_client_that_is_stopped_is_offline_and_then_gone_although_its_socket_is_open() {
    let (server, clock) = serving().await;
    let room = server.open_room().await;
    let mut ann = server.events("ann", &room, "", "").await;
    assert_eq!(told(&mut ann).await, "participant.joined");
    let stopped = joined(&server, "bob", &room).await;
    assert_eq!(told(&mut ann).await, "participant.joined");
    for (ms, expected) in [(33_000, "participant.offline"), (60_000, "participant.left lost")] {
        clock.advance(ms);
        assert_eq!(told(&mut ann).await, expected);
    }
    server.until_connections_are(1).await;
    drop(stopped);
}
