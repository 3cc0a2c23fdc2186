//! One session's place in memory: who it is, its tree now and before, and who is connected.

use std::sync::Arc;

use event_listener::Event as Signal;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Semaphore;

use super::alarm::Alarm;
use super::own::{Overlay, Own};
use super::tab::Tab;
use crate::deliver::link::Link;
use crate::deliver::subscription::{Kept, Versioned};
use crate::model::Text;
use crate::model::path;
use crate::model::session::{Context, Session};
use crate::render::layout::Layout;
use crate::render::registry::{Registry, Source};
use crate::render::task::TaskState;
use crate::render::tree::Tree;
use crate::render::view::ViewOptions;

/// Which registered paths shall be rendered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paths {
    All,
    /// These, what is above and what is below them; in the normal spelling.
    Only(SmallVec<[Text; 1]>),
}

impl Paths {
    pub(crate) fn touches(&self, registered: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(paths) => {
                paths.iter().any(|wanted| path::covers(registered, wanted) || path::covers(wanted, registered))
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
            (Self::Only(mine), Self::Only(theirs)) => {
                for path in theirs {
                    if !mine.contains(&path) {
                        mine.push(path);
                    }
                }
            }
        }
    }
}

/// A session's place. One lock, held for a look or a swap, never while application code runs or anything is awaited.
#[derive(Debug)]
pub(crate) struct Slot {
    state: Mutex<State>,
    /// Told when a tree was committed or the slot was closed.
    changed: Signal,
}

#[derive(Debug)]
struct State {
    context: Arc<Context>,
    current: Option<Versioned>,
    links: SmallVec<[Arc<Link>; 1]>,
    /// Where subscriptions of connections that ended stood; mostly absent.
    kept: Vec<Kept>,
    /// What only this session has; most have nothing.
    own: Option<Box<Own>>,
    turn: Turn,
    /// The latest pass that evaluated for this slot.
    ticket: u64,
    /// Since when nobody is connected, in ms.
    idle_since_ms: Option<u64>,
    /// By [`Watch`].
    alarms: [Alarm; 3],
    /// Set until the session's instance was made (provider-per-session mode); true if a tree is waited for.
    unmade: Option<bool>,
    /// How many handlers and loaders of this session that may block still may run; made when one does.
    blocking: Option<Arc<Semaphore>>,
    /// How many passes are about to make a first tree, and may have evaluated for it already.
    expected: u16,
    /// The claims changed since the tree was rendered.
    outdated: bool,
    closed: bool,
}

/// How many subscriptions of ended connections a slot remembers.
const KEPT: usize = 8;

/// Why a slot is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Its tree may have to go, or the session be forgotten.
    Idle,
    /// Its authentication may have ended, or soon will.
    Expiry,
    /// Where subscriptions of ended connections stood is forgotten.
    Kept,
}

/// One pass works on a slot at a time; at most one more waits.
#[derive(Debug, Default)]
enum Turn {
    #[default]
    Free,
    Taken,
    TakenThen(Paths, Arc<Done>),
}

/// Told when a waiting pass has committed.
#[derive(Debug, Default)]
pub(crate) struct Done {
    done: std::sync::atomic::AtomicBool,
    signal: Signal,
}

impl Done {
    pub(crate) fn tell(&self) {
        self.done.store(true, std::sync::atomic::Ordering::SeqCst);
        self.signal.notify(usize::MAX);
    }

    pub(crate) async fn wait(&self) {
        loop {
            let listener = self.signal.listen();
            if self.done.load(std::sync::atomic::Ordering::SeqCst) {
                return;
            }
            listener.await;
        }
    }
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
    Queued(Arc<Done>),
    /// There is nothing to render: the slot is closed, or has no tree and nobody wants a first one.
    Skip,
}

/// What a pass left behind.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// The version, if the tree changed.
    pub(crate) version: Option<u64>,
    /// What was wanted meanwhile.
    pub(crate) then: Option<(Paths, Arc<Done>)>,
}

/// What a closed slot had.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) links: SmallVec<[Arc<Link>; 1]>,
    pub(crate) tasks: Vec<Arc<TaskState>>,
}

impl Slot {
    pub(crate) fn new(context: Arc<Context>, now_ms: u64, unmade: bool) -> Self {
        let state = State {
            context,
            current: None,
            links: SmallVec::new(),
            kept: Vec::new(),
            own: None,
            turn: Turn::Free,
            ticket: 0,
            idle_since_ms: Some(now_ms),
            alarms: Default::default(),
            unmade: unmade.then_some(false),
            blocking: None,
            expected: 0,
            outdated: false,
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Signal::new() }
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
        state.outdated |= state.current.is_some() && !state.context.same_claims(&context);
        std::mem::replace(&mut state.context, context)
    }

