//! Options of `storage`.

use clap::Args;

use crate::plan::storage_case::StorageCase;

/// What is measured of what is kept of rooms.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct StorageOptions {
    /// Measure only this [default: all]
    #[arg(long)]
    pub(crate) case: Option<StorageCase>,
    /// Number of rooms, each with a session that writes in it [default: depends on the case]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub(crate) sessions: Option<u32>,
}
