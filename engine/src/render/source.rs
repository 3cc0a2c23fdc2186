//! Sources: descriptor functions with their options, to be registered under a path.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::descriptor::{Descriptor, Item};
use futures_util::FutureExt;

use crate::model::session::Session;
use crate::panics::guarded::{Guarded, Owner};

/// Whether sessions with the same values for every read share one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Evaluate once for all sessions that a descriptor function could not tell apart.
    #[default]
    ByReads,
    /// Evaluate for every session. For functions that know who the session is without reading it.
    Never,
}

/// What a descriptor function may return.
pub trait IntoDescriptor {
    /// Returns the descriptor, or a sentence for the log that says why there is none.
    ///
    /// # Errors
    /// When the function itself returned an error.
    fn into_descriptor(self) -> Result<Descriptor, String>;
}

impl IntoDescriptor for Descriptor {
    fn into_descriptor(self) -> Result<Descriptor, String> {
        Ok(self)
    }
}

impl<E: fmt::Display> IntoDescriptor for Result<Descriptor, E> {
    fn into_descriptor(self) -> Result<Descriptor, String> {
        self.map_err(|error| error.to_string())
    }
}

/// A query for a part of a list that the tree shows only in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRequest {
    /// The node below the source's own path; empty for the source itself.
    pub path: String,
    /// The first child that is wanted, counted over the whole list.
    pub offset: u64,
    /// How many are wanted.
    pub count: u64,
}

type Described = Result<Descriptor, String>;
type DescribeFuture = Pin<Box<dyn Future<Output = Described> + Send>>;
type WindowFn = Box<dyn Fn(&Session, &WindowRequest) -> Result<Vec<Item>, String> + Send + Sync>;
type ItemFn = Box<dyn Fn(&Session, &str) -> Result<Option<Item>, String> + Send + Sync>;

/// What a function that loads something may return: the thing itself, or a `Result` of it.
pub trait IntoLoaded<T> {
    /// Returns the thing, or a sentence for the log that says why there is none.
    ///
    /// # Errors
    /// When the function itself returned an error.
    fn into_loaded(self) -> Result<T, String>;
}

impl IntoLoaded<Self> for Vec<Item> {
    fn into_loaded(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl IntoLoaded<Self> for Option<Item> {
    fn into_loaded(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl<T, E: fmt::Display> IntoLoaded<T> for Result<T, E> {
    fn into_loaded(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

pub(crate) enum Describe {
    Blocking(Box<dyn Fn(&Session) -> Described + Send + Sync>),
    Async(Box<dyn Fn(Session) -> DescribeFuture + Send + Sync>),
}

/// A descriptor function with its options, to be registered under a path.
pub struct Source {
    pub(crate) describe: Guarded<Describe>,
    pub(crate) sharing: Sharing,
    pub(crate) window: Option<Guarded<WindowFn>>,
    pub(crate) item: Option<Guarded<ItemFn>>,
    pub(crate) runs: Arc<AtomicU64>,
    /// A list that it gave was too long to be shown whole. What is missing is then looked for in what it gives.
    cut: AtomicBool,
    /// Unique in this process; an address could be reused by another source.
    pub(crate) number: u64,
    /// Where it stands among its siblings: before those with a higher number. Those with the same stand in the order of
    /// their ids.
    pub(super) order: u64,
    /// A browser tab gives it.
    pub(crate) is_untrusted: bool,
}

impl Source {
    /// The order of a source that has none of its own.
    pub(super) const LAST: u64 = u64::MAX;

    /// A source whose function may block.
    ///
    /// A list of more nodes than `sizes.nodes` is shown in part, with its total in `meta`. If nothing else loads the rest
    /// ([`Source::on_window`], [`Source::on_item`]), the function runs again for a consumer that queries it.
    pub fn new<R: IntoDescriptor>(describe: impl Fn(&Session) -> R + Send + Sync + 'static) -> Self {
        Self::build(Describe::Blocking(Box::new(move |session| describe(session).into_descriptor())))
    }

    /// A source whose function awaits.
    pub fn new_async<R, F>(describe: impl Fn(Session) -> F + Send + Sync + 'static) -> Self
    where
        R: IntoDescriptor + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        Self::build(Describe::Async(Box::new(move |session| {
            Box::pin(describe(session).map(IntoDescriptor::into_descriptor))
        })))
    }

    /// What an untrusted peer provides.
    pub(crate) fn untrusted(describe: impl Fn() -> Descriptor + Send + Sync + 'static) -> Self {
        Self { is_untrusted: true, ..Self::new(move |_: &Session| describe()) }
    }

    /// What is shown of a root for which nothing is registered.
    pub(crate) fn bare() -> Self {
        Self::new(|_: &Session| Descriptor::default())
    }

    /// One of many that were registered as one, and whose runs are counted together.
    pub(super) fn made(describe: Describe, sharing: Sharing, runs: Arc<AtomicU64>, order: u64) -> Self {
        Self { sharing, runs, order, ..Self::build(describe) }
    }

    fn build(describe: Describe) -> Self {
        static SOURCES: AtomicU64 = AtomicU64::new(0);
        Self {
            describe: Guarded::new(describe),
            sharing: Sharing::ByReads,
            window: None,
            item: None,
            runs: Arc::default(),
            cut: AtomicBool::new(false),
            number: SOURCES.fetch_add(1, Ordering::Relaxed),
            order: Self::LAST,
            is_untrusted: false,
        }
    }

    /// Whether sessions that cannot be told apart share one evaluation.
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Loads items that the tree does not hold, when a consumer queries a window of a list.
    ///
    /// It runs for the querying session only, on a thread where it may block, and its result is not cached. Loaded items
    /// show their actions only if [`Source::on_item`] can find them again.
    #[must_use]
    pub fn on_window<R: IntoLoaded<Vec<Item>>>(
        mut self,
        load: impl Fn(&Session, &WindowRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        self.window = Some(Guarded::new(Box::new(move |session, request| load(session, request).into_loaded())));
        self
    }

    /// Loads one item that the tree does not hold, by its path below the source, when a consumer invokes an action on it
    /// or queries it. It must return `None` for what this session may not see.
    #[must_use]
    pub fn on_item<R: IntoLoaded<Option<Item>>>(
        mut self,
        load: impl Fn(&Session, &str) -> R + Send + Sync + 'static,
    ) -> Self {
        self.item = Some(Guarded::new(Box::new(move |session, path| load(session, path).into_loaded())));
        self
    }

    /// The engine that is told if something of it panics while it is dropped.
    pub(crate) fn belongs_to(&self, owner: &Owner) {
        self.describe.belongs_to(owner);
        self.window.iter().for_each(|window| window.belongs_to(owner));
        self.item.iter().for_each(|item| item.belongs_to(owner));
    }

    pub(crate) fn is_async(&self) -> bool {
        matches!(*self.describe, Describe::Async(_))
    }

    /// A list that it gave was too long.
    pub(crate) fn mark_cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Whether something can load parts of lists that the tree does not hold.
    pub(crate) fn loads_windows(&self) -> bool {
        self.window.is_some() || self.cut.load(Ordering::Relaxed)
    }

    /// Whether something can load items that the tree does not hold.
    pub(crate) fn loads_items(&self) -> bool {
        self.item.is_some() || self.cut.load(Ordering::Relaxed)
    }

    pub(crate) fn count_run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("sharing", &self.sharing).finish_non_exhaustive()
    }
}
