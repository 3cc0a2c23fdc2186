//! An engine, and values that call all of its methods when they are dropped.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use grove_engine::testing::ManualClock;
use grove_engine::{
    Action, Config, Connection, Descriptor, Engine, EngineBuilder, Event, Invocation, Item, PerSession, Provider,
    Revocation, Role, Scope, Session, SessionProvider, Source, WindowRequest,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Handle};

use crate::fixtures::user_session;

/// How long a scenario may take, in real time, before it is said to be deadlocked.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many drops of one scenario call the engine: what they call may make values that are dropped in turn.
const CALLS: usize = 4;

/// Where the engine holds a value of the application's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Descriptor,
    AsyncDescriptor,
    Action,
    AsyncAction,
    Window,
    Item,
}

const PLACES: [Place; 6] =
    [Place::Descriptor, Place::AsyncDescriptor, Place::Action, Place::AsyncAction, Place::Window, Place::Item];

/// One engine, its time, and the values that call it.
#[derive(Clone)]
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) clock: Arc<ManualClock>,
    pub(super) place: Place,
    watch: Arc<Watch>,
}

/// Who is called by dropped values, and how often that was.
struct Watch {
    engine: Mutex<Option<Engine>>,
    runtime: Handle,
    /// Whether dropped values end the session of which they are part, too.
    rude: bool,
    armed: AtomicBool,
    calls: AtomicUsize,
    returned: AtomicUsize,
}

/// A value of the application's that calls every method of its engine when it is dropped.
pub(super) struct Reentrant(Arc<Watch>);

