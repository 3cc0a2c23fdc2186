//! One session's entry in memory: who it is, its tree, and who is connected.

use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;
use tokio::sync::Semaphore;

use super::extras::Extras;
use super::overlay::{OverlaidLayout, Overlay, ProviderSources};
use super::paths::Paths;
use super::resume_points::{Added, Expired};
#[cfg(debug_assertions)]
use super::slot_state::Holdings;
use super::slot_state::{BeginStep, OptionalMillis, SlotState};
use super::tab::Tab;
use super::turn::{Base, Begin, Closed, Finished, ReleasedTree};
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
    inner: Mutex<Inner>,
    /// Notified when a tree was committed or the slot was closed.
    changed: Signal,
    /// Its key in the table.
    key: u32,
}

/// There is one for each session, connected or not, so it holds only what most have.
#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    current: Option<Versioned>,
    links: SmallVec<[Arc<Link>; 1]>,
    extras: Option<Box<Extras>>,
    state: SlotState,
    /// When its authentication is looked at again.
    expiry: OptionalMillis,
}

impl Slot {
    /// `without_provider` if what the session's factory makes is still to come: nothing is rendered before.
    pub(crate) fn new(context: Arc<Context>, key: u32, now_ms: u64, without_provider: bool) -> Self {
        let inner = Inner {
            context,
            current: None,
            links: SmallVec::new(),
            extras: None,
            state: SlotState::new(now_ms, without_provider),
            expiry: OptionalMillis::NONE,
        };
        Self { inner: Mutex::new(inner), changed: Signal::new(), key }
    }

