//! Is everything right after a long time of whatever happens to servers?
//!
//! A server in its own process, and here at random: consumers that come, stall, lose their sockets and go on; browser
//! tabs that come, change and vanish; changes for one, some and all; calls; sessions that expire or are revoked; and the
//! server itself, ended and started again. Then all comes to rest: every copy that is left has to equal a fresh query,
//! nobody may ever have received what is another's, and when everybody has left the server has to be empty.

mod growth;
mod guest;
pub(crate) mod server;
mod tab;
mod tally;
mod world;

use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::growth::{Growth, Usage};
use self::guest::Guest;
use self::tally::{Parting, Tally};
use self::world::World;
use super::process::Process;
use super::{say, verdict};
use crate::options::Soaking;
use crate::stopwatch::Moment;
use crate::{Failure, heap};

/// How many consumers and tabs there are at most, and how many users.
const GUESTS: usize = 120;
const TABS: usize = 24;
const USERS: u32 = 40;

/// How long between two things that happen to the server's data or to who is there.
const STEP: Duration = Duration::from_millis(25);

/// How long a server lives at least and at most before it is restarted, in s. The last one lives to the end.
const LIFE_S: std::ops::Range<u64> = 20..60;

const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Longer than a session without a consumer is remembered, and than what is on its way needs.
const REST: Duration = Duration::from_secs(2);
const EMPTYING: Duration = Duration::from_secs(30);

/// How long the server may take to end.
const DEADLINE: Duration = Duration::from_secs(6);

/// What guests and tabs are to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Living,
    /// Nobody changes anything.
    Resting,
    /// Each compares its copy with a fresh query, and leaves.
    Checking,
}

/// Soaks for as long as was asked. True if everything was right.
pub(crate) async fn run(asked: Soaking) -> Result<bool, Failure> {
    let mut soak = Soak::begin(asked.seed).await?;
    let (order, phase) = watch::channel(Phase::Living);
    let length = Duration::from_secs(asked.minutes * 60);
    let start = Moment::now();
    soak.live(start, length, &phase).await?;
    order.send_replace(Phase::Resting);
    sleep(REST).await;
    order.send_replace(Phase::Checking);
    soak.part().await?;
    soak.empty().await?;
    soak.server.stop(DEADLINE).await?;
    soak.growth.judge(&mut soak.tally);
    soak.tally.tell();
    Ok(verdict(&soak.tally.problems))
}

struct Soak {
    server: Process,
    address: String,
    world: Arc<World>,
    random: fastrand::Rng,
    guests: JoinSet<Parting>,
    tabs: JoinSet<Parting>,
    tally: Tally,
    growth: Growth,
}

async fn start_server(listen: &str) -> Result<(Process, String), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["soak-server", "--listen", listen]).env(heap::SETTINGS, heap::SETTLES);
    let mut server = Process::start(&mut command)?;
    let address = server.line().await?;
    Ok((server, address))
}

impl Soak {
    async fn begin(seed: u64) -> Result<Self, Failure> {
        let (server, address) = start_server("127.0.0.1:0").await?;
        say(&format!("seed {seed}, server at {address}"));
        let mut random = fastrand::Rng::with_seed(seed);
        let world = Arc::new(World::new(address.clone(), USERS, random.fork()));
        let (guests, tabs) = (JoinSet::new(), JoinSet::new());
        Ok(Self { server, address, world, random, guests, tabs, tally: Tally::default(), growth: Growth::default() })
    }

    async fn live(&mut self, start: Moment, length: Duration, phase: &watch::Receiver<Phase>) -> Result<(), Failure> {
        let mut restart_at = Duration::from_secs(self.random.u64(LIFE_S));
        // The last quarter belongs to one server, so that its growth shows.
        let last_restart = length.mul_f64(0.75);
        let mut report_at = REPORT_EVERY;
        while start.elapsed() < length {
            sleep(STEP).await;
            self.step(phase).await?;
            let now = start.elapsed();
            if now >= restart_at {
                restart_at = now + Duration::from_secs(self.random.u64(LIFE_S));
                if now < last_restart {
                    self.restart().await?;
                }
            }
            if now >= report_at {
                report_at += REPORT_EVERY;
                let usage = self.usage().await?;
                say(&format!("{:4} s  {usage}", now.as_secs()));
                self.growth.note(usage);
            }
        }
        Ok(())
    }

    /// Lets one thing happen.
    async fn step(&mut self, phase: &watch::Receiver<Phase>) -> Result<(), Failure> {
        self.collect();
        match self.random.u32(..100) {
            0..40 if self.guests.len() < GUESTS => {
                let guest = Guest::new(&self.world, self.random.fork());
                self.guests.spawn(guest.live(phase.clone()));
            }
            40..50 if self.tabs.len() < TABS => {
                let tab = tab::live(Arc::clone(&self.world), self.random.fork(), phase.clone());
                self.tabs.spawn(tab);
            }
            50..51 => self.revoke().await?,
            51..71 => self.change("all").await?,
            71..81 => {
                let group = self.random.u32(..world::GROUPS);
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

    async fn change(&mut self, whom: &str) -> Result<(), Failure> {
        self.tally.changes += 1;
        self.server.order(&format!("change {whom}")).await.map(drop)
    }

    async fn revoke(&mut self) -> Result<(), Failure> {
        self.tally.revocations += 1;
        let user = self.random.u32(..USERS);
        let session = self.world.retire(user);
        self.server.order(&format!("revoke {session}")).await.map(drop)
    }

    /// Takes in whoever has left by itself.
    fn collect(&mut self) {
        while let Some(Ok(parting)) = self.guests.try_join_next() {
            self.tally.part(parting);
        }
        while let Some(Ok(parting)) = self.tabs.try_join_next() {
            self.tally.part(parting);
        }
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        let took = self.server.stop(DEADLINE).await?;
        say(&format!("        the server ended with 0 after {:.2} s", took.as_secs_f64()));
        (self.server, _) = start_server(&self.address).await?;
        self.tally.restarts += 1;
        self.growth.begin_life();
        Ok(())
    }

    async fn usage(&mut self) -> Result<Usage, Failure> {
        Ok(serde_json::from_str(&self.server.order("usage").await?)?)
    }

    /// Waits until all guests and tabs have left.
    async fn part(&mut self) -> Result<(), Failure> {
        while let Some(parting) = self.guests.join_next().await {
            self.tally.part(parting?);
        }
        while let Some(parting) = self.tabs.join_next().await {
            self.tally.part(parting?);
        }
        Ok(())
    }

    /// Waits until the server has forgotten everybody.
    async fn empty(&mut self) -> Result<(), Failure> {
        let start = Moment::now();
        loop {
            let usage = self.usage().await?;
            if usage.is_empty() || start.elapsed() > EMPTYING {
                say(&format!("   end  {usage}"));
                if !usage.is_empty() {
                    self.tally.problems.push(format!("something is left: {usage:?}"));
                }
                self.growth.end(usage);
                return Ok(());
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}