    /// Whether the tree still shows what earlier claims allowed.
    pub(crate) fn is_outdated(&self) -> bool {
        self.state.lock().outdated
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
        let waited_for = state.unmade.take().unwrap_or(false);
        let before = state.edit_own(|own| std::mem::replace(&mut own.instance, sources.into_iter().collect()));
        drop(state);
        drop(before);
        waited_for
    }

    /// The permits of this session's handlers and loaders that may block.
    pub(crate) fn blocking(&self, max: usize) -> Arc<Semaphore> {
        let mut state = self.state.lock();
        Arc::clone(state.blocking.get_or_insert_with(|| Arc::new(Semaphore::new(max.max(1)))))
    }

    /// Wants an entry on the wheel; false if there is one for the same time or an earlier one.
    pub(crate) fn set_alarm(&self, what: Watch, at_ms: u64) -> bool {
        self.state.lock().alarms[what as usize].set(at_ms)
    }

    /// Whether an entry that became due is the one that counts.
    pub(crate) fn alarm_rings(&self, what: Watch, at_ms: u64) -> bool {
        self.state.lock().alarms[what as usize].rings(at_ms)
    }

    pub(crate) fn tree(&self) -> Option<Versioned> {
        self.state.lock().current.clone()
    }

    pub(crate) fn is_resident(&self) -> bool {
        self.state.lock().current.is_some()
    }

