//! Options of `soak`.

use clap::Args;

/// How long, and with which random choices.
#[derive(Args, Clone, Copy)]
pub(crate) struct SoakOptions {
    /// Minutes under load
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=240))]
    pub(crate) minutes: u64,
    /// Seed of the random choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep replayable rooms in the embedded database, over the restarts
    #[arg(long)]
    pub(crate) storage: bool,
}

impl SoakOptions {
    pub(super) const DESCRIPTION: &str = "\
Starts a server in its own process and puts it under random load: consumers connect, stall, lose
their sockets and resume; browser tabs connect, change and vanish; data changes for one user, a group
or all; actions are invoked; people join rooms, talk, start and cancel runs, write to the memory and
leave; sessions expire or are revoked; and the server is stopped and started again. Then the load
ends. Every remaining copy must equal a fresh query, nobody may ever have received data of another
session or have missed an event of a room without being told, every log must be contiguous with one
end for each run, and the server must be empty after all have disconnected.";
}
