//! One connection over one socket: frames out, frames in, and a clean end. One task serves it all.
//!
//! The socket is the upgraded stream itself rather than axum's `WebSocket`. For the sake of its end: a peer that is in
//! the middle of a message too large would be reset before it could read why, unless what it still sends is read and
//! thrown away. And for the sake of memory: see [`gate`](crate::gate).

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
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

use crate::gate::{Batch, Gate};

/// Bytes read at once, and held by every connection; the library's default is 64 times as much.
const READ_BUFFER_BYTES: usize = 2 * 1024;

/// How long the close frame may take to be sent, and then how long the peer may take to answer.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Pings and pongs that may come at once; after that, one per second. Beyond it the connection ends with 1008: each
/// ping queues a pong, which nothing else bounds while the peer does not read.
const CONTROL_FRAMES: u64 = 60;

/// Bytes that a close frame has for its reason (RFC 6455, 5.5).
const REASON_BYTES: usize = 123;

/// An upgraded stream that speaks WebSocket.
pub(crate) type Socket = WebSocketStream<Gate<TokioIo<Upgraded>>>;

/// Speaks WebSocket on a stream whose upgrade is done, with messages up to `max_message_bytes`.
pub(crate) async fn open(upgraded: Upgraded, max_message_bytes: usize) -> Socket {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    WebSocketStream::from_raw_socket(Gate::new(TokioIo::new(upgraded)), Role::Server, Some(config)).await
}

/// Serves `connection` on `socket` until either ends it.
pub(crate) async fn serve(socket: Socket, connection: Connection) {
    let mut duplex = Duplex { socket, writing: Writing::Nothing, control: ControlBudget::full() };
    let end = poll_fn(|context| duplex.poll(context, &connection)).await;
    let mut socket = duplex.socket;
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

/// Both directions of a socket.
///
/// Reading goes on while a write is blocked (peers ping and expect an answer), and a peer that reads nothing at all is
/// dropped when the connection says so.
struct Duplex {
    socket: Socket,
    writing: Writing,
    control: ControlBudget,
}

/// How far a batch has come.
enum Writing {
    Nothing,
    /// It waits until the library has nothing half written; with the end of the connection, if that follows.
    Ready(Batch, Option<End>),
    /// It is on its way.
    Going(Option<End>),
}

impl Duplex {
    /// Goes on with whatever can, until the connection ends.
    fn poll(&mut self, context: &mut Context<'_>, connection: &Connection) -> Poll<End> {
        loop {
            // Asked each time, though it is seldom so: while the socket is full, nothing else waits for it.
            if connection.poll_aborted(context).is_ready() {
                return Poll::Ready(End::Dropped);
            }
            if let Poll::Ready(end) = self.poll_write(context, connection) {
                return Poll::Ready(end);
            }
            // What was read may be answered at once.
            if let Some(end) = ready!(self.poll_read(context, connection)) {
                return Poll::Ready(end);
            }
        }
    }

    /// Sends what the connection has to say, whenever the socket has room, until it ends.
    fn poll_write(&mut self, context: &mut Context<'_>, connection: &Connection) -> Poll<End> {
        loop {
            self.writing = match std::mem::replace(&mut self.writing, Writing::Nothing) {
                Writing::Nothing => {
                    let (batch, end) = ready!(gather(context, connection));
                    Writing::Ready(batch, end)
                }
                Writing::Ready(batch, end) => match self.socket.poll_flush_unpin(context) {
                    Poll::Ready(Ok(())) => {
                        self.socket.get_mut().put(batch);
                        Writing::Going(end)
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(End::Dropped),
                    Poll::Pending => {
                        self.writing = Writing::Ready(batch, end);
                        return Poll::Pending;
                    }
                },
                // The library's flush takes the batch along, and what it has to say itself behind it.
                Writing::Going(end) => match (self.socket.poll_flush_unpin(context), end) {
                    (Poll::Ready(Ok(())), Some(end)) => return Poll::Ready(end),
                    (Poll::Ready(Ok(())), None) => Writing::Nothing,
                    (Poll::Ready(Err(_)), _) => return Poll::Ready(End::Dropped),
                    (Poll::Pending, end) => {
                        self.writing = Writing::Going(end);
                        return Poll::Pending;
                    }
                },
            };
        }
    }

    /// Takes one message of what the peer sends. Answers the end, if that was it.
    fn poll_read(&mut self, context: &mut Context<'_>, connection: &Connection) -> Poll<Option<End>> {
        let Some(message) = ready!(self.socket.poll_next_unpin(context)) else {
            return Poll::Ready(Some(End::Dropped));
        };
        match message {
            Ok(Message::Text(text)) => connection.receive(&text),
            Ok(Message::Binary(bytes)) => connection.receive_binary(&bytes),
            Ok(Message::Ping(_) | Message::Pong(_)) if self.control.take() => connection.heard(),
            Ok(Message::Ping(_) | Message::Pong(_)) => {
                connection.flooded();
                return Poll::Ready(Some(End::closed(CloseCode::Policy, "too many pings")));
            }
            Ok(Message::Close(_)) => return Poll::Ready(Some(End::Answered)),
            Ok(Message::Frame(_)) => debug_assert!(false, "raw frames are never read"),
            Err(error) => return Poll::Ready(Some(End::after(&error, connection))),
        }
        Poll::Ready(None)
    }
}

/// The next thing to say, and the small ones that are ready behind it.
fn gather(context: &mut Context<'_>, connection: &Connection) -> Poll<(Batch, Option<End>)> {
    let mut batch = Batch::default();
    let mut next = Some(ready!(connection.poll_next_frame(context)));
    while let Some(frame) = next {
        match frame {
            Frame::Text(text) => batch.text(text),
            Frame::Ping => batch.ping(),
            Frame::Close { code, reason } => return Poll::Ready((batch, Some(End::closed(code.as_u16(), reason)))),
        }
        next = if batch.has_room() { connection.try_frame_behind() } else { None };
    }
    Poll::Ready((batch, None))
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
