//! One connection over one socket: frames out, frames in, and a clean end. One task serves it all.
//!
//! The socket is the upgraded stream itself rather than axum's `WebSocket`, for the sake of its end: a peer that is in
//! the middle of a message too large would be reset before it could read why, unless what it still sends is read and
//! thrown away. That takes the raw stream.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use grove_engine::{Connection, Frame};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes read at once, and held by every connection; the library's default is 32 times as much.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Bytes gathered into one write, so that a patch and the result behind it share a packet.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// How long the close frame may take to be sent, and then how long the peer may take to answer.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Pings and pongs that may come at once; after that, one per second. Beyond it the connection ends with 1008: each
/// ping queues a pong, which nothing else bounds while the peer does not read.
const CONTROL_FRAMES: u64 = 60;

/// Bytes that a close frame has for its reason (RFC 6455, 5.5).
const REASON_BYTES: usize = 123;

/// An upgraded stream that speaks WebSocket.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Speaks WebSocket on a stream whose upgrade is done, with messages up to `max_message_bytes`.
pub(crate) async fn open(upgraded: Upgraded, max_message_bytes: usize) -> Socket {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await
}

/// Serves `connection` on `socket` until either ends it.
///
/// Reading goes on while a write is blocked (peers ping and expect an answer), and a peer that reads nothing at all is
/// dropped when the connection says so.
pub(crate) async fn serve(socket: Socket, connection: Connection) {
    let (mut sink, mut stream) = socket.split();
    let end = tokio::select! {
        end = read(&mut stream, &connection) => end,
        end = write(&mut sink, &connection) => end,
        () = connection.aborted() => End::Dropped,
    };
    let Ok(mut socket) = stream.reunite(sink) else { return };
    let parted = tokio::select! {
        parted = part(&mut socket, end) => parted,
        () = connection.aborted() => false,
    };
    // The session needs not wait for the peer's farewell.
    drop(connection);
    if parted {
        linger(socket).await;
    }
}

/// How it ends.
enum End {
    /// We say so, with this code and reason.
    Closed(CloseFrame),
    /// The peer said so. The answer is waiting to be sent.
    Answered,
    /// Nobody is there to be told.
    Dropped,
}

impl End {
    fn closed(code: impl Into<CloseCode>, reason: &str) -> Self {
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
        Self::Closed(CloseFrame { code: code.into(), reason: reason.into() })
    }

    /// What a failed read means: the peer broke the protocol, or is gone.
    fn after(error: &Error, connection: &Connection) -> Self {
        match error {
            Error::Capacity(_) => {
                connection.oversized();
                Self::closed(CloseCode::Size, "the message is too large")
            }
            Error::Utf8(_) => Self::closed(CloseCode::Invalid, "text must be UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Dropped,
            Error::Protocol(_) => Self::closed(CloseCode::Protocol, "this is not WebSocket"),
            _ => Self::Dropped,
        }
    }
}

/// Takes what the peer sends, until it ends.
async fn read(stream: &mut SplitStream<Socket>, connection: &Connection) -> End {
    let mut control = ControlBudget::full();
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Text(text)) => connection.receive(&text),
            Ok(Message::Binary(bytes)) => connection.receive_binary(&bytes),
            Ok(Message::Ping(_) | Message::Pong(_)) if control.take() => connection.heard(),
            Ok(Message::Ping(_) | Message::Pong(_)) => {
                connection.flooded();
                return End::closed(CloseCode::Policy, "too many pings");
            }
            Ok(Message::Close(_)) => return End::Answered,
            Ok(Message::Frame(_)) => debug_assert!(false, "raw frames are never read"),
            Err(error) => return End::after(&error, connection),
        }
    }
    End::Dropped
}

/// Sends what the connection has to say, whenever the socket has room, until it ends.
async fn write(sink: &mut SplitSink<Socket, Message>, connection: &Connection) -> End {
    loop {
        let frame = connection.next_frame().await;
        if let ControlFlow::Break(end) = send(sink, connection, frame).await {
            return end;
        }
    }
}

/// Sends `frame`, and in the same write the small ones that are ready behind it.
async fn send(sink: &mut SplitSink<Socket, Message>, connection: &Connection, frame: Frame) -> ControlFlow<End> {
    let mut gathered = 0;
    let mut next = Some(frame);
    let mut end = None;
    while let Some(frame) = next.take() {
        let message = match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Ping => Message::Ping(Bytes::new()),
            Frame::Close { code, reason } => {
                end = Some(End::closed(code, &reason));
                break;
            }
        };
        gathered += message.len();
        if sink.feed(message).await.is_err() {
            return ControlFlow::Break(End::Dropped);
        }
        if gathered < WRITE_BUFFER_BYTES {
            next = connection.next_frame().now_or_never();
        }
    }
    match (sink.flush().await, end) {
        (Err(_), _) => ControlFlow::Break(End::Dropped),
        (Ok(()), Some(end)) => ControlFlow::Break(end),
        (Ok(()), None) => ControlFlow::Continue(()),
    }
}

/// Sends our close frame, or our answer to the peer's. Says whether it was sent.
async fn part(socket: &mut Socket, end: End) -> bool {
    let sending = async {
        match end {
            End::Closed(frame) => socket.send(Message::Close(Some(frame))).await.is_ok(),
            End::Answered => socket.flush().await.is_ok(),
            End::Dropped => false,
        }
    };
    timeout(CLOSE_PATIENCE, sending).await.unwrap_or(false)
}

/// Waits for the peer's half of the close and throws away what it still sends. Were the stream dropped with bytes
/// unread, the peer would be reset and might never see the close frame.
async fn linger(mut socket: Socket) {
    let ending = async {
        while let Some(Ok(_)) = socket.next().await {}
        let stream = socket.get_mut();
        if stream.shutdown().await.is_ok() {
            // How much it was, or that it failed, changes nothing.
            let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
        }
    };
    // Out of patience is an end as well.
    let _ = timeout(CLOSE_PATIENCE, ending).await;
}

/// How many more control frames are taken from the peer.
struct ControlBudget {
    left: u64,
    refilled: Instant,
}

impl ControlBudget {
    fn full() -> Self {
        Self { left: CONTROL_FRAMES, refilled: Instant::now() }
    }

    /// Takes one, if there is one.
    fn take(&mut self) -> bool {
        let seconds = self.refilled.elapsed().as_secs();
        if seconds > 0 {
            self.left = self.left.saturating_add(seconds).min(CONTROL_FRAMES);
            self.refilled = Instant::now();
        }
        let some_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some_left
    }
}
