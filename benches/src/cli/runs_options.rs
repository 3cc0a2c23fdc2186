//! Options of `runs`.

use clap::Args;

use crate::plan::run_case::RunCase;

/// What is measured of runs.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct RunsOptions {
    /// Measure only this [default: all]
    #[arg(long)]
    pub(crate) case: Option<RunCase>,
    /// Number of runs, each with a session and a room [default: depends on the case]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) sessions: Option<u32>,
}
