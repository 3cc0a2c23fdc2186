//! The adapter's own server: timeouts for the heads of requests, and what it tells the application.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use grove_axum::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::server::within_deadline;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const SLOW_REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n";

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<std::io::Result<()>>,
    /// `/slow` has begun.
    begun: Arc<Notify>,
    release: Arc<Notify>,
}

/// An application that responds with the peer's address; to `/slow`, once released.
async fn start() -> Served {
    let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
        async move || {
            begun.notify_one();
            release.notified().await;
        }
    };
    let peer = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
    let app = Router::new().route("/", get(peer)).route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(serve(listener, app, async { drop(stopped.await) }));
    Served { address, stop, running, begun, release }
}

async fn response(stream: &mut TcpStream) -> String {
    let mut response = [0; 1024];
    let length = stream.read(&mut response).await.unwrap();
    String::from_utf8_lossy(&response[..length]).into_owned()
}

/// The time until the server closes the connection.
async fn closed_after(mut stream: TcpStream) -> Duration {
    let start = Instant::now();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    start.elapsed()
}

/// On a paused clock, which advances while nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_connection_without_a_complete_request_is_closed_after_ten_seconds() {
    let served = start().await;
    for sent in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ", b"PRI * HTTP/2.0\r\n"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let after = closed_after(stream).await;
        let ten_seconds = Duration::from_secs(9)..Duration::from_secs(11);
        assert!(ten_seconds.contains(&after), "{:?}: {after:?}", String::from_utf8_lossy(sent));
    }
}

#[tokio::test]
async fn five_hundred_unfinished_requests_do_not_keep_another_one_waiting() {
    let served = start().await;
    let mut unfinished = Vec::new();
    for _ in 0..500 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: loc").await.unwrap();
        unfinished.push(stream);
    }
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 "));
}

/// `axum::serve` keeps half a request for ever.
#[test]
fn the_guide_and_the_examples_serve_with_a_timeout_for_unfinished_requests() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut waiting: Vec<_> = ["docs/guide", "examples", "README.md"].iter().map(|name| root.join(name)).collect();
    let mut read = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let is_text = path.extension().is_some_and(|extension| extension == "md" || extension == "rs");
        if !is_text || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        read += 1;
        let text = std::fs::read_to_string(&path).unwrap().replace("grove_axum::serve(", "");
        assert!(!text.contains("axum::serve("), "{}: serve with grove_axum::serve", path.display());
    }
    assert!(read > 50, "{read} files");
}

#[tokio::test(start_paused = true)]
async fn so_is_one_that_stops_in_the_middle_of_its_second_request() {
    let served = start().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 200"));
    stream.write_all(&REQUEST[..10]).await.unwrap();
    assert!(closed_after(stream).await <= Duration::from_secs(11));
}

#[tokio::test]
async fn the_application_knows_the_peer() {
    let served = start().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let response = within_deadline(response(&mut stream)).await;
    assert!(response.ends_with(&stream.local_addr().unwrap().to_string()), "{response}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_response_is_not_cut_off() {
    let served = start().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(SLOW_REQUEST).await.unwrap();
    served.begun.notified().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    served.release.notify_one();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stop_finishes_requests_in_flight_and_closes_idle_connections() {
    let served = start().await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(REQUEST).await.unwrap();
    assert!(within_deadline(response(&mut idle)).await.starts_with("HTTP/1.1 200"));
    let mut busy = TcpStream::connect(served.address).await.unwrap();
    busy.write_all(SLOW_REQUEST).await.unwrap();
    within_deadline(served.begun.notified()).await;
    served.stop.send(()).unwrap();
    within_deadline(closed_after(idle)).await;
    assert!(!served.running.is_finished());
    served.release.notify_one();
    assert!(within_deadline(response(&mut busy)).await.starts_with("HTTP/1.1 200"));
    within_deadline(served.running).await.unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}
