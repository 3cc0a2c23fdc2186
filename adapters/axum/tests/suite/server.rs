//! A served application, and its peers.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use futures_util::{SinkExt, StreamExt};
use grove_axum::{Authenticator, Refusal, Slop, UpgradeRequest, authenticate_with};
use grove_engine::{Config, Descriptor, Engine, Event, Session};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Longer than anything here takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(10);

/// Waits for something that must happen before the deadline.
pub(crate) async fn within_deadline<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it should have happened by now")
}

/// Whether the application is served with `into_make_service_with_connect_info`.
pub(crate) enum PeerAddresses {
    Known,
    Unknown,
}

/// An application that serves one engine, and what its observers saw.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    refused: Arc<Mutex<Vec<(u16, &'static str)>>>,
}

impl Server {
    /// Serves the endpoint that `slop` builds from an engine whose tree names the session's user.
    pub(crate) async fn start(slop: impl FnOnce(Engine) -> Slop) -> Self {
        Self::start_app(|engine| slop(engine).router(), PeerAddresses::Known).await
    }

    /// Serves the application that `app` builds from that engine.
    pub(crate) async fn start_app(app: impl FnOnce(Engine) -> Router, addresses: PeerAddresses) -> Self {
        let refused = Arc::new(Mutex::new(Vec::new()));
        let seen = refused.clone();
        let mut config = Config::default();
        // Some tests send much more at once than a slow reader would be owed.
        config.sizes.event_bytes = 64 << 20;
        let engine = Engine::builder("desk", "Desk")
            .config(config)
            .observer(move |event: &Event| {
                if let Event::Refused { status, reason } = event {
                    seen.lock().unwrap().push((*status, *reason));
                }
            })
            .build();
        engine.register("greeting", |session: &Session| {
            Descriptor::new("status").prop("for", session.user().unwrap_or("nobody"))
        });
        let app = app(engine.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        match addresses {
            PeerAddresses::Known => {
                let app = app.into_make_service_with_connect_info::<SocketAddr>();
                tokio::spawn(axum::serve(listener, app).into_future())
            }
            PeerAddresses::Unknown => tokio::spawn(axum::serve(listener, app).into_future()),
        };
        Self { address, engine, refused }
    }

    /// Serves an application that was built from an engine.
    pub(crate) async fn of(engine: Engine, app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { address, engine, refused: Arc::default() }
    }

    /// With the default options, for [`known_users`].
    pub(crate) async fn for_known_users() -> Self {
        Self::start(|engine| Slop::new(engine, known_users())).await
    }

    pub(crate) fn refused(&self) -> Vec<(u16, &'static str)> {
        self.refused.lock().unwrap().clone()
    }

    /// Connects to `target`, such as `/slop?token=alice`, with these headers.
    pub(crate) async fn dial(&self, target: &str, headers: &[(&'static str, &str)]) -> Result<Peer, Refused> {
        let mut request = format!("ws://{}{target}", self.address).into_client_request().unwrap();
        if headers.iter().any(|(name, _)| *name == "host") {
            request.headers_mut().remove("host");
        }
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        match within_deadline(tokio_tungstenite::connect_async(request)).await {
            Ok((socket, _)) => Ok(Peer { socket }),
            Err(Error::Http(response)) => Err(Refused {
                status: response.status().as_u16(),
                body: String::from_utf8(response.body().clone().unwrap_or_default()).unwrap(),
            }),
            Err(other) => panic!("neither a connection nor a refusal: {other}"),
        }
    }

    /// Connects as alice.
    pub(crate) async fn alice(&self) -> Peer {
        self.dial("/slop?token=alice", &[]).await.unwrap()
    }

    /// Sends this request; returns the status and the whole response.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        within_deadline(stream.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("an HTTP response"), answer)
    }

    /// Sends this request; returns the head of the response, on a connection that stays open.
    pub(crate) async fn head(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(within_deadline(stream.read_u8()).await.unwrap());
        }
        String::from_utf8(answer).unwrap()
    }

    /// Waits until the engine has this many connections.
    pub(crate) async fn until_connections_are(&self, wanted: usize) {
        let reached = async {
            while self.engine.stats().connections != wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within_deadline(reached).await;
    }
}

/// Credentials that are the user's name; anything but alice and bob is refused.
pub(crate) fn known_users() -> impl Authenticator {
    authenticate_with(|request: UpgradeRequest| async move {
        match request.credential("session") {
            Some(name) if ["alice", "bob"].contains(&name.as_str()) => {
                Ok(Session::new(format!("session of {name}")).with_user(name))
            }
            _ => Err(Refusal::unauthorized()),
        }
    })
}

/// An upgrade that got a response other than 101.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A consumer, written by hand.
#[derive(Debug)]
pub(crate) struct Peer<S = MaybeTlsStream<TcpStream>> {
    pub(crate) socket: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        within_deadline(self.socket.send(message.into())).await.unwrap();
    }

    /// The next message of the protocol.
    pub(crate) async fn receive(&mut self) -> Value {
        loop {
            match within_deadline(self.socket.next()).await.expect("a message").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("not a message of the protocol: {other:?}"),
            }
        }
    }

    /// Reads until the server closes.
    pub(crate) async fn receive_close(&mut self) -> CloseFrame {
        loop {
            if let Message::Close(frame) = within_deadline(self.socket.next()).await.expect("a close frame").unwrap() {
                return frame.expect("a code");
            }
        }
    }

    /// The user of the tree, after `hello`; subscribes to find out.
    pub(crate) async fn user(&mut self) -> String {
        assert_eq!(self.receive().await["type"], "hello");
        self.send(subscribe()).await;
        user_in(&self.receive().await)
    }
}

/// A subscription to the whole tree.
pub(crate) fn subscribe() -> String {
    json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1}).to_string()
}

/// The user of a snapshot's tree.
pub(crate) fn user_in(snapshot: &Value) -> String {
    assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
    snapshot["tree"]["children"][0]["properties"]["for"].as_str().expect("a greeting").to_owned()
}
