//! The engine as an application holds it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use event_listener::Event as Signal;
use futures_util::future::{Either, select};
use tokio::sync::Semaphore;

use crate::busy::Busy;
use crate::clock::Clock;
use crate::clock::system::SystemClock;
use crate::clock::wheel::Wheel;
use crate::config::Config;
use crate::connection::Connection;
use crate::core::{Authorize, Core, Timer};
use crate::deliver::link::{Link, Request};
use crate::deliver::outbox::Outbox;
use crate::deliver::subscription::Delivery;
use crate::error::{ActionError, ConnectError, RegisterError};
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::model::path;
use crate::model::session::Session;
use crate::per_session::{Factory, Instance};
use crate::protocol::code::{close, error};
use crate::protocol::{CAPABILITIES, encode};
use crate::provider::{Discovery, Provider, Role};
use crate::receive::tab::TabPeer;
use crate::refresh::pass::Passes;
use crate::refresh::schedule::Schedule;
use crate::refresh::scope::Scope;
use crate::render::action::Action;
use crate::render::evaluate::{Renderer, panic_sentence};
use crate::render::fragment::Store;
use crate::render::memo::Memo;
use crate::render::pack::PackLimits;
use crate::render::registry::{IntoDescriptor, Source};
use crate::sessions::evict::IdleOrder;
use crate::sessions::revoked::{Revocation, Revoked};
use crate::sessions::table::Table;
use crate::stats::Stats;

/// One provider for many users: sources and actions are registered once, each session sees its own tree.
///
/// A cheap handle; all clones are the same engine. It ends when the last clone and the last connection are dropped.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
}

/// An engine in the making.
pub struct EngineBuilder {
    id: Text,
    name: Text,
    config: Config,
    clock: Arc<dyn Clock>,
    observers: Observers,
    authorize: Option<Authorize>,
    hello_fields: Vec<Text>,
    factory: Option<Factory>,
}

impl EngineBuilder {
    /// The bounds; see [`Config`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where time comes from. Tests bring a clock of their own.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Is told of every event, on whatever thread it happens. It must not block.
    #[must_use]
    pub fn observer(self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observers.add(observer);
        self
    }

    /// Is asked before every call, with the session's current claims, the node's path and the action. Handlers still
    /// check what only they know.
    #[must_use]
    pub fn authorize(
        mut self,
        authorize: impl Fn(&Session, &str, &Action) -> Result<(), ActionError> + Send + Sync + 'static,
    ) -> Self {
        self.authorize = Some(Box::new(authorize));
        self
    }

    /// Lets `hello` tell the consumer these fields of its session: `user`, `project`, or attributes by name. None by
    /// default.
    #[must_use]
    pub fn hello_session<F: Into<Text>>(mut self, fields: impl IntoIterator<Item = F>) -> Self {
        self.hello_fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Provider-per-session mode: each session gets what the factory registers for it, and nothing that it registers for
    /// another. The factory runs when a session is opened and again when its claims change; if it panics, only that
    /// session is refused.
    #[must_use]
    pub fn per_session(mut self, factory: impl Fn(&Session) -> Instance + Send + Sync + 'static) -> Self {
        self.factory = Some(Box::new(factory));
        self
    }

    /// The engine, running.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> Engine {
        let runtime = tokio::runtime::Handle::current();
        let config = self.config;
        let observers = Arc::new(self.observers);
        let nodes = u32::try_from(config.max_nodes).unwrap_or(u32::MAX);
        let renderer = Renderer {
            store: Store::new(config.symbol_bytes),
            limits: PackLimits { nodes, depth: config.max_depth },
            root_id: self.id.clone(),
            root_name: self.name.clone(),
        };
        let passes = Arc::new(Passes::new(
            renderer,
            Arc::clone(&observers),
            Arc::clone(&self.clock),
            config.pass_threads,
            config.async_evaluations,
            config.evaluate_ms,
            runtime.clone(),
        ));
        let wheel = Arc::new(Wheel::new(self.clock));
        let core = Arc::new_cyclic(|me| Core {
            me: Weak::clone(me),
            epoch: epoch(),
            id: self.id,
            name: self.name,
            table: Table::new(config.max_sessions),
            passes,
            schedule: Schedule::new(config.debounce_ms),
            wheel: Arc::clone(&wheel),
            idle_trees: IdleOrder::new(),
            idle_sessions: IdleOrder::new(),
            blocking: Arc::new(Semaphore::new(config.max_blocking.max(1))),
            driver: OnceLock::new(),
            revoked: Revoked::new(config.max_revoked),
            delivery: Delivery {
                memo: Memo::new(config.cache_bytes),
                max_frame_bytes: config.max_frame_bytes,
                rebase_bytes: config.rebase_bytes,
                max_nodes: config.max_nodes,
                first_patch_ms: config.first_patch_ms,
            },
            authorize: self.authorize,
            hello_fields: self.hello_fields,
            factory: self.factory,
            observers,
            runtime: runtime.clone(),
            busy: Arc::new(Busy::default()),
            closing: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            connection_gone: Signal::new(),
            next_number: AtomicU64::new(1),
            config,
        });
        let driver = runtime.spawn(drive(wheel, Arc::downgrade(&core))).abort_handle();
        core.driver.get_or_init(|| driver);
        Engine { core }
    }
}

