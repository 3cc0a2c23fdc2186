//! One session's entry in memory: who it is, its tree, and who is connected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;

use super::committed_trees::CommittedTrees;
use super::extras::Extras;
use super::overlay::ProviderSources;
use super::paths::Paths;
use super::resume_points::{Added, Expired};
use super::slot_record::Record;
use super::slot_state::{OptionalMillis, SlotState};
use super::slot_tree::SlotTree;
use super::source_edit::SourceEdit;
use super::tab::Tab;
use super::turn::{Base, Begin, Closed, Counted, Finished, ReleasedTree, Ticket, TurnId, Wanted};
use super::waiters::Waiters;
use crate::deliver::link::Link;
use crate::deliver::resume_point::ResumePoint;
use crate::deliver::versioned::Versioned;
use crate::model::Text;
use crate::model::session::{Context, Session};
use crate::render::layout::Layout;
use crate::render::registry::Registry;
use crate::render::source::Source;
use crate::render::task::TaskControl;
use crate::render::tree::Tree;
use crate::render::view::ViewOptions;
use crate::sync::{Mutex, Signal};

/// A session's entry. One lock, held for a look or a swap, never while application code runs or anything is awaited;
/// whatever may be the last handle of something of the application's is dropped after it is released.
#[derive(Debug)]
pub(crate) struct Slot {
    inner: Mutex<Record>,
    /// Notified when a tree was committed or the slot was closed.
    changed: Signal,
    /// Its key in the table.
    key: u32,
}

impl Slot {
    /// `without_provider` if what the session's factory makes is still to come: nothing is rendered before.
    pub(crate) fn new(context: Arc<Context>, key: u32, now_ms: u64, without_provider: bool) -> Self {
        let inner = Record {
            context,
            tree: SlotTree::default(),
            links: SmallVec::new(),
            extras: None,
            state: SlotState::new(now_ms, without_provider),
            expiry: OptionalMillis::NONE,
        };
        Self { inner: Mutex::new(inner), changed: Signal::new(), key }
    }

    /// One look or one step. What the closure hands over is dropped by the caller, without the lock. In debug builds, and
    /// so under the scheduler of the concurrency tests, the state is validated after every step.
    fn with<T>(&self, step: impl FnOnce(&mut Record) -> T) -> T {
        let mut inner = self.inner.lock();
        let result = step(&mut inner);
        #[cfg(debug_assertions)]
        inner.state.validate(inner.holdings());
        result
    }

    /// Its key in the table; another session's once this one was removed.
    pub(crate) const fn key(&self) -> u32 {
        self.key
    }

    pub(crate) fn context(&self) -> Arc<Context> {
        self.with(|inner| Arc::clone(&inner.context))
    }

    pub(crate) fn id(&self) -> Text {
        self.with(|inner| inner.context.id().clone())
    }

    /// The session as handlers and predicates get it.
    pub(crate) fn session(&self) -> Session {
        Session::untracked(self.context())
    }

    /// New claims, or another part in rooms, for the same session. Returns the old ones.
    pub(crate) fn set_context(&self, context: Arc<Context>) -> Arc<Context> {
        self.with(|inner| {
            if !inner.context.shows_same(&context) {
                inner.state.change_claims();
            }
            std::mem::replace(&mut inner.context, context)
        })
    }

    /// Whether it was closed: expired, revoked or evicted.
    pub(crate) fn is_closed(&self) -> bool {
        self.with(|inner| inner.state.is_closed())
    }

    /// Whether the tree still shows what earlier claims allowed.
    pub(crate) fn is_outdated(&self) -> bool {
        self.with(|inner| inner.state.is_outdated())
    }

    /// The layout of this session's tree, if a pass has async sources to await for it.
    pub(crate) fn async_layout(&self, first: bool, registry: &Registry) -> Option<Arc<Layout>> {
        let (layout, _stale) = self.with(|inner| {
            let common = !registry.has_async() && inner.overlay().is_none();
            if common || !(first || inner.state.needs_refresh()) {
                return (None, None);
            }
            let (layout, stale) = inner.layout(registry);
            (layout.has_async().then_some(layout), stale)
        });
        layout
    }

