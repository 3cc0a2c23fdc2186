//! Options of `cluster`.

use clap::Args;

use crate::plan::cluster_case::ClusterCase;

/// What is measured of several instances.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct ClusterOptions {
    /// Measure only this [default: all]
    #[arg(long)]
    pub(crate) case: Option<ClusterCase>,
    /// Number of sessions of the instance that receives, each with a subscribed consumer
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) sessions: u32,
}
