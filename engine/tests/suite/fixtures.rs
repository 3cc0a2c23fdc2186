//! Small applications, and recorders of what an engine does, for the other files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Action, ActionError, Config, Descriptor, Engine, Event, Invocation, Item, Limit, RoomOptions, Scope, Session,
};
use parking_lot::Mutex;
use proptest::test_runner::Config as ProptestConfig;
use serde_json::{Value, json};

/// Longer than any test, so that a timer never fires.
pub(crate) const FOREVER: Duration = Duration::from_secs(3_000_000_000);

/// No connection is pinged, or dropped for its silence.
pub(crate) fn without_pings(config: &mut Config) {
    (config.times.ping_interval, config.times.silence_timeout) = (FOREVER - Duration::from_secs(1), FOREVER);
}

/// An engine without debounce and other delays.
pub(crate) fn engine() -> Engine {
    engine_with(|_| {})
}

/// The same with other limits.
pub(crate) fn engine_with(change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::immediate();
    change(&mut config);
    Engine::builder("app", "App").config(config).build()
}

/// An engine on a clock that only the test advances.
pub(crate) fn engine_with_clock(change: impl FnOnce(&mut Config)) -> (Engine, Arc<ManualClock>) {
    let mut config = Config::immediate();
    change(&mut config);
    let clock = ManualClock::new();
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).build();
    (engine, clock)
}

/// An engine with rooms, on a clock that only the test advances.
pub(crate) fn room_engine() -> (Engine, Arc<ManualClock>) {
    room_engine_with(RoomOptions::new(), |_| {})
}

/// The same with other options and limits.
pub(crate) fn room_engine_with(options: RoomOptions, change: impl FnOnce(&mut Config)) -> (Engine, Arc<ManualClock>) {
    let mut config = Config::immediate();
    change(&mut config);
    let clock = ManualClock::new();
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).rooms(options).build();
    (engine, clock)
}

/// A session of a user in a project.
pub(crate) fn in_project(id: &str, user: &str, project: &str) -> Session {
    user_session(id, user).with_project(project)
}

/// How many cases a property test tries: `PROPTEST_CASES`, otherwise this number. Failures are not written to files.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let configured = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: configured.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

/// A session of a user.
pub(crate) fn user_session(id: &str, user: &str) -> Session {
    Session::new(id).with_user(user)
}

/// How often the descriptor function of a registered path ran.
pub(crate) fn evaluations(engine: &Engine, path: &str) -> u64 {
    engine.stats().evaluations.get(path).copied().unwrap_or_default()
}

/// The node at a path of a tree; null if there is none.
pub(crate) fn node_at<'t>(tree: &'t Value, path: &str) -> &'t Value {
    path.split('/').filter(|id| !id.is_empty()).fold(tree, |node, id| {
        let children = node["children"].as_array().map(Vec::as_slice).unwrap_or_default();
        children.iter().find(|child| child["id"] == id).unwrap_or(&Value::Null)
    })
}

/// The ids of a node's children, in order.
pub(crate) fn child_ids(node: &Value) -> Vec<&str> {
    node["children"].as_array().into_iter().flatten().map(|child| child["id"].as_str().unwrap_or_default()).collect()
}

/// The names of the actions that a node offers, in order.
pub(crate) fn action_names(node: &Value) -> Vec<&str> {
    node["affordances"].as_array().into_iter().flatten().map(|a| a["action"].as_str().unwrap_or_default()).collect()
}

/// The types of messages, in order.
pub(crate) fn message_types(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["type"].as_str().unwrap_or_default()).collect()
}

/// The code of an `error` message or of a failed result.
pub(crate) fn error_code(message: &Value) -> &str {
    message["error"]["code"].as_str().unwrap_or_default()
}

/// All events of an engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventLog(Arc<Mutex<Vec<Event>>>);

impl EventLog {
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

    /// How many evaluations, commits and frames were made for a session.
    pub(crate) fn work_for(&self, session_id: &str) -> usize {
        self.count(|event| match event {
            Event::Evaluated { session, .. }
            | Event::Committed { session, .. }
            | Event::SnapshotSent { session, .. }
            | Event::PatchSent { session, .. } => session == session_id,
            _ => false,
        })
    }

    /// How often a limit of the configuration was reached.
    pub(crate) fn limit_count(&self, limit: Limit) -> usize {
        self.count(|event| matches!(event, Event::LimitReached { limit: reached, .. } if *reached == limit))
    }

    /// What was sanitised, as `path: what`, in order.
    pub(crate) fn sanitised(&self) -> Vec<String> {
        let sentence = |event: &Event| match event {
            Event::Sanitised { path, what, .. } => Some(format!("{path}: {what}")),
            _ => None,
        };
        self.0.lock().iter().filter_map(sentence).collect()
    }
}

/// The descriptor of one path, which the test changes.
#[derive(Debug, Clone)]
pub(crate) struct SharedDescriptor(Arc<Mutex<Descriptor>>);

impl SharedDescriptor {
    pub(crate) fn serve(engine: &Engine, path: &str, first: Descriptor) -> Self {
        let shared = Self(Arc::new(Mutex::new(first)));
        let content = Arc::clone(&shared.0);
        engine.register(path, move |_: &Session| content.lock().clone());
        shared
    }

    pub(crate) fn set(&self, next: Descriptor) {
        *self.0.lock() = next;
    }

    /// Changes the content and refreshes all sessions.
    pub(crate) async fn change(&self, engine: &Engine, next: Descriptor) {
        self.set(next);
        engine.refresh_now(Scope::all()).await;
    }
}

/// A number that the test and the application share.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedNumber(Arc<Mutex<i64>>);

