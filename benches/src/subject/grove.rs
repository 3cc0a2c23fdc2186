//! An engine of Grove with consumers in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grove_engine::{Clock, Config, Engine, EngineBuilder, Event, PerSession, RoomOptions, Scope};

use super::manual_clock::ManualClock;
use super::work::Work;
use crate::consumer::{Consumer, SUBSCRIBE, take_all};
use crate::failure::Failure;
use crate::plan::cell::Cell;
use crate::workload::population::Population;

/// The debounce of refreshes and of first trees, in ms.
pub(crate) const DEBOUNCE_MS: u64 = 50;

/// Seconds without activity before bytes are counted.
const REST_S: u32 = 4;

/// How many mirrors are verified if there are too many consumers to verify all.
const VERIFIED: u32 = 32;

/// An engine that serves a workload.
pub(crate) struct Grove {
    pub(crate) engine: Engine,
    /// Drives the engine, unless it runs in real time.
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) population: Arc<Population>,
    passes: Arc<AtomicU64>,
}

impl Grove {
    /// An engine whose time advances only by [`Grove::clock`].
    pub(crate) fn with_manual_clock(cell: &Cell) -> Self {
        let clock = Arc::new(ManualClock::new());
        Self::new(cell, Arc::clone(&clock), Some(clock as Arc<dyn Clock>), None)
    }

    /// The same with rooms, of which there are none.
    pub(crate) fn with_rooms(cell: &Cell) -> Self {
        let clock = Arc::new(ManualClock::new());
        Self::new(cell, Arc::clone(&clock), Some(clock as Arc<dyn Clock>), Some(RoomOptions::new()))
    }

    /// An engine in real time.
    pub(crate) fn in_real_time(cell: &Cell) -> Self {
        Self::new(cell, Arc::new(ManualClock::new()), None, None)
    }

    fn new(cell: &Cell, manual: Arc<ManualClock>, clock: Option<Arc<dyn Clock>>, rooms: Option<RoomOptions>) -> Self {
        let population = Arc::new(Population::new(cell.sessions, cell.likeness));
        let passes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&passes);
        let builder = Engine::builder("app", "App").config(generous_config(cell.sessions));
        let builder = builder.observer(move |event: &Event| {
            if matches!(event, Event::PassFinished { .. }) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        let builder = match clock {
            Some(clock) => builder.clock(clock),
            None => builder,
        };
        let builder = match rooms {
            Some(options) => builder.rooms(options),
            None => builder,
        };
        Self { engine: build(cell, builder, &population), clock: manual, population, passes }
    }

    /// Connects a consumer to each active session. Some of them, spread evenly, record their frames.
    pub(crate) fn connect(&self, cell: &Cell) -> Result<Vec<Consumer>, Failure> {
        let count = cell.active_sessions();
        let one_in = count.div_ceil(VERIFIED);
        // Allocated once, since spare capacity would be counted as memory of the sessions.
        let mut consumers = Vec::with_capacity(count as usize);
        for at in 0..count {
            let session = self.population.session(cell.member(at));
            consumers.push(Consumer::connect(&self.engine, &session, at.is_multiple_of(one_in))?);
        }
        take_all(&mut consumers);
        Ok(consumers)
    }

    /// Subscribes all consumers and takes their first snapshots. Returns the bytes of the last one.
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

    /// Lets a few seconds pass without activity, so that buffers for bursts are released.
    pub(crate) async fn rest(&self) {
        for _ in 0..REST_S {
            self.clock.advance(1_000);
            // Lets the work that is due run before the next second.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Changes the private data of every session and waits until all trees are committed. No frame is taken.
    pub(crate) async fn change_all_private(&self, cell: &Cell) {
        self.population.change_all_private();
        self.engine.refresh_now(Scope::all().paths([cell.workload.private_path()])).await;
    }

    /// Changes the shared data and waits until all trees are committed. No frame is taken.
    pub(crate) async fn change_shared(&self, cell: &Cell) {
        self.population.change_shared();
        self.engine.refresh_now(Scope::all().paths([cell.workload.shared_path()])).await;
    }

    /// How many passes have finished.
    pub(crate) fn passes(&self) -> u64 {
        self.passes.load(Ordering::Relaxed)
    }

    /// The work of the engine so far.
    pub(crate) fn work(&self) -> Work {
        Work::of(self.engine.stats())
    }
}

fn build(cell: &Cell, builder: EngineBuilder, population: &Arc<Population>) -> Engine {
    if cell.per_session {
        return PerSession::with_options(builder, cell.workload.factory(population)).engine().clone();
    }
    let engine = builder.build();
    cell.workload.register(&engine, population);
    engine
}

/// A configuration whose limits no benchmark reaches, so that nothing is refused.
pub(crate) fn generous_config(sessions: u32) -> Config {
    let sessions = sessions as usize + 16;
    let mut config = Config::default();
    config.times.debounce = Duration::from_millis(DEBOUNCE_MS);
    config.times.hello_delay = Duration::ZERO;
    config.times.first_patch_delay = Duration::ZERO;
    config.limits.messages_per_second = None;
    config.limits.sessions = config.limits.sessions.max(sessions);
    config.limits.connections = config.limits.connections.max(sessions);
    config.memory.idle_trees = sessions;
    config
}
