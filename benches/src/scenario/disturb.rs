//! How much later is a victim served beside each attacker?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grove_attackers::{Attacker, Stage, Strike, Victim};
use grove_engine::Config;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::verdict;
use crate::cli::disturb_options::DisturbOptions;
use crate::failure::Failure;
use crate::measure::latencies::median;
use crate::measure::stopwatch::Stopwatch;
use crate::output::console;

/// How long an attacker waits between two strikes.
const PACE: Duration = Duration::from_millis(50);

/// How much later the victim may be served in any case: what a loaded machine does to a thread.
const SLACK_MS: f64 = 50.0;

/// How often a figure over the bound is measured again before it counts.
const ATTEMPTS: usize = 3;

/// How often the victim is served before anything is measured.
const WARM_UP: usize = 10;

/// Returns whether no attacker disturbs the victim.
pub(crate) async fn run(options: &DisturbOptions) -> Result<bool, Failure> {
    let wanted = |attacker: &Attacker| options.attacker.as_ref().is_none_or(|text| attacker.name.contains(text));
    let attackers: Vec<_> = grove_attackers::all().into_iter().filter(wanted).collect();
    if attackers.is_empty() {
        return Err("no attacker has such a name; without --attacker all are tried".into());
    }
    console::print("p99 of the victim in ms, alone and beside the attacker\n\n  change         call");
    let mut problems = Vec::new();
    for attacker in attackers {
        let mut attempts = ATTEMPTS;
        loop {
            let figures = beside(attacker, options).await?;
            console::print(&format!("{figures}  {}", attacker.name));
            attempts -= 1;
            if !figures.is_disturbed() {
                break;
            }
            if attempts == 0 {
                problems.push(format!("{}: {figures}", attacker.name));
                break;
            }
        }
    }
    Ok(verdict::print(&problems))
}

/// What is measured beside one attacker, in ms.
struct Figures {
    change: Pair,
    call: Pair,
}

struct Pair {
    alone: f64,
    beside: f64,
}

impl Pair {
    fn is_disturbed(&self) -> bool {
        self.beside > 2.0 * self.alone + SLACK_MS
    }
}

impl Figures {
    fn is_disturbed(&self) -> bool {
        self.change.is_disturbed() || self.call.is_disturbed()
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { change, call } = self;
        write!(f, "{:6.1} {:6.1}  {:6.1} {:6.1}", change.alone, change.beside, call.alone, call.beside)
    }
}

async fn beside(attacker: Attacker, options: &DisturbOptions) -> Result<Figures, Failure> {
    let mut config = Config::default();
    config.times.debounce = Duration::from_millis(5);
    config.times.first_patch_delay = Duration::ZERO;
    config.times.hello_delay = Duration::ZERO;
    let stage = Stage::new(config);
    let mut victim = Victim::connect(&stage).await;
    serve(&mut victim, WARM_UP).await;
    let attack = Attack::start(attacker.prepare(&stage));
    let (mut alone, mut besides) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        attack.set(false);
        sleep(PACE).await;
        alone.push(serve(&mut victim, options.samples as usize).await);
        attack.set(true);
        sleep(PACE).await;
        besides.push(serve(&mut victim, options.samples as usize).await);
    }
    attack.end().await?;
    victim.check_at_rest().await;
    let pair = |pick: fn(&(f64, f64)) -> f64| Pair {
        alone: median(alone.iter().map(pick).collect()),
        beside: median(besides.iter().map(pick).collect()),
    };
    Ok(Figures { change: pair(|round| round.0), call: pair(|round| round.1) })
}

/// Serves the victim a few times. Returns the p99 of its changes and of its calls, in ms.
async fn serve(victim: &mut Victim, samples: usize) -> (f64, f64) {
    let (mut changes, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let start = Stopwatch::start();
        victim.change().await;
        changes.push(start.elapsed_us() / 1e3);
        let start = Stopwatch::start();
        victim.call().await;
        calls.push(start.elapsed_us() / 1e3);
    }
    (p99(changes), p99(calls))
}

fn p99(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get((figures.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

/// An attacker on a task of its own, which can be told to rest.
struct Attack {
    strikes: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Attack {
    fn start(mut strike: Strike) -> Self {
        let (strikes, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (is_on, is_over) = (Arc::clone(&strikes), Arc::clone(&ends));
        let task = tokio::spawn(async move {
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                if is_on.load(Ordering::Relaxed) {
                    strike(number);
                }
                sleep(PACE).await;
            }
        });
        Self { strikes, ends, task }
    }

    fn set(&self, strikes: bool) {
        self.strikes.store(strikes, Ordering::Relaxed);
    }

    async fn end(self) -> Result<(), Failure> {
        self.ends.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}
