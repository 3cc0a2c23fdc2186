//! Asks Grove what sessions cost, and checks that what it measured really happened.
//!
//! ```text
//! cargo run --release -p grove-bench -- QUESTION [options]
//!
//! memory    bytes per session: known, connected, subscribed, changed, and after everybody has left
//! refresh   time per session from a change to the frame: private, shared, and one user among many
//! connect   a storm of connections, each with its first snapshot
//! resume    consumers that lost their sockets: bytes until their copies are right again
//! live      real WebSocket consumers in this process, the server in its own
//! slow      what readers that read nothing cost the others
//! churn     what is left after consumers have come and gone
//! restart   does a rolling restart of the real desk lose anything that was acknowledged?
//! soak      is every copy exact after minutes of connects, stalls, kills, expiries and restarts?
//! smoke     every figure, small, within two minutes; exit code 1 if anything is wrong
//! all       every figure, within a quarter of an hour
//! ```
//!
//! Machines differ, so a time means little alone: `--peer` runs `slop-ai` 0.2.0 on the same workload in the same run
//! and gives ratios. Every measurement (a *cell*) is a process of its own, so none finds the heap as another left it.
//!
//! # Layout
//!
//! `question` has one file per question: which cells it has, how one is measured, what its plot shows. `workload` says
//! what the application shows. `subject` is the engine under test, `peer` the published crate in its place. `consumer`
//! takes frames and `mirror` checks them. `row` is a cell's result, `goals` what it ought to be, `report` how it is
//! shown. `trial` has what gives no figure and a verdict: `restart` and `soak`.

mod cell;
mod clock;
mod consumer;
mod goals;
mod heap;
mod mirror;
mod options;
mod peer;
mod plot;
mod process;
mod question;
mod report;
mod row;
mod stopwatch;
mod subject;
mod table;
mod trial;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use crate::options::{Command, Options};
use crate::question::live::server;

/// Its statistics are how live heap is known; see [`heap`].
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What can go wrong is told to a person, once, and ends the run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Options::parse().command {
        Command::Cell { cell } => cell::measure_here(&cell).await.map(|()| true),
        Command::Serve(serving) => server::run(serving).await.map(|()| true),
        Command::Restart(asked) => trial::restart::run(asked).await,
        Command::Soak(asked) => trial::soak::run(asked).await,
        Command::SoakServer { listen } => trial::soak::server::run(&listen).await.map(|()| true),
        asked => question::answer(asked).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            report::complain(&*failure);
            ExitCode::from(2)
        }
    }
}
