//! What few sessions have at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::overlay::Overlay;
use super::paths::Paths;
use super::resume_points::ResumePoints;
use super::waiters::Waiters;

/// What few sessions have at a time; it stands apart, so that most cost nothing for it.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) resume_points: ResumePoints,
    /// What only this session has.
    pub(super) overlay: Option<Overlay>,
    /// What a pass shall render after the one that has the turn.
    pub(super) follow_up: Option<(Paths, Waiters)>,
    /// How many handlers and loaders of this session that may block still may run; made when one does.
    pub(super) blocking: Option<Arc<Semaphore>>,
}

impl Extras {
    pub(super) fn is_empty(&self) -> bool {
        self.resume_points.is_empty() && self.overlay.is_none() && self.follow_up.is_none() && self.blocking.is_none()
    }

    /// Adds to what is rendered after the pass that has the turn, with those who wait for it.
    pub(super) fn follow_up(&mut self, paths: &Paths, waiters: Waiters) {
        match &mut self.follow_up {
            Some((wanted, others)) => {
                wanted.merge(paths);
                others.merge(waiters);
            }
            None => self.follow_up = Some((paths.clone(), waiters)),
        }
    }
}