/// A text that no other engine has: the hasher's seeds are random for each process, the counter differs within one.
fn epoch() -> String {
    static ENGINES: AtomicU64 = AtomicU64::new(0);
    let number = ENGINES.fetch_add(1, Ordering::Relaxed);
    let seeds = [RandomState::new(), RandomState::new()];
    seeds.map(|seed| format!("{:016x}", seed.hash_one(number))).concat()
}

/// Deals with what becomes due, as long as there is an engine.
async fn drive(wheel: Arc<Wheel<Timer>>, core: Weak<Core>) {
    loop {
        let timer = wheel.next().await;
        let Some(core) = core.upgrade() else { return };
        // Something that an application owns may be dropped here, and panic; time has to go on.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| core.fire(timer))) {
            let why = panic_sentence(panic.as_ref());
            core.observers.warn(&Event::Panicked { what: "timer", why });
        }
        wheel.dealt_with();
        core.busy.nudge();
    }
}

impl Engine {
    /// Starts an engine for the provider with this id and name.
    ///
    /// # Panics
    /// If the id cannot be a node id (contract 2.5).
    #[track_caller]
    pub fn builder(id: impl Into<Text>, name: impl Into<Text>) -> EngineBuilder {
        let id = id.into();
        if let Err(why) = crate::model::id::check(&id) {
            panic!("`{id}` cannot be a provider id: {why}");
        }
        EngineBuilder {
            id,
            name: name.into(),
            config: Config::default(),
            clock: Arc::new(SystemClock::new()),
            observers: Observers::default(),
            authorize: None,
            hello_fields: Vec::new(),
            factory: None,
        }
    }

    /// Is told of every event from now on. It must not block.
    pub fn observe(&self, observer: impl Fn(&Event) + Send + Sync + 'static) {
        self.core.observers.add(observer);
    }

