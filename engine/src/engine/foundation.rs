//! What the parts of an engine are made from.

use std::sync::Arc;

use super::options::EngineOptions;
use crate::background::Background;
use crate::clock::timer_queue::TimerQueue;
use crate::clock::{Clock, millis};
use crate::cluster::alarm::Alarm;
use crate::cluster::bus::Bus;
use crate::cluster::local::Local;
use crate::config::Config;
use crate::deliver::outbox_counts::OutboxCounts;
use crate::emit::Emitter;
use crate::event::Observers;
use crate::model::Text;
use crate::receive::greeter::Greeter;
use crate::refresh::notifier::Notifier;
use crate::refresh::passes::{PassServices, Passes};
use crate::refresh::predicates::Predicates;
use crate::refresh::refresher::Refresher;
use crate::refresh::schedule::Schedule;
use crate::refresh::sources::Sources;
use crate::refresh::tab_notifier::TabNotifier;
use crate::render::evaluate::Renderer;
use crate::render::pack::PackLimits;
use crate::render::store::Store;
use crate::rooms::options::RoomOptions;
use crate::rooms::service::{RoomParts, RoomService};
use crate::runs::agents::Agents;
use crate::runs::task_runner::TaskRunner;
use crate::sessions::committed_trees::CommittedTrees;
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::sync::Runtime;

/// What the parts of an engine are made from.
pub(super) struct Foundation {
    pub(super) config: Config,
    pub(super) observers: Arc<Observers>,
    pub(super) background: Arc<Background>,
    pub(super) timers: Arc<TimerQueue<Timer>>,
    pub(super) table: Arc<Table>,
    pub(super) trees: Arc<CommittedTrees>,
    pub(super) renderer: Arc<Renderer>,
    pub(super) idle: Arc<IdleTracker>,
    pub(super) outbox_counts: Arc<OutboxCounts>,
    pub(super) bus: Arc<Bus>,
    pub(super) predicates: Arc<Predicates>,
    schedule: Arc<Schedule>,
    tabs: Arc<TabNotifier>,
}

impl Foundation {
    pub(super) fn new(options: &mut EngineOptions) -> Self {
        let config = options.config.clone();
        let nodes = u32::try_from(config.sizes.nodes).unwrap_or(u32::MAX);
        let renderer = Arc::new(Renderer {
            store: Store::new(config.memory.dictionary_bytes),
            limits: PackLimits { nodes, properties: config.sizes.properties, depth: config.sizes.depth },
            root_id: options.id.clone(),
            root_name: options.name.clone(),
        });
        let observers = Arc::new(std::mem::take(&mut options.observers));
        renderer.store.belongs_to(observers.owner());
        let timers = Arc::new(TimerQueue::new(Arc::clone(&options.clock)));
        let table = Arc::new(Table::new(config.limits.sessions, config.limits.sessions_per_user));
        let idle = IdleTracker::new(Arc::clone(&table), renderer.store.clone(), Arc::clone(&timers), &config);
        let tab_call_ms = millis(config.times.tab_call_timeout);
        let cluster = options.cluster.take().unwrap_or_else(|| (Text::default(), Arc::new(Local)));
        let ring = Arc::clone(&timers);
        let alarm = Alarm::new(move |at_ms| ring.at(at_ms, Timer::Cluster));
        let clock = Arc::clone(timers.clock());
        let bus = Bus::new(cluster, &config.cluster, clock, Arc::clone(&observers), alarm);
        Self {
            bus: Arc::new(bus),
            predicates: Arc::default(),
            schedule: Arc::new(Schedule::new(millis(config.times.debounce))),
            tabs: Arc::new(TabNotifier { timers: Arc::clone(&timers), tab_call_ms }),
            observers,
            background: Background::new(Runtime::current()),
            config,
            timers,
            table,
            trees: Arc::default(),
            renderer,
            idle,
            outbox_counts: Arc::default(),
        }
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(self.timers.clock())
    }

    pub(super) fn passes(&self, sources: &Arc<Sources>) -> Arc<Passes> {
        let with = PassServices {
            table: Arc::clone(&self.table),
            sources: Arc::clone(sources),
            renderer: Arc::clone(&self.renderer),
            schedule: Arc::clone(&self.schedule),
            timers: Arc::clone(&self.timers),
            idle: Arc::clone(&self.idle),
            trees: Arc::clone(&self.trees),
            tabs: Arc::clone(&self.tabs),
            background: Arc::clone(&self.background),
            observers: Arc::clone(&self.observers),
        };
        Passes::new(with, &self.config)
    }

    pub(super) fn refresher(&self, passes: &Arc<Passes>) -> Arc<Refresher> {
        Refresher::new(
            Arc::clone(&self.table),
            Arc::clone(&self.schedule),
            Arc::clone(passes),
            Arc::clone(&self.timers),
            Arc::clone(&self.tabs),
            (Arc::clone(&self.background), Arc::clone(&self.observers)),
            (Arc::clone(&self.predicates), Notifier::new(Arc::clone(&self.bus), Arc::clone(&self.table))),
        )
    }

    pub(super) fn tasks(&self, refresher: &Arc<Refresher>) -> Arc<TaskRunner> {
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

    pub(super) fn greeter(&self, id: Text, name: Text, fields: Vec<Text>) -> Arc<Greeter> {
        let (max_frame_bytes, observers) = (self.config.sizes.frame_bytes, Arc::clone(&self.observers));
        Arc::new(Greeter::new(id, name, fields, max_frame_bytes, observers))
    }

    pub(super) fn rooms(
        &self,
        options: RoomOptions,
        refresher: &Arc<Refresher>,
        sources: &Arc<Sources>,
        tasks: &Arc<TaskRunner>,
    ) -> Arc<RoomService> {
        let parts = RoomParts {
            table: Arc::clone(&self.table),
            refresher: Arc::clone(refresher),
            sources: Arc::clone(sources),
            timers: Arc::clone(&self.timers),
            observers: Arc::clone(&self.observers),
            runtime: self.background.runtime.clone(),
            agents: Arc::new(Agents::new(self.observers.owner())),
            tasks: Arc::clone(tasks),
            background: Arc::clone(&self.background),
        };
        RoomService::new(options, &self.config, parts)
    }

    pub(super) fn emitter(&self) -> Emitter {
        let (table, observers) = (Arc::clone(&self.table), Arc::clone(&self.observers));
        Emitter::new(table, observers, Arc::clone(&self.predicates), &self.config.sizes)
    }
}
