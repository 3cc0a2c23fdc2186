//! Makes the parts of an engine and gives each what it works with. Nothing else happens here.

use std::sync::Arc;

use super::cluster_parts;
use super::connection_parts::ConnectionParts;
use super::drain::Drain;
use super::driver::RunningDriver;
use super::foundation::Foundation;
use super::lifecycle_parts::LifecycleParts;
use super::options::EngineOptions;
use super::room_parts;
use crate::background::Background;
use crate::config::Config;
use crate::connection::connector::Connector;
use crate::deliver::delivery::Delivery;
use crate::deliver::outbox_counts::OutboxCounts;
use crate::emit::Emitter;
use crate::event::Observers;
use crate::instances::arrivals::Arrivals;
use crate::instances::station::Station;
use crate::lifecycle::cache::CacheSweeper;
use crate::lifecycle::closer::Closer;
use crate::lifecycle::expiry::Expiry;
use crate::lifecycle::opener::Opener;
use crate::receive::greeter::Greeter;
use crate::refresh::passes::Passes;
use crate::refresh::refresher::Refresher;
use crate::refresh::sources::Sources;
use crate::render::evaluate::Renderer;
use crate::rooms::service::RoomService;
use crate::sessions::committed_trees::CommittedTrees;
use crate::sessions::quota::Quota;
use crate::sessions::table::Table;

/// The parts that the engine's public methods call. Each owns its data; what it needs of others it was given.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) observers: Arc<Observers>,
    pub(crate) background: Arc<Background>,
    pub(crate) table: Arc<Table>,
    pub(crate) trees: Arc<CommittedTrees>,
    pub(crate) outbox_counts: Arc<OutboxCounts>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) passes: Arc<Passes>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) closer: Arc<Closer>,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) greeter: Arc<Greeter>,
    pub(crate) connector: Arc<Connector>,
    pub(crate) emitter: Emitter,
    pub(crate) drain: Drain,
    pub(crate) station: Arc<Station>,
    /// Present if there are rooms.
    pub(crate) rooms: Option<Arc<RoomService>>,
}

impl Parts {
    pub(super) fn new(mut options: EngineOptions) -> Arc<Self> {
        let base = Foundation::new(&mut options);
        let sources = Arc::new(Sources::new(base.observers.owner()));
        let passes = base.passes(&sources);
        let refresher = base.refresher(&passes);
        let tasks = base.tasks(&refresher);
        let (rooms, by_path) = room_parts::rooms(&base, &mut options, (&refresher, &sources, &tasks));
        let lifecycle = LifecycleParts::new(&base, rooms.clone());
        let delivery = Arc::new(Delivery::new(&base.config));
        let cache = CacheSweeper::new(Arc::clone(&delivery), Arc::clone(&base.timers));
        let quota = Quota::new(Arc::clone(&base.table), base.config.limits.clone());
        let greeter = base.greeter(options.id, options.name, options.hello_fields);
        let providers = lifecycle.providers(&base, options.factory, &sources, &refresher);
        let opener = lifecycle.opener(&base, providers, &refresher);
        let connections = ConnectionParts::new((&base, &lifecycle), (&refresher, &quota, &greeter), by_path);
        let inbound = connections.inbound(options.authorize, &tasks);
        let outbound = connections.outbound(&delivery, &cache);
        let station = cluster_parts::station(&base, (&lifecycle, &opener), &refresher, options.wait_for);
        let driver = lifecycle.driver(&base, &refresher, cache, Arc::clone(&tasks), Arc::clone(&station));
        let driver = RunningDriver::start(driver, &base.timers, &base.background, &base.table);
        let connector = connections.connector(&opener, inbound, outbound, driver);
        let drain = connections.drain(&connector, tasks, &station);
        station.start(Arc::new(Arrivals::new(&station)));
        Arc::new(Self {
            station,
            emitter: base.emitter(),
            expiry: lifecycle.expiry,
            closer: lifecycle.closer,
            config: base.config,
            observers: base.observers,
            background: base.background,
            table: base.table,
            trees: base.trees,
            outbox_counts: base.outbox_counts,
            renderer: base.renderer,
            sources,
            passes,
            refresher,
            delivery,
            quota,
            opener,
            greeter,
            connector,
            drain,
            rooms,
        })
    }
}
