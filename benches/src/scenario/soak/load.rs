//! The random load: a server, and consumers and tabs that come and go.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::heap_history::HeapHistory;
use super::participant_report::ParticipantReport;
use super::phase::Phase;
use super::random_consumer::RandomConsumer;
use super::scale::{CONSUMERS, GROUPS, TABS, USERS};
use super::session_pool::SessionPool;
use super::soak_usage::SoakUsage;
use super::tab;
use super::totals::Totals;
use crate::failure::Failure;
use crate::measure::allocator::AllocatorSettings;
use crate::measure::stopwatch::Stopwatch;
use crate::output::console;
use crate::scenario::server_process::ServerProcess;

/// The time between two steps.
const STEP: Duration = Duration::from_millis(25);

/// For how many seconds a server runs before it is restarted.
const RUN_SECONDS: Range<u64> = 20..60;

/// The last part of the time belongs to one server, so that its growth shows.
const LAST_RESTART: f64 = 0.75;

const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How long the server may take to evict all sessions.
const EVICTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the server may take to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(6);

/// The server and all participants.
pub(super) struct Load {
    server: ServerProcess,
    address: String,
    /// Where rooms are kept, if they are.
    storage: Option<PathBuf>,
    sessions: Arc<SessionPool>,
    random: fastrand::Rng,
    consumers: JoinSet<ParticipantReport>,
    tabs: JoinSet<ParticipantReport>,
    totals: Totals,
    heap: HeapHistory,
}

async fn start_server(listen: &str, storage: Option<&Path>) -> Result<(ServerProcess, String), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    let (variable, settings) = AllocatorSettings::FastDecay.variable();
    command.args(["soak-server", "--listen", listen]).env(variable, settings);
    if let Some(directory) = storage {
        command.arg("--storage").arg(directory);
    }
    let mut server = ServerProcess::start(&mut command)?;
    let address = server.next_line().await?;
    Ok((server, address))
}

impl Load {
    pub(super) async fn start(seed: u64, storage: Option<&Path>) -> Result<Self, Failure> {
        let (server, address) = start_server("127.0.0.1:0", storage).await?;
        let storage = storage.map(Path::to_owned);
        let mut random = fastrand::Rng::with_seed(seed);
        let sessions = Arc::new(SessionPool::new(address.clone(), USERS, random.fork()));
        let (consumers, tabs, totals) = (JoinSet::new(), JoinSet::new(), Totals::default());
        let mut heap = HeapHistory::default();
        heap.start_process();
        let mut load = Self { server, address, storage, sessions, random, consumers, tabs, totals, heap };
        let allocator = load.usage().await?.allocator;
        console::print(&format!("seed {seed}, server at {}, memory on {allocator}", load.address));
        Ok(load)
    }

    /// Keeps up the load for this long.
    pub(super) async fn run(&mut self, length: Duration, phases: &watch::Receiver<Phase>) -> Result<(), Failure> {
        let start = Stopwatch::start();
        let mut restart_at = Duration::from_secs(self.random.u64(RUN_SECONDS));
        let mut report_at = REPORT_INTERVAL;
        while start.elapsed() < length {
            sleep(STEP).await;
            self.step(phases).await?;
            let now = start.elapsed();
            if now >= restart_at {
                restart_at = now + Duration::from_secs(self.random.u64(RUN_SECONDS));
                if now < length.mul_f64(LAST_RESTART) {
                    self.restart().await?;
                }
            }
            if now >= report_at {
                report_at += REPORT_INTERVAL;
                self.report(now).await?;
            }
        }
        Ok(())
    }

