//! What a pass gets when it begins on a slot, and what is left when its turn or the slot ends.

use std::sync::Arc;

use smallvec::SmallVec;

use super::committed_trees::CommittedTrees;
use super::paths::Paths;
use super::waiters::Waiters;
use crate::deliver::link::Link;
use crate::deliver::resume_point::ResumePoint;
use crate::model::session::Context;
use crate::render::layout::Layout;
use crate::render::task::TaskControl;
use crate::render::tree::Tree;

/// The place of a pass in the order of passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    /// The number of the oldest pass that ran when this one started.
    pub(crate) oldest: u64,
}

impl Ticket {
    /// Whether a pass that started earlier may still run.
    pub(super) const fn has_older(self) -> bool {
        self.oldest < self.number
    }
}

/// What a pass wants of a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) paths: &'a Paths,
    /// Whether a tree is wanted even if there is none.
    pub(crate) first: bool,
    /// How many may go beside another pass of the slot, if it may be one of them instead of waiting; otherwise 0. Only for
    /// single paths.
    pub(crate) beside: u8,
}

/// Which turn a pass has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnId {
    Main,
    /// One beside the main one, by its number.
    Beside(u32),
}

/// What a pass works with.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) turn: TurnId,
    pub(crate) context: Arc<Context>,
    pub(crate) tree: Option<Arc<Tree>>,
    pub(crate) layout: Arc<Layout>,
    /// What later passes rendered for this slot already: results that are shared by an earlier one may be older than what
    /// it has.
    pub(crate) overtaken: Option<Paths>,
    /// The tree was rendered for other claims: nothing of it may stand in for what cannot be rendered now.
    pub(crate) outdated: bool,
}

impl Base {
    /// Whether a later pass rendered what is registered here.
    pub(crate) fn is_overtaken(&self, registered: &str) -> bool {
        self.overtaken.as_ref().is_some_and(|paths| paths.touches(registered))
    }
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

/// Where a tree is counted that is committed, and where the versions of its session start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) trees: &'a CommittedTrees,
    pub(crate) pass_started_ms: u64,
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
    /// The version of its latest tree.
    pub(crate) version: u64,
}

/// A tree and the resume points that hold it, to be dropped when no lock is held.
#[derive(Debug)]
#[must_use = "it may hold the last handle of application values: drop it when no lock is held"]
pub(crate) struct ReleasedTree {
    #[expect(dead_code, reason = "held until no lock is")]
    pub(super) tree: Option<Arc<Tree>>,
    #[expect(dead_code, reason = "held until no lock is")]
    pub(super) resume_points: Vec<ResumePoint>,
}
