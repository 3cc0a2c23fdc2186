//! Options of `rooms`.

use clap::Args;

use crate::plan::room_case::RoomCase;

/// What is measured of rooms.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct RoomsOptions {
    /// Measure only this [default: all]
    #[arg(long)]
    pub(crate) case: Option<RoomCase>,
    /// Number of sessions; in `exchange` twice the number of rooms [default: depends on the case]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=200_000))]
    pub(crate) sessions: Option<u32>,
}
