//! Health, and graceful shutdown (issue 5.6).

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use grove_axum::{Drain, health};
use grove_engine::{Action, Descriptor, Engine, Invocation, Session};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::server::{PeerAddresses, Server, known_users, within_deadline};

const PLAIN: &str = "HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An application that is drained when its signal is given. Its call `/door work` ends when released, and so does
/// `GET /slow`.
struct Drained {
    address: SocketAddr,
    signal: Arc<Notify>,
    running: JoinHandle<std::io::Result<()>>,
    /// `work` or `/slow` has begun.
    begun: Arc<Notify>,
    release: Arc<Notify>,
}

impl Drained {
    async fn start(drain: impl FnOnce(Drain) -> Drain) -> Self {
        let engine = Engine::builder("desk", "Desk").build();
        let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let wait = {
            let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
            move || {
                let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
                async move {
                    begun.notify_one();
                    release.notified().await;
                }
            }
        };
        let slow = wait.clone();
        let work = Action::new_async("work", move |_: Invocation<()>| wait());
        engine.register("door", move |_: &Session| Descriptor::new("control").action(&work));
        let app: Router = grove_axum::router(engine.clone(), known_users()).merge(health(engine.clone()));
        let app = app.route("/slow", get(async move || slow().await));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let signal = Arc::new(Notify::new());
        let signalled = Arc::clone(&signal);
        let serving = drain(Drain::new(engine)).serve(async move { signalled.notified().await }, |stop| {
            axum::serve(listener, app).with_graceful_shutdown(stop)
        });
        Self { address, signal, running: tokio::spawn(serving), begun, release }
    }

    async fn consumer(&self) -> Socket {
        let url = format!("ws://{}/slop?token=alice", self.address);
        let mut socket = tokio_tungstenite::connect_async(url).await.unwrap().0;
        assert!(receive_text(&mut socket).await.contains("hello"));
        socket
    }

    async fn status(&self, path: &str) -> Option<u16> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        stream.write_all(format!("GET {path} {PLAIN}").as_bytes()).await.ok()?;
        let mut answer = String::new();
        within_deadline(stream.read_to_string(&mut answer)).await.ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    /// Gives the signal and waits until it takes effect.
    async fn stop(&self) {
        self.signal.notify_one();
        let unready = async { while self.status("/readyz").await != Some(503) {} };
        within_deadline(unready).await;
    }
}

async fn receive_text(socket: &mut Socket) -> String {
    within_deadline(socket.next()).await.unwrap().unwrap().into_text().unwrap().to_string()
}

async fn close_code(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(Some(frame)) = within_deadline(socket.next()).await.unwrap().unwrap() {
            return frame.code.into();
        }
    }
}

async fn invoke(socket: &mut Socket) {
    let call = json!({"type": "invoke", "id": "1", "path": "/door", "action": "work", "params": {}});
    socket.send(Message::text(call.to_string())).await.unwrap();
}

#[tokio::test]
async fn readiness_ends_with_the_shutdown_and_liveness_does_not() {
    let server = Server::start_app(health, PeerAddresses::Known).await;
    let (status, answer) = server.raw(&format!("GET /readyz {PLAIN}")).await;
    assert_eq!(status, 200);
    assert!(answer.contains("cache-control: no-store"), "{answer}");
    within_deadline(server.engine.shutdown(Duration::ZERO)).await;
    assert_eq!(server.raw(&format!("GET /readyz {PLAIN}")).await.0, 503);
    assert_eq!(server.raw(&format!("GET /healthz {PLAIN}")).await.0, 200);
}

