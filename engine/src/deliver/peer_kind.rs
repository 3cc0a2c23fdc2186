//! Who is at the other end of a connection.

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerKind {
    /// A consumer behind a transport.
    Consumer,
    /// A browser tab.
    Tab,
    /// A client in this process: it is sent no frames.
    InProcess,
}
