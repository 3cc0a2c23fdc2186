//! From where a consumer that lost its socket may resume.

use std::sync::Arc;

use super::versioned::Versioned;
use crate::render::view::ViewOptions;

/// What a subscription had been sent when its connection ended: enough to resume from there.
#[derive(Debug, Clone)]
pub(crate) struct ResumePoint {
    pub(super) view: Arc<ViewOptions>,
    /// The version of the last message that was written for it.
    pub(super) version: u64,
    pub(super) sent: Versioned,
    pub(super) budget: Option<u32>,
}

impl ResumePoint {
    /// How many bytes of what its consumer chose it keeps.
    pub(crate) fn bytes(&self) -> usize {
        self.view.bytes()
    }

    /// Whether a consumer that asks for this view and has this copy can resume from here.
    pub(crate) fn serves(&self, view: &ViewOptions, version: u64) -> bool {
        self.version == version && *self.view == *view
    }
}
