//! Makes the parts of an engine and gives each what it works with. Nothing else happens here.

use std::sync::Arc;

use super::builder::EngineBuilder;
use super::drain::Drain;
use super::driver::{Driver, drive};
use crate::background::Background;
use crate::clock::Clock;
use crate::clock::timer_queue::TimerQueue;
use crate::config::Config;
use crate::connection::connector::Connector;
use crate::connection::outbound::Outbound;
use crate::connection::services::ConnectionServices;
use crate::deliver::delivery::Delivery;
use crate::emit::Emitter;
use crate::event::Observers;
use crate::in_flight::InFlight;
use crate::lifecycle::cache::CacheSweeper;
use crate::lifecycle::closer::Closer;
use crate::lifecycle::evictor::Evictor;
use crate::lifecycle::expiry::Expiry;
use crate::lifecycle::liveness::Liveness;
use crate::lifecycle::opener::Opener;
use crate::lifecycle::providers::Providers;
use crate::lifecycle::resume::ResumeWindow;
use crate::lifecycle::revoker::Revoker;
use crate::receive::admission::Admission;
use crate::receive::calls::{Authorize, Calls};
use crate::receive::greeter::Greeter;
use crate::receive::inbound::Inbound;
use crate::receive::loader::Loader;
use crate::receive::queries::Queries;
use crate::receive::subscriptions::Subscriptions;
use crate::receive::tabs::TabService;
use crate::refresh::passes::Passes;
use crate::refresh::refresher::Refresher;
use crate::refresh::sources::Sources;
use crate::render::evaluate::Renderer;
use crate::render::pack::PackLimits;
use crate::render::store::Store;
use crate::runs::task_runner::TaskRunner;
use crate::sessions::blocking::BlockingPermits;
use crate::sessions::call_quota::CallQuota;
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::quota::Quota;
use crate::sessions::revocations::Revocations;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::sync::{AbortHandle, AtomicBool, AtomicU64, Runtime};

/// The parts that the engine's public methods call. Each owns its data; what it needs of others it was given.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) observers: Arc<Observers>,
    pub(crate) background: Arc<Background>,
    pub(crate) timers: Arc<TimerQueue<Timer>>,
    pub(crate) table: Arc<Table>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) passes: Arc<Passes>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) closer: Arc<Closer>,
    pub(crate) revoker: Revoker,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) greeter: Arc<Greeter>,
    pub(crate) connector: Arc<Connector>,
    pub(crate) emitter: Emitter,
    pub(crate) drain: Drain,
    /// Handles timers as long as the parts exist.
    _driver: Arc<Driver>,
    driving: AbortHandle,
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

/// What everything below is made from, in this order.
struct Foundation {
    config: Config,
    observers: Arc<Observers>,
    background: Arc<Background>,
    timers: Arc<TimerQueue<Timer>>,
    table: Arc<Table>,
    renderer: Arc<Renderer>,
    idle: Arc<IdleTracker>,
}

impl Foundation {
    fn new(builder: &mut EngineBuilder) -> Self {
        let config = builder.config.clone();
        let nodes = u32::try_from(config.sizes.nodes).unwrap_or(u32::MAX);
        let renderer = Arc::new(Renderer {
            store: Store::new(config.memory.dictionary_bytes),
            limits: PackLimits { nodes, properties: config.sizes.properties, depth: config.sizes.depth },
            root_id: builder.id.clone(),
            root_name: builder.name.clone(),
        });
        let timers = Arc::new(TimerQueue::new(Arc::clone(&builder.clock)));
        let table = Arc::new(Table::new(config.limits.sessions, config.limits.sessions_per_user));
        let idle = IdleTracker::new(Arc::clone(&table), renderer.store.clone(), Arc::clone(&timers), &config);
        Self {
            observers: Arc::new(std::mem::take(&mut builder.observers)),
            background: Arc::new(Background { runtime: Runtime::current(), in_flight: Arc::new(InFlight::default()) }),
            config,
            timers,
            table,
            renderer,
            idle,
        }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(self.timers.clock())
    }

    fn passes(&self, sources: &Arc<Sources>) -> Arc<Passes> {
        Passes::new(
            Arc::clone(sources),
            Arc::clone(&self.renderer),
            Arc::clone(&self.observers),
            self.clock(),
            self.background.runtime.clone(),
            &self.config,
        )
    }

