//! Client sockets.

use std::fmt;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// A connected client socket.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The time limit of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Kept small, since one process holds thousands of client sockets.
const READ_BUFFER_BYTES: usize = 4096;

/// Why a socket could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The server answered the upgrade request with this HTTP status.
    Refused(u16),
    Unreachable,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "the server refused the WebSocket upgrade with HTTP status {status}"),
            Self::Unreachable => f.write_str("the server cannot be reached"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Opens a socket.
pub(crate) async fn dial(url: &str) -> Result<Socket, ConnectError> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    match timeout(HANDSHAKE_TIMEOUT, connect_async_with_config(url, Some(config), true)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(Error::Http(response))) => Err(ConnectError::Refused(response.status().as_u16())),
        Ok(Err(_)) | Err(_) => Err(ConnectError::Unreachable),
    }
}
