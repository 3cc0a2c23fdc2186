//! From where a consumer that lost its socket may resume.

use std::sync::Arc;

use super::outbox_counts::{KeptBytes, OutboxCounts};
use super::versioned::Versioned;
use crate::render::view::ViewOptions;

/// What a subscription had been sent when its connection ended: enough to resume from there.
#[derive(Debug)]
pub(crate) struct ResumePoint {
    pub(super) view: Arc<ViewOptions>,
    /// The version of the last message that was written for it.
    pub(super) version: u64,
    pub(super) sent: Versioned,
    pub(super) budget: Option<u32>,
    /// Present once it is kept for its session.
    pub(super) kept: Option<KeptBytes>,
}

impl ResumePoint {
    /// Counts what it keeps of what its consumer chose, as long as it lives.
    pub(crate) fn count(&mut self, counts: &Arc<OutboxCounts>) {
        self.kept = Some(KeptBytes::new(counts, self.view.bytes()));
    }

    /// Whether a consumer that asks for this view and has this copy can resume from here.
    pub(crate) fn serves(&self, view: &ViewOptions, version: u64) -> bool {
        self.version == version && *self.view == *view
    }
}
