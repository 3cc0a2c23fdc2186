//! A desk that runs on a free port, with a store of its own.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use desk::{Desk, SignIn, app};
use grove_axum::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::agent::Agent;
use crate::browser::Browser;

/// How long a test waits for what must come; long, because only a failing test waits that long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for `answer`, and fails the test in words when it does not come.
pub(crate) async fn within_deadline<T>(what: &str, answer: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answer) => answer,
        Err(_) => panic!("this did not happen in time: {what}"),
    }
}

pub(crate) struct Running {
    pub(crate) app: Router,
    pub(crate) desk: Desk,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with(SignIn::ByName).await
    }

    pub(crate) async fn start_with(sign_in: SignIn) -> Self {
        let desk = desk::open_in_memory().expect("a desk in memory");
        let app = app(desk.clone(), sign_in, false);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let served = app.clone();
        let server = tokio::spawn(async move { serve(listener, served, pending()).await.expect("a server") });
        Self { app, desk, address, server }
    }

    pub(crate) fn token(&self, name: &str) -> String {
        let tokens = self.desk.development_tokens().expect("the tokens");
        tokens.into_iter().find(|(person, _)| person == name).expect("a person of that name").1
    }

    /// `name`'s AI, subscribed to the whole tree.
    pub(crate) async fn agent(&self, name: &str) -> Agent {
        Agent::connect(&self.url(name)).await
    }

    /// `name`'s browser, logged in.
    pub(crate) async fn browser(&self, name: &str) -> Browser {
        Browser::log_in(self.app.clone(), &format!("person={name}")).await
    }

    pub(crate) fn url(&self, name: &str) -> String {
        self.url_with(&self.token(name))
    }

    /// Where to connect with the secret of a login.
    pub(crate) fn url_with(&self, token: &str) -> String {
        format!("ws://{}/slop?token={token}", self.address)
    }

    /// Where sessions that people launch connect.
    pub(crate) fn peers_url(&self) -> String {
        format!("ws://{}/peers", self.address)
    }

    /// Where the page of the board connects.
    pub(crate) fn board_url(&self) -> String {
        format!("ws://{}/board/slop", self.address)
    }

    /// The status with which `/slop` answers an upgrade request that has these further header lines.
    pub(crate) async fn upgrade(&self, query: &str, headers: &str) -> u16 {
        self.upgrade_at(&format!("/slop{query}"), headers).await
    }

    /// The same at another endpoint.
    pub(crate) async fn upgrade_at(&self, target: &str, headers: &str) -> u16 {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            self.address
        );
        let mut socket = TcpStream::connect(self.address).await.expect("a connection");
        socket.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = [0; 12];
        within_deadline("an answer to the upgrade", socket.read_exact(&mut answer)).await.expect("a status line");
        let text = std::str::from_utf8(&answer).expect("a status line");
        text["HTTP/1.1 ".len()..].parse().expect("a status")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}