    fn refresher(&self, passes: &Arc<Passes>) -> Arc<Refresher> {
        Refresher::new(
            Arc::clone(&self.table),
            Arc::clone(passes),
            Arc::clone(&self.timers),
            Arc::clone(&self.idle),
            Arc::clone(&self.background),
            Arc::clone(&self.observers),
            &self.config,
        )
    }

    fn tasks(&self, refresher: &Arc<Refresher>) -> Arc<TaskRunner> {
        TaskRunner::new(
            Arc::clone(&self.table),
            Arc::clone(refresher),
            Arc::clone(&self.idle),
            Arc::clone(&self.timers),
            Arc::clone(&self.background),
            Arc::clone(&self.observers),
            &self.config,
        )
    }
}

/// How sessions begin and end.
struct Lives {
    revocations: Arc<Revocations>,
    closer: Arc<Closer>,
    expiry: Arc<Expiry>,
    evictor: Arc<Evictor>,
    resume: Arc<ResumeWindow>,
    liveness: Arc<Liveness>,
}

impl Lives {
    fn new(base: &Foundation) -> Self {
        let closer = Closer::new(Arc::clone(&base.table), Arc::clone(&base.observers));
        let evictor = Evictor::new(
            Arc::clone(&base.table),
            Arc::clone(&base.idle),
            Arc::clone(&closer),
            Arc::clone(&base.observers),
        );
        let times = &base.config.times;
        Self {
            revocations: Arc::new(Revocations::new(base.config.limits.revocations)),
            expiry: Expiry::new(Arc::clone(&base.timers), Arc::clone(&closer), times.expiry_warning),
            evictor,
            resume: ResumeWindow::new(Arc::clone(&base.timers), Arc::clone(&base.observers), &base.config),
            liveness: Liveness::new(Arc::clone(&base.timers), times),
            closer,
        }
    }

    fn opener(&self, base: &Foundation, providers: Providers, refresher: &Arc<Refresher>) -> Arc<Opener> {
        Arc::new(Opener {
            table: Arc::clone(&base.table),
            revocations: Arc::clone(&self.revocations),
            providers,
            evictor: Arc::clone(&self.evictor),
            expiry: Arc::clone(&self.expiry),
            closer: Arc::clone(&self.closer),
            idle: Arc::clone(&base.idle),
            refresher: Arc::clone(refresher),
            observers: Arc::clone(&base.observers),
        })
    }

    fn revoker(&self, base: &Foundation) -> Revoker {
        Revoker::new(
            Arc::clone(&base.table),
            Arc::clone(&self.revocations),
            Arc::clone(&self.closer),
            Arc::clone(&base.observers),
        )
    }
}

/// What connections are served by.
struct Serving<'a> {
    base: &'a Foundation,
    lives: &'a Lives,
    refresher: &'a Arc<Refresher>,
    quota: &'a Arc<Quota>,
    greeter: &'a Arc<Greeter>,
}

