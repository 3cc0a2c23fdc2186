//! One session's place in memory: who it is, its tree now and before, and who is connected.

use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;
use tokio::sync::Semaphore;

use super::latch::Latch;
use super::overlay::{OverlaidLayout, Overlay};
use super::paths::Paths;
use super::tab::Tab;
use crate::deliver::link::Link;
use crate::deliver::subscription::{ResumePoint, Versioned};
use crate::model::Text;
use crate::model::session::{Context, Session};
use crate::render::layout::Layout;
use crate::render::registry::Registry;
use crate::render::source::Source;
use crate::render::task::TaskState;
use crate::render::tree::Tree;
use crate::render::view::ViewOptions;
use crate::sync::{Mutex, Signal};

/// A session's place. One lock, held for a look or a swap, never while application code runs or anything is awaited.
#[derive(Debug)]
pub(crate) struct Slot {
    state: Mutex<State>,
    /// Told when a tree was committed or the slot was closed.
    changed: Signal,
    /// Where it stands in the table.
    place: u32,
}

/// There is one for each session, connected or not, so it holds only what most have.
#[derive(Debug)]
struct State {
    context: Arc<Context>,
    current: Option<Versioned>,
    links: SmallVec<[Arc<Link>; 1]>,
    extras: Option<Box<Extras>>,
    /// The latest pass that evaluated for this slot.
    ticket: u64,
    /// Since when nobody is connected, in ms.
    idle_since: Moment,
    /// When its authentication is looked at again.
    expiry: Moment,
    /// How many passes are about to make a first tree, and may have evaluated for it already.
    expected: u16,
    /// A pass is at it.
    taken: bool,
    instance: ProviderState,
    claims: Claims,
    closed: bool,
}

/// What few sessions have at a time.
#[derive(Debug, Default)]
struct Extras {
    /// Where subscriptions of connections that ended stood, and until when that is kept, in ms.
    kept: Vec<ResumePoint>,
    kept_until_ms: u64,
    /// When somebody comes back to forget it, in ms; earlier entries on the wheel find that they do not count any more.
    kept_watch_ms: u64,
    /// What only this session has.
    own: Option<Overlay>,
    /// What a pass shall render after the one that is at it.
    then: Option<(Paths, Arc<Latch>)>,
    /// How many handlers and loaders of this session that may block still may run; made when one does.
    blocking: Option<Arc<Semaphore>>,
}

impl Extras {
    const fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.own.is_none() && self.then.is_none() && self.blocking.is_none()
    }
}

/// A time in ms that may be absent, in eight bytes.
#[derive(Debug, Clone, Copy)]
struct Moment(u64);

impl Moment {
    const NONE: Self = Self(u64::MAX);

    const fn at(ms: u64) -> Self {
        Self(ms)
    }

    fn get(self) -> Option<u64> {
        (self.0 != Self::NONE.0).then_some(self.0)
    }
}

/// What a session's factory makes (provider-per-session mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProviderState {
    Ready,
    Missing,
    /// It is not there, and somebody waits for a tree.
    Awaited,
}

/// Whether the tree shows what the claims of now allow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Claims {
    #[default]
    Shown,
    /// They changed since the tree was rendered.
    Changed,
    /// They changed, and a pass renders all of the tree with them.
    Rendering,
}

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
    /// Another pass is at it; it will be followed by one that renders what was wanted.
    Queued(Arc<Latch>),
    /// There is nothing to render: the slot is closed, or has no tree and nobody wants a first one.
    Skip,
}

/// What a pass left behind.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// The version, if the tree changed.
    pub(crate) version: Option<u64>,
    /// What was wanted meanwhile.
    pub(crate) then: Option<(Paths, Arc<Latch>)>,
}

/// What a closed slot had.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) links: SmallVec<[Arc<Link>; 1]>,
    pub(crate) tasks: Vec<Arc<TaskState>>,
}

