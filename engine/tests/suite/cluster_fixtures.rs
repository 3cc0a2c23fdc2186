//! Several instances of one application in one process, on one clock and one simulated bus.

use std::collections::BTreeMap;
use std::sync::Arc;

use grove_engine::testing::{ManualClock, SimulatedBus, TestConsumer};
use grove_engine::{ClusterEvent, Config, Engine, EngineBuilder, Event, Session};
use serde_json::Value;

use crate::fixtures::{EventLog, Todos, child_ids, in_project, node_at};

/// Instances by their name, and the store from which all of them read.
pub(crate) struct Instances {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bus: SimulatedBus,
    pub(crate) store: Todos,
    engines: BTreeMap<String, (Engine, EventLog)>,
}

impl Instances {
    /// Instances with these names, which know each other.
    pub(crate) async fn started(names: &[&str]) -> Self {
        let mut all = Self::on_seed(0);
        for name in names {
            all.start(name, |builder| builder);
        }
        all.settle().await;
        all
    }

    /// No instances yet.
    pub(crate) fn on_seed(seed: u64) -> Self {
        let clock = ManualClock::new();
        let bus = SimulatedBus::new(seed, clock.clone());
        Self { clock, bus, store: Todos::default(), engines: BTreeMap::new() }
    }

    /// Starts an instance, or another life of one.
    pub(crate) fn start(&mut self, name: &str, with: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Engine {
        // No two lives begin in the same millisecond.
        self.clock.advance(1);
        let builder = Engine::builder("app", "App").config(Config::immediate()).clock(self.clock.clone());
        let engine = with(builder.cluster(name, self.bus.end())).build();
        self.store.serve_in(&engine);
        let log = EventLog::of(&engine);
        self.engines.insert(name.to_owned(), (engine.clone(), log));
        engine
    }

    /// An instance dies; nothing is told to anybody.
    pub(crate) fn kill(&mut self, name: &str) {
        self.bus.kill(name);
        self.engines.remove(name);
    }

    pub(crate) fn engine(&self, name: &str) -> &Engine {
        &self.engines[name].0
    }

    pub(crate) fn log(&self, name: &str) -> &EventLog {
        &self.engines[name].1
    }

    /// A consumer of a user's session in the project `p`, which may write.
    pub(crate) async fn connect(&self, name: &str, id: &str, user: &str) -> Watching {
        self.connect_session(name, in_project(id, user, "p").with_permission("write")).await
    }

    pub(crate) async fn connect_session(&self, name: &str, session: Session) -> Watching {
        let mut consumer = TestConsumer::connect(self.engine(name), session).await;
        let (subscription, _) = consumer.subscribe("/").await;
        self.settle().await;
        consumer.settled().await;
        Watching { consumer, subscription }
    }

    /// Waits until nobody has anything to do, and nothing is on its way that is due.
    pub(crate) async fn settle(&self) {
        loop {
            for (engine, _) in self.engines.values() {
                engine.settle().await;
            }
            let mut delivered = self.bus.deliver();
            for _ in 0..4 {
                // Replies to requests wake tasks that nobody counts.
                tokio::task::yield_now().await;
                delivered += self.bus.deliver();
            }
            if delivered == 0 {
                return;
            }
        }
    }

    /// Time passes, in steps of at most 50 ms.
    pub(crate) async fn pass(&self, ms: u64) {
        self.pass_in_steps(ms, 50).await;
    }

    /// Time passes, in steps of so many ms.
    pub(crate) async fn pass_in_steps(&self, ms: u64, step_ms: u64) {
        for _ in 0..ms.div_ceil(step_ms) {
            self.clock.advance(step_ms.min(ms));
            self.settle().await;
        }
    }

    /// What happened between an instance and the others.
    pub(crate) fn events(&self, name: &str) -> Vec<ClusterEvent> {
        let all = self.log(name).all().into_iter();
        all.filter_map(|event| if let Event::Cluster(what) = event { Some(what) } else { None }).collect()
    }

    /// The names of the instances that one knows.
    pub(crate) fn known_to(&self, name: &str) -> Vec<String> {
        self.engine(name).instances().iter().map(|instance| instance.name.to_string()).collect()
    }
}

/// A consumer with a subscription to everything.
pub(crate) struct Watching {
    pub(crate) consumer: TestConsumer,
    pub(crate) subscription: String,
}

impl Watching {
    /// The titles of the entries that it sees, after whatever has been sent to it.
    pub(crate) async fn titles(&mut self) -> Vec<String> {
        self.consumer.check_mirrors().await;
        let todos = node_at(self.consumer.tree(&self.subscription), "todos");
        let title = |id: &str| node_at(todos, id)["properties"]["title"].as_str().unwrap_or_default().to_owned();
        child_ids(todos).into_iter().map(title).collect()
    }

    /// Whether its connection was closed since it was asked last.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.consumer.settled().await.iter().any(|message| message["type"] == "closed")
    }

    pub(crate) async fn invoke(&mut self, path: &str, action: &str, params: Value) -> Value {
        self.consumer.invoke(path, action, params).await
    }
}
