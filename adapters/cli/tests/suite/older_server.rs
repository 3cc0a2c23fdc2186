//! A server that knows members and no sessions (S4.32).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::home::{Home, until};
use crate::session::Session;

/// How often sessions and members have knocked.
#[derive(Default)]
struct Knocks {
    sessions: AtomicUsize,
    members: AtomicUsize,
}

async fn serve(stream: TcpStream, knocks: Arc<Knocks>) -> Option<()> {
    let mut socket = accept_async(stream).await.ok()?;
    let say = |value: Value| Message::text(value.to_string());
    let challenge = json!({"type": "challenge", "nonce": "0".repeat(64), "audience": "demo", "version": 1});
    socket.send(say(challenge)).await.ok()?;
    while let Some(Ok(message)) = socket.next().await {
        let Ok(frame) = serde_json::from_str::<Value>(message.to_text().ok()?) else { continue };
        let answer = match frame["type"].as_str()? {
            "hello" => {
                knocks.members.fetch_add(1, Ordering::SeqCst);
                json!({"type": "welcome", "participant": "p_m", "member": "alice", "access_token": "pa_x", "lease_ms": 90_000})
            }
            "list" => json!({"type": "peers", "id": frame["id"], "peers": [{"name": "alice"}]}),
            "ping" => json!({"type": "pong"}),
            other => {
                if other == "session_hello" {
                    knocks.sessions.fetch_add(1, Ordering::SeqCst);
                }
                socket
                    .send(say(json!({"type": "error", "code": "unknown_message_type", "message": "x"})))
                    .await
                    .ok()?;
                return socket.close(None).await.ok();
            }
        };
        socket.send(say(answer)).await.ok()?;
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_speak_by_the_member_and_do_not_knock_again_and_again() {
    let mut home = Home::new(&[]).await;
    home.stop_server().await;
    let listener = TcpListener::bind(home.address).await.unwrap();
    let knocks = Arc::new(Knocks::default());
    let counted = Arc::clone(&knocks);
    let server = tokio::spawn(async move {
        let mut links = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            links.spawn(serve(stream, Arc::clone(&counted)));
        }
    });
    let _daemon = home.daemon(&[]).await;
    let token = Session::new(&home, "one").register(&home).await;
    let listed = home.local("GET", "/v1/peers", Some(&token), "").await;
    assert_eq!((listed.status, &listed.json["peers"][0]["name"]), (200, &json!("alice")), "{listed:?}");
    let daemon = home.local("GET", "/v1/daemon", None, "").await.json;
    assert_eq!((&daemon["server_knows_sessions"], &daemon["links_up"]), (&json!(false), &json!(1)));
    assert_eq!(home.sessions().await[0]["link"]["state"], "unsupported");
    let refused = home.local("GET", "/v1/inbox", Some(&token), "").await;
    assert_eq!(refused.code(), "not_connected", "messages are for the member, and not for one of its sessions");
    assert_eq!((knocks.sessions.load(Ordering::SeqCst), knocks.members.load(Ordering::SeqCst)), (1, 1));

    // A server that comes back may be a newer one.
    server.abort();
    assert!(server.await.is_err(), "it is gone, with its links");
    home.start_server().await;
    home.add_member().await;
    until("the session", || async { home.status("one").await == "online" }).await;
}