    /// Registers a descriptor function under a path, in place of the one before. It may block. Sessions that are shown
    /// get it with the next pass.
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5). [`Engine::try_register`] answers instead.
    #[track_caller]
    pub fn register<R: IntoDescriptor>(&self, path: &str, describe: impl Fn(&Session) -> R + Send + Sync + 'static) {
        self.register_source(path, Source::new(describe));
    }

    /// Registers a descriptor function that awaits. See [`Engine::register`].
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5).
    #[track_caller]
    pub fn register_async<R, F>(&self, path: &str, describe: impl Fn(Session) -> F + Send + Sync + 'static)
    where
        R: IntoDescriptor,
        F: Future<Output = R> + Send + 'static,
    {
        self.register_source(path, Source::new_async(describe));
    }

    /// Registers a source with its options. See [`Engine::register`].
    ///
    /// # Panics
    /// If a segment of the path cannot be a node id (contract 2.5).
    #[track_caller]
    pub fn register_source(&self, path: &str, source: Source) {
        if let Err(error) = self.try_register(path, source) {
            panic!("{error}");
        }
    }

    /// Registers a source under a path that may not be valid.
    ///
    /// # Errors
    /// [`RegisterError::Path`] if a segment cannot be a node id (contract 2.5).
    pub fn try_register(&self, path: &str, mut source: Source) -> Result<(), RegisterError> {
        let path = registrable(path)?;
        self.core.passes.runs.count(&path, &mut source);
        let before = self.core.passes.registry.write().insert(path.clone(), Arc::new(source));
        drop(before);
        self.refresh(Scope::all().paths([path]));
        Ok(())
    }

    /// Removes what is registered under exactly this path; what is registered below stays. False if there is nothing.
    pub fn unregister(&self, path: &str) -> bool {
        let path = path::normal(path);
        let before = self.core.passes.registry.write().remove(&path);
        let removed = before.0.is_some();
        drop(before);
        if removed {
            self.refresh(Scope::all().paths([path]));
        }
        removed
    }

    /// Registers a source for one session alone, over what everybody has at that path.
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn register_for(&self, session: &str, path: &str, mut source: Source) -> Result<(), RegisterError> {
        let path = registrable(path)?;
        self.core.passes.runs.count(&path, &mut source);
        self.set_own(session, &path, Some(Arc::new(source)))
    }

    /// Hides a path from one session alone, whether everybody has it or only this session.
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn unregister_for(&self, session: &str, path: &str) -> Result<(), RegisterError> {
        let path = registrable(path)?;
        // The root is always there; hidden, it is bare.
        let instead = path.is_empty().then(|| Arc::new(Source::new(|_: &Session| crate::Descriptor::default())));
        self.set_own(session, &path, instead)
    }

    /// Gives a session what everybody has at a path, or its instance, after [`Engine::register_for`] or
    /// [`Engine::unregister_for`].
    ///
    /// # Errors
    /// [`RegisterError`] if the path is not valid or no such session is open.
    pub fn restore_for(&self, session: &str, path: &str) -> Result<(), RegisterError> {
        let path = registrable(path)?;
        let slot = self.core.table.get(session).ok_or(RegisterError::NoSession)?;
        slot.forget_own(&path);
        self.core.refresh_own(&slot, &path);
        Ok(())
    }

    fn set_own(&self, session: &str, path: &Text, source: Option<Arc<Source>>) -> Result<(), RegisterError> {
        let slot = self.core.table.get(session).ok_or(RegisterError::NoSession)?;
        slot.set_own(path.clone(), source);
        self.core.refresh_own(&slot, path);
        Ok(())
    }

    /// Renders the sessions of a scope again, together with what else changes within the debounce time. Answers how many
    /// sessions the scope means; those that nobody looks at have no tree and cost nothing.
    #[expect(clippy::needless_pass_by_value, reason = "written as `refresh(Scope::all())`")]
    pub fn refresh(&self, scope: Scope) -> usize {
        self.core.refresh(&scope)
    }

    /// Renders the sessions of a scope at once. When it returns, their trees are committed.
    pub async fn refresh_now(&self, scope: Scope) -> usize {
        let _work = self.core.busy.begin();
        self.core.refresh_now(&scope).await
    }

    /// Sends an event, which changes no state, to every connection of the sessions of a scope. Answers how many there
    /// are.
    #[expect(clippy::needless_pass_by_value, reason = "written as `emit(Scope::all(), ..)`")]
    pub fn emit(&self, scope: Scope, name: &str, data: Option<&serde_json::Value>) -> usize {
        self.core.emit(&scope, name, data)
    }

    /// Opens a session before anybody connects to it, so that it can be refreshed by user or attribute.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn open_session(&self, session: &Session) -> Result<(), ConnectError> {
        self.core.open(session).map(drop)
    }

    /// Gives an open session new claims; its tree is rendered with them. False if no session has that id.
    pub fn update_session(&self, session: &Session) -> bool {
        let known = self.core.table.get(session.context().id()).is_some();
        known && self.core.open(session).is_ok()
    }

    /// Forgets a session and closes its connections (1000). It may come back. False if no session has that id.
    pub fn close_session(&self, id: &str) -> bool {
        self.core.close_session(id, close::NORMAL, "the session was closed", "closed")
    }

    /// Ends sessions at once (1008), and keeps them out from now on. Answers how many were open.
    #[expect(clippy::needless_pass_by_value, reason = "written as `revoke(Revocation::user(..))`")]
    pub fn revoke(&self, revocation: Revocation) -> usize {
        self.core.revoke(&revocation)
    }

    /// Lets whom a revocation barred come back. False if it barred nobody.
    pub fn lift(&self, revocation: &Revocation) -> bool {
        self.core.revoked.lift(revocation)
    }

    /// Binds a consumer to a session, opening the session if need be.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(&self, session: &Session) -> Result<Connection, ConnectError> {
        self.bind(session, false)
    }

    /// Binds a browser tab to a session. Its tree is shown under `/ui/tab-N`, where the engine chooses `N`.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect_tab(&self, session: &Session) -> Result<Connection, ConnectError> {
        self.bind(session, true)
    }

    fn bind(&self, session: &Session, is_tab: bool) -> Result<Connection, ConnectError> {
        let core = &self.core;
        if core.closing.load(Ordering::SeqCst) {
            return Err(ConnectError::Closing);
        }
        let count = core.connections.fetch_add(1, Ordering::SeqCst);
        let counted = Counted { core, kept: false };
        if count >= core.config.max_connections {
            let session = session.context().id().clone();
            core.observers.warn(&Event::LimitReached { limit: "max_connections", session });
            return Err(ConnectError::Full("connections"));
        }
        let slot = core.open(session)?;
        if slot.links().len() >= core.config.max_session_connections {
            core.limit_reached("max_session_connections", &slot);
            return Err(ConnectError::Full("connections of one session"));
        }
        let number = core.next_number.fetch_add(1, Ordering::Relaxed);
        let (greeting, delay_ms) = match is_tab {
            true => (encode::TAB_CONNECT.to_owned(), 0),
            false => (core.hello(&slot), core.config.hello_delay_ms),
        };
        let outbox = Outbox::new(greeting, delay_ms, core.config.max_outbox_bytes);
        let link = Arc::new(Link::new(number, is_tab, core.now_ms(), outbox));
        if !slot.attach(Arc::clone(&link)) {
            // It was closed since it was found: idle, expired or revoked. Looked for anew, it is made again or refused.
            drop(counted);
            return self.bind(session, is_tab);
        }
        let tab = if is_tab { TabPeer::open(core, &slot, Arc::clone(&link)) } else { None };
        if is_tab && tab.is_none() {
            slot.detach(&link, core.now_ms());
            core.limit_reached("max_tabs", &slot);
            return Err(ConnectError::Full("tabs of one session"));
        }
        if core.closing.load(Ordering::SeqCst) {
            slot.detach(&link, core.now_ms());
            return Err(ConnectError::Closing);
        }
        core.pin(&slot);
        core.wheel.at(core.now_ms().saturating_add(core.config.ping_ms), Timer::Check(Arc::downgrade(&link)));
        core.observers.emit(|| Event::Connected { session: slot.context().id().clone(), connection: number });
        counted.keep();
        Ok(Connection::new(Arc::clone(core), slot, link, tab))
    }

    /// How much there is of everything now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let core = &self.core;
        let slots = core.table.all();
        let links = slots.iter().flat_map(|slot| slot.links());
        let (mut subscriptions, mut outbox_bytes) = (0, 0);
        for link in links {
            let outbox = link.outbox.lock();
            subscriptions += outbox.subscriptions();
            outbox_bytes += outbox.bytes();
        }
        let store = &core.passes.renderer.store;
        Stats {
            sessions: slots.len(),
            trees: slots.iter().filter(|slot| slot.is_resident()).count(),
            connections: core.connections.load(Ordering::SeqCst),
            subscriptions,
            tabs: slots.iter().map(|slot| slot.tabs().iter().filter(|tab| tab.is_mounted()).count()).sum(),
            tree_bytes: store.fragment_bytes(),
            symbol_bytes: store.symbols().bytes(),
            outbox_bytes,
            evaluations: self.evaluations(),
            shared_evaluations: core.passes.shared(),
            commits: core.passes.commits(),
            diffs: core.delivery.memo.diffs(),
            encodes: core.delivery.memo.encodes(),
        }
    }

    fn evaluations(&self) -> BTreeMap<String, u64> {
        let runs = self.core.passes.runs.all();
        runs.into_iter().map(|(path, runs)| (path::absolute(&path), runs)).collect()
    }

    /// Stops: new connections are refused, calls in flight get until the deadline to be answered and `internal` after
    /// it, then every connection is closed with 1001. Returns when all connections are gone, or at the deadline plus a
    /// second.
    pub async fn shutdown(&self, deadline: Duration) {
        let core = &self.core;
        core.closing.store(true, Ordering::SeqCst);
        let until_ms = core.now_ms().saturating_add(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX));
        let links = || core.table.all().iter().flat_map(|slot| slot.links()).collect::<Vec<_>>();
        self.wait_until(until_ms, || links().iter().all(|link| !link.has_calls())).await;
        for link in links() {
            for (id, kind) in link.take_calls() {
                let words = "the provider is shutting down";
                link.reply(match kind {
                    Request::Query => encode::error(Some(&id), error::INTERNAL, words),
                    Request::Invoke => encode::result(&id, &Err(ActionError::internal(words))),
                });
            }
            link.end(close::GOING_AWAY, "the provider is shutting down", "closing");
        }
        self.wait_until(until_ms.saturating_add(1000), || core.connections.load(Ordering::SeqCst) == 0).await;
    }

    /// Waits until a condition holds that work or a leaving connection may bring about, or the time is up.
    async fn wait_until(&self, until_ms: u64, holds: impl Fn() -> bool) {
        loop {
            let (work, gone) = (self.core.busy.listen(), self.core.connection_gone.listen());
            if holds() || self.core.now_ms() >= until_ms {
                return;
            }
            // Looked at now and then besides: a call may be answered without being the last work.
            let soon = until_ms.min(self.core.now_ms() + 20);
            let sleep = self.core.wheel.clock().sleep_until(soon);
            if let Either::Left(_) = select(select(work, gone), sleep).await {}
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

/// A tab may wish for `ui` or something below it. The wish is only checked: the engine chooses the path, so that no tab
/// can take the place of server data or of another tab (contract 3.4).
fn may_mount(mount: &str) -> bool {
    path::registrable(mount).is_ok_and(|mount| mount.is_empty() || path::covers("ui", &mount))
}

fn registrable(path: &str) -> Result<Text, RegisterError> {
    path::registrable(path).map_err(|why| RegisterError::Path(path.to_owned(), why))
}

/// A connection that is counted before it exists; taken back if it comes to nothing.
struct Counted<'a> {
    core: &'a Core,
    kept: bool,
}

impl Counted<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.core.connections.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Provider for Engine {
    fn discovery(&self) -> Discovery {
        Discovery { id: self.core.id.to_string(), name: self.core.name.to_string(), capabilities: CAPABILITIES }
    }

    fn connect(&self, session: Session, role: Role) -> Result<Connection, ConnectError> {
        match role {
            Role::Consumer => Self::connect(self, &session),
            Role::Tab { mount } if may_mount(&mount) => self.connect_tab(&session),
            Role::Tab { .. } => Err(ConnectError::Invalid("a tab may only be mounted under `ui`".to_owned())),
        }
    }

    fn config(&self) -> &Config {
        &self.core.config
    }

    fn note(&self, event: Event) {
        self.core.observers.warn(&event);
    }

    fn is_closing(&self) -> bool {
        self.core.closing.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("id", &self.core.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("id", &self.id).finish_non_exhaustive()
    }
}
