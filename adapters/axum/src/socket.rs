//! One connection over one socket: frames out, frames in, and an orderly close. One task serves it all.
//!
//! The socket is the upgraded stream itself rather than axum's `WebSocket`, for two reasons. A peer that is in the middle
//! of a message that is too large would be reset before it could read why, unless what it still sends is read and
//! discarded. And memory: see [`frame_stream`](crate::frame_stream).

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use grove_engine::{Connection, Frame};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::frame_batch::FrameBatch;
use crate::frame_stream::FrameStream;

/// Size of the read buffer, which every connection holds; the library's default is 64 times as much.
const READ_BUFFER_BYTES: usize = 2 * 1024;

/// How long sending the close frame may take, and then how long the peer may take to reply to it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest reason that fits a close frame (RFC 6455, 5.5).
const REASON_BYTES: usize = 123;

/// An upgraded stream that speaks WebSocket.
pub(crate) type Socket = WebSocketStream<FrameStream<TokioIo<Upgraded>>>;

/// Speaks WebSocket on a stream whose upgrade is done, with messages up to `max_message_bytes`.
pub(crate) async fn open(upgraded: Upgraded, max_message_bytes: usize) -> Socket {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    WebSocketStream::from_raw_socket(FrameStream::new(TokioIo::new(upgraded)), Role::Server, Some(config)).await
}

/// Serves `connection` on `socket` until either ends it.
pub(crate) async fn serve(socket: Socket, connection: Connection) {
    let mut duplex = Duplex { socket, writing: Writing::Nothing };
    let end = poll_fn(|context| duplex.poll(context, &connection)).await;
    let mut socket = duplex.socket;
    let close_sent = tokio::select! {
        sent = send_close(&mut socket, end) => sent,
        () = connection.aborted() => false,
    };
    // The session need not wait for the peer's half of the close.
    drop(connection);
    if close_sent {
        linger(socket).await;
    }
}

/// Both directions of a socket.
///
/// Reading continues while a write is blocked (peers ping and expect a pong). A peer that reads nothing at all is dropped
/// when the connection says so.
struct Duplex {
    socket: Socket,
    writing: Writing,
}

/// The state of the batch that is being written.
enum Writing {
    Nothing,
    /// Waits until the library has no frame half written. The second field is the end of the connection, if it follows.
    Ready(FrameBatch, Option<End>),
    /// Is being written.
    InProgress(Option<End>),
}

impl Duplex {
    /// Makes progress in both directions until the connection ends.
    fn poll(&mut self, context: &mut Context<'_>, connection: &Connection) -> Poll<End> {
        loop {
            // Polled each time, although rarely ready: while the socket is full, nothing else waits for it.
            if connection.poll_aborted(context).is_ready() {
                return Poll::Ready(End::Dropped);
            }
            if let Poll::Ready(end) = self.poll_write(context, connection) {
                return Poll::Ready(end);
            }
            // What was read may have produced a reply.
            if let Some(end) = ready!(self.poll_read(context, connection)) {
                return Poll::Ready(end);
            }
        }
    }

