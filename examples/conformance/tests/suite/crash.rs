//! What was acknowledged survives the death of the process, and every run has one end (rooms 8).

mod ledger;
mod server;
mod workers;

use std::time::Duration;

use serde_json::{Value, json};

use crate::running::soon;
use ledger::Ledger;
use server::{Server, ask};
use workers::{Acknowledged, work};

/// How often the process is killed; `GROVE_CRASH_ROUNDS=200` for the long run.
fn rounds() -> u64 {
    std::env::var("GROVE_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12)
}

/// Which moments are chosen: another number gives others.
fn seed() -> u64 {
    std::env::var("GROVE_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Numbers that look like chance and are the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64, stream: u64) -> Self {
        let mut chance =
            Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (stream + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        chance.below(2);
        chance
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// A room in which runs follow each other, and one in which they run beside each other and must not act twice.
async fn create(server: &Server) -> Vec<Ledger> {
    let mut ledgers = Vec::new();
    for (agent, queue) in [("count", "serial"), ("once", "parallel")] {
        let new = json!({"access": "project", "replayable": true, "agent": agent, "queue": queue});
        let (status, created) = ask(server.address, "POST", "/v1/rooms", &new).await.unwrap();
        assert_eq!(status, 201, "{created}");
        ledgers.push(Ledger::new(created["room"]["id"].as_str().unwrap(), agent));
    }
    ledgers
}

/// Works until the process is dead, which is killed at some moment. Returns what was acknowledged in each room.
async fn round(server: &mut Server, ledgers: &[Ledger], number: u64, chance: &mut Chance) -> Vec<Acknowledged> {
    let workers: Vec<_> = ledgers
        .iter()
        .flat_map(|ledger| (0..3).map(move |worker| (ledger, worker)))
        .map(|(ledger, worker)| {
            let chance = Chance::of(seed(), number * 64 + worker);
            let room = (ledger.room.clone(), ledger.agent);
            tokio::spawn(work(server.address, room, format!("{}-{number}-{worker}", ledger.agent), chance))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(5 + chance.below(250))).await;
    server.kill(chance.below(2) == 0).await;
    let mut acknowledged = Vec::new();
    for worker in workers {
        acknowledged.push(worker.await.unwrap());
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_missing_and_every_run_has_one_end_however_often_the_process_is_killed() {
    let mut chance = Chance::of(seed(), 1 << 32);
    let mut server = Server::start().await;
    let mut ledgers = create(&server).await;
    for number in 0..rounds() {
        let acknowledged = round(&mut server, &ledgers, number, &mut chance).await;
        for (at, of_worker) in acknowledged.into_iter().enumerate() {
            ledgers[at / 3].acknowledged(of_worker);
        }
        server.start_again().await;
        // Also while it goes on with what it had.
        while chance.below(4) == 0 {
            tokio::time::sleep(Duration::from_millis(chance.below(30))).await;
            server.kill(true).await;
            server.start_again().await;
        }
        for ledger in &mut ledgers {
            ledger.check(server.address).await;
        }
    }
    for ledger in &mut ledgers {
        soon("the end of all runs", ledger.finish(server.address)).await;
    }
    let done: usize = ledgers.iter().map(Ledger::acknowledgements).sum();
    assert!(done > usize::try_from(rounds()).unwrap(), "{done} were acknowledged");
    let stopped = ask(server.address, "POST", "/control/crash", &Value::Null).await;
    assert!(stopped.is_none());
}