impl Slot {
    pub(crate) fn new(context: Arc<Context>, place: u32, now_ms: u64, unmade: bool) -> Self {
        let state = State {
            context,
            current: None,
            links: SmallVec::new(),
            extras: None,
            ticket: 0,
            idle_since: Moment::at(now_ms),
            expiry: Moment::NONE,
            expected: 0,
            taken: false,
            instance: if unmade { ProviderState::Missing } else { ProviderState::Ready },
            claims: Claims::Shown,
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Signal::new(), place }
    }

    /// Where it stands in the table; another session's once this one was removed.
    pub(crate) const fn place(&self) -> u32 {
        self.place
    }

    pub(crate) fn context(&self) -> Arc<Context> {
        Arc::clone(&self.state.lock().context)
    }

    /// The session as handlers and predicates get it.
    pub(crate) fn session(&self) -> Session {
        Session::untracked(self.context())
    }

    /// New claims for the same session. Answers the old ones.
    pub(crate) fn set_context(&self, context: Arc<Context>) -> Arc<Context> {
        let mut state = self.state.lock();
        if !state.context.same_claims(&context) {
            state.claims = Claims::Changed;
        }
        std::mem::replace(&mut state.context, context)
    }

    /// Whether it was closed: expired, revoked or forgotten.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Whether the tree still shows what earlier claims allowed.
    pub(crate) fn is_outdated(&self) -> bool {
        self.state.lock().claims != Claims::Shown
    }

    /// Where everything stands in this session's tree.
    pub(crate) fn layout(&self, registry: &Registry) -> Arc<Layout> {
        self.state.lock().layout(registry)
    }

    /// Gives the session an instance of its own, in place of the one before, if its claims are still those for which it
    /// was made; otherwise another one is being made. True if somebody waits for a first tree.
    pub(crate) fn set_instance(&self, made_for: &Context, sources: Vec<(Text, Arc<Source>)>) -> bool {
        let mut state = self.state.lock();
        if !state.context.same_claims(made_for) {
            drop(state);
            return false;
        }
        let waited_for = std::mem::replace(&mut state.instance, ProviderState::Ready) == ProviderState::Awaited;
        state.claims = Claims::Changed;
        let before = state.edit_overlay(|own| std::mem::replace(&mut own.instance, sources.into_iter().collect()));
        drop(state);
        drop(before);
        waited_for
    }

    /// The permits of this session's handlers and loaders that may block.
    pub(crate) fn blocking(&self, max: usize) -> Arc<Semaphore> {
        let mut state = self.state.lock();
        let blocking = &mut state.extras.get_or_insert_default().blocking;
        Arc::clone(blocking.get_or_insert_with(|| Arc::new(Semaphore::new(max.max(1)))))
    }

    /// Wants its authentication looked at; false if that happens by then anyway. Entries on the wheel are never taken
    /// off: one that was overtaken finds that nothing is due.
    pub(crate) fn watch_expiry(&self, at_ms: u64) -> bool {
        let mut state = self.state.lock();
        if state.expiry.get().is_some_and(|known| known <= at_ms) {
            return false;
        }
        state.expiry = Moment::at(at_ms);
        true
    }

    /// Whether its authentication is to be looked at now.
    pub(crate) fn expiry_is_due(&self, now_ms: u64) -> bool {
        let mut state = self.state.lock();
        let due = state.expiry.get().is_some_and(|at_ms| at_ms <= now_ms);
        if due {
            state.expiry = Moment::NONE;
        }
        due
    }

    pub(crate) fn tree(&self) -> Option<Versioned> {
        self.state.lock().current.clone()
    }

    /// The tree for the next frame, and when the authentication ends. With `fresh`, none that earlier claims allowed.
    pub(crate) fn shown(&self, fresh: bool) -> (Option<Versioned>, Option<SystemTime>) {
        let state = self.state.lock();
        let withheld = fresh && state.claims != Claims::Shown;
        let tree = if withheld { None } else { state.current.clone() };
        (tree, state.context.expires_at())
    }

    pub(crate) fn is_resident(&self) -> bool {
        self.state.lock().current.is_some()
    }

    /// Whether a refresh has something to do: there is a tree, or a pass is about to make one.
    pub(crate) fn wants_refresh(&self) -> bool {
        let state = self.state.lock();
        state.wants_refresh()
    }