    /// Sends the connection's frames, whenever the socket has room, until it ends.
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
                        Writing::InProgress(end)
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(self.broken(context, connection)),
                    Poll::Pending => {
                        self.writing = Writing::Ready(batch, end);
                        return Poll::Pending;
                    }
                },
                // The library's flush writes the batch, and the library's own frames behind it.
                Writing::InProgress(end) => match (self.socket.poll_flush_unpin(context), end) {
                    (Poll::Ready(Ok(())), Some(end)) => return Poll::Ready(end),
                    (Poll::Ready(Ok(())), None) => Writing::Nothing,
                    (Poll::Ready(Err(_)), _) => return Poll::Ready(self.broken(context, connection)),
                    (Poll::Pending, end) => {
                        self.writing = Writing::InProgress(end);
                        return Poll::Pending;
                    }
                },
            };
        }
    }

    /// Nothing can be written any more. A peer that closed and is gone has perhaps left its close frame.
    fn broken(&mut self, context: &mut Context<'_>, connection: &Connection) -> End {
        while let Poll::Ready(Some(Ok(message))) = self.socket.poll_next_unpin(context) {
            if let Message::Close(frame) = message {
                note_close(frame.as_ref(), connection);
            }
        }
        End::Dropped
    }

    /// Reads one message from the peer. Returns how the connection ends, if it does.
    fn poll_read(&mut self, context: &mut Context<'_>, connection: &Connection) -> Poll<Option<End>> {
        // What is not read fills the peer's socket: so it is slowed down.
        ready!(connection.poll_ready(context));
        let Some(message) = ready!(self.socket.poll_next_unpin(context)) else {
            return Poll::Ready(Some(End::Dropped));
        };
        match message {
            Ok(Message::Text(text)) => connection.receive(&text),
            Ok(Message::Binary(bytes)) => connection.receive_binary(&bytes),
            Ok(Message::Ping(_) | Message::Pong(_)) => connection.heard(),
            Ok(Message::Close(frame)) => {
                note_close(frame.as_ref(), connection);
                return Poll::Ready(Some(End::ClosedByPeer));
            }
            Ok(Message::Frame(_)) => debug_assert!(false, "raw frames are never read"),
            Err(_) if self.socket.get_ref().is_flooded() => {
                connection.flooded();
                return Poll::Ready(Some(End::closed(CloseCode::Policy, "too many control frames or fragments")));
            }
            Err(error) => return Poll::Ready(Some(End::after(&error, connection))),
        }
        Poll::Ready(None)
    }
}

/// The next frame, and the small ones that are ready behind it.
fn gather(context: &mut Context<'_>, connection: &Connection) -> Poll<(FrameBatch, Option<End>)> {
    let mut batch = FrameBatch::default();
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

/// A peer that says that it is done leaves; one that reports a fault may come back. A browser's `close()` without a code
/// sends none.
fn note_close(frame: Option<&CloseFrame>, connection: &Connection) {
    if frame.is_none_or(|frame| matches!(frame.code, CloseCode::Normal | CloseCode::Away | CloseCode::Status)) {
        connection.closed();
    }
}

/// How a connection ends.
enum End {
    /// We close it, with this code and reason.
    Closed(CloseFrame),
    /// The peer closed it. The library has queued the reply.
    ClosedByPeer,
    /// There is no one to tell.
    Dropped,
}

impl End {
    fn closed(code: impl Into<CloseCode>, reason: &str) -> Self {
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
        Self::Closed(CloseFrame { code: code.into(), reason: reason.into() })
    }

    /// What a failed read means: the peer violated the protocol, or is gone.
    fn after(error: &Error, connection: &Connection) -> Self {
        match error {
            Error::Capacity(_) => {
                connection.oversized();
                Self::closed(CloseCode::Size, "the message is too large")
            }
            Error::Utf8(_) => Self::closed(CloseCode::Invalid, "text must be UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Dropped,
            Error::Protocol(_) => Self::closed(CloseCode::Protocol, "WebSocket protocol error"),
            _ => Self::Dropped,
        }
    }
}

/// Sends our close frame, or the reply to the peer's. Returns whether it was sent.
async fn send_close(socket: &mut Socket, end: End) -> bool {
    let sending = async {
        match end {
            End::Closed(frame) => socket.send(Message::Close(Some(frame))).await.is_ok(),
            End::ClosedByPeer => socket.flush().await.is_ok(),
            End::Dropped => false,
        }
    };
    timeout(CLOSE_TIMEOUT, sending).await.unwrap_or(false)
}

/// Waits for the peer's half of the close and discards what it still sends. If the stream were dropped with bytes unread,
/// the peer would be reset and might never see the close frame.
async fn linger(mut socket: Socket) {
    let ending = async {
        while let Some(Ok(_)) = socket.next().await {}
        let stream = socket.get_mut();
        if stream.shutdown().await.is_ok() {
            // Neither the amount nor a failure changes anything.
            let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
        }
    };
    // A timeout is an end as well.
    let _ = timeout(CLOSE_TIMEOUT, ending).await;
}
