//! Options of `peers`.

use clap::Args;

use crate::plan::peer_case::PeerCase;

/// What is measured of processes with keys of their own.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct PeersOptions {
    /// Measure only this [default: all]
    #[arg(long)]
    pub(crate) case: Option<PeerCase>,
    /// Number of peers [default: depends on the case]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=50_000))]
    pub(crate) sessions: Option<u32>,
}
