//! One link to a server.

use std::fmt;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use grove_attest::{ChallengeFrame, PeerHello};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::message::{FromServer, ToServer, Welcome};
use super::peer_error::{PeerError, PeerLinkEnded};

/// How long it may take until the peer is welcome.
const CONNECT: Duration = Duration::from_secs(10);

/// The largest frame that is taken: the rows of 10,000 peers have less.
const FRAME_BYTES: usize = 16 << 20;

/// How often the server is asked for a sign of life, at least.
const PING: Duration = Duration::from_secs(15);

/// How long a frame may take to be written, and a farewell.
const WRITE: Duration = Duration::from_secs(30);
const FAREWELL: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One link to a server, on which the peer is welcome.
pub struct PeerLink {
    socket: Socket,
    pings: Interval,
    heard: Instant,
    /// A server that says nothing for so long is lost: early enough to come back within the lease.
    silence: Duration,
}

impl PeerLink {
    /// Connects to an address such as `wss://app.example/peers` and answers the server's challenge with this hello.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses the peer, or `hello` does not answer.
    pub async fn connect(
        url: &str,
        hello: impl FnOnce(&ChallengeFrame) -> Result<PeerHello, Box<dyn std::error::Error>> + Send,
    ) -> Result<(Self, Welcome), PeerError> {
        let connected = timeout(CONNECT, async {
            let mut socket = open(url).await?;
            let challenge = serde_json::from_str(&first_text(&mut socket).await?)
                .map_err(|_| PeerError::Unexpected("its first frame is no challenge".to_owned()))?;
            let hello = hello(&challenge).map_err(|why| PeerError::NotAnswered(why.to_string()))?.to_json();
            socket.send(Message::text(hello)).await.map_err(unreachable)?;
            let answer = first_text(&mut socket).await?;
            match serde_json::from_str(&answer) {
                Ok(FromServer::Welcome(welcome)) => Ok((Self::new(socket, &welcome), welcome)),
                Ok(FromServer::Error { code, message, .. }) => Err(PeerError::Refused { code, message }),
                Ok(_) | Err(_) => Err(PeerError::Unexpected("it does not answer a hello".to_owned())),
            }
        });
        connected.await.unwrap_or_else(|_| Err(PeerError::Unreachable("it did not answer within 10 s".to_owned())))
    }

    fn new(socket: Socket, welcome: &Welcome) -> Self {
        let lease = Duration::from_millis(welcome.lease_ms.max(60));
        let mut pings = interval(PING.min(lease / 6));
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, pings, heard: Instant::now(), silence: (PING * 4).min(lease * 2 / 3) }
    }

    /// The next thing that the server says. If the future is dropped before, nothing is lost.
    ///
    /// # Errors
    /// If the link has ended.
    pub async fn next(&mut self) -> Result<FromServer, PeerLinkEnded> {
        loop {
            tokio::select! {
                // What has arrived counts before how long nothing did: this process may have been stopped meanwhile.
                biased;
                frame = self.socket.next() => {
                    self.heard = Instant::now();
                    match frame {
                        Some(Ok(Message::Text(text))) => return Ok(parse(&text)),
                        Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return Err(PeerLinkEnded::lost()),
                    }
                }
                _ = self.pings.tick() => {
                    if self.heard.elapsed() >= self.silence {
                        return Err(PeerLinkEnded::lost());
                    }
                    self.send(&ToServer::Ping).await?;
                }
            }
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// If the link has ended.
    pub async fn send(&mut self, frame: &ToServer) -> Result<(), PeerLinkEnded> {
        let sent = timeout(WRITE, self.socket.send(Message::text(frame.encode()))).await;
        if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(PeerLinkEnded::lost()) }
    }

    /// Leaves, and waits until the server knows, but not for long.
    pub async fn bye(mut self) {
        let farewell = async {
            self.send(&ToServer::Bye).await?;
            while self.next().await.is_ok() {}
            Ok::<_, PeerLinkEnded>(())
        };
        // The link ends either way.
        let _ = timeout(FAREWELL, farewell).await;
    }
}

impl fmt::Debug for PeerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerLink(..)")
    }
}

async fn open(url: &str) -> Result<Socket, PeerError> {
    let config = WebSocketConfig::default().max_message_size(Some(FRAME_BYTES)).max_frame_size(Some(FRAME_BYTES));
    match connect_async_with_config(url, Some(config), true).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(PeerError::NoLink { status: response.status().as_u16() }),
        Err(error @ (Error::Url(_) | Error::HttpFormat(_))) => Err(PeerError::Address(error.to_string())),
        Err(error) => Err(unreachable(error)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is a function for `map_err`")]
fn unreachable(error: Error) -> PeerError {
    PeerError::Unreachable(error.to_string())
}

async fn first_text(socket: &mut Socket) -> Result<String, PeerError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => {
                return Err(PeerError::Unreachable("it closed the connection".to_owned()));
            }
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                return Err(PeerError::Unexpected("it sends binary frames".to_owned()));
            }
            Some(Err(error)) => return Err(unreachable(error)),
        }
    }
}

/// What is not known here is something that a newer server says.
fn parse(text: &str) -> FromServer {
    serde_json::from_str(text).unwrap_or(FromServer::Other)
}

fn closed(frame: Option<tokio_tungstenite::tungstenite::protocol::CloseFrame>) -> PeerLinkEnded {
    match frame {
        Some(frame) => PeerLinkEnded { code: Some(frame.code.into()), reason: frame.reason.as_str().to_owned() },
        None => PeerLinkEnded::lost(),
    }
}
