//! Options of the benchmarks that have a peer.

use clap::Args;

/// Whether and how the peer is measured.
#[derive(Args, Clone, Copy)]
pub(crate) struct PeerOptions {
    /// Also measure `slop-ai` 0.2.0, one server per session, under the same conditions
    #[arg(long)]
    peer: bool,
    /// Upper bound on the peer's sessions, of which each takes about 0.8 MB
    #[arg(long, value_name = "N", default_value_t = 2_000, requires = "peer",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    peer_sessions: u32,
}

impl PeerOptions {
    /// With at most how many sessions the peer is measured, if it is.
    pub(crate) fn sessions(self) -> Option<u32> {
        self.peer.then_some(self.peer_sessions)
    }
}