    /// A pass begins that will make a first tree: what changes from now on has to be rendered again.
    pub(crate) fn expect_tree(&self) {
        let mut state = self.state.lock();
        state.expected = state.expected.saturating_add(1);
    }

    /// Waits for a tree; `None` if the slot is closed instead.
    pub(crate) async fn wait_for_tree(&self) -> Option<Versioned> {
        loop {
            let listener = self.changed.listen();
            {
                let state = self.state.lock();
                if state.closed || state.current.is_some() {
                    return state.current.clone();
                }
            }
            listener.await;
        }
    }

    /// Takes the turn for a pass, or leaves word of what is wanted.
    pub(crate) fn begin(&self, ticket: u64, paths: &Paths, first: bool, registry: &Registry) -> Begin {
        let mut state = self.state.lock();
        if first {
            state.expected = state.expected.saturating_sub(1);
        }
        let wanted = first || state.wants_refresh();
        if state.instance != ProviderState::Ready {
            if first {
                state.instance = ProviderState::Awaited;
            }
            return Begin::Skip;
        }
        if state.closed || !wanted {
            return Begin::Skip;
        }
        if state.taken {
            return Begin::Queued(state.then(paths));
        }
        state.taken = true;
        let outdated = state.claims != Claims::Shown;
        if outdated && *paths == Paths::All {
            state.claims = Claims::Rendering;
        }
        let overtaken = state.ticket > ticket;
        state.ticket = state.ticket.max(ticket);
        Begin::Go(Base {
            context: Arc::clone(&state.context),
            tree: state.current.as_ref().map(|current| Arc::clone(&current.tree)),
            layout: state.layout(registry),
            overtaken,
            outdated,
        })
    }

    /// Gives the turn back: the new tree becomes current, unless nothing changed. The one before lives on as long as a
    /// subscription was last sent it.
    pub(crate) fn commit(&self, tree: Option<Arc<Tree>>, next_version: impl FnOnce() -> u64) -> Finished {
        let mut state = self.state.lock();
        let renewed = state.claims == Claims::Rendering;
        if renewed {
            state.claims = if tree.is_some() { Claims::Shown } else { Claims::Changed };
        }
        let (version, garbage) = match tree {
            Some(tree) if !state.closed => state.replace(tree, next_version),
            garbage => (None, garbage),
        };
        state.taken = false;
        let then = state.edit_extras(|extras| extras.then.take()).flatten();
        let links = if version.is_some() || renewed { state.links.clone() } else { SmallVec::new() };
        drop(state);
        // What an application put into closures may do anything when it is dropped.
        drop(garbage);
        links.iter().for_each(|link| link.wake());
        self.changed.notify(usize::MAX);
        Finished { version, then }
    }

