//! The parts by which an instance hears the others.

use std::sync::Arc;

use super::foundation::Foundation;
use super::lifecycle_parts::LifecycleParts;
use crate::cluster::follower::Follower;
use crate::cluster::handlers::{Handlers, RequestHandler};
use crate::cluster::requests::Requests;
use crate::instances::commits::{Commits, WaitFor};
use crate::instances::decider::{Decider, DeciderParts};
use crate::instances::decision_requests::DecisionRequests;
use crate::instances::renewals::Renewals;
use crate::instances::station::{Station, StationParts};
use crate::lifecycle::opener::Opener;
use crate::refresh::refresher::Refresher;

/// This instance among the others. Whatever else replies to requests, or follows who is there, is listed here.
pub(super) fn station(
    base: &Foundation,
    (lifecycle, opener): (&LifecycleParts, &Arc<Opener>),
    refresher: &Arc<Refresher>,
    wait_for: Option<WaitFor>,
) -> Arc<Station> {
    let limits = &base.config.cluster;
    let (observers, background) = (|| Arc::clone(&base.observers), || Arc::clone(&base.background));
    let requests = Arc::new(Requests::new(Arc::clone(&base.bus), base.clock(), observers(), limits));
    let renewals = Arc::new(Renewals::new(
        Arc::clone(&base.table),
        Arc::clone(opener),
        Arc::clone(&lifecycle.closer),
        Arc::clone(&requests),
        base.clock(),
    ));
    let decider = decider(base, lifecycle, requests, Arc::clone(&renewals));
    let of_decisions = Arc::new(DecisionRequests(Arc::clone(&decider)));
    let handlers: [Arc<dyn RequestHandler>; 2] = [Arc::clone(&of_decisions) as _, renewals];
    let followers: Vec<Arc<dyn Follower>> = vec![of_decisions];
    let (bounds, this) = ((limits.requests, limits.message_bytes), base.bus.this.clone());
    let parts = StationParts {
        bus: Arc::clone(&base.bus),
        commits: Commits::new(wait_for, Arc::clone(refresher), background(), base.clock(), observers(), limits),
        decider,
        handlers: Handlers::new(this, handlers, bounds, base.clock(), observers()),
        followers,
        refresher: Arc::clone(refresher),
        clock: base.clock(),
        observers: observers(),
    };
    Station::new(parts, limits)
}

fn decider(
    base: &Foundation,
    lifecycle: &LifecycleParts,
    requests: Arc<Requests>,
    renewals: Arc<Renewals>,
) -> Arc<Decider> {
    let parts = DeciderParts {
        bus: Arc::clone(&base.bus),
        requests,
        revoker: Arc::new(lifecycle.revoker(base)),
        closer: Arc::clone(&lifecycle.closer),
        renewals,
        background: Arc::clone(&base.background),
        clock: base.clock(),
        observers: Arc::clone(&base.observers),
    };
    Decider::new(parts, &base.config.cluster)
}