    /// Gives the session a provider of its own, in place of the one before, if its claims are still those for which it was
    /// made; otherwise another one is being made. True if somebody waits for a first tree.
    pub(crate) fn set_provider(&self, made_for: &Context, sources: ProviderSources) -> bool {
        let (awaited, _replaced) = self.with(|inner| {
            if !inner.context.same_claims(made_for) {
                return (false, Err(sources));
            }
            let awaited = inner.state.provider_made();
            let replaced = inner.edit_overlay(|overlay| std::mem::replace(&mut overlay.provider, sources));
            (awaited, Ok(replaced))
        });
        awaited
    }

    /// Sets when its authentication is looked at next, in ms of the time of day. Returns when it would have been.
    pub(super) fn look_at_expiry(&self, at_ms: Option<u64>) -> Option<u64> {
        let at = at_ms.map_or(OptionalMillis::NONE, OptionalMillis::at);
        self.with(|inner| std::mem::replace(&mut inner.expiry, at)).get()
    }

    /// When its authentication is looked at next, in ms of the time of day.
    pub(super) fn expiry_ms(&self) -> Option<u64> {
        self.with(|inner| inner.expiry.get())
    }

    pub(crate) fn tree(&self) -> Option<Versioned> {
        self.with(|inner| inner.tree.current())
    }

    /// The tree for the next frame, and when the authentication ends. With `fresh`, none that earlier claims allowed.
    pub(crate) fn shown(&self, fresh: bool) -> (Option<Versioned>, Option<SystemTime>) {
        self.with(|inner| {
            let withheld = fresh && inner.state.is_outdated();
            let tree = if withheld { None } else { inner.tree.current() };
            (tree, inner.context.expires_at())
        })
    }

    pub(crate) fn has_tree(&self) -> bool {
        self.with(|inner| inner.tree.get().is_some())
    }

    /// Whether a refresh has something to do: there is a tree, or a pass is about to make one.
    pub(crate) fn needs_refresh(&self) -> bool {
        self.with(|inner| inner.state.needs_refresh())
    }

    /// The same, and whether it has tabs.
    pub(crate) fn needs_refresh_with_tabs(&self) -> (bool, bool) {
        self.with(|inner| {
            let tabs = inner.overlay().is_some_and(|overlay| !overlay.tabs.is_empty());
            (inner.state.needs_refresh(), tabs)
        })
    }

    /// A pass begins that will make a first tree: what changes from now on has to be rendered again.
    pub(crate) fn expect_tree(&self) {
        self.with(|inner| inner.state.expect_tree());
    }

    /// Waits for a tree that is not of this version, or for any; `None` if the slot is closed instead.
    pub(crate) async fn wait_for_tree(&self, seen: Option<u64>) -> Option<Versioned> {
        loop {
            let listener = self.changed.listen();
            let (tree, closed) = self.with(|inner| (inner.tree.current(), inner.state.is_closed()));
            // A closed slot has no tree.
            let changed = tree.filter(|tree| Some(tree.version) != seen);
            if closed || changed.is_some() {
                return changed;
            }
            listener.await;
        }
    }

    /// Takes the turn for a pass, or leaves a follow-up for what is wanted and for whoever waits for it.
    ///
    /// Asks under the lock for a `newer` registry: a pass that gets its turn after another must not render an older one.
    pub(crate) fn begin(
        &self,
        ticket: Ticket,
        wanted: Wanted<'_>,
        waiters: impl FnOnce() -> Waiters,
        registry: &Registry,
        newer: impl FnOnce() -> Option<Arc<Registry>>,
    ) -> Begin {
        // What may be the last holder of an application's function is handed out, to be dropped without the lock.
        let (begin, _released) = self.with(|inner| inner.begin(ticket, wanted, waiters, registry, newer));
        begin
    }

