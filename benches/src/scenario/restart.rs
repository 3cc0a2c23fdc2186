//! Does a rolling restart lose anything that was acknowledged?
//!
//! The real `desk` runs on a database file, and WebSocket consumers of several people and logins add and toggle tasks.
//! Twice the process is stopped with SIGTERM, and another takes over its port and file. At the end every acknowledged
//! action must be in the database exactly once, and every copy must equal a fresh query.

mod desk;
mod ledger;
mod person;
mod phase;
mod roster;
mod stored_tasks;
mod summary;
mod worker;
mod worker_outcome;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::desk::Desk;
use self::person::Login;
use self::phase::Phase;
use self::roster::Roster;
use self::summary::{RestartTime, Summary};
use self::worker::Worker;
use self::worker_outcome::WorkerOutcome;
use super::verdict;
use crate::cli::restart_options::RestartOptions;
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::process;

/// How often the server is restarted.
const RESTARTS: usize = 2;

/// How long the burst lasts before the server is stopped.
const BURST: Duration = Duration::from_millis(300);

/// Files that this process has open besides its sockets.
const OTHER_FILES: u32 = 100;

/// Returns whether nothing was lost.
pub(crate) async fn run(options: &RestartOptions) -> Result<bool, Failure> {
    let allowed = process::open_files_limit()?.saturating_sub(OTHER_FILES);
    if options.consumers > allowed {
        let wanted = options.consumers;
        return Err(
            format!("{wanted} consumers need more open files than `ulimit -n` allows; at most {allowed} fit").into()
        );
    }
    let folder = std::env::temp_dir().join(format!("grove-restart-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let passed = run_in(options, &folder).await;
    std::fs::remove_dir_all(&folder)?;
    passed
}

async fn run_in(options: &RestartOptions, folder: &Path) -> Result<bool, Failure> {
    let desk = Desk::start(&options.server()?, "127.0.0.1:0", &folder.join("desk.db")).await?;
    let logins = desk.log_in_all(options.logins).await?;
    let (phase, phases) = watch::channel(Phase::Connecting);
    let roster = Arc::new(Roster::default());
    let mut workers = start_workers(options, &desk, &logins, &roster, &phases);
    roster.all_present(options.consumers).await?;
    let (desk, restarts) = restart_under_load(options, desk, &roster, &phase).await?;
    phase.send_replace(Phase::Quiet);
    roster.quiet().await?;
    phase.send_replace(Phase::Verifying);
    let mut outcomes = Vec::new();
    while let Some(outcome) = workers.join_next().await {
        outcomes.push(outcome?);
    }
    let stored = desk.tasks_by_person(&logins).await?;
    desk.stop().await?;
    let summary = Summary::of(outcomes, &stored);
    summary.print(logins.len(), &restarts);
    Ok(verdict::print(summary.problems()))
}

/// Starts the consumers, spread evenly over the logins.
fn start_workers(
    options: &RestartOptions,
    desk: &Desk,
    logins: &[Login],
    roster: &Arc<Roster>,
    phases: &watch::Receiver<Phase>,
) -> JoinSet<WorkerOutcome> {
    let interval = Duration::from_secs_f64(f64::from(options.consumers) / f64::from(options.rate));
    let mut workers = JoinSet::new();
    for number in 0..options.consumers {
        let login = &logins[number as usize % logins.len()];
        let random = fastrand::Rng::with_seed(options.seed ^ u64::from(number) << 20);
        let worker = Worker::new(number, desk.url(login), login.clone(), Arc::clone(roster), interval, random);
        workers.spawn(worker.run(phases.clone()));
    }
    workers
}

/// Lets the workers act, and restarts the server in the middle of it.
async fn restart_under_load(
    options: &RestartOptions,
    mut desk: Desk,
    roster: &Roster,
    phase: &watch::Sender<Phase>,
) -> Result<(Desk, Vec<RestartTime>), Failure> {
    phase.send_replace(Phase::Acting);
    let mut restarts = Vec::new();
    for _ in 0..RESTARTS {
        sleep(Duration::from_secs(options.seconds)).await;
        phase.send_replace(Phase::Burst);
        sleep(BURST).await;
        let start = Stopwatch::start();
        let (restarted, stopped) = desk.restart().await?;
        desk = restarted;
        roster.all_present(options.consumers).await?;
        phase.send_replace(Phase::Acting);
        restarts.push(RestartTime { stopped, reconnected: start.elapsed() });
    }
    sleep(Duration::from_secs(options.seconds)).await;
    Ok((desk, restarts))
}
