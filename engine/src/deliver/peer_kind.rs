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
    /// An agent elsewhere: it is sent runs, and no events.
    Agent,
    /// Whoever reads the events of a room, and nothing else.
    Events,
}

impl PeerKind {
    /// Whether it is sent what happens in the rooms that its session has joined.
    pub(crate) const fn takes_events(self) -> bool {
        !matches!(self, Self::Tab | Self::Agent)
    }

    /// Whether there is nobody who could say that it leaves, other than by going.
    pub(crate) const fn leaves_by_going(self) -> bool {
        matches!(self, Self::InProcess | Self::Events)
    }
}
