//! What is kept for one session, behind the lock of its slot: every step on it is one look or one swap.

use std::sync::Arc;

use smallvec::SmallVec;

use super::committed_trees::CommittedTrees;
use super::extras::Extras;
use super::overlay::{OverlaidLayout, Overlay};
use super::paths::Paths;
use super::side_turns::Later;
#[cfg(debug_assertions)]
use super::slot_state::Holdings;
use super::slot_state::{BeginStep, OptionalMillis, SlotState};
use super::slot_tree::SlotTree;
use super::turn::{Base, Begin, Counted, ReleasedTree, Ticket, TurnId, Wanted};
use super::waiters::Waiters;
use crate::deliver::link::Link;
use crate::model::session::Context;
use crate::render::layout::Layout;
use crate::render::registry::Registry;
use crate::render::tree::Tree;

/// There is one for each session, connected or not, so it holds only what most have.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) context: Arc<Context>,
    pub(super) tree: SlotTree,
    pub(super) links: SmallVec<[Arc<Link>; 1]>,
    pub(super) extras: Option<Box<Extras>>,
    pub(super) state: SlotState,
    /// When its authentication is looked at next, in ms of the time of day. Changed with the table locked.
    pub(super) expiry: OptionalMillis,
}

/// What may be the last holder of a source when a turn begins.
pub(super) type Replaced = (Option<Arc<Registry>>, Option<OverlaidLayout>);

/// What a pass left behind when its turn ended.
#[derive(Debug)]
pub(super) struct Committed {
    /// The version, if the tree changed.
    pub(super) version: Option<u64>,
    /// Whether it shows claims that no tree has shown before.
    pub(super) renewed: bool,
    /// Trees to be dropped when no lock is held.
    #[expect(dead_code, reason = "held until no lock is")]
    pub(super) released: [Option<Arc<Tree>>; 2],
}

impl Record {
    #[cfg(debug_assertions)]
    pub(super) fn holdings(&self) -> Holdings {
        Holdings {
            tree: self.tree.get().is_some(),
            connections: !self.links.is_empty(),
            tasks: self.overlay().is_some_and(|overlay| !overlay.tasks.is_empty()),
            follow_up: self.extras.as_ref().is_some_and(|extras| extras.follow_up.is_some()),
            beside: self.extras.as_ref().map_or(0, |extras| extras.side_turns.beside()),
        }
    }

    pub(super) fn begin(
        &mut self,
        ticket: Ticket,
        wanted: Wanted<'_>,
        waiters: impl FnOnce() -> Waiters,
        registry: &Registry,
        newer: impl FnOnce() -> Option<Arc<Registry>>,
    ) -> (Begin, Option<Replaced>) {
        let Wanted { paths, first, beside } = wanted;
        match self.state.begin(ticket.number, first, *paths == Paths::All, beside) {
            BeginStep::Skip => (Begin::Skip, None),
            BeginStep::Queue => {
                self.extras.get_or_insert_default().follow_up(paths, waiters());
                (Begin::Queued, None)
            }
            BeginStep::Go { beside, overtaken, outdated } => {
                let later = self.begin_among_others(ticket, paths);
                let overtaken = if overtaken { Some(Paths::All) } else { later };
                let turn = self.begin_turn(beside);
                let newer = newer();
                let (layout, stale) = self.layout(newer.as_deref().unwrap_or(registry));
                let tree = self.tree.get().cloned();
                let base = Base { turn, context: Arc::clone(&self.context), tree, layout, overtaken, outdated };
                (Begin::Go(base), Some((newer, stale)))
            }
        }
    }

    /// Notes a pass for older ones that still run. Returns which paths later ones rendered, if there were any.
    fn begin_among_others(&mut self, ticket: Ticket, paths: &Paths) -> Option<Paths> {
        if ticket.has_older() && *paths != Paths::All {
            self.extras.get_or_insert_default();
        }
        self.edit_extras(|extras| extras.recent.begin(ticket, paths)).flatten()
    }

    fn begin_turn(&mut self, beside: bool) -> TurnId {
        if beside {
            return self.extras.get_or_insert_default().side_turns.begin_beside();
        }
        if let Some(extras) = self.extras.as_mut().filter(|extras| !extras.side_turns.is_empty()) {
            extras.side_turns.begin_main();
        }
        TurnId::Main
    }

