//! What is written to a socket.

use crate::protocol::code::CloseCode;

/// One thing to write to the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One message.
    Text(String),
    /// A WebSocket ping, or whatever shows on this transport that the peer lives.
    Ping,
    /// The end: nothing follows.
    Close {
        /// The close code.
        code: CloseCode,
        /// A sentence for the peer.
        reason: &'static str,
    },
}

/// What the writer shall do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Write(Frame, Wrote),
    /// Nothing before this time, in ms.
    At(u64),
    /// Nothing until something happens.
    Idle,
}

/// What kind of message was made, for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// With the number of nodes that the view had, if it was compacted.
    Snapshot(Option<usize>),
    Patch,
    /// The reply to a query, and how many nodes the view had if it had to be compacted.
    Answer(Option<usize>),
    /// An error in place of a view that fits no frame.
    TooLarge,
    Other,
}

impl Next {
    pub(crate) const fn other(text: String) -> Self {
        Self::Write(Frame::Text(text), Wrote::Other)
    }
}
