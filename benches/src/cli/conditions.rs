//! The conditions that every benchmark takes.

use clap::Args;

use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// Conditions of a benchmark. Whatever is left out takes the values that the benchmark has by default.
#[derive(Args, Clone, Default)]
pub(crate) struct Conditions {
    /// The application whose trees are served [default: inbox-101]
    #[arg(long)]
    pub(crate) workload: Option<Workload>,
    /// How similar the sessions' content is [default: depends on the benchmark]
    #[arg(long)]
    pub(crate) likeness: Option<Likeness>,
    /// Number of open sessions [default: several sizes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sessions: Option<u32>,
    /// Percentage of sessions with a subscribed consumer [default: 100 if --sessions is given]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) active: Option<u32>,
}
