//! Small applications, and instruments that watch an engine, for the other files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Action, ActionError, Config, Descriptor, Engine, Event, Invocation, Item, Limit, Scope, Session};
use parking_lot::Mutex;
use proptest::test_runner::Config as ProptestConfig;
use serde_json::{Value, json};

/// Longer than any test: so that nothing of the kind happens by itself.
pub(crate) const FOREVER: Duration = Duration::from_secs(3_000_000_000);

/// An engine that delays and gathers nothing.
pub(crate) fn engine() -> Engine {
    engine_with(|_| {})
}

/// The same, with other bounds.
pub(crate) fn engine_with(change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::immediate();
    change(&mut config);
    Engine::builder("app", "App").config(config).build()
}

/// An engine whose time stands still until the test moves it.
pub(crate) fn clocked(change: impl FnOnce(&mut Config)) -> (Engine, Arc<ManualClock>) {
    let mut config = Config::immediate();
    change(&mut config);
    let clock = ManualClock::new();
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).build();
    (engine, clock)
}

/// How often a law is tried: as often as the environment says, or else this often. Failures are not written to files.
pub(crate) fn tries(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

/// A session of a user.
pub(crate) fn person(id: &str, user: &str) -> Session {
    Session::new(id).with_user(user)
}

/// How often the function of a registered path ran.
pub(crate) fn runs(engine: &Engine, path: &str) -> u64 {
    engine.stats().evaluations.get(path).copied().unwrap_or_default()
}

/// The node at a path below a tree; null if there is none.
pub(crate) fn at<'t>(tree: &'t Value, path: &str) -> &'t Value {
    path.split('/').filter(|id| !id.is_empty()).fold(tree, |node, id| {
        let children = node["children"].as_array().map(Vec::as_slice).unwrap_or_default();
        children.iter().find(|child| child["id"] == id).unwrap_or(&Value::Null)
    })
}

/// The ids of a node's children, in order.
pub(crate) fn ids(node: &Value) -> Vec<&str> {
    node["children"].as_array().into_iter().flatten().map(|child| child["id"].as_str().unwrap_or_default()).collect()
}

/// The names of the actions that a node offers, in order.
pub(crate) fn offers(node: &Value) -> Vec<&str> {
    node["affordances"].as_array().into_iter().flatten().map(|a| a["action"].as_str().unwrap_or_default()).collect()
}

/// The types of messages, in order.
pub(crate) fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["type"].as_str().unwrap_or_default()).collect()
}

/// The code of an `error` message or of a failed result.
pub(crate) fn code(message: &Value) -> &str {
    message["error"]["code"].as_str().unwrap_or_default()
}

/// Everything that an engine said had happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    pub(crate) fn of(engine: &Engine) -> Self {
        let log = Self::default();
        let events = Arc::clone(&log.0);
        engine.observe(move |event| events.lock().push(event.clone()));
        log
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().iter().filter(|event| wanted(event)).count()
    }

    /// How many evaluations, commits and frames a session caused.
    pub(crate) fn work_for(&self, who: &str) -> usize {
        self.count(|event| match event {
            Event::Evaluated { session, .. }
            | Event::Committed { session, .. }
            | Event::SnapshotSent { session, .. }
            | Event::PatchSent { session, .. } => session == who,
            _ => false,
        })
    }

    /// How often a bound of the configuration was reached.
    pub(crate) fn limit(&self, limit: Limit) -> usize {
        self.count(|event| matches!(event, Event::LimitReached { limit: reached, .. } if *reached == limit))
    }

    /// What was sanitised, as `path: what`.
    pub(crate) fn sanitised(&self) -> Vec<String> {
        let sentence = |event: &Event| match event {
            Event::Sanitised { path, what } => Some(format!("{path}: {what}")),
            _ => None,
        };
        self.0.lock().iter().filter_map(sentence).collect()
    }
}

/// One path whose content the test decides.
#[derive(Debug, Clone)]
pub(crate) struct Shown(Arc<Mutex<Descriptor>>);

impl Shown {
    pub(crate) fn at(engine: &Engine, path: &str, first: Descriptor) -> Self {
        let shown = Self(Arc::new(Mutex::new(first)));
        let content = Arc::clone(&shown.0);
        engine.register(path, move |_: &Session| content.lock().clone());
        shown
    }

    pub(crate) fn set(&self, next: Descriptor) {
        *self.0.lock() = next;
    }

    /// Changes the content and renders it for everybody.
    pub(crate) async fn change(&self, engine: &Engine, next: Descriptor) {
        self.set(next);
        engine.refresh_now(Scope::all()).await;
    }
}

/// One number that the test decides, under a path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Number(Arc<Mutex<i64>>);

impl Number {
    pub(crate) fn at(engine: &Engine, path: &str) -> Self {
        let number = Self::default();
        let read = number.clone();
        engine.register(path, move |_: &Session| Descriptor::status().prop("n", read.get()));
        number
    }