impl SharedNumber {
    pub(crate) fn serve(engine: &Engine, path: &str) -> Self {
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

/// An async source that reads a number, signals that it did, and waits until the test releases it.
pub(crate) struct SlowRead {
    pub(crate) number: SharedNumber,
    /// A permit for each evaluation that may finish.
    pub(crate) release: Arc<tokio::sync::Semaphore>,
    started: Arc<tokio::sync::Semaphore>,
}

impl SlowRead {
    pub(crate) fn serve(engine: &Engine, path: &str) -> Self {
        let new = || Arc::new(tokio::sync::Semaphore::new(0));
        let slow = Self { number: SharedNumber::default(), release: new(), started: new() };
        let (number, release, started) = (slow.number.clone(), Arc::clone(&slow.release), Arc::clone(&slow.started));
        engine.register_async(path, move |session: Session| {
            let seen = number.get();
            let permissions = session.permissions().join(",");
            let (release, started) = (Arc::clone(&release), Arc::clone(&started));
            async move {
                started.add_permits(1);
                release.acquire().await.expect("the semaphore is never closed").forget();
                Descriptor::status().prop("n", seen).prop("permissions", permissions)
            }
        });
        slow
    }

    /// Waits until one more evaluation has read the number.
    pub(crate) async fn has_read(&self) {
        self.started.acquire().await.expect("the semaphore is never closed").forget();
    }
}

/// One entry of a to-do list.
#[derive(Debug, Clone)]
pub(crate) struct Todo {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) done: bool,
}

/// To-do lists by user, served at `/todos` beside `/context`. Sessions with the permission `write` can add and toggle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Todos {
    lists: Arc<Mutex<BTreeMap<String, Vec<Todo>>>>,
    /// The user and the action of each call that a handler received.
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Todos {
    pub(crate) fn serve(engine: &Engine) -> Self {
        let todos = Self::default();
        todos.serve_in(engine);
        todos
    }

    /// Serves these lists in another engine as well.
    pub(crate) fn serve_in(&self, engine: &Engine) {
        engine.register("context", |session: &Session| Descriptor::context_of(session));
        let (add, toggle, read) = (self.add_action(), self.toggle_action(), self.clone());
        engine.register("todos", move |session: &Session| {
            let list = read.of(session.user().unwrap_or_default());
            let items = list.into_iter().map(|todo| {
                let item = Item::new(todo.id).prop("title", todo.title).prop("done", todo.done);
                if session.can("write") { item.action(&toggle) } else { item }
            });
            let descriptor = Descriptor::collection().prop("owner", session.user()).items(items);
            if session.can("write") { descriptor.action(&add) } else { descriptor }
        });
    }

    fn add_action(&self) -> Action {
        let todos = self.clone();
        Action::new("add", move |call: Invocation<Value>| {
            let user = call.session.user().unwrap_or_default().to_owned();
            todos.record_call(&user, "add");
            todos.push(&user, call.params["title"].as_str().unwrap_or_default());
        })
        .params(json!({"title": "string"}))
    }

    fn toggle_action(&self) -> Action {
        let todos = self.clone();
        Action::new("toggle", move |call: Invocation<()>| -> Result<(), ActionError> {
            let user = call.session.user().unwrap_or_default().to_owned();
            todos.record_call(&user, "toggle");
            if !call.session.can("write") {
                return Err(ActionError::unauthorized("this session is read-only"));
            }
            let mut lists = todos.lists.lock();
            let todo = lists.get_mut(&user).and_then(|list| list.iter_mut().find(|todo| todo.id == call.node_id()));
            let todo = todo.ok_or_else(|| ActionError::not_found("there is no such entry"))?;
            todo.done = !todo.done;
            Ok(())
        })
    }

    fn record_call(&self, user: &str, action: &str) {
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

/// Connects a consumer, subscribes it to the whole tree, and lets the engine settle. Returns the id of the subscription too.
pub(crate) async fn connect_and_subscribe(engine: &Engine, session: Session) -> (TestConsumer, String) {
    let mut consumer = TestConsumer::connect(engine, session).await;
    let (subscription, _) = consumer.subscribe("/").await;
    engine.settle().await;
    (consumer, subscription)
}

/// Blocks application code until the test opens it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, parking_lot::Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    arrived: usize,
}

/// How long code may wait at a gate before the test fails, in s.
const TIMEOUT_S: u64 = 20;

impl Gate {
    /// Blocks this thread until the gate is open.
    ///
    /// # Panics
    /// If the gate is not opened within the timeout.
    pub(crate) fn wait(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock();
        state.arrived += 1;
        changed.notify_all();
        let timeout = Duration::from_secs(TIMEOUT_S);
        let timed_out = changed.wait_while_for(&mut state, |state| !state.open, timeout).timed_out();
        assert!(!timed_out, "the gate was not opened in time");
    }

    /// How many threads have arrived at the gate.
    pub(crate) fn arrivals(&self) -> usize {
        self.0.0.lock().arrived
    }

    pub(crate) fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().open = true;
        changed.notify_all();
    }

    /// Waits until this many threads have arrived at the gate.
    ///
    /// # Panics
    /// If they do not arrive within the timeout.
    pub(crate) async fn wait_for_arrivals(&self, count: usize) {
        let gate = self.clone();
        let wait = move || {
            let (state, changed) = &*gate.0;
            let timeout = Duration::from_secs(TIMEOUT_S);
            let mut state = state.lock();
            changed.wait_while_for(&mut state, |state| state.arrived < count, timeout).timed_out()
        };
        let timed_out = tokio::task::spawn_blocking(wait).await.expect("waiting does not panic");
        assert!(!timed_out, "too few threads arrived at the gate");
    }
}
