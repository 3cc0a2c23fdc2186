//! The parts by which connections are served.

use std::sync::Arc;

use super::drain::Drain;
use super::driver::RunningDriver;
use super::foundation::Foundation;
use super::lifecycle_parts::LifecycleParts;
use crate::connection::connector::Connector;
use crate::connection::outbound::Outbound;
use crate::connection::services::ConnectionServices;
use crate::deliver::delivery::Delivery;
use crate::instances::station::Station;
use crate::lifecycle::cache::CacheSweeper;
use crate::lifecycle::opener::Opener;
use crate::receive::admission::Admission;
use crate::receive::calls::{Authorize, Calls};
use crate::receive::greeter::Greeter;
use crate::receive::inbound::Inbound;
use crate::receive::loader::Loader;
use crate::receive::queries::Queries;
use crate::receive::subscriptions::Subscriptions;
use crate::receive::tabs::TabService;
use crate::refresh::after_call::AfterCall;
use crate::refresh::refresher::Refresher;
use crate::rooms::by_path::RoomPaths;
use crate::runs::task_runner::TaskRunner;
use crate::sessions::blocking::BlockingPermits;
use crate::sessions::call_quota::CallQuota;
use crate::sessions::quota::Quota;
use crate::sync::{AtomicBool, AtomicU64};

/// What connections are served by.
pub(super) struct ConnectionParts<'a> {
    base: &'a Foundation,
    lifecycle: &'a LifecycleParts,
    refresher: &'a Arc<Refresher>,
    quota: &'a Arc<Quota>,
    greeter: &'a Arc<Greeter>,
    /// Present if there are rooms.
    rooms: Option<Arc<RoomPaths>>,
}

impl<'a> ConnectionParts<'a> {
    pub(super) const fn new(
        (base, lifecycle): (&'a Foundation, &'a LifecycleParts),
        (refresher, quota, greeter): (&'a Arc<Refresher>, &'a Arc<Quota>, &'a Arc<Greeter>),
        rooms: Option<Arc<RoomPaths>>,
    ) -> Self {
        Self { base, lifecycle, refresher, quota, greeter, rooms }
    }

    pub(super) fn inbound(&self, authorize: Option<Authorize>, tasks: &Arc<TaskRunner>) -> Inbound {
        let base = self.base;
        let observers = || Arc::clone(&base.observers);
        let limits = &base.config.limits;
        let admission = Admission::new(
            CallQuota::new(limits.clone()),
            Arc::clone(&self.lifecycle.expiry),
            limits.clone(),
            observers(),
        );
        let permits = Arc::new(BlockingPermits::new(&base.config.execution, observers()));
        let loader = self.loader(&permits);
        Inbound {
            greeter: Arc::clone(self.greeter),
            subscriptions: self.subscriptions(),
            rooms: self.rooms.clone(),
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
                after_call: AfterCall::new(
                    Arc::clone(self.refresher),
                    Arc::clone(&base.background),
                    base.clock(),
                    &base.config,
                ),
                loader,
                permits,
                tasks: tasks.host(),
                authorize,
                rooms: self.rooms.clone(),
                background: Arc::clone(&base.background),
                clock: base.clock(),
                observers: observers(),
                max_frame_bytes: base.config.sizes.frame_bytes,
            }),
        }
    }

    fn loader(&self, permits: &Arc<BlockingPermits>) -> Arc<Loader> {
        let base = self.base;
        Loader::new(
            Arc::clone(&base.renderer),
            Arc::clone(permits),
            Arc::clone(&base.background),
            base.clock(),
            Arc::clone(&base.observers),
            base.config.times.evaluation_timeout,
        )
    }

    pub(super) fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            quota: Arc::clone(self.quota),
            refresher: Arc::clone(self.refresher),
            resume: Arc::clone(&self.lifecycle.resume),
            liveness: Arc::clone(&self.lifecycle.liveness),
            greeter: Arc::clone(self.greeter),
            observers: Arc::clone(&self.base.observers),
            rooms: self.rooms.clone(),
            max_bytes: self.base.config.sizes.subscription_bytes,
        }
    }

    pub(super) fn outbound(&self, delivery: &Arc<Delivery>, cache: &Arc<CacheSweeper>) -> Outbound {
        Outbound {
            delivery: Arc::clone(delivery),
            expiry: Arc::clone(&self.lifecycle.expiry),
            quota: Arc::clone(self.quota),
            cache: Arc::clone(cache),
            timers: Arc::clone(&self.base.timers),
            observers: Arc::clone(&self.base.observers),
        }
    }

    pub(super) fn connector(
        &self,
        opener: &Arc<Opener>,
        inbound: Inbound,
        outbound: Outbound,
        driver: Arc<RunningDriver>,
    ) -> Arc<Connector> {
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
            resume: Arc::clone(&self.lifecycle.resume),
            idle: Arc::clone(&base.idle),
            timers: Arc::clone(&base.timers),
            observers: Arc::clone(&base.observers),
            config: base.config.clone(),
            rooms: self.lifecycle.rooms.clone(),
            _driver: driver as _,
        });
        Arc::new(Connector {
            services,
            opener: Arc::clone(opener),
            quota: Arc::clone(self.quota),
            greeter: Arc::clone(self.greeter),
            expiry: Arc::clone(&self.lifecycle.expiry),
            liveness: Arc::clone(&self.lifecycle.liveness),
            tabs,
            closing: AtomicBool::new(false),
            next_number: AtomicU64::new(1),
            outbox_counts: Arc::clone(&base.outbox_counts),
            rooms: self.lifecycle.rooms.clone(),
        })
    }

    pub(super) fn drain(&self, connector: &Arc<Connector>, tasks: Arc<TaskRunner>, station: &Arc<Station>) -> Drain {
        Drain {
            station: Arc::clone(station),
            tasks,
            rooms: self.lifecycle.rooms.clone(),
            table: Arc::clone(&self.base.table),
            quota: Arc::clone(self.quota),
            connector: Arc::clone(connector),
            in_flight: Arc::clone(&self.base.background.in_flight),
            clock: self.base.clock(),
            refresher: Arc::clone(self.refresher),
            observers: Arc::clone(&self.base.observers),
        }
    }
}