#[tokio::test]
async fn a_call_in_flight_is_completed_while_new_connections_are_refused_and_then_all_are_closed() {
    let app = Drained::start(|drain| drain).await;
    let mut socket = app.consumer().await;
    invoke(&mut socket).await;
    within_deadline(app.begun.notified()).await;
    app.stop().await;
    let url = format!("ws://{}/slop?token=bob", app.address);
    let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    assert!(!app.running.is_finished());
    app.release.notify_one();
    assert!(receive_text(&mut socket).await.contains("server.draining"));
    assert!(receive_text(&mut socket).await.contains(r#""status":"ok""#));
    assert_eq!(close_code(&mut socket).await, 1001);
    within_deadline(app.running).await.unwrap().unwrap();
    assert!(TcpStream::connect(app.address).await.is_err());
}

#[tokio::test]
async fn consumers_are_told_when_to_reconnect_and_all_are_closed_within_the_deadline() {
    let spread = Duration::from_millis(300);
    let app = Drained::start(|drain| drain.spread(spread).batch(1).deadline(Duration::from_secs(8))).await;
    let mut consumers = [app.consumer().await, app.consumer().await, app.consumer().await];
    let url = format!("ws://{}/slop?token=alice&slop_role=provider", app.address);
    let mut tab = tokio_tungstenite::connect_async(url).await.unwrap().0;
    assert!(receive_text(&mut tab).await.contains("connect"));
    app.stop().await;
    for consumer in &mut consumers {
        let told: Value = serde_json::from_str(&receive_text(consumer).await).unwrap();
        assert_eq!(told["name"], "server.draining");
        assert!(told["data"]["retry_in_ms"].as_u64().unwrap() < 300, "{told}");
        assert_eq!(close_code(consumer).await, 1001);
    }
    assert_eq!(close_code(&mut tab).await, 1001);
    within_deadline(app.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn without_a_spread_all_are_closed_at_once_without_an_event() {
    let app = Drained::start(|drain| drain.spread(Duration::ZERO).batch(1)).await;
    let mut consumers = [app.consumer().await, app.consumer().await];
    // The listener may close at once, so nothing is asked of it any more.
    app.signal.notify_one();
    for consumer in &mut consumers {
        let first = within_deadline(consumer.next()).await.unwrap().unwrap();
        assert!(matches!(&first, Message::Close(Some(frame)) if u16::from(frame.code) == 1001), "{first}");
    }
    within_deadline(app.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn it_keeps_listening_until_the_notice_is_over() {
    let notice = Duration::from_secs(1);
    let app = Drained::start(|drain| drain.notice(notice)).await;
    assert_eq!(app.status("/readyz").await, Some(200));
    let start = Instant::now();
    app.stop().await;
    assert_eq!(app.status("/healthz").await, Some(200));
    within_deadline(app.running).await.unwrap().unwrap();
    assert!(start.elapsed() >= notice);
}

#[tokio::test]
async fn an_http_request_in_flight_is_finished() {
    let app = Drained::start(|drain| drain).await;
    let (slow, ()) = tokio::join!(app.status("/slow"), async {
        within_deadline(app.begun.notified()).await;
        app.signal.notify_one();
        within_deadline(async { while TcpStream::connect(app.address).await.is_ok() {} }).await;
        assert!(!app.running.is_finished());
        app.release.notify_one();
    });
    assert_eq!(slow, Some(200));
    within_deadline(app.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_drain_ends_at_the_deadline_whatever_hangs() {
    let app = Drained::start(|drain| drain.deadline(Duration::from_millis(500))).await;
    let mut calling = app.consumer().await;
    invoke(&mut calling).await;
    within_deadline(app.begun.notified()).await;
    let (slow, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(2), app.status("/slow")), async {
        within_deadline(app.begun.notified()).await;
        app.signal.notify_one();
        assert!(receive_text(&mut calling).await.contains("server.draining"));
        assert!(receive_text(&mut calling).await.contains("internal"), "a call that is cut off is told so");
        assert_eq!(close_code(&mut calling).await, 1001);
    });
    assert!(slow.is_err(), "it has got no answer");
    assert!(app.running.is_finished());
}

#[tokio::test]
async fn a_server_that_ends_by_itself_ends_the_drain() {
    let engine = Engine::builder("desk", "Desk").build();
    let failing = |_| std::future::ready(Err(std::io::Error::other("broken")));
    let ended = Drain::new(engine).serve(std::future::pending(), failing).into_future();
    assert_eq!(within_deadline(ended).await.unwrap_err().to_string(), "broken");
}
