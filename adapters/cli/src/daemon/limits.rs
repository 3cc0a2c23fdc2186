//! How much of everything there may be in the daemon, and how often it looks.

use std::time::Duration;

/// The bounds of one daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many sessions may be registered.
    pub(crate) sessions: usize,
    /// How many connections may be open on the socket; more wait.
    pub(crate) connections: usize,
    /// How often processes are looked at.
    pub(crate) reap_every: Duration,
}

/// How long a request may be, in bytes: a message of 16 KiB, or an attestation with 256 rights of 256 bytes.
pub(crate) const BODY_BYTES: usize = 128 << 10;

/// How long a request may take to arrive.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many readers the inbox of one session may have.
pub(crate) const READERS: usize = 8;

/// How long an entry stays that nobody registers again (peers 4).
pub(crate) const CEILING: Duration = Duration::from_secs(24 * 3_600);

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: 1_000, connections: 4_096, reap_every: Duration::from_secs(5) }
    }
}
