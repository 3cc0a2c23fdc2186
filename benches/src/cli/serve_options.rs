//! Options of the server of `live` and `slow`.

use clap::Args;

use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// What the server shows, and where.
#[derive(Args, Clone)]
pub(crate) struct ServeOptions {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
    /// The application whose trees are served
    #[arg(long)]
    pub(crate) workload: Workload,
    /// How similar the sessions' content is
    #[arg(long)]
    pub(crate) likeness: Likeness,
    /// Number of sessions that may connect
    #[arg(long)]
    pub(crate) sessions: u32,
}
