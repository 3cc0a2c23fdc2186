//! Concurrency tests, in thousands of schedules: a scheduler decides at every lock, atomic and signal which thread runs
//! next. The whole engine is under test, on the replacements in `sync`.
//!
//! Each test ends only when its consumers have what they must finally have. So a lost wake-up is a deadlock, which the
//! scheduler reports. `SHUTTLE_SCHEDULES` is the number of schedules that each test tries, half of them at random and half
//! by priorities (PCT), which finds faults that need few but unlikely switches.

mod committing;
mod consumer;
mod ending;
mod evaluating;
mod events;
mod room_memory;
mod rooms;
mod runs;

use std::sync::Arc;

use serde_json::json;
use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::JoinHandle;

use consumer::Consumer;

use crate::config::Config;
use crate::engine::Engine;
use crate::engine::builder::EngineBuilder;
use crate::model::session::Session;
use crate::refresh::scope::Scope;
use crate::render::action::{Action, Invocation};
use crate::render::descriptor::Descriptor;
use crate::rooms::options::RoomOptions;
use crate::sessions::slot::Slot;
use crate::sync::{AtomicU64, Ordering, Runtime};
use crate::testing::ManualClock;

/// How many schedules a test tries by default.
const SCHEDULES: usize = 100;

/// How many priority changes PCT combines.
const DEPTH: usize = 3;

const STACK_BYTES: usize = 256 << 10;

/// Runs a test in many schedules.
fn check(test: fn()) {
    let configured = std::env::var("SHUTTLE_SCHEDULES").ok().and_then(|text| text.parse().ok());
    let half = configured.unwrap_or(SCHEDULES).div_ceil(2);
    run(RandomScheduler::new(half), test);
    run(PctScheduler::new(DEPTH, half), test);
}

fn run(scheduler: impl Scheduler + 'static, test: fn()) {
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    shuttle::Runner::new(scheduler, config).run(move || {
        test();
        // An execution that ended with tasks suspended would drop them in the middle of what they do, locks held.
        Runtime::finish_tasks();
    });
}

/// An engine that shows one number under `/n`, which `add` increments, on a manual clock.
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
        Self::built(change, |builder| builder)
    }

    /// The same with rooms.
    fn with_rooms() -> Self {
        Self::built(|_| {}, |builder| builder.rooms(RoomOptions::new()))
    }

    fn built(change: impl FnOnce(&mut Config), choose: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        let mut config = Config::immediate();
        config.execution.pass_threads = 2;
        change(&mut config);
        let clock = ManualClock::new();
        let builder = Engine::builder("app", "App").config(config).clock(Arc::clone(&clock) as Arc<_>);
        let engine = choose(builder).build();
        let number = Arc::new(AtomicU64::new(0));
        let (read, increment) = (Arc::clone(&number), Arc::clone(&number));
        let add = Action::new("add", move |_: Invocation<()>| json!(increment.fetch_add(1, Ordering::SeqCst) + 1));
        engine.register("n", move |_: &Session| {
            let number = read.load(Ordering::SeqCst);
            Descriptor::status().prop("n", number).action(&add)
        });
        Self { engine, clock, number }
    }

    /// Increments the number and refreshes all sessions. When it returns, all trees show the new number.
    fn increment(&self) -> u64 {
        let now = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        block_on(self.engine.refresh_now(Scope::all()));
        now
    }

    /// The same, for a thread that does not need the number.
    fn increment_only(&self) {
        self.increment();
    }

    /// Increments the number and starts a pass without waiting for it.
    fn increment_soon(&self) {
        self.number.fetch_add(1, Ordering::SeqCst);
        self.engine.refresh(Scope::all());
    }

    fn consumer(&self, session: &Session) -> Consumer {
        Consumer::connect(&self.engine, session).unwrap_or_else(|error| panic!("refused: {error}"))
    }

    /// A consumer that has subscribed and received its first tree.
    fn subscribed(&self, session: &Session) -> Consumer {
        let mut consumer = self.consumer(session);
        consumer.subscribe();
        consumer.receive_until(|consumer| consumer.number().is_some());
        consumer
    }

    fn slot(&self, session: &str) -> Arc<Slot> {
        self.engine.parts().table.get(session).unwrap_or_else(|| panic!("`{session}` is not open"))
    }

    /// The number in the committed tree of a session.
    fn committed(&self, session: &Session) -> u64 {
        let mut consumer = self.consumer(session);
        consumer.sender().query("q");
        consumer.receive_until(|consumer| consumer.reply("q").is_some());
        consumer.reply("q").and_then(|reply| reply["tree"]["properties"]["n"].as_u64()).unwrap_or_default()
    }

    /// Asserts that each consumer that was not closed is attached to the open slot and gets further changes.
    fn check_attached<'a>(&self, consumers: impl IntoIterator<Item = &'a mut Consumer>) {
        for consumer in consumers {
            consumer.receive_ready();
            if consumer.closed.is_none() {
                let wanted = self.increment();
                consumer.receive_until(|consumer| consumer.number() == Some(wanted));
                assert_eq!(consumer.closed, None, "it was closed late");
                assert_eq!(self.slot("s").links().len(), 1, "a closed connection is still attached");
                consumer.check_copy();
            }
        }
    }

    /// Runs something concurrently with the rest of the test.
    fn spawn(&self, work: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
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
