//! A consumer that requests much and reads nothing.

use futures_util::SinkExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::consumer::{QUERY, SUBSCRIBE};
use crate::failure::Failure;

/// How many trees it requests: more bytes than the kernel buffers of both ends take.
const QUERIES: usize = 150;

/// Its own kernel buffer.
const RECEIVE_BUFFER_BYTES: u32 = 4 << 10;

/// A socket that is never read, open until it is dropped.
pub(super) struct StalledReader {
    _socket: WebSocketStream<TcpStream>,
}

impl StalledReader {
    /// Connects to the session of member `u`.
    pub(super) async fn connect(url: &str, u: u32) -> Result<Self, Failure> {
        let address = url.trim_start_matches("ws://").split('/').next().unwrap_or_default().parse()?;
        let tcp = TcpSocket::new_v4()?;
        tcp.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        let (mut socket, _) = client_async(format!("{url}?token={u}"), tcp.connect(address).await?).await?;
        socket.send(Message::text(SUBSCRIBE)).await?;
        for _ in 0..QUERIES {
            socket.feed(Message::text(QUERY)).await?;
        }
        socket.flush().await?;
        Ok(Self { _socket: socket })
    }
}