    pub(crate) fn get(&self) -> i64 {
        *self.0.lock()
    }

    pub(crate) fn set(&self, value: i64) {
        *self.0.lock() = value;
    }
}

/// One entry of a to-do list.
#[derive(Debug, Clone)]
pub(crate) struct Todo {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) done: bool,
}

/// To-do lists by user, served at `/todos` beside `/context`. Who may `write` can add and toggle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Todos {
    lists: Arc<Mutex<BTreeMap<String, Vec<Todo>>>>,
    /// Which user called which action, as handlers saw it.
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Todos {
    pub(crate) fn serve(engine: &Engine) -> Self {
        let todos = Self::default();
        todos.serve_in(engine);
        todos
    }

    /// Serves these lists in one more engine.
    pub(crate) fn serve_in(&self, engine: &Engine) {
        engine.register("context", |session: &Session| Descriptor::context_of(session));
        let (add, toggle, read) = (self.add_action(), self.toggle_action(), self.clone());
        engine.register("todos", move |session: &Session| {
            let list = read.of(session.user().unwrap_or_default());
            let items = list.into_iter().map(|todo| {
                let item = Item::new(todo.id).prop("title", todo.title).prop("done", todo.done);
                if session.can("write") { item.action(&toggle) } else { item }
            });
            let shape = Descriptor::collection().prop("owner", session.user()).items(items);
            if session.can("write") { shape.action(&add) } else { shape }
        });
    }

    fn add_action(&self) -> Action {
        let todos = self.clone();
        Action::new("add", move |call: Invocation<Value>| {
            let user = call.session.user().unwrap_or_default().to_owned();
            todos.note(&user, "add");
            todos.push(&user, call.params["title"].as_str().unwrap_or_default());
        })
        .params(json!({"title": "string"}))
    }

    fn toggle_action(&self) -> Action {
        let todos = self.clone();
        Action::new("toggle", move |call: Invocation<()>| -> Result<(), ActionError> {
            let user = call.session.user().unwrap_or_default().to_owned();
            todos.note(&user, "toggle");
            if !call.session.can("write") {
                return Err(ActionError::unauthorized("you may only read"));
            }
            let mut lists = todos.lists.lock();
            let todo = lists.get_mut(&user).and_then(|list| list.iter_mut().find(|todo| todo.id == call.node_id()));
            let todo = todo.ok_or_else(|| ActionError::not_found("there is no such entry"))?;
            todo.done = !todo.done;
            Ok(())
        })
    }

    fn note(&self, user: &str, action: &str) {
        self.calls.lock().push((user.to_owned(), action.to_owned()));
    }

    pub(crate) fn of(&self, user: &str) -> Vec<Todo> {
        self.lists.lock().get(user).cloned().unwrap_or_default()
    }

    pub(crate) fn push(&self, user: &str, title: &str) {
        let mut lists = self.lists.lock();
        let list = lists.entry(user.to_owned()).or_default();
        list.push(Todo { id: format!("t{}", list.len() + 1), title: title.to_owned(), done: false });
    }

    pub(crate) fn calls(&self) -> Vec<(String, String)> {
        self.calls.lock().clone()
    }
}

/// A consumer that has subscribed to everything, in an engine at rest.
pub(crate) async fn watching(engine: &Engine, session: Session) -> (TestConsumer, String) {
    let mut consumer = TestConsumer::connect(engine, session).await;
    let (subscription, _) = consumer.subscribe("/").await;
    engine.settle().await;
    (consumer, subscription)
}

/// Holds application code until the test lets it go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, parking_lot::Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    arrived: usize,
}

/// How long code may wait at a gate before the test is said to hang, in s.
const PATIENCE_S: u64 = 20;

impl Gate {
    /// Waits at the gate, on a thread that may block.
    ///
    /// # Panics
    /// If nobody opens it for a long time.
    pub(crate) fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock();
        state.arrived += 1;
        changed.notify_all();
        let patience = std::time::Duration::from_secs(PATIENCE_S);
        let timed_out = changed.wait_while_for(&mut state, |state| !state.open, patience).timed_out();
        assert!(!timed_out, "nobody opened the gate");
    }

    /// How many have come to the gate.
    pub(crate) fn count(&self) -> usize {
        self.0.0.lock().arrived
    }

    pub(crate) fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().open = true;
        changed.notify_all();
    }

    /// Waits until somebody stands at the gate, or has passed it.
    ///
    /// # Panics
    /// If nobody comes for a long time.
    pub(crate) async fn arrived(&self, count: usize) {
        let gate = self.clone();
        let wait = move || {
            let (state, changed) = &*gate.0;
            let patience = std::time::Duration::from_secs(PATIENCE_S);
            let mut state = state.lock();
            changed.wait_while_for(&mut state, |state| state.arrived < count, patience).timed_out()
        };
        let timed_out = tokio::task::spawn_blocking(wait).await.expect("waiting does not panic");
        assert!(!timed_out, "nobody came to the gate");
    }
}
