//! The engine under test, and its consumers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grove_engine::{Clock, Config, Engine, Event, PerSession, Scope, Stats};

use crate::Failure;
use crate::cell::Cell;
use crate::clock::HeldClock;
use crate::consumer::{Consumer, SUBSCRIBE, take_all};
use crate::workload::population::Population;

/// How long changes and first trees gather, in ms, where time is held still.
pub(crate) const DEBOUNCE_MS: u64 = 50;

/// How long nothing happens before bytes are counted, in seconds.
const REST_S: u32 = 4;

/// How many mirrors are checked when there are too many to check all.
const CHECKED: u32 = 32;

/// An engine that serves a workload, with time in the bench's hands.
pub(crate) struct Subject {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<HeldClock>,
    pub(crate) population: Arc<Population>,
    passes: Arc<AtomicU64>,
}

/// Counts of work between two moments.
#[derive(Debug, Default, Clone)]
pub(crate) struct Work {
    pub(crate) evaluations: BTreeMap<String, u64>,
    pub(crate) commits: u64,
    pub(crate) diffs: u64,
    pub(crate) encodes: u64,
}

impl Subject {
    /// An engine on a clock that stands still.
    pub(crate) fn on_held_clock(cell: &Cell) -> Self {
        let clock = Arc::new(HeldClock::new());
        Self::new(cell, Arc::clone(&clock), Some(clock as Arc<dyn Clock>))
    }

    /// An engine on the machine's clock.
    pub(crate) fn on_real_clock(cell: &Cell) -> Self {
        Self::new(cell, Arc::new(HeldClock::new()), None)
    }

    fn new(cell: &Cell, held: Arc<HeldClock>, clock: Option<Arc<dyn Clock>>) -> Self {
        let population = Arc::new(Population::new(cell.sessions, cell.likeness));
        let passes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&passes);
        let builder = Engine::builder("app", "App").config(roomy(cell.sessions)).observer(move |event: &Event| {
            if matches!(event, Event::PassFinished { .. }) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let builder = match clock {
            Some(clock) => builder.clock(clock),
            None => builder,
        };
        let engine = if cell.per_session {
            PerSession::with_options(builder, cell.workload.factory(&population)).engine().clone()
        } else {
            let engine = builder.build();
            cell.workload.register(&engine, &population);
            engine
        };
        Self { engine, clock: held, population, passes }
    }

    /// Connects a consumer to each active session. Some of them, spread over all, keep their frames.
    pub(crate) fn connect(&self, cell: &Cell) -> Result<Vec<Consumer>, Failure> {
        let count = cell.active_sessions();
        let one_in = count.div_ceil(CHECKED);
        // Grown by doubling it would be charged to the sessions.
        let mut consumers = Vec::with_capacity(count as usize);
        for at in 0..count {
            let session = self.population.session(cell.member(at));
            consumers.push(Consumer::connect(&self.engine, &session, at.is_multiple_of(one_in))?);
        }
        take_all(&mut consumers);
        Ok(consumers)
    }

    /// Subscribes all and takes their first snapshots. Answers the bytes of one.
    pub(crate) async fn subscribe(&self, consumers: &mut [Consumer]) -> Result<u64, Failure> {
        for consumer in consumers.iter() {
            consumer.say(SUBSCRIBE);
        }
        self.clock.advance(DEBOUNCE_MS);
        let mut bytes = 0;
        for consumer in consumers {
            bytes = consumer.wait_for("snapshot").await?;
        }
        Ok(bytes)
    }

    /// Lets a few seconds pass in which nothing happens: what is kept only for a storm goes.
    pub(crate) async fn rest(&self) {
        for _ in 0..REST_S {
            self.clock.advance(1_000);
            // So that whatever is due then happens before the next second.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A private change in every session, its trees committed; nobody has taken a frame yet.
    pub(crate) async fn change_everybody(&self, cell: &Cell) {
        self.population.change_everybody();
        self.engine.refresh_now(Scope::all().paths([cell.workload.private_path()])).await;
    }

    /// A change that all sessions show, its trees committed.
    pub(crate) async fn change_shared(&self, cell: &Cell) {
        self.population.change_shared();
        self.engine.refresh_now(Scope::all().paths([cell.workload.shared_path()])).await;
    }

    /// How many passes have ended.
    pub(crate) fn passes(&self) -> u64 {
        self.passes.load(Ordering::Relaxed)
    }

    pub(crate) fn work_so_far(&self) -> Work {
        Work::of(self.engine.stats())
    }
}

/// Bounds that no measurement meets: what is measured is the engine, not a refusal.
pub(crate) fn roomy(sessions: u32) -> Config {
    let sessions = sessions as usize + 16;
    let mut config = Config::default();
    config.times.debounce = Duration::from_millis(DEBOUNCE_MS);
    config.times.hello_delay = Duration::from_millis(0);
    config.times.first_patch_delay = Duration::from_millis(0);
    config.limits.messages_per_second = None;
    config.limits.sessions = config.limits.sessions.max(sessions);
    config.limits.connections = config.limits.connections.max(sessions);
    config.memory.idle_trees = sessions;
    config
}

impl Work {
    fn of(stats: Stats) -> Self {
        Self { evaluations: stats.evaluations, commits: stats.commits, diffs: stats.diffs, encodes: stats.encodes }
    }

    /// What was done since `before`.
    pub(crate) fn since(self, before: &Self) -> Self {
        let mut evaluations = self.evaluations;
        for (path, runs) in &mut evaluations {
            *runs -= before.evaluations.get(path).copied().unwrap_or_default();
        }
        evaluations.retain(|_, runs| *runs > 0);
        Self {
            evaluations,
            commits: self.commits - before.commits,
            diffs: self.diffs - before.diffs,
            encodes: self.encodes - before.encodes,
        }
    }

    /// How often the source at `path` ran.
    pub(crate) fn runs(&self, path: &str) -> u64 {
        self.evaluations.get(&format!("/{path}")).copied().unwrap_or_default()
    }

    pub(crate) fn all_runs(&self) -> u64 {
        self.evaluations.values().sum()
    }
}