impl Serving<'_> {
    fn inbound(&self, authorize: Option<Authorize>, tasks: &Arc<TaskRunner>) -> Inbound {
        let base = self.base;
        let observers = || Arc::clone(&base.observers);
        let limits = &base.config.limits;
        let admission =
            Admission::new(CallQuota::new(limits.clone()), Arc::clone(&self.lives.expiry), limits.clone(), observers());
        let permits = Arc::new(BlockingPermits::new(&base.config.execution, observers()));
        let loader =
            Loader::new(Arc::clone(&base.renderer), Arc::clone(&permits), Arc::clone(&base.background), observers());
        Inbound {
            greeter: Arc::clone(self.greeter),
            subscriptions: self.subscriptions(),
            queries: Arc::new(Queries {
                admission: Arc::clone(&admission),
                refresher: Arc::clone(self.refresher),
                loader: Arc::clone(&loader),
                background: Arc::clone(&base.background),
                max_nodes: base.config.sizes.nodes,
            }),
            calls: Arc::new(Calls {
                admission,
                refresher: Arc::clone(self.refresher),
                loader,
                permits,
                tasks: tasks.host(),
                authorize,
                background: Arc::clone(&base.background),
                clock: base.clock(),
                observers: observers(),
            }),
        }
    }

    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            quota: Arc::clone(self.quota),
            refresher: Arc::clone(self.refresher),
            resume: Arc::clone(&self.lives.resume),
            liveness: Arc::clone(&self.lives.liveness),
            greeter: Arc::clone(self.greeter),
            observers: Arc::clone(&self.base.observers),
        }
    }

    fn outbound(&self, delivery: &Arc<Delivery>, cache: &Arc<CacheSweeper>) -> Outbound {
        Outbound {
            delivery: Arc::clone(delivery),
            expiry: Arc::clone(&self.lives.expiry),
            quota: Arc::clone(self.quota),
            cache: Arc::clone(cache),
            timers: Arc::clone(&self.base.timers),
            observers: Arc::clone(&self.base.observers),
        }
    }

    fn connector(&self, opener: &Arc<Opener>, inbound: Inbound, outbound: Outbound) -> Arc<Connector> {
        let base = self.base;
        let tabs = TabService::new(
            Arc::clone(self.quota),
            Arc::clone(self.refresher),
            Arc::clone(&base.observers),
            base.clock(),
            &base.config,
        );
        let services = Arc::new(ConnectionServices {
            inbound,
            outbound,
            resume: Arc::clone(&self.lives.resume),
            idle: Arc::clone(&base.idle),
            timers: Arc::clone(&base.timers),
            observers: Arc::clone(&base.observers),
            config: base.config.clone(),
        });
        Arc::new(Connector {
            services,
            opener: Arc::clone(opener),
            quota: Arc::clone(self.quota),
            greeter: Arc::clone(self.greeter),
            expiry: Arc::clone(&self.lives.expiry),
            liveness: Arc::clone(&self.lives.liveness),
            tabs,
            closing: AtomicBool::new(false),
            next_number: AtomicU64::new(1),
        })
    }
}

impl Parts {
    pub(super) fn new(mut builder: EngineBuilder) -> Arc<Self> {
        let base = Foundation::new(&mut builder);
        let lives = Lives::new(&base);
        let sources = Arc::new(Sources::new());
        let passes = base.passes(&sources);
        let refresher = base.refresher(&passes);
        let tasks = base.tasks(&refresher);
        let delivery = Arc::new(Delivery::new(&base.config));
        let cache = CacheSweeper::new(Arc::clone(&delivery), Arc::clone(&base.timers));
        let quota = Quota::new(Arc::clone(&base.table), base.config.limits.clone());
        let greeter = Arc::new(Greeter::new(builder.id, builder.name, builder.hello_fields));
        let providers = Providers::new(
            builder.factory,
            Arc::clone(&sources),
            Arc::clone(&refresher),
            Arc::clone(&lives.closer),
            Arc::clone(&base.observers),
        );
        let opener = lives.opener(&base, providers, &refresher);
        let serving = Serving { base: &base, lives: &lives, refresher: &refresher, quota: &quota, greeter: &greeter };
        let inbound = serving.inbound(builder.authorize, &tasks);
        let outbound = serving.outbound(&delivery, &cache);
        let connector = serving.connector(&opener, inbound, outbound);
        let driver = Arc::new(Driver {
            refresher: Arc::clone(&refresher),
            evictor: Arc::clone(&lives.evictor),
            idle: Arc::clone(&base.idle),
            expiry: Arc::clone(&lives.expiry),
            resume: Arc::clone(&lives.resume),
            liveness: Arc::clone(&lives.liveness),
            cache,
            tasks,
            in_flight: Arc::clone(&base.background.in_flight),
            observers: Arc::clone(&base.observers),
        });
        let timers = drive(Arc::clone(&base.timers), Arc::downgrade(&driver));
        let driving = base.background.runtime.spawn(timers).abort_handle();
        Arc::new(Self {
            emitter: Emitter::new(Arc::clone(&base.table), Arc::clone(&base.observers), base.config.sizes.event_bytes),
            drain: Drain {
                table: Arc::clone(&base.table),
                quota: Arc::clone(&quota),
                connector: Arc::clone(&connector),
                in_flight: Arc::clone(&base.background.in_flight),
                clock: base.clock(),
                observers: Arc::clone(&base.observers),
            },
            revoker: lives.revoker(&base),
            expiry: lives.expiry,
            closer: lives.closer,
            config: base.config,
            observers: base.observers,
            background: base.background,
            timers: base.timers,
            table: base.table,
            renderer: base.renderer,
            sources,
            passes,
            refresher,
            delivery,
            quota,
            opener,
            greeter,
            connector,
            _driver: driver,
            driving,
        })
    }
}