impl Reentrant {
    /// Lets a closure hold it.
    pub(super) const fn touch(&self) {}
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        if !self.0.armed.load(Ordering::SeqCst) || self.0.calls.fetch_add(1, Ordering::SeqCst) >= CALLS {
            return;
        }
        let engine = self.0.engine.lock().clone();
        if let Some(engine) = engine {
            call_everything(&engine, &self.0);
            self.0.returned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn call_everything(engine: &Engine, watch: &Watch) {
    let alice = alice();
    let _ = engine.stats();
    engine.observe(|_: &Event| {});
    engine.emit(Scope::all(), "dropped", Some(&json!({"what": "a value"}))).unwrap();
    register(engine);
    engine.refresh(Scope::all());
    engine.refresh(Scope::matching(|session: &Session| session.user() == Some("alice")));
    let (refresher, scope) = (engine.clone(), Scope::session("s"));
    watch.runtime.spawn(async move { refresher.refresh_now(scope).await });
    open(engine, &alice);
    serve(engine, &alice);
    end(engine, &user_session("t", "bob"));
    if watch.rude {
        end(engine, &alice);
    }
}

fn register(engine: &Engine) {
    engine.register("beside", |_: &Session| Descriptor::status());
    engine.register_async("later", |_: Session| async { Descriptor::status() });
    engine.register_source("beside/source", Source::new(|_: &Session| Descriptor::status()));
    let _ = engine.try_register("ui/tab-1", Source::new(|_: &Session| Descriptor::status()));
    engine.unregister("beside");
    let _ = engine.register_for("s", "beside", Source::new(|_: &Session| Descriptor::status()));
    let _ = engine.unregister_for("s", "later");
    let _ = engine.restore_for("s", "later");
}

fn open(engine: &Engine, session: &Session) {
    let _ = engine.open_session(session);
    engine.update_session(session);
    if let Ok(connection) = engine.connect(session) {
        say(&connection, &json!({"type": "subscribe", "id": "again", "path": "/"}));
        drain(&connection);
    }
    if let Ok(tab) = engine.connect_tab(session) {
        drain(&tab);
    }
    if let Ok(client) = engine.client(session) {
        let _ = client.session();
        let _ = client.closed();
    }
}

fn serve(engine: &Engine, session: &Session) {
    let provider: &dyn Provider = engine;
    provider.discovery();
    drop(provider.connect(session.clone(), Role::Consumer));
    let _ = provider.renew(session.clone());
    provider.note(Event::Refused { status: 400, reason: "a test" });
    provider.is_closing();
    provider.config();
}

fn end(engine: &Engine, session: &Session) {
    let _ = engine.open_session(session);
    engine.close_session(session.id());
    let revocation = Revocation::session(session.id());
    engine.revoke(revocation.clone());
    engine.unrevoke(&revocation);
}

/// Whose values are dropped.
pub(super) fn alice() -> Session {
    user_session("s", "alice")
}

pub(super) fn say(connection: &Connection, message: &Value) {
    connection.receive(&message.to_string());
}

/// Takes all that there is to write.
pub(super) fn drain(connection: &Connection) {
    while connection.try_next_frame().is_some() {}
}

pub(super) fn plain() -> Source {
    Source::new(|_: &Session| Descriptor::status().prop("plain", true))
}

fn list() -> Descriptor {
    Descriptor::collection().lazy(9)
}

impl World {
    fn build(place: Place, rude: bool, make: impl FnOnce(EngineBuilder, &Arc<Watch>) -> Engine) -> Self {
        let (mut config, clock) = (Config::immediate(), ManualClock::new());
        config.limits.resume_points_per_session = 1;
        config.limits.tasks_per_session = 1;
        config.limits.sessions_per_user = 2;
        config.times.evaluation_timeout = Duration::from_secs(1);
        config.times.resume_window = Duration::from_secs(5);
        config.times.idle_tree = Duration::from_secs(10);
        config.times.idle_session = Duration::from_secs(20);
        let watch = Arc::new(Watch {
            engine: Mutex::new(None),
            runtime: Handle::current(),
            rude,
            armed: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            returned: AtomicUsize::new(0),
        });
        let builder = Engine::builder("app", "App").config(config).clock(clock.clone());
        let engine = make(builder, &watch);
        *watch.engine.lock() = Some(engine.clone());
        Self { engine, clock, place, watch }
    }

    pub(super) fn value(&self) -> Reentrant {
        Reentrant(Arc::clone(&self.watch))
    }

    /// From now on values call the engine when they are dropped.
    pub(super) fn arm(&self) {
        self.watch.armed.store(true, Ordering::SeqCst);
    }

    /// Values call another engine from now on, so that none keeps its own alive.
    pub(super) fn call_another_engine(&self) {
        let other = Engine::builder("other", "Other").config(Config::immediate()).build();
        let before = self.watch.engine.lock().replace(other);
        drop(before);
    }

    /// How many values have called the engine, and come back.
    pub(super) fn returned(&self) -> usize {
        self.watch.returned.load(Ordering::SeqCst)
    }

    pub(super) fn source(&self) -> Source {
        source(self.place, self.value())
    }

    /// A connection that has subscribed and taken all that there is.
    pub(super) async fn connect_and_subscribe(&self, session: &Session) -> Connection {
        let connection = self.engine.connect(session).unwrap();
        say(&connection, &json!({"type": "subscribe", "id": "sub", "path": "/", "depth": -1}));
        self.engine.settle().await;
        drain(&connection);
        connection
    }
}

/// A source that holds a value at one place.
fn source(place: Place, value: Reentrant) -> Source {
    match place {
        Place::Descriptor => Source::new(move |_: &Session| {
            value.touch();
            Descriptor::status()
        }),
        Place::AsyncDescriptor => Source::new_async(move |_: Session| {
            value.touch();
            async { Descriptor::status() }
        }),
        Place::Action => offering(Action::new("act", move |_: Invocation<()>| value.touch())),
        Place::AsyncAction => offering(Action::new_async("act", move |_: Invocation<()>| {
            value.touch();
            async {}
        })),
        Place::Window => Source::new(|_: &Session| list()).on_window(move |_: &Session, _: &WindowRequest| {
            value.touch();
            Vec::<Item>::new()
        }),
        Place::Item => Source::new(|_: &Session| list()).on_item(move |_: &Session, _: &str| {
            value.touch();
            None::<Item>
        }),
    }
}

/// Only what it evaluates to holds the action: it is offered once.
fn offering(action: Action) -> Source {
    let offered = Mutex::new(Some(action));
    Source::new(move |_: &Session| match offered.lock().take() {
        Some(action) => Descriptor::status().action(&action),
        None => Descriptor::status(),
    })
}

/// Runs a scenario for a value at each place, on one thread and on several, with values that end nobody's session and with
/// values that end their own. Each must finish, and a value must have called the engine.
pub(super) fn finishes<F: Future<Output = ()>>(scenario: impl Fn(World) -> F + Copy + Send + 'static) {
    for place in PLACES {
        finishes_at(place, scenario);
    }
}

/// The same, for scenarios in which the place does not matter.
pub(super) fn finishes_anywhere<F: Future<Output = ()>>(scenario: impl Fn(World) -> F + Copy + Send + 'static) {
    finishes_at(Place::Action, scenario);
}

fn finishes_at<F: Future<Output = ()>>(place: Place, scenario: impl Fn(World) -> F + Copy + Send + 'static) {
    each_way(place, |builder, _| builder.build(), scenario);
}

/// The same, for an engine that the scenario completes: an authorisation, observers.
pub(super) fn finishes_built<F: Future<Output = ()>>(
    complete: impl Fn(EngineBuilder, Reentrant) -> EngineBuilder + Copy + Send + 'static,
    scenario: impl Fn(World) -> F + Copy + Send + 'static,
) {
    let make = move |builder, watch: &Arc<Watch>| complete(builder, Reentrant(Arc::clone(watch))).build();
    each_way(Place::Action, make, scenario);
}

/// The same in provider-per-session mode: each session's provider has two sources under one path, and one beside.
pub(super) fn finishes_per_session<F: Future<Output = ()>>(scenario: impl Fn(World) -> F + Copy + Send + 'static) {
    for place in PLACES {
        let make = move |builder, watch: &Arc<Watch>| {
            let (watch, factory_value) = (Arc::clone(watch), Reentrant(Arc::clone(watch)));
            let source = move || source(place, Reentrant(Arc::clone(&watch)));
            let provider = move |_: &Session| {
                factory_value.touch();
                let provider = SessionProvider::new().register_source("own", source());
                provider.register_source("own", source()).register_source("beside", source())
            };
            PerSession::with_options(builder, provider).engine().clone()
        };
        each_way(place, make, scenario);
    }
}

fn each_way<F: Future<Output = ()>>(
    place: Place,
    make: impl FnOnce(EngineBuilder, &Arc<Watch>) -> Engine + Copy + Send + 'static,
    scenario: impl Fn(World) -> F + Copy + Send + 'static,
) {
    for (threads, rude) in [(1, false), (1, true), (3, false), (3, true)] {
        in_time(move || {
            let mut runtime = if threads > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
            let runtime = runtime.worker_threads(threads).enable_all().build().unwrap();
            let returned = runtime.block_on(async {
                let world = World::build(place, rude, make);
                let watch = Arc::clone(&world.watch);
                scenario(world).await;
                let engine = watch.engine.lock().take();
                drop(engine);
                watch.returned.load(Ordering::SeqCst)
            });
            assert!(returned > 0, "no value was dropped: {place:?}, {threads} threads, rude {rude}");
        });
    }
}

/// Runs something on a thread of its own, which must end in time.
pub(super) fn in_time(work: impl FnOnce() + Send + 'static) {
    let (ended, end) = channel();
    let thread = std::thread::spawn(move || {
        work();
        let _ = ended.send(());
    });
    match end.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("deadlock: a dropped value called the engine and never came back"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
    }
}
