//! What may happen at the same time, in thousands of orders: a scheduler decides at every lock, atomic and signal who
//! goes next. The engine under test is the whole one, on the stand-ins of `sync`.
//!
//! Each test ends only when its consumers have what they must have in the end. So a wake-up that was lost is a deadlock,
//! and the scheduler says so. `SHUTTLE_SCHEDULES` says how many orders each test tries, half of them at random and half by
//! priorities (PCT), which finds what needs few but unlikely turns.

mod committing;
mod consumer;
mod ending;
mod evaluating;

use std::sync::Arc;

use serde_json::json;
use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::JoinHandle;

use consumer::Consumer;

use crate::config::Config;
use crate::engine::Engine;
use crate::model::session::Session;
use crate::refresh::scope::Scope;
use crate::render::action::{Action, Invocation};
use crate::render::descriptor::Descriptor;
use crate::sessions::slot::Slot;
use crate::sync::{AtomicU64, Ordering};
use crate::testing::ManualClock;

/// How many orders a test tries if nothing else is said.
const SCHEDULES: usize = 100;

/// How many turns against the priorities PCT tries to combine.
const DEPTH: usize = 3;

const STACK_BYTES: usize = 256 << 10;

/// Runs a test in many orders.
fn check(test: fn()) {
    let asked = std::env::var("SHUTTLE_SCHEDULES").ok().and_then(|text| text.parse().ok());
    let half = asked.unwrap_or(SCHEDULES).div_ceil(2);
    run(RandomScheduler::new(half), test);
    run(PctScheduler::new(DEPTH, half), test);
}

fn run(scheduler: impl Scheduler + 'static, test: fn()) {
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    shuttle::Runner::new(scheduler, config).run(test);
}

/// An engine that shows one number under `/n`, which `add` raises, and time that stands still.
#[derive(Clone)]
struct App {
    engine: Engine,
    clock: Arc<ManualClock>,
    number: Arc<AtomicU64>,
}

impl App {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::immediate();
        config.execution.pass_threads = 2;
        change(&mut config);
        let clock = ManualClock::new();
        let engine = Engine::builder("app", "App").config(config).clock(Arc::clone(&clock) as Arc<_>).build();
        let number = Arc::new(AtomicU64::new(0));
        let (read, raise) = (Arc::clone(&number), Arc::clone(&number));
        let add = Action::new("add", move |_: Invocation<()>| json!(raise.fetch_add(1, Ordering::SeqCst) + 1));
        engine.register("n", move |_: &Session| {
            let shown = read.load(Ordering::SeqCst);
            Descriptor::status().prop("n", shown).action(&add)
        });
        Self { engine, clock, number }
    }

    /// A change of the data, told to everybody. When it returns, all trees show it.
    fn raise(&self) -> u64 {
        let now = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        block_on(self.engine.refresh_now(Scope::all()));
        now
    }

    /// The same, for a thread that has nothing to say about it.
    fn raise_beside(&self) {
        self.raise();
    }

    /// A change of the data whose pass is only started.
    fn raise_soon(&self) {
        self.number.fetch_add(1, Ordering::SeqCst);
        self.engine.refresh(Scope::all());
    }

    fn consumer(&self, session: &Session) -> Consumer {
        Consumer::connect(&self.engine, session).unwrap_or_else(|error| panic!("refused: {error}"))
    }

    /// A consumer that has subscribed and been sent a first tree.
    fn watching(&self, session: &Session) -> Consumer {
        let mut consumer = self.consumer(session);
        consumer.subscribe();
        consumer.until(|consumer| consumer.shown().is_some());
        consumer
    }

    fn slot(&self, session: &str) -> Arc<Slot> {
        self.engine.parts().table.get(session).unwrap_or_else(|| panic!("`{session}` is not open"))
    }

    /// The number in the tree that is committed for a session.
    fn committed(&self, session: &Session) -> u64 {
        let mut consumer = self.consumer(session);
        consumer.mouth().query("q");
        consumer.until(|consumer| consumer.answer("q").is_some());
        consumer.answer("q").and_then(|answer| answer["tree"]["properties"]["n"].as_u64()).unwrap_or_default()
    }

    /// Whoever was not closed belongs to the slot that is open now, and is told of what changes.
    fn check_attached<'a>(&self, consumers: impl IntoIterator<Item = &'a mut Consumer>) {
        for consumer in consumers {
            consumer.take_all();
            if consumer.closed.is_none() {
                let wanted = self.raise();
                consumer.until(|consumer| consumer.shown() == Some(wanted));
                assert_eq!(consumer.closed, None, "closed late");
                assert_eq!(self.slot("s").links().len(), 1, "a connection that was closed is still attached");
                consumer.check_copy();
            }
        }
    }

    /// Does something at the same time as everything else.
    fn meanwhile(&self, work: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
        let app = self.clone();
        shuttle::thread::spawn(move || work(&app))
    }
}

fn alice() -> Session {
    Session::new("s").with_user("alice")
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}
