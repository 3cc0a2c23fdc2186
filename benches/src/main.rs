//! Measures what sessions cost in Grove, and verifies that the measured work really happened.
//!
//! ```text
//! cargo run --release -p grove-bench -- SUBCOMMAND [options]
//!
//! memory    memory per session: idle, connected, subscribed, changed, and after all have disconnected
//! refresh   time per session from a change to the frame: private, shared, and one user among many
//! connect   a storm of connections, each with its first snapshot
//! resume    consumers that lost their sockets: bytes until their copies are current
//! live      WebSocket consumers in this process, the server in its own
//! slow      what stalled readers cost the server and the other consumers
//! churn     what is left after consumers have connected and disconnected
//! rooms     what rooms cost: memory, messages, joining and leaving, leases
//! runs      what runs cost: chunks on their way to watchers, watchers that read nothing, memory
//! storage   what it costs to keep what happens in rooms: appending, reading again, starting again, recovery
//! cluster   what several instances cost each other: from a change to a frame elsewhere, notices that concern nobody
//! restart   does a rolling restart of the real `desk` lose anything that was acknowledged?
//! soak      is every copy exact after minutes of connects, stalls, kills, expiries and restarts?
//! disturb   how much later is a victim served beside each attacker?
//! cliffs    does any input cost more than in proportion to its size?
//! smoke     all benchmarks at small sizes, within three minutes
//! all       all benchmarks, within a quarter of an hour
//! ```
//!
//! Times differ between machines, so `--peer` measures `slop-ai` 0.2.0 on the same workload in the same run and gives
//! ratios. Every measurement (a *cell*) is a process of its own, so that none inherits the heap of another.
//!
//! # Layout
//!
//! In the order of a run: `cli` parses the command line. `suite` selects the cells, which `plan` describes. `run` starts
//! a process for each cell, in which `benchmark` measures: it has one file for each benchmark. `workload` is the
//! application, `subject` the engine or the peer that serves it, `sockets` a server with WebSocket consumers, `measure`
//! has the instruments. A cell gives a `result`, which `report` shows by means of `output`. A `scenario` gives a verdict
//! instead of figures: `restart`, `soak`, `disturb` and `cliffs`.

mod benchmark;
mod cli;
mod consumer;
mod failure;
mod measure;
mod mirror;
mod output;
mod plan;
mod process;
mod report;
mod result;
mod results_folder;
mod run;
mod scenario;
mod sockets;
mod subject;
mod suite;
mod websocket;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use crate::benchmark::cluster::foreign;
use crate::benchmark::storage::{log_writer, storage_writer};
use crate::cli::internal_command::InternalCommand;
use crate::cli::{Command, Options};
use crate::failure::Failure;
use crate::output::console;
use crate::scenario::{cliffs, disturb, restart, soak};
use crate::sockets::{peer_server, room_server, server};
use crate::suite::Suite;

/// Its statistics give the bytes of live heap.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match execute(Options::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            console::note(&format!("error: {failure}"));
            ExitCode::from(2)
        }
    }
}

/// Returns whether every check passed.
async fn execute(command: Command) -> Result<bool, Failure> {
    match command {
        Command::Benchmark(command) => run::suite(Suite::of(command)).await,
        Command::Restart(options) => restart::run(&options).await,
        Command::Soak(options) => soak::run(options).await,
        Command::Disturb(options) => disturb::run(&options).await,
        Command::Cliffs(options) => cliffs::run(options).await,
        Command::Internal(InternalCommand::Cell { cell }) => run::cell(&cell).await.map(|()| true),
        Command::Internal(InternalCommand::Serve(options)) => server::run(options).await.map(|()| true),
        Command::Internal(InternalCommand::ServeRoom { sessions }) => room_server::run(sessions).await.map(|()| true),
        Command::Internal(InternalCommand::ServePeers { sessions, per_project }) => {
            peer_server::run(sessions, per_project).await.map(|()| true)
        }
        Command::Internal(InternalCommand::WriteRooms { directory, rooms }) => {
            storage_writer::run(&directory, rooms).await.map(|()| true)
        }
        Command::Internal(InternalCommand::AppendEvents { database, directory, rooms }) => {
            log_writer::run(database, &directory, rooms).map(|()| true)
        }
        Command::Internal(InternalCommand::PublishNotices { url }) => foreign::publish(&url).await.map(|()| true),
        Command::Internal(InternalCommand::SoakServer { listen, storage }) => {
            soak::server::run(&listen, storage.as_deref()).await.map(|()| true)
        }
    }
}