    /// Adds a connection; false if the slot is closed.
    pub(crate) fn attach(&self, link: Arc<Link>) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.links.push(link);
        state.idle_since = Moment::NONE;
        true
    }

    /// Removes a connection; true if it was the last one.
    pub(crate) fn detach(&self, link: &Arc<Link>, now_ms: u64) -> bool {
        let mut state = self.state.lock();
        state.links.retain(|known| !Arc::ptr_eq(known, link));
        let last = state.links.is_empty() && state.idle_since.get().is_none();
        if last {
            state.links.shrink_to_fit();
            state.idle_since = Moment::at(now_ms);
            // What still runs counts for whoever comes next.
            state.edit_extras(|extras| extras.blocking.take_if(|blocking| Arc::strong_count(blocking) == 1));
        }
        last
    }

    pub(crate) fn links(&self) -> SmallVec<[Arc<Link>; 1]> {
        self.state.lock().links.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().links.len()
    }

    /// Remembers where the subscriptions of a connection that ended stood. The latest few are enough. Answers
    /// whether somebody has to come back at that time and forget them, and how many older ones had to go.
    pub(crate) fn keep(&self, kept: Vec<ResumePoint>, max: usize, until_ms: u64) -> (bool, usize) {
        let mut state = self.state.lock();
        if state.closed || state.current.is_none() || kept.is_empty() {
            return (false, 0);
        }
        let extras = state.extras.get_or_insert_default();
        let first = extras.kept.is_empty();
        extras.kept.extend(kept);
        extras.kept_until_ms = until_ms;
        if first {
            extras.kept_watch_ms = until_ms;
        }
        let over = extras.kept.len().saturating_sub(max);
        let dropped: Vec<ResumePoint> = extras.kept.drain(..over).collect();
        drop(state);
        (first, dropped.len())
    }

    /// Takes where a consumer's copy stands, if it is still known.
    pub(crate) fn kept(&self, view: &ViewOptions, version: u64) -> Option<ResumePoint> {
        let take = |extras: &mut Extras| {
            let at = extras.kept.iter().position(|kept| kept.serves(view, version))?;
            Some(extras.kept.remove(at))
        };
        self.state.lock().edit_extras(take).flatten()
    }

    /// Forgets where subscriptions stood, if their time is up; otherwise answers when to come back.
    pub(crate) fn forget_kept(&self, now_ms: u64) -> Option<u64> {
        let mut state = self.state.lock();
        let extras =
            state.extras.as_mut().filter(|extras| !extras.kept.is_empty() && extras.kept_watch_ms <= now_ms)?;
        if extras.kept_until_ms > now_ms {
            extras.kept_watch_ms = extras.kept_until_ms;
            return Some(extras.kept_until_ms);
        }
        let kept = state.edit_extras(|extras| std::mem::take(&mut extras.kept));
        drop(state);
        drop(kept);
        None
    }

    /// Since when nobody is connected and no task runs, in ms.
    pub(crate) fn idle_since_ms(&self) -> Option<u64> {
        let state = self.state.lock();
        state.idle_since.get().filter(|_| state.is_idle())
    }

    /// It was busy until now, though nobody was connected. True if it is idle from now on.
    pub(crate) fn idle_from(&self, now_ms: u64) -> bool {
        let mut state = self.state.lock();
        let idle = state.is_idle() && !state.closed;
        if idle {
            state.idle_since = Moment::at(now_ms);
        }
        idle
    }

    /// Lets nobody connect any more, if nobody is connected and no task runs; then the slot is to be closed.
    pub(crate) fn shut_if_idle(&self) -> bool {
        let mut state = self.state.lock();
        let idle = state.is_idle();
        state.closed |= idle;
        idle
    }

    /// Drops the tree if nobody is connected; true if there was one.
    pub(crate) fn drop_tree(&self) -> bool {
        let mut state = self.state.lock();
        if state.idle_since.get().is_none() || state.taken {
            return false;
        }
        let (current, kept) = (state.current.take(), state.edit_extras(|extras| std::mem::take(&mut extras.kept)));
        drop(state);
        // Fragments are freed outside the lock.
        drop(kept);
        current.is_some()
    }

    /// Closes the slot for good and hands over whoever has to learn of it.
    pub(crate) fn close(&self) -> Closed {
        let mut state = self.state.lock();
        state.closed = true;
        let current = state.current.take();
        let kept_and_own = state.edit_extras(|extras| (std::mem::take(&mut extras.kept), extras.own.take()));
        let links = std::mem::take(&mut state.links);
        drop(state);
        drop(current);
        self.changed.notify(usize::MAX);
        let own = kept_and_own.and_then(|(_, own)| own);
        let tasks = own.iter().flat_map(|own| own.tasks.values().cloned()).collect();
        Closed { links, tasks }
    }

    /// Registers, hides (`None`) or gives back (`forget_own`) a path for this session alone.
    pub(crate) fn set_own(&self, path: Text, source: Option<Arc<Source>>) {
        self.edit_overlay(|own| own.sources.insert(path, source));
    }

    /// Removes this session's own word on a path.
    pub(crate) fn forget_own(&self, path: &str) {
        self.edit_overlay(|own| own.sources.remove(path));
    }

    /// Changes what only this session has. What that replaces is dropped outside the lock: closures may hold anything.
    fn edit_overlay<T>(&self, change: impl FnOnce(&mut Overlay) -> T) {
        let replaced = self.state.lock().edit_overlay(change);
        drop(replaced);
    }

    /// Makes a place for a tab under the lowest number that is free, if there are fewer than `max`.
    pub(crate) fn add_tab(&self, max: usize, make: impl FnOnce(u32) -> Arc<Tab>) -> Option<Arc<Tab>> {
        let mut state = self.state.lock();
        let own = state.overlay_mut();
        let number = own.free_tab(max)?;
        let tab = make(number);
        own.tabs.insert(number, Arc::clone(&tab));
        Some(tab)
    }

    pub(crate) fn remove_tab(&self, tab: &Arc<Tab>) {
        self.edit_overlay(|own| own.tabs.retain(|_, known| !Arc::ptr_eq(known, tab)));
    }

    pub(crate) fn tabs(&self) -> Vec<Arc<Tab>> {
        self.state.lock().own().iter().flat_map(|own| own.tabs.values().cloned()).collect()
    }

    /// Remembers a task, if fewer than `max` run.
    pub(crate) fn add_task(&self, id: Text, task: Arc<TaskState>, max: usize) -> bool {
        let mut state = self.state.lock();
        let full = state.own().is_some_and(|own| own.tasks.len() >= max);
        if state.closed || full {
            return false;
        }
        state.overlay_mut().tasks.insert(id, task);
        true
    }

    /// A task ended and is shown for a while. Answers the one that has to go for it, if too many are shown.
    pub(crate) fn end_task(&self, id: &Text, max: usize) -> Option<Text> {
        let mut state = self.state.lock();
        state.extras.as_mut()?.own.as_mut()?.end_task(id, max)
    }

    /// The node of an ended task goes. False if it is gone already.
    pub(crate) fn forget_task(&self, id: &str) -> bool {
        let mut state = self.state.lock();
        state.edit_extras(|extras| extras.own.as_mut().is_some_and(|own| own.forget_task(id))).unwrap_or(false)
    }
}

