//! The phases of `restart`.

/// What all workers do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Acting,
    /// The server is about to be stopped: workers act many times as often, so that many calls are in flight.
    Burst,
    /// Nobody starts an action.
    Quiet,
    /// Each worker compares its copy with a fresh query, and disconnects.
    Verifying,
}

impl Phase {
    pub(super) const fn is_acting(self) -> bool {
        matches!(self, Self::Acting | Self::Burst)
    }
}
