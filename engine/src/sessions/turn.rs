//! What a pass gets when it begins on a slot, and what is left when its turn or the slot ends.

use std::sync::Arc;

use smallvec::SmallVec;

use super::paths::Paths;
use super::waiters::Waiters;
use crate::deliver::link::Link;
use crate::deliver::resume_point::ResumePoint;
use crate::deliver::versioned::Versioned;
use crate::model::session::Context;
use crate::render::layout::Layout;
use crate::render::task::TaskControl;
use crate::render::tree::Tree;

/// What a pass works with.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) context: Arc<Context>,
    pub(crate) tree: Option<Arc<Tree>>,
    pub(crate) layout: Arc<Layout>,
    /// A later pass evaluated for this slot already: results shared by an earlier one may be older than what it has.
    pub(crate) overtaken: bool,
    /// The tree was rendered for other claims: nothing of it may stand in for what cannot be rendered now.
    pub(crate) outdated: bool,
}

/// Whether a pass may work on a slot.
#[derive(Debug)]
pub(crate) enum Begin {
    Go(Base),
    /// Another pass works on it; it will be followed by one that renders what was requested, for those who wait for it.
    Queued,
    /// There is nothing to render: the slot is closed, or has no tree and nobody wants a first one.
    Skip,
}

/// What a pass left behind.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// The version, if the tree changed.
    pub(crate) version: Option<u64>,
    /// What was requested meanwhile.
    pub(crate) follow_up: Option<(Paths, Waiters)>,
}

/// What a closed slot had.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) links: SmallVec<[Arc<Link>; 1]>,
    pub(crate) tasks: Vec<Arc<dyn TaskControl>>,
}

/// A tree and the resume points that hold it, to be dropped when no lock is held.
#[derive(Debug)]
#[must_use = "it may hold the last handle of application values: drop it when no lock is held"]
pub(crate) struct ReleasedTree {
    pub(super) current: Option<Versioned>,
    #[expect(dead_code, reason = "held until no lock is")]
    pub(super) resume_points: Vec<ResumePoint>,
}

impl ReleasedTree {
    /// Whether there was a tree.
    pub(crate) const fn is_some(&self) -> bool {
        self.current.is_some()
    }
}