    /// Whether a refresh has something to do: there is a tree, or a pass is about to make one.
    pub(crate) fn wants_refresh(&self) -> bool {
        let state = self.state.lock();
        state.current.is_some() || state.expected > 0 || !matches!(state.turn, Turn::Free)
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
        let wanted = first || state.current.is_some() || state.expected > 0 || !matches!(state.turn, Turn::Free);
        if let Some(waited_for) = &mut state.unmade {
            *waited_for |= first;
            return Begin::Skip;
        }
        if state.closed || !wanted {
            return Begin::Skip;
        }
        match &mut state.turn {
            Turn::Free => {}
            Turn::Taken => {
                let done = Arc::new(Done::default());
                state.turn = Turn::TakenThen(paths.clone(), Arc::clone(&done));
                return Begin::Queued(done);
            }
            Turn::TakenThen(wanted, done) => {
                wanted.merge(paths.clone());
                return Begin::Queued(Arc::clone(done));
            }
        }
        state.turn = Turn::Taken;
        let outdated = state.outdated;
        if *paths == Paths::All {
            state.outdated = false;
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
    pub(crate) fn commit(&self, tree: Option<Tree>, next_version: impl FnOnce() -> u64) -> Finished {
        let mut state = self.state.lock();
        let (version, garbage) = match tree {
            Some(tree) if !state.closed => state.replace(tree, next_version),
            garbage => (None, garbage.map(Arc::new)),
        };
        let then = match std::mem::take(&mut state.turn) {
            Turn::TakenThen(paths, done) => Some((paths, done)),
            Turn::Free | Turn::Taken => None,
        };
        let links = if version.is_some() { state.links.clone() } else { SmallVec::new() };
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
        state.idle_since_ms = None;
        true
    }

    /// Removes a connection; true if it was the last one.
    pub(crate) fn detach(&self, link: &Arc<Link>, now_ms: u64) -> bool {
        let mut state = self.state.lock();
        state.links.retain(|known| !Arc::ptr_eq(known, link));
        let last = state.links.is_empty() && state.idle_since_ms.is_none();
        if last {
            state.idle_since_ms = Some(now_ms);
            state.blocking = None;
        }
        last
    }

    pub(crate) fn links(&self) -> SmallVec<[Arc<Link>; 1]> {
        self.state.lock().links.clone()
    }

    /// Remembers where the subscriptions of a connection that ended stood. The latest few are enough.
    pub(crate) fn keep(&self, kept: Vec<Kept>) {
        let mut state = self.state.lock();
        if state.closed || state.current.is_none() || kept.is_empty() {
            return;
        }
        state.kept.extend(kept);
        let over = state.kept.len().saturating_sub(KEPT);
        let dropped: Vec<Kept> = state.kept.drain(..over).collect();
        drop(state);
        drop(dropped);
    }

    /// Takes where a consumer's copy stands, if it is still known.
    pub(crate) fn kept(&self, view: &ViewOptions, version: u64) -> Option<Kept> {
        let mut state = self.state.lock();
        let at = state.kept.iter().position(|kept| kept.serves(view, version))?;
        Some(state.kept.swap_remove(at))
    }

    /// Forgets where subscriptions stood; their time is up.
    pub(crate) fn forget_kept(&self) {
        let kept = std::mem::take(&mut self.state.lock().kept);
        drop(kept);
    }

    /// Since when nobody is connected and no task runs, in ms.
    pub(crate) fn idle_since_ms(&self) -> Option<u64> {
        let state = self.state.lock();
        let busy = state.own.as_ref().is_some_and(|own| !own.tasks.is_empty());
        state.idle_since_ms.filter(|_| !busy)
    }

    /// Drops the tree if nobody is connected; true if there was one.
    pub(crate) fn drop_tree(&self) -> bool {
        let mut state = self.state.lock();
        if state.idle_since_ms.is_none() || !matches!(state.turn, Turn::Free) {
            return false;
        }
        let (current, kept) = (state.current.take(), std::mem::take(&mut state.kept));
        drop(state);
        // Fragments are freed outside the lock.
        drop(kept);
        current.is_some()
    }

    /// Closes the slot for good and hands over whoever has to learn of it.
    pub(crate) fn close(&self) -> Closed {
        let mut state = self.state.lock();
        state.closed = true;
        let (current, kept, own) = (state.current.take(), std::mem::take(&mut state.kept), state.own.take());
        let links = std::mem::take(&mut state.links);
        drop(state);
        drop((current, kept));
        self.changed.notify(usize::MAX);
        let tasks = own.iter().flat_map(|own| own.tasks.values().cloned()).collect();
        Closed { links, tasks }
    }

    /// Registers, hides (`None`) or gives back (`forget_own`) a path for this session alone.
    pub(crate) fn set_own(&self, path: Text, source: Option<Arc<Source>>) {
        self.edit_own(|own| own.sources.insert(path, source));
    }

    /// Removes this session's own word on a path.
    pub(crate) fn forget_own(&self, path: &str) {
        self.edit_own(|own| own.sources.remove(path));
    }

    /// Changes what only this session has. What that replaces is dropped outside the lock: closures may hold anything.
    fn edit_own<T>(&self, change: impl FnOnce(&mut Own) -> T) {
        let replaced = self.state.lock().edit_own(change);
        drop(replaced);
    }

    /// Makes a place for a tab under the lowest number that is free, if there are fewer than `max`.
    pub(crate) fn add_tab(&self, max: usize, make: impl FnOnce(u32) -> Arc<Tab>) -> Option<Arc<Tab>> {
        let mut state = self.state.lock();
        let own = state.own.get_or_insert_default();
        let number = own.free_tab(max)?;
        let tab = make(number);
        own.tabs.insert(number, Arc::clone(&tab));
        Some(tab)
    }

    pub(crate) fn remove_tab(&self, tab: &Arc<Tab>) {
        self.edit_own(|own| own.tabs.retain(|_, known| !Arc::ptr_eq(known, tab)));
    }

    pub(crate) fn tabs(&self) -> Vec<Arc<Tab>> {
        self.state.lock().own.iter().flat_map(|own| own.tabs.values().cloned()).collect()
    }

    /// Remembers a task, if fewer than `max` run.
    pub(crate) fn add_task(&self, id: Text, task: Arc<TaskState>, max: usize) -> bool {
        let mut state = self.state.lock();
        let full = state.own.as_ref().is_some_and(|own| own.tasks.len() >= max);
        if state.closed || full {
            return false;
        }
        let own = state.own.get_or_insert_default();
        own.tasks.insert(id, task);
        true
    }

    /// A task ended and is shown for a while. Answers the one that has to go for it, if too many are shown.
    pub(crate) fn end_task(&self, id: &Text, max: usize) -> Option<Text> {
        let mut state = self.state.lock();
        state.own.as_mut()?.end_task(id, max)
    }

    /// The node of an ended task goes. False if it is gone already.
    pub(crate) fn forget_task(&self, id: &str) -> bool {
        let mut state = self.state.lock();
        state.own.as_mut().is_some_and(|own| own.forget_task(id))
    }
}

impl State {
    fn layout(&mut self, registry: &Registry) -> Arc<Layout> {
        match self.own.as_mut().filter(|own| own.has_sources()) {
            Some(own) => own.layout(registry),
            None => Arc::clone(registry.layout()),
        }
    }

    fn edit_own<T>(&mut self, change: impl FnOnce(&mut Own) -> T) -> (T, Option<Overlay>) {
        let own = self.own.get_or_insert_default();
        let replaced = (change(own), own.forget_layout());
        if own.is_empty() {
            self.own = None;
        }
        replaced
    }

    /// Answers the new version, if there is one, and the tree that is not needed here any more.
    fn replace(&mut self, tree: Tree, next_version: impl FnOnce() -> u64) -> (Option<u64>, Option<Arc<Tree>>) {
        let tree = Arc::new(tree);
        match &mut self.current {
            Some(current) if current.tree.same(&tree) => {
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