    /// Gives a turn back: the new tree becomes current, unless nothing changed. The one before lives on as long as a
    /// subscription was last sent it.
    pub(crate) fn commit(&self, base: &Base, paths: &Paths, tree: Option<Arc<Tree>>, counted: Counted<'_>) -> Finished {
        let (committed, follow_up, links) = self.with(|inner| {
            let committed = inner.commit(base, paths, tree, counted);
            let take = |extras: &mut Extras| extras.follow_up.take_if(|_| base.turn == TurnId::Main);
            let follow_up = inner.edit_extras(take).flatten();
            let told = committed.version.is_some() || committed.renewed;
            let links = if told { inner.links.clone() } else { SmallVec::new() };
            (committed, follow_up, links)
        });
        let finished = Finished { version: committed.version, follow_up };
        drop(committed);
        links.iter().for_each(|link| link.wake());
        self.changed.notify(usize::MAX);
        finished
    }

    /// Adds a connection; false if the slot is closed.
    pub(crate) fn attach(&self, link: Arc<Link>) -> bool {
        self.with(|inner| {
            let open = inner.state.attach();
            if open {
                inner.links.push(link);
            }
            open
        })
    }

    /// Removes a connection; true if it was the last one.
    pub(crate) fn detach(&self, link: &Arc<Link>, now_ms: u64) -> bool {
        self.with(|inner| {
            inner.links.retain(|known| !Arc::ptr_eq(known, link));
            let last = inner.links.is_empty() && inner.state.detach(now_ms);
            if last {
                inner.links.shrink_to_fit();
            }
            last
        })
    }

    pub(crate) fn links(&self) -> SmallVec<[Arc<Link>; 1]> {
        self.with(|inner| inner.links.clone())
    }

    pub(crate) fn connections(&self) -> usize {
        self.with(|inner| inner.links.len())
    }

    /// Keeps the resume points of a connection that ended; of all the latest `max`. Without a tree there is nothing to
    /// resume from.
    pub(crate) fn add_resume_points(&self, points: Vec<ResumePoint>, max: usize, until_ms: u64) -> Added {
        self.with(|inner| {
            if inner.tree.get().is_none() || points.is_empty() {
                return Added { first: false, evicted: points };
            }
            inner.extras.get_or_insert_default().resume_points.add(points, max, until_ms)
        })
    }

    /// Takes the resume point from which a consumer with this view and this copy can resume.
    pub(crate) fn take_resume_point(&self, view: &ViewOptions, version: u64) -> Option<ResumePoint> {
        self.with(|inner| inner.edit_extras(|extras| extras.resume_points.take(view, version)).flatten())
    }

    /// Takes the resume points that have expired.
    pub(crate) fn expire_resume_points(&self, now_ms: u64) -> Expired {
        self.with(|inner| inner.edit_extras(|extras| extras.resume_points.expire(now_ms)).unwrap_or(Expired::Nothing))
    }

    /// Since when nobody is connected and no task runs, in ms.
    pub(crate) fn idle_since_ms(&self) -> Option<u64> {
        self.with(|inner| inner.state.idle_since_ms())
    }

    /// It was busy until now, though nobody was connected. True if it is idle from now on.
    pub(crate) fn idle_from(&self, now_ms: u64) -> bool {
        self.with(|inner| inner.state.idle_from(now_ms))
    }

    /// Lets nobody connect any more, if nobody is connected and no task runs; then the slot is to be closed.
    /// Returns the tree, for the caller may hold a lock.
    pub(crate) fn close_if_idle(&self, trees: &CommittedTrees) -> Option<ReleasedTree> {
        self.with(|inner| {
            let idle = inner.state.close_if_idle();
            idle.then(|| {
                inner.state.close();
                inner.take_tree(trees)
            })
        })
    }

    /// Drops the tree if nobody is connected; true if there was one.
    pub(crate) fn evict_tree(&self, trees: &CommittedTrees) -> bool {
        let released = self.with(|inner| inner.state.evict_tree().then(|| inner.take_tree(trees)));
        released.is_some()
    }

