//! The parts by which an instance hears the others.

use std::sync::Arc;

use super::foundation::Foundation;
use crate::cluster::follower::Follower;
use crate::cluster::handlers::{Handlers, RequestHandler};
use crate::instances::commits::{Commits, WaitFor};
use crate::instances::station::{Station, StationParts};
use crate::refresh::refresher::Refresher;

/// This instance among the others. Whatever else replies to requests, or follows who is there, is listed here.
pub(super) fn station(base: &Foundation, refresher: &Arc<Refresher>, wait_for: Option<WaitFor>) -> Arc<Station> {
    let limits = &base.config.cluster;
    let observers = || Arc::clone(&base.observers);
    let (requests, this) = ((limits.requests, limits.message_bytes), base.bus.this.clone());
    let handlers: [Arc<dyn RequestHandler>; 0] = [];
    let followers: Vec<Arc<dyn Follower>> = Vec::new();
    let background = Arc::clone(&base.background);
    let parts = StationParts {
        bus: Arc::clone(&base.bus),
        commits: Commits::new(wait_for, Arc::clone(refresher), background, base.clock(), observers(), limits),
        handlers: Handlers::new(this, handlers, requests, base.clock(), observers()),
        followers,
        refresher: Arc::clone(refresher),
        clock: base.clock(),
        observers: observers(),
    };
    Station::new(parts, limits)
}
