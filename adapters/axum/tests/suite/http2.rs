//! WebSocket over HTTP/2: the extended CONNECT of RFC 8441, without TLS.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response};
use grove_axum::serve;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::server::{Peer, Server, known_users, subscribe, user_in, within_deadline};

/// An HTTP/2 connection to a server.
struct Client {
    address: SocketAddr,
    sender: SendRequest<Body>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut client = Self { address, sender };
        // Extended CONNECT may be used only once the server's settings have arrived, which come before any response.
        assert_eq!(client.send(client.request(Method::GET, "/none")).await.status(), 404);
        client
    }

    fn request(&self, method: Method, target: &str) -> Request<Body> {
        let request = Request::builder().method(method).uri(format!("http://{}{target}", self.address));
        request.body(Body::empty()).unwrap()
    }

    /// A request for a WebSocket, as a browser sends it.
    fn websocket(&self, target: &str) -> Request<Body> {
        let mut request = self.request(Method::CONNECT, target);
        request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        request
    }

    async fn send(&mut self, request: Request<Body>) -> Response<Incoming> {
        within_deadline(self.sender.send_request(request)).await.unwrap()
    }

    async fn dial(&mut self, target: &str) -> Peer<TokioIo<Upgraded>> {
        let response = self.send(self.websocket(target)).await;
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("sec-websocket-accept"), "{:?}", response.headers());
        let stream = TokioIo::new(within_deadline(hyper::upgrade::on(response)).await.unwrap());
        Peer { socket: WebSocketStream::from_raw_socket(stream, Role::Client, None).await }
    }
}

#[tokio::test]
async fn several_websockets_share_a_connection_and_each_sees_its_own_tree() {
    let server = Server::for_known_users().await;
    let mut client = Client::connect(server.address).await;
    let mut alice = client.dial("/slop?token=alice").await;
    let mut bob = client.dial("/slop?token=bob").await;
    assert_eq!((alice.user().await, bob.user().await), ("alice".to_owned(), "bob".to_owned()));
    within_deadline(alice.socket.close(None)).await.unwrap();
    server.until_connections_are(1).await;
    bob.send(subscribe()).await;
    assert_eq!(user_in(&bob.receive().await), "bob");
}

#[tokio::test]
async fn it_works_in_the_same_way_with_the_adapters_own_server() {
    let engine = grove_engine::Engine::builder("desk", "Desk").build();
    let app: Router = grove_axum::router(engine.clone(), known_users());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app, std::future::pending()));
    let mut peer = Client::connect(address).await.dial("/slop?token=alice").await;
    assert_eq!(peer.receive().await["type"], "hello");
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_with_1009() {
    let server = Server::for_known_users().await;
    let mut peer = Client::connect(server.address).await.dial("/slop?token=alice").await;
    peer.send("x".repeat(100_000)).await;
    assert_eq!(peer.receive_close().await.code, CloseCode::Size);
}

#[tokio::test]
async fn an_upgrade_of_a_foreign_page_or_without_a_credential_is_refused() {
    let server = Server::for_known_users().await;
    let mut client = Client::connect(server.address).await;
    let mut foreign = client.websocket("/slop?token=alice");
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(client.send(foreign).await.status(), 403);
    let mut own = client.websocket("/slop?token=alice");
    own.headers_mut().insert("origin", format!("http://{}", server.address).parse().unwrap());
    assert_eq!(client.send(own).await.status(), 200);
    assert_eq!(client.send(client.websocket("/slop?token=mallory")).await.status(), 401);
}

#[tokio::test]
async fn a_plain_request_gets_a_426_without_the_headers_of_http_1() {
    let server = Server::for_known_users().await;
    let mut client = Client::connect(server.address).await;
    let response = client.send(client.request(Method::GET, "/slop?token=alice")).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["sec-websocket-version"]),
        (426, &HeaderValue::from_static("13"))
    );
    assert!(!response.headers().contains_key("upgrade"), "{:?}", response.headers());
    let mut other_version = client.websocket("/slop?token=alice");
    other_version.headers_mut().insert("sec-websocket-version", "12".parse().unwrap());
    assert_eq!(client.send(other_version).await.status(), 426);
}