    /// Makes one random event happen.
    async fn step(&mut self, phases: &watch::Receiver<Phase>) -> Result<(), Failure> {
        self.join_finished();
        match self.random.u32(..100) {
            0..40 if self.consumers.len() < CONSUMERS => {
                let consumer = RandomConsumer::new(&self.sessions, self.random.fork());
                self.consumers.spawn(consumer.run(phases.clone()));
            }
            40..50 if self.tabs.len() < TABS => {
                self.tabs.spawn(tab::run(Arc::clone(&self.sessions), self.random.fork(), phases.clone()));
            }
            50..51 => self.revoke().await?,
            51..71 => self.change("all").await?,
            71..81 => {
                let group = self.random.u32(..GROUPS);
                self.change(&format!("group {group}")).await?;
            }
            81.. => {
                let user = self.random.u32(..USERS);
                self.change(&format!("user {user}")).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn change(&mut self, scope: &str) -> Result<(), Failure> {
        self.totals.changes += 1;
        self.server.command(&format!("change {scope}")).await.map(drop)
    }

    async fn revoke(&mut self) -> Result<(), Failure> {
        self.totals.revocations += 1;
        let user = self.random.u32(..USERS);
        let session = self.sessions.replace(user);
        self.server.command(&format!("revoke {session}")).await.map(drop)
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        let took = self.server.stop(STOP_DEADLINE).await?;
        console::print(&format!("        restart: the server exited with 0 after {:.2} s", took.as_secs_f64()));
        (self.server, _) = start_server(&self.address, self.storage.as_deref()).await?;
        self.totals.restarts += 1;
        self.heap.start_process();
        Ok(())
    }

    async fn report(&mut self, now: Duration) -> Result<(), Failure> {
        let usage = self.usage().await?;
        console::print(&format!("{:4} s  {usage}", now.as_secs()));
        self.heap.add_sample(usage.heap_bytes);
        Ok(())
    }

    async fn usage(&mut self) -> Result<SoakUsage, Failure> {
        Ok(serde_json::from_str(&self.server.command("usage").await?)?)
    }

    /// Adds the reports of participants that have disconnected on their own.
    fn join_finished(&mut self) {
        while let Some(Ok(report)) = self.consumers.try_join_next() {
            self.totals.add(report);
        }
        while let Some(Ok(report)) = self.tabs.try_join_next() {
            self.totals.add(report);
        }
    }

    /// Waits until all participants have disconnected.
    pub(super) async fn join_all(&mut self) -> Result<(), Failure> {
        while let Some(report) = self.consumers.join_next().await {
            self.totals.add(report?);
        }
        while let Some(report) = self.tabs.join_next().await {
            self.totals.add(report?);
        }
        Ok(())
    }

    /// Waits until all runs have ended.
    pub(super) async fn expect_no_runs(&mut self) -> Result<(), Failure> {
        let start = Stopwatch::start();
        while self.usage().await?.runs > 0 {
            if start.elapsed() > EVICTION_TIMEOUT {
                self.totals.problems.push("runs do not end".to_owned());
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Checks the logs of rooms, and ends the rooms.
    pub(super) async fn check_rooms(&mut self) -> Result<(), Failure> {
        for command in ["check", "close"] {
            let problems: Vec<String> = serde_json::from_str(&self.server.command(command).await?)?;
            self.totals.problems.extend(problems);
        }
        Ok(())
    }

    /// Waits until the server has evicted all sessions.
    pub(super) async fn expect_empty_server(&mut self) -> Result<(), Failure> {
        let start = Stopwatch::start();
        let mut usage = self.usage().await?;
        while !usage.is_empty() && start.elapsed() <= EVICTION_TIMEOUT {
            sleep(Duration::from_millis(200)).await;
            usage = self.usage().await?;
        }
        console::print(&format!("   end  {usage}"));
        if !usage.is_empty() {
            self.totals.problems.push(format!("the server is not empty after all have disconnected: {usage:?}"));
        }
        self.heap.set_empty(usage.heap_bytes);
        Ok(())
    }

    /// Stops the server. Returns the totals.
    pub(super) async fn stop(mut self) -> Result<Totals, Failure> {
        self.server.stop(STOP_DEADLINE).await?;
        self.totals.problems.extend(self.heap.problems());
        Ok(self.totals)
    }
}