    /// One look or one step. What the closure hands over is dropped by the caller, without the lock. In debug builds, and
    /// so under the scheduler of the concurrency tests, the state is validated after every step.
    fn with<T>(&self, step: impl FnOnce(&mut Inner) -> T) -> T {
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

    /// New claims for the same session. Returns the old ones.
    pub(crate) fn set_context(&self, context: Arc<Context>) -> Arc<Context> {
        self.with(|inner| {
            if !inner.context.same_claims(&context) {
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
            let common = !registry.layout().has_async() && inner.overlay().is_none();
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

    /// The permits of this session's handlers and loaders that may block.
    pub(crate) fn blocking(&self, max: usize) -> Arc<Semaphore> {
        self.with(|inner| {
            let blocking = &mut inner.extras.get_or_insert_default().blocking;
            Arc::clone(blocking.get_or_insert_with(|| Arc::new(Semaphore::new(max))))
        })
    }

    /// Wants its authentication looked at; false if that happens by then anyway. Timers are never cancelled: one that was
    /// overtaken finds that nothing is due.
    pub(crate) fn schedule_expiry(&self, at_ms: u64) -> bool {
        self.with(|inner| {
            let earlier = inner.expiry.get().is_some_and(|known| known <= at_ms);
            if !earlier {
                inner.expiry = OptionalMillis::at(at_ms);
            }
            !earlier
        })
    }

    /// Whether its authentication is to be looked at now.
    pub(crate) fn expiry_is_due(&self, now_ms: u64) -> bool {
        self.with(|inner| {
            let due = inner.expiry.get().is_some_and(|at_ms| at_ms <= now_ms);
            if due {
                inner.expiry = OptionalMillis::NONE;
            }
            due
        })
    }

    pub(crate) fn tree(&self) -> Option<Versioned> {
        self.with(|inner| inner.current.clone())
    }

    /// The tree for the next frame, and when the authentication ends. With `fresh`, none that earlier claims allowed.
    pub(crate) fn shown(&self, fresh: bool) -> (Option<Versioned>, Option<SystemTime>) {
        self.with(|inner| {
            let withheld = fresh && inner.state.is_outdated();
            let tree = if withheld { None } else { inner.current.clone() };
            (tree, inner.context.expires_at())
        })
    }

    pub(crate) fn has_tree(&self) -> bool {
        self.with(|inner| inner.current.is_some())
    }

    /// Whether a refresh has something to do: there is a tree, or a pass is about to make one.
    pub(crate) fn needs_refresh(&self) -> bool {
        self.with(|inner| inner.state.needs_refresh())
    }

    /// A pass begins that will make a first tree: what changes from now on has to be rendered again.
    pub(crate) fn expect_tree(&self) {
        self.with(|inner| inner.state.expect_tree());
    }

    /// Waits for a tree that is not of this version, or for any; `None` if the slot is closed instead.
    pub(crate) async fn wait_for_tree(&self, seen: Option<u64>) -> Option<Versioned> {
        loop {
            let listener = self.changed.listen();
            let (tree, closed) = self.with(|inner| (inner.current.clone(), inner.state.is_closed()));
            if closed {
                return None;
            }
            if let Some(tree) = tree.filter(|tree| Some(tree.version) != seen) {
                return Some(tree);
            }
            listener.await;
        }
    }

    /// Takes the turn for a pass, or leaves a follow-up for what is wanted and for whoever waits for it.
    ///
    /// Asks under the lock for a `newer` registry: a pass that gets its turn after another must not render an older one.
    pub(crate) fn begin(
        &self,
        ticket: u64,
        paths: &Paths,
        first: bool,
        waiters: &mut Waiters,
        registry: &Registry,
        newer: impl FnOnce() -> Option<Arc<Registry>>,
    ) -> Begin {
        // What may be the last holder of an application's function is handed out, to be dropped without the lock.
        let (begin, _released) = self.with(|inner| match inner.state.begin(ticket, first, *paths == Paths::All) {
            BeginStep::Skip => (Begin::Skip, None),
            BeginStep::Queue => {
                inner.extras.get_or_insert_default().follow_up(paths, std::mem::take(waiters));
                (Begin::Queued, None)
            }
            BeginStep::Go { overtaken, outdated } => {
                let newer = newer();
                let (layout, stale) = inner.layout(newer.as_deref().unwrap_or(registry));
                (Begin::Go(inner.base(layout, overtaken, outdated)), Some((newer, stale)))
            }
        });
        begin
    }

    /// Gives the turn back: the new tree becomes current, unless nothing changed. The one before lives on as long as a
    /// subscription was last sent it.
    pub(crate) fn commit(&self, tree: Option<Arc<Tree>>, next_version: impl FnOnce() -> u64) -> Finished {
        let (finished, links, released) = self.with(|inner| {
            let step = inner.state.finish(tree.is_some());
            let (version, released) = match tree {
                Some(tree) if step.commits => inner.replace(tree, next_version),
                released => (None, released),
            };
            let follow_up = inner.edit_extras(|extras| extras.follow_up.take()).flatten();
            let links = if version.is_some() || step.renewed { inner.links.clone() } else { SmallVec::new() };
            (Finished { version, follow_up }, links, released)
        });
        drop(released);
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
                // What still runs counts for whoever comes next.
                inner.edit_extras(|extras| extras.blocking.take_if(|blocking| Arc::strong_count(blocking) == 1));
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
            if inner.current.is_none() || points.is_empty() {
                return Added { first: false, evicted: points };
            }
            inner.extras.get_or_insert_default().resume_points.add(points, max, until_ms)
        })
    }

    /// Takes the resume point from which a consumer with this view and this copy can resume.
    pub(crate) fn take_resume_point(&self, view: &ViewOptions, version: u64) -> Option<ResumePoint> {
        self.with(|inner| inner.edit_extras(|extras| extras.resume_points.take(view, version)).flatten())
    }

    /// How many bytes of what their consumers chose the resume points keep.
    pub(crate) fn resume_point_bytes(&self) -> usize {
        self.with(|inner| inner.extras.as_ref().map_or(0, |extras| extras.resume_points.bytes()))
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
    pub(crate) fn close_if_idle(&self) -> Option<ReleasedTree> {
        self.with(|inner| {
            let idle = inner.state.close_if_idle();
            idle.then(|| {
                inner.state.close();
                inner.take_tree()
            })
        })
    }

    /// Drops the tree if nobody is connected; true if there was one.
    pub(crate) fn evict_tree(&self) -> bool {
        let released = self.with(|inner| inner.state.evict_tree().then(|| inner.take_tree()));
        released.is_some_and(|released| released.is_some())
    }

    /// Closes the slot for good and hands over whoever has to be told.
    pub(crate) fn close(&self) -> Closed {
        let (links, overlay, _tree) = self.with(|inner| {
            let tree = inner.take_tree();
            inner.state.close();
            let overlay = inner.edit_extras(|extras| extras.overlay.take()).flatten();
            (std::mem::take(&mut inner.links), overlay, tree)
        });
        self.changed.notify(usize::MAX);
        let tasks = overlay.iter().flat_map(|overlay| overlay.tasks.values().cloned()).collect();
        Closed { links, tasks }
    }

    /// Registers, or hides (`None`), a path for this session alone.
    pub(crate) fn set_source(&self, path: Text, source: Option<Arc<Source>>) {
        let _replaced = self.with(|inner| inner.edit_overlay(|overlay| overlay.sources.insert(path, source)));
    }

    /// Gives back what everybody has at a path.
    pub(crate) fn restore_source(&self, path: &str) {
        let _replaced = self.with(|inner| inner.edit_overlay(|overlay| overlay.sources.remove(path)));
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

    /// Adds a task, if fewer than `max` run.
    pub(crate) fn add_task(&self, id: Text, task: Arc<dyn TaskControl>, max: usize) -> bool {
        self.with(|inner| {
            let full = inner.overlay().is_some_and(|overlay| overlay.tasks.len() >= max) || max == 0;
            if inner.state.is_closed() || full {
                return false;
            }
            inner.overlay_mut().tasks.insert(id, task);
            inner.state.set_tasks(true);
            true
        })
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

impl Inner {
    #[cfg(debug_assertions)]
    fn holdings(&self) -> Holdings {
        Holdings {
            tree: self.current.is_some(),
            connections: !self.links.is_empty(),
            tasks: self.overlay().is_some_and(|overlay| !overlay.tasks.is_empty()),
            follow_up: self.extras.as_ref().is_some_and(|extras| extras.follow_up.is_some()),
        }
    }

    /// What a pass renders upon.
    fn base(&self, layout: Arc<Layout>, overtaken: bool, outdated: bool) -> Base {
        let tree = self.current.as_ref().map(|current| Arc::clone(&current.tree));
        Base { context: Arc::clone(&self.context), tree, layout, overtaken, outdated }
    }

    /// Lets the tree go, and what can be resumed from it.
    fn take_tree(&mut self) -> ReleasedTree {
        let resume_points = self.edit_extras(|extras| extras.resume_points.take_all()).unwrap_or_default();
        ReleasedTree { current: self.current.take(), resume_points }
    }

    fn overlay(&self) -> Option<&Overlay> {
        self.extras.as_ref()?.overlay.as_ref()
    }

    fn overlay_mut(&mut self) -> &mut Overlay {
        self.extras.get_or_insert_default().overlay.get_or_insert_default()
    }

    /// Changes what few sessions have, if there is anything; what is empty then is given back.
    fn edit_extras<T>(&mut self, change: impl FnOnce(&mut Extras) -> T) -> Option<T> {
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

    fn layout(&mut self, registry: &Registry) -> (Arc<Layout>, Option<OverlaidLayout>) {
        let overlay = self.extras.as_mut().and_then(|extras| extras.overlay.as_mut());
        match overlay.filter(|overlay| overlay.has_sources()) {
            Some(overlay) => overlay.layout(registry),
            None => (Arc::clone(registry.layout()), None),
        }
    }

    /// Changes what only this session has, and hands over what that replaces.
    fn edit_overlay<T>(&mut self, change: impl FnOnce(&mut Overlay) -> T) -> Option<(T, Option<OverlaidLayout>)> {
        self.overlay_mut();
        let change = |overlay: &mut Overlay| (change(overlay), overlay.take_layout());
        self.edit_extras(|extras| extras.overlay.as_mut().map(change)).flatten()
    }

    /// Returns the new version, if there is one, and the tree that is not needed here any more.
    fn replace(&mut self, tree: Arc<Tree>, next_version: impl FnOnce() -> u64) -> (Option<u64>, Option<Arc<Tree>>) {
        match &mut self.current {
            Some(current) if Arc::ptr_eq(&current.tree, &tree) || current.tree.same(&tree) => {
                if Arc::ptr_eq(current.tree.layout(), tree.layout()) {
                    return (None, Some(tree));
                }
                // The same content by other sources: nobody is told, but windows are loaded by the new ones.
                (None, Some(std::mem::replace(&mut current.tree, tree)))
            }
            _ => {
                let version = next_version();
                let before = self.current.replace(Versioned { tree, version });
                (Some(version), before.map(|before| before.tree))
            }
        }
    }
}