    /// Closes the slot for good and hands over whoever has to be told.
    pub(crate) fn close(&self, trees: &CommittedTrees) -> Closed {
        let (links, overlay, version, tree) = self.with(|inner| {
            let tree = inner.take_tree(trees);
            inner.state.close();
            let overlay = inner.edit_extras(|extras| extras.overlay.take()).flatten();
            (std::mem::take(&mut inner.links), overlay, inner.tree.version(), tree)
        });
        self.changed.notify(usize::MAX);
        drop(tree);
        let tasks = overlay.iter().flat_map(|overlay| overlay.tasks.values().cloned()).collect();
        Closed { links, tasks, version }
    }

    /// Changes the sources that this session alone has, in one step.
    pub(crate) fn edit_sources(&self, edits: BTreeMap<Text, SourceEdit>) {
        let _replaced = self.with(|inner| inner.edit_overlay(|overlay| overlay.edit_sources(edits)));
    }

    /// Registers, or hides (`None`), a path for this session alone.
    pub(crate) fn set_source(&self, path: Text, source: Option<Arc<Source>>) {
        self.edit_sources(BTreeMap::from([(path, SourceEdit::Set(source))]));
    }

    /// Gives back what everybody has at a path.
    pub(crate) fn restore_source(&self, path: &str) {
        self.edit_sources(BTreeMap::from([(path.into(), SourceEdit::Restore)]));
    }

    /// Adds a tab under the lowest number that is free, if there are fewer than `max`.
    pub(crate) fn add_tab(&self, max: usize, make: impl FnOnce(u32) -> Arc<Tab>) -> Option<Arc<Tab>> {
        self.with(|inner| {
            let overlay = inner.overlay_mut();
            let number = overlay.free_tab(max)?;
            let tab = make(number);
            overlay.tabs.insert(number, Arc::clone(&tab));
            Some(tab)
        })
    }

    pub(crate) fn remove_tab(&self, tab: &Arc<Tab>) {
        let _replaced =
            self.with(|inner| inner.edit_overlay(|overlay| overlay.tabs.retain(|_, known| !Arc::ptr_eq(known, tab))));
    }

    pub(crate) fn tabs(&self) -> Vec<Arc<Tab>> {
        self.with(|inner| inner.overlay().iter().flat_map(|overlay| overlay.tabs.values().cloned()).collect())
    }

    /// Adds a task, if fewer than `max` run: under an id that is unique in the engine, or else under a number that no other
    /// of this session has had.
    pub(crate) fn add_task(
        &self,
        id: Option<&Text>,
        max: usize,
        make: impl FnOnce(&Text) -> Arc<dyn TaskControl>,
    ) -> Option<Text> {
        self.with(|inner| {
            let full = inner.overlay().is_some_and(|overlay| overlay.tasks.len() >= max) || max == 0;
            if inner.state.is_closed() || full {
                return None;
            }
            let id = id.cloned().unwrap_or_else(|| inner.extras.get_or_insert_default().next_task());
            inner.overlay_mut().tasks.insert(id.clone(), make(&id));
            inner.state.set_tasks(true);
            Some(id)
        })
    }

    /// Whether a task runs.
    pub(crate) fn has_tasks(&self) -> bool {
        self.with(|inner| inner.overlay().is_some_and(|overlay| !overlay.tasks.is_empty()))
    }

    pub(crate) fn tasks(&self) -> Vec<Arc<dyn TaskControl>> {
        self.with(|inner| inner.overlay().iter().flat_map(|overlay| overlay.tasks.values().cloned()).collect())
    }

    /// A task ended and is shown for a while. Returns the one that has to go for it, if too many are shown.
    pub(crate) fn end_task(&self, id: &Text, max: usize) -> Option<Text> {
        self.with(|inner| {
            let overlay = inner.extras.as_mut()?.overlay.as_mut()?;
            let oldest = overlay.end_task(id, max);
            inner.state.set_tasks(!overlay.tasks.is_empty());
            oldest
        })
    }

    /// The node of an ended task is removed. False if it is gone already.
    pub(crate) fn remove_task(&self, id: &str) -> bool {
        let remove = |extras: &mut Extras| extras.overlay.as_mut().is_some_and(|overlay| overlay.remove_task(id));
        self.with(|inner| inner.edit_extras(remove)).unwrap_or(false)
    }
}