    /// Ends the turn of a pass: its tree becomes the current one. What others committed meanwhile stays, if they began
    /// later.
    pub(super) fn commit(
        &mut self,
        base: &Base,
        paths: &Paths,
        tree: Option<Arc<Tree>>,
        counted: Counted<'_>,
    ) -> Committed {
        let step = match base.turn {
            TurnId::Main => self.state.finish(tree.is_some()),
            TurnId::Beside(_) => self.state.finish_beside(tree.is_some()),
        };
        match tree {
            Some(tree) if step.commits => {
                let later = self.end_turn(base.turn, Some((paths, tree.layout())));
                let (tree, mine) = match self.merged(base, paths, &tree, &later) {
                    Some(merged) => (merged, Some(tree)),
                    None => (tree, None),
                };
                let (version, released) = self.replace(tree, counted);
                Committed { version, renewed: step.renewed, released: [released, mine] }
            }
            released => {
                self.end_turn(base.turn, None);
                Committed { version: None, renewed: step.renewed, released: [released, None] }
            }
        }
    }

    fn end_turn(&mut self, turn: TurnId, commits: Option<(&Paths, &Arc<Layout>)>) -> Later {
        let main_runs = self.state.is_taken();
        let commits = commits.map(|(paths, layout)| (paths, &**layout));
        self.edit_extras(|extras| extras.side_turns.end(turn, main_runs, commits)).unwrap_or_default()
    }

    /// What a pass rendered together with what others committed since it began; `None` if nobody did.
    fn merged(&self, base: &Base, paths: &Paths, mine: &Arc<Tree>, later: &Later) -> Option<Arc<Tree>> {
        let current = self.tree.get()?;
        if base.tree.as_ref().is_some_and(|tree| Arc::ptr_eq(tree, current)) {
            return None;
        }
        let layout = if later.has_committed() { current.layout() } else { mine.layout() };
        let is_mine = |path: &str| paths.touches(path) && !later.has_rendered(path);
        Some(Arc::new(Tree::merged(layout, mine, current, is_mine)))
    }

    /// Lets the tree go, and what can be resumed from it.
    pub(super) fn take_tree(&mut self, trees: &CommittedTrees) -> ReleasedTree {
        let resume_points = self.edit_extras(|extras| extras.resume_points.take_all()).unwrap_or_default();
        ReleasedTree { tree: self.tree.take(trees), resume_points }
    }

    pub(super) fn overlay(&self) -> Option<&Overlay> {
        self.extras.as_ref()?.overlay.as_ref()
    }

    pub(super) fn overlay_mut(&mut self) -> &mut Overlay {
        self.extras.get_or_insert_default().overlay.get_or_insert_default()
    }

    /// Changes what few sessions have, if there is anything; what is empty then is given back.
    pub(super) fn edit_extras<T>(&mut self, change: impl FnOnce(&mut Extras) -> T) -> Option<T> {
        let extras = self.extras.as_mut()?;
        let changed = change(extras);
        if extras.overlay.as_ref().is_some_and(Overlay::is_empty) {
            extras.overlay = None;
        }
        if extras.is_empty() {
            self.extras = None;
        }
        Some(changed)
    }

    pub(super) fn layout(&mut self, registry: &Registry) -> (Arc<Layout>, Option<OverlaidLayout>) {
        let rooms = self.context.memberships();
        let overlay = self.extras.as_mut().and_then(|extras| extras.overlay.as_mut());
        if let Some(overlay) = overlay.filter(|overlay| overlay.has_sources()) {
            return overlay.layout(registry, rooms);
        }
        let known = self.tree.get().filter(|_| rooms.is_some()).map(|tree| tree.layout());
        let layout = known.filter(|known| registry.is_layout(known, rooms)).cloned();
        (layout.unwrap_or_else(|| registry.layout_of(rooms)), None)
    }

    /// Changes what only this session has, and hands over what that replaces.
    pub(super) fn edit_overlay<T>(
        &mut self,
        change: impl FnOnce(&mut Overlay) -> T,
    ) -> Option<(T, Option<OverlaidLayout>)> {
        self.overlay_mut();
        let change = |overlay: &mut Overlay| (change(overlay), overlay.take_layout());
        self.edit_extras(|extras| extras.overlay.as_mut().map(change)).flatten()
    }

    /// Returns the new version, if there is one, and the tree that is not needed here any more.
    fn replace(&mut self, tree: Arc<Tree>, counted: Counted<'_>) -> (Option<u64>, Option<Arc<Tree>>) {
        match self.tree.get() {
            Some(current) if Arc::ptr_eq(current, &tree) || current.same(&tree) => {
                if Arc::ptr_eq(current.layout(), tree.layout()) {
                    return (None, Some(tree));
                }
                // The same content by other sources: nobody is told, but windows are loaded by the new ones.
                (None, Some(self.tree.exchange(tree)))
            }
            _ => {
                let (version, before) = self.tree.replace(tree, counted.trees, counted.pass_started_ms);
                (Some(version), before)
            }
        }
    }
}