impl State {
    const fn wants_refresh(&self) -> bool {
        self.current.is_some() || self.expected > 0 || self.taken
    }

    /// Whether nobody is connected and no task runs.
    fn is_idle(&self) -> bool {
        self.idle_since.get().is_some() && self.own().is_none_or(|own| own.tasks.is_empty())
    }

    /// Leaves word of what shall be rendered after the pass that is at it.
    fn then(&mut self, paths: &Paths) -> Arc<Latch> {
        let then = &mut self.extras.get_or_insert_default().then;
        match then {
            Some((wanted, done)) => {
                wanted.merge(paths.clone());
                Arc::clone(done)
            }
            None => Arc::clone(&then.insert((paths.clone(), Arc::default())).1),
        }
    }

    fn own(&self) -> Option<&Overlay> {
        self.extras.as_ref()?.own.as_ref()
    }

    fn overlay_mut(&mut self) -> &mut Overlay {
        self.extras.get_or_insert_default().own.get_or_insert_default()
    }

    /// Changes what few sessions have, if there is anything; what is empty then is given back.
    fn edit_extras<T>(&mut self, change: impl FnOnce(&mut Extras) -> T) -> Option<T> {
        let extras = self.extras.as_mut()?;
        let changed = change(extras);
        if extras.own.as_ref().is_some_and(Overlay::is_empty) {
            extras.own = None;
        }
        if extras.is_empty() {
            self.extras = None;
        }
        Some(changed)
    }

    fn layout(&mut self, registry: &Registry) -> Arc<Layout> {
        let own = self.extras.as_mut().and_then(|extras| extras.own.as_mut());
        match own.filter(|own| own.has_sources()) {
            Some(own) => own.layout(registry),
            None => Arc::clone(registry.layout()),
        }
    }

    fn edit_overlay<T>(&mut self, change: impl FnOnce(&mut Overlay) -> T) -> Option<(T, Option<OverlaidLayout>)> {
        self.overlay_mut();
        let change = |own: &mut Overlay| (change(own), own.forget_layout());
        self.edit_extras(|extras| extras.own.as_mut().map(change)).flatten()
    }

    /// Answers the new version, if there is one, and the tree that is not needed here any more.
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
