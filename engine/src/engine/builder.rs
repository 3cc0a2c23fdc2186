//! Builder for `Engine`, and the task that deals with what becomes due.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::Semaphore;

use super::Engine;
use crate::clock::Clock;
use crate::clock::millis;
use crate::clock::system::SystemClock;
use crate::clock::timer_queue::TimerQueue;
use crate::config::{Config, ConfigError};
use crate::core::call_quota::CallQuota;
use crate::core::quota::Total;
use crate::core::{Authorize, Core, Timer};
use crate::deliver::connection_name::ConnectionNames;
use crate::deliver::subscription::Delivery;
use crate::error::ActionError;
use crate::event::{Event, Observers, PanicSite};
use crate::in_flight::InFlight;
use crate::model::Text;
use crate::model::session::Session;
use crate::refresh::pass::Passes;
use crate::refresh::schedule::Schedule;
use crate::render::action::Action;
use crate::render::evaluate::{Renderer, panic_sentence};
use crate::render::memo::Memo;
use crate::render::pack::PackLimits;
use crate::render::store::Store;
use crate::session_provider::{Factory, SessionProvider};
use crate::sessions::revocations::Revocations;
use crate::sessions::table::Table;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, Runtime, Signal};

/// Builder for [`Engine`].
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
    pub(super) fn new(id: Text, name: Text) -> Self {
        Self {
            id,
            name,
            config: Config::default(),
            clock: Arc::new(SystemClock::new()),
            observers: Observers::default(),
            authorize: None,
            hello_fields: Vec::new(),
            factory: None,
        }
    }

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
    /// another. [`PerSession`](crate::PerSession) is the whole mode under one name. The factory runs when a session is opened and again when its claims change; if it panics, only that
    /// session is refused.
    #[must_use]
    pub fn per_session(mut self, factory: impl Fn(&Session) -> SessionProvider + Send + Sync + 'static) -> Self {
        self.factory = Some(Box::new(factory));
        self
    }

    /// Starts the engine.
    ///
    /// # Panics
    /// If the configuration cannot be used ([`EngineBuilder::try_build`] returns the error), or outside a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> Engine {
        match self.try_build() {
            Ok(engine) => engine,
            Err(error) => panic!("the configuration cannot be used: {error}"),
        }
    }

    /// Starts the engine with a configuration that may not be valid.
    ///
    /// # Errors
    /// [`ConfigError`] names the field that cannot be used, and says why.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn try_build(self) -> Result<Engine, ConfigError> {
        self.config.validate()?;
        let runtime = Runtime::current();
        let config = self.config;
        let observers = Arc::new(self.observers);
        let nodes = u32::try_from(config.sizes.nodes).unwrap_or(u32::MAX);
        let renderer = Renderer {
            store: Store::new(config.memory.dictionary_bytes),
            limits: PackLimits { nodes, depth: config.sizes.depth },
            root_id: self.id.clone(),
            root_name: self.name.clone(),
        };
        let passes = Arc::new(Passes::new(
            renderer,
            Arc::clone(&observers),
            Arc::clone(&self.clock),
            config.execution.pass_threads,
            config.execution.async_evaluations,
            millis(config.times.evaluation_timeout),
            runtime.clone(),
        ));
        let timers = Arc::new(TimerQueue::new(self.clock));
        let core = Arc::new_cyclic(|me| Core {
            me: Weak::clone(me),
            epoch: epoch(),
            connection_names: ConnectionNames::default(),
            id: self.id,
            name: self.name,
            table: Table::new(config.limits.sessions, config.limits.sessions_per_user),
            passes,
            schedule: Schedule::new(millis(config.times.debounce)),
            timers: Arc::clone(&timers),
            texts_watched: AtomicBool::new(false),
            idle_watched: Default::default(),
            blocking: Arc::new(Semaphore::new(config.execution.blocking_calls.max(1))),
            driver: OnceLock::new(),
            revocations: Revocations::new(config.limits.revocations),
            delivery: Delivery {
                memo: Memo::new(config.memory.cache_bytes),
                max_frame_bytes: config.sizes.frame_bytes,
                rebase_bytes: config.sizes.rebase_bytes,
                max_nodes: config.sizes.nodes,
                first_patch_ms: millis(config.times.first_patch_delay),
            },
            authorize: self.authorize,
            hello_fields: self.hello_fields,
            factory: self.factory,
            observers,
            runtime: runtime.clone(),
            in_flight: Arc::new(InFlight::default()),
            closing: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            subscriptions: Total::default(),
            tabs: Total::default(),
            call_quota: CallQuota::default(),
            connection_gone: Signal::new(),
            next_number: AtomicU64::new(1),
            config,
        });
        let driver = runtime.spawn(drive(timers, Arc::downgrade(&core))).abort_handle();
        core.driver.get_or_init(|| driver);
        Ok(Engine { core })
    }
}

/// A text that no other engine has: the hasher's seeds are random for each process, the counter differs within one.
fn epoch() -> String {
    static ENGINES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = ENGINES.fetch_add(1, Ordering::Relaxed);
    let seeds = [RandomState::new(), RandomState::new()];
    seeds.map(|seed| format!("{:016x}", seed.hash_one(number))).concat()
}

/// Deals with what becomes due, as long as there is an engine.
async fn drive(timers: Arc<TimerQueue<Timer>>, core: Weak<Core>) {
    loop {
        let timer = timers.next().await;
        let Some(core) = core.upgrade() else { return };
        // Something that an application owns may be dropped here, and panic; time has to go on.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| core.fire(timer))) {
            let why = panic_sentence(panic.as_ref());
            core.observers.warn(&Event::Panicked { what: PanicSite::Timer, why });
        }
        timers.complete();
        core.in_flight.notify();
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("id", &self.id).finish_non_exhaustive()
    }
}
