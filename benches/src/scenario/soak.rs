//! Is everything correct after minutes of random load?
//!
//! A server runs in its own process, and this process puts it under random load: consumers connect, stall, lose their
//! sockets and resume; browser tabs connect, change and vanish; data changes for one user, a group or all; actions are
//! invoked; people join rooms, talk, start and cancel runs, write to the memory and leave; sessions expire or are revoked;
//! and the server is stopped and started again. Then the load ends: every remaining copy must equal a fresh query, nobody
//! may ever have received data of another session or have missed an event of a room without a gap that says so, every log
//! must be contiguous with one end for each run, and when all have disconnected the server must be empty.

mod heap_history;
mod load;
mod participant_report;
mod phase;
mod random_consumer;
mod room_calls;
mod room_logs;
mod scale;
pub(crate) mod server;
mod session_pool;
mod session_token;
mod soak_usage;
mod tab;
mod totals;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use self::load::Load;
use self::phase::Phase;
use super::verdict;
use crate::cli::soak_options::SoakOptions;
use crate::failure::Failure;
use crate::results_folder::Scratch;

/// Longer than what is under way needs to arrive.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// Returns whether everything was correct.
pub(crate) async fn run(options: SoakOptions) -> Result<bool, Failure> {
    // What is kept there is removed in the end.
    let scratch = options.storage.then(|| Scratch::new("soak")).transpose()?;
    let mut load = Load::start(options.seed, scratch.as_ref().map(Scratch::path)).await?;
    let (phase, phases) = watch::channel(Phase::Active);
    load.run(Duration::from_secs(options.minutes * 60), &phases).await?;
    phase.send_replace(Phase::Quiet);
    sleep(QUIET_TIME).await;
    load.expect_no_runs().await?;
    phase.send_replace(Phase::Verifying);
    load.join_all().await?;
    load.check_rooms().await?;
    load.expect_empty_server().await?;
    let totals = load.stop().await?;
    totals.print();
    Ok(verdict::print(&totals.problems))
}
