//! Does a rolling restart lose anything that was acknowledged?
//!
//! The real `desk` on a database file, real WebSocket consumers of several people and logins, all of them adding and
//! ticking tasks. Twice the process is ended with SIGTERM, and another takes over its port and file. In the end every
//! acknowledged action is in the store exactly once, and every copy equals a fresh query.

mod desk;
mod ledger;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::desk::{Desk, Login};
use self::ledger::{Ledger, StoredTasks};
use self::worker::{Outcome, Phase, Stage, Worker};
use super::{say, verdict};
use crate::options::Restarting;
use crate::stopwatch::Moment;
use crate::{Failure, process};

/// How often the desk is restarted.
const RESTARTS: usize = 2;

/// How long everybody may take to come, or to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);

/// Nothing is on its way any more after a pause of this length.
const REST: Duration = Duration::from_secs(1);

/// How long everybody is in a rush before the server is ended.
const HEADWAY: Duration = Duration::from_millis(300);

/// Files that this process has open beside its consumers' sockets.
const OTHER_FILES: u32 = 100;

/// Restarts the desk under its consumers. True if nothing was lost.
pub(crate) async fn run(asked: Restarting) -> Result<bool, Failure> {
    if asked.consumers > process::open_files_limit()?.saturating_sub(OTHER_FILES) {
        return Err("that many consumers need more open files than `ulimit -n` allows".into());
    }
    let folder = std::env::temp_dir().join(format!("grove-restart-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = play(&asked, &folder).await;
    std::fs::remove_dir_all(&folder)?;
    outcome
}

async fn play(asked: &Restarting, folder: &std::path::Path) -> Result<bool, Failure> {
    let mut desk = Desk::start(&asked.server()?, "127.0.0.1:0", &folder.join("desk.db")).await?;
    let logins = desk.log_in_everybody(asked.logins).await?;
    let (order, phase) = watch::channel(Phase::Gathering);
    let stage = Arc::new(Stage::default());
    let mut workers = gather(asked, &desk, &logins, &stage, &phase);
    all_present(&stage, asked.consumers).await?;
    order.send_replace(Phase::Acting);
    let mut lives = Vec::new();
    for _ in 0..RESTARTS {
        sleep(Duration::from_secs(asked.seconds)).await;
        order.send_replace(Phase::Rushing);
        sleep(HEADWAY).await;
        let gone_for = Moment::now();
        let (next, took) = desk.restart().await?;
        desk = next;
        all_present(&stage, asked.consumers).await?;
        order.send_replace(Phase::Acting);
        lives.push((took, gone_for.elapsed()));
    }
    sleep(Duration::from_secs(asked.seconds)).await;
    order.send_replace(Phase::Resting);
    at_rest(&stage).await?;
    order.send_replace(Phase::Checking);
    let mut outcomes = Vec::new();
    while let Some(outcome) = workers.join_next().await {
        outcomes.push(outcome?);
    }
    let stored = desk.tasks_of_everybody(&logins).await?;
    desk.stop().await?;
    Ok(report(asked, &logins, &lives, outcomes, &stored))
}

/// Starts the consumers, spread evenly over the logins.
fn gather(
    asked: &Restarting,
    desk: &Desk,
    logins: &[Login],
    stage: &Arc<Stage>,
    phase: &watch::Receiver<Phase>,
) -> JoinSet<Outcome> {
    let every = Duration::from_secs_f64(f64::from(asked.consumers) / f64::from(asked.rate.max(1)));
    let mut workers = JoinSet::new();
    for number in 0..asked.consumers {
        let login = &logins[number as usize % logins.len()];
        let random = fastrand::Rng::with_seed(asked.seed ^ u64::from(number) << 20);
        let worker = Worker::new(number, desk.url(login), login.clone(), every, random);
        workers.spawn(worker.run(Arc::clone(stage), phase.clone()));
    }
    workers
}

async fn all_present(stage: &Stage, wanted: u32) -> Result<(), Failure> {
    let start = Moment::now();
    while stage.present.load(Ordering::SeqCst) < wanted {
        if start.elapsed() > PATIENCE {
            return Err(format!("{} of {wanted} consumers are there", stage.present.load(Ordering::SeqCst)).into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Waits until no action waits for its answer, and what follows from the last has arrived.
async fn at_rest(stage: &Stage) -> Result<(), Failure> {
    let start = Moment::now();
    while stage.waiting.load(Ordering::SeqCst) > 0 {
        if start.elapsed() > PATIENCE {
            return Err("actions are not answered".into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    sleep(REST).await;
    Ok(())
}

fn report(
    asked: &Restarting,
    logins: &[Login],
    lives: &[(Duration, Duration)],
    outcomes: Vec<Outcome>,
    stored: &BTreeMap<String, StoredTasks>,
) -> bool {
    let mut problems = Vec::new();
    let mut all = Ledger::default();
    let (mut connects, mut resumed, mut snapshots, mut patches, mut exact) = (0, 0, 0, 0, 0);
    for outcome in outcomes {
        connects += outcome.counts.connects;
        resumed += outcome.counts.resumed;
        snapshots += outcome.counts.snapshots;
        patches += outcome.counts.patches;
        exact += u64::from(outcome.exact);
        problems.extend(outcome.problems);
        problems.extend(outcome.ledger.compare(stored.get(&outcome.person)));
        all.add_up(&outcome.ledger);
    }
    say(&format!(
        "{} consumers of {} logins; {} actions acknowledged, {} in doubt, {} refused",
        asked.consumers,
        logins.len(),
        all.acknowledged,
        all.doubtful,
        all.refused
    ));
    say(&format!(
        "{connects} connects, {snapshots} snapshots, {resumed} resumed, {patches} patches; \
         {exact} copies equal a fresh query"
    ));
    for (took, gone_for) in lives {
        say(&format!(
            "SIGTERM: ended after {:.2} s with 0; everybody back after {:.2} s",
            took.as_secs_f64(),
            gone_for.as_secs_f64()
        ));
    }
    if all.acknowledged == 0 {
        problems.push("nothing was acknowledged, so nothing was tried".to_owned());
    }
    verdict(&problems)
}
