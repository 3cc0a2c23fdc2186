//! The engine under test, and the loop that runs a target.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Config, Connection, Descriptor, Engine, Event, Frame, Invocation, Item, Session, Urgency};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// How many inputs are tried between two checks of the time.
const ROUND: u32 = 32;

/// Runs a target until its time is up.
#[expect(clippy::disallowed_methods, reason = "a fuzzer runs for a certain real time")]
pub(crate) fn fuzz<S: Strategy>(input: &S, check: impl Fn(S::Value)) {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let (start, budget) = (Instant::now(), Duration::from_secs(seconds));
    let cases = Cases { cases: ROUND, failure_persistence: None, max_shrink_iters: 2_000, ..Cases::default() };
    let mut runner = TestRunner::new(cases);
    while start.elapsed() < budget {
        let result = runner.run(input, |value| {
            check(value);
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
    }
}

/// An engine whose faults are counted.
pub(crate) struct App {
    pub(crate) runtime: Runtime,
    pub(crate) engine: Engine,
    faults: Arc<AtomicUsize>,
}

impl App {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut config = Config::immediate();
        change(&mut config);
        let faults = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&faults);
        let engine = {
            let _guard = runtime.enter();
            Engine::builder("app", "App")
                .config(config)
                .observer(move |event| {
                    if matches!(event, Event::Panicked { .. } | Event::SourceFailed { .. }) {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                })
                .build()
        };
        Self { runtime, engine, faults }
    }

    pub(crate) fn consumer(&self, session: &str) -> TestConsumer {
        self.runtime.block_on(TestConsumer::connect(&self.engine, Session::new(session)))
    }

    /// Lets the engine settle, and takes all messages that a connection has to send.
    pub(crate) fn take_messages(&self, connection: &Connection) -> Vec<Value> {
        self.runtime.block_on(self.engine.settle());
        let mut messages = Vec::new();
        while let Some(frame) = connection.try_next_frame() {
            messages.push(match frame {
                Frame::Text(text) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")),
                Frame::Ping => continue,
                Frame::Close { code, .. } => json!({"type": "closed", "code": code.as_u16()}),
            });
        }
        messages
    }

    pub(crate) fn check_faults(&self) {
        assert_eq!(self.faults.load(Ordering::SeqCst), 0, "application code panicked or failed");
    }
}

/// Registers sources that use every kind of field.
pub(crate) fn serve(engine: &Engine) {
    let add = Action::new("add", |call: Invocation<Value>| call.params)
        .params(json!({"title": "string", "tags": {"type": "array", "items": {"type": "string"}, "optional": true}}));
    let open = Action::new("open", |_: Invocation<()>| ());
    engine.register("todos", move |_: &Session| {
        Descriptor::collection()
            .summary("two things")
            .action(&add)
            .item(Item::new("t1").prop("title", "milk"))
            .item(Item::new("t2").prop("title", "code").action(&open).salience(0.9).urgency(Urgency::High))
    });
    engine.register("deep/a/leaf", |session: &Session| Descriptor::new("item").prop("owner", session.id()));
}
