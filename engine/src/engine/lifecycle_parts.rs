//! The parts by which sessions begin and end.

use std::sync::Arc;

use super::driver::Driver;
use super::foundation::Foundation;
use crate::instances::station::Station;
use crate::lifecycle::cache::CacheSweeper;
use crate::lifecycle::closer::Closer;
use crate::lifecycle::evictor::Evictor;
use crate::lifecycle::expiry::Expiry;
use crate::lifecycle::liveness::Liveness;
use crate::lifecycle::opener::Opener;
use crate::lifecycle::providers::Providers;
use crate::lifecycle::resume::ResumeWindow;
use crate::lifecycle::revoker::Revoker;
use crate::refresh::refresher::Refresher;
use crate::refresh::sources::Sources;
use crate::rooms::service::RoomService;
use crate::runs::task_runner::TaskRunner;
use crate::session_provider::Factory;
use crate::sessions::revocations::Revocations;

/// How sessions begin and end.
pub(super) struct LifecycleParts {
    pub(super) revocations: Arc<Revocations>,
    pub(super) closer: Arc<Closer>,
    pub(super) expiry: Arc<Expiry>,
    pub(super) evictor: Arc<Evictor>,
    pub(super) resume: Arc<ResumeWindow>,
    pub(super) liveness: Arc<Liveness>,
    pub(super) rooms: Option<Arc<RoomService>>,
}

impl LifecycleParts {
    pub(super) fn new(base: &Foundation, rooms: Option<Arc<RoomService>>) -> Self {
        let closer = Closer::new(
            Arc::clone(&base.table),
            Arc::clone(&base.trees),
            Arc::clone(&base.timers),
            rooms.clone(),
            Arc::clone(&base.bus),
            Arc::clone(&base.observers),
        );
        let evictor = Evictor::new(
            Arc::clone(&base.table),
            Arc::clone(&base.idle),
            Arc::clone(&closer),
            Arc::clone(&base.trees),
            Arc::clone(&base.observers),
        );
        let times = &base.config.times;
        Self {
            revocations: Arc::new(Revocations::new(base.config.limits.revocations)),
            expiry: Expiry::new(
                Arc::clone(&base.table),
                Arc::clone(&base.timers),
                Arc::clone(&closer),
                times.expiry_warning,
            ),
            evictor,
            resume: ResumeWindow::new(
                Arc::clone(&base.timers),
                Arc::clone(&base.observers),
                Arc::clone(&base.outbox_counts),
                &base.config,
            ),
            liveness: Liveness::new(Arc::clone(&base.timers), times),
            closer,
            rooms,
        }
    }

    pub(super) fn opener(&self, base: &Foundation, providers: Providers, refresher: &Arc<Refresher>) -> Arc<Opener> {
        Arc::new(Opener {
            table: Arc::clone(&base.table),
            revocations: Arc::clone(&self.revocations),
            providers,
            evictor: Arc::clone(&self.evictor),
            expiry: Arc::clone(&self.expiry),
            closer: Arc::clone(&self.closer),
            idle: Arc::clone(&base.idle),
            refresher: Arc::clone(refresher),
            rooms: self.rooms.clone(),
            bus: Arc::clone(&base.bus),
            background: Arc::clone(&base.background),
            observers: Arc::clone(&base.observers),
        })
    }

    pub(super) fn revoker(&self, base: &Foundation) -> Revoker {
        Revoker::new(
            Arc::clone(&base.table),
            Arc::clone(&self.revocations),
            Arc::clone(&self.closer),
            self.rooms.clone(),
            Arc::clone(&base.observers),
            (Arc::clone(base.timers.clock()), &base.config.times),
        )
    }

    pub(super) fn providers(
        &self,
        base: &Foundation,
        factory: Option<Factory>,
        sources: &Arc<Sources>,
        refresher: &Arc<Refresher>,
    ) -> Providers {
        Providers::new(
            factory,
            Arc::clone(sources),
            Arc::clone(refresher),
            Arc::clone(&self.closer),
            Arc::clone(&base.observers),
        )
    }

    pub(super) fn driver(
        &self,
        base: &Foundation,
        refresher: &Arc<Refresher>,
        cache: Arc<CacheSweeper>,
        tasks: Arc<TaskRunner>,
        station: Arc<Station>,
    ) -> Arc<Driver> {
        Arc::new(Driver {
            refresher: Arc::clone(refresher),
            evictor: Arc::clone(&self.evictor),
            idle: Arc::clone(&base.idle),
            expiry: Arc::clone(&self.expiry),
            resume: Arc::clone(&self.resume),
            liveness: Arc::clone(&self.liveness),
            cache,
            tasks,
            rooms: self.rooms.clone(),
            station,
            in_flight: Arc::clone(&base.background.in_flight),
            observers: Arc::clone(&base.observers),
        })
    }
}
