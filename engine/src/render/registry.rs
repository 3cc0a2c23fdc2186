//! Sources: registered paths with their descriptor functions.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::descriptor::{Descriptor, Item};
use super::layout::Layout;
use crate::model::Text;
use crate::model::session::Session;

/// Whether sessions that answered every read alike share one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Evaluate once for all sessions that a descriptor function could not tell apart.
    #[default]
    ByReads,
    /// Evaluate for every session. For functions that learn who the session is without reading it.
    Never,
}

/// What a descriptor function may return.
pub trait IntoDescriptor {
    /// The shape, or a sentence for the log about why there is none.
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

type Shape = Result<Descriptor, String>;
type ShapeFuture = Pin<Box<dyn Future<Output = Shape> + Send>>;
type WindowFn = Box<dyn Fn(&Session, &WindowRequest) -> Result<Vec<Item>, String> + Send + Sync>;
type ItemFn = Box<dyn Fn(&Session, &str) -> Result<Option<Item>, String> + Send + Sync>;

/// What a function that loads something may return: the thing itself, or a `Result` of it.
pub trait IntoLoaded<T> {
    /// The thing, or a sentence for the log about why there is none.
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
    Blocking(Box<dyn Fn(&Session) -> Shape + Send + Sync>),
    Async(Box<dyn Fn(Session) -> ShapeFuture + Send + Sync>),
}

/// A descriptor function with its options, to be registered under a path.
pub struct Source {
    pub(crate) describe: Describe,
    pub(crate) sharing: Sharing,
    pub(crate) window: Option<WindowFn>,
    pub(crate) item: Option<ItemFn>,
    pub(crate) runs: Arc<AtomicU64>,
    /// What no other source of this process ever has: an address may come to mean another one.
    pub(crate) number: u64,
}

impl Source {
    /// A source whose function may block.
    pub fn new<R: IntoDescriptor>(describe: impl Fn(&Session) -> R + Send + Sync + 'static) -> Self {
        Self::build(Describe::Blocking(Box::new(move |session| describe(session).into_descriptor())))
    }

    /// A source whose function awaits.
    pub fn new_async<R, F>(describe: impl Fn(Session) -> F + Send + Sync + 'static) -> Self
    where
        R: IntoDescriptor,
        F: Future<Output = R> + Send + 'static,
    {
        Self::build(Describe::Async(Box::new(move |session| {
            let shape = describe(session);
            Box::pin(async move { shape.await.into_descriptor() })
        })))
    }

    /// What is shown of a root for which nothing is registered.
    fn bare() -> Self {
        Self::new(|_: &Session| Descriptor::default())
    }

    fn build(describe: Describe) -> Self {
        static SOURCES: AtomicU64 = AtomicU64::new(0);
        Self {
            describe,
            sharing: Sharing::ByReads,
            window: None,
            item: None,
            runs: Arc::default(),
            number: SOURCES.fetch_add(1, Ordering::Relaxed),
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
    /// It runs for the querying session only, on a thread where it may block, and its result is not kept. Loaded items
    /// show their actions only if [`Source::on_item`] can find them again.
    #[must_use]
    pub fn on_window<R: IntoLoaded<Vec<Item>>>(
        mut self,
        load: impl Fn(&Session, &WindowRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        self.window = Some(Box::new(move |session, request| load(session, request).into_loaded()));
        self
    }

    /// Loads one item that the tree does not hold, by its path below the source, when a consumer invokes an action on it
    /// or queries it. It must answer `None` for what this session may not see.
    #[must_use]
    pub fn on_item<R: IntoLoaded<Option<Item>>>(
        mut self,
        load: impl Fn(&Session, &str) -> R + Send + Sync + 'static,
    ) -> Self {
        self.item = Some(Box::new(move |session, path| load(session, path).into_loaded()));
        self
    }

    pub(crate) fn ran(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("sharing", &self.sharing).finish_non_exhaustive()
    }
}

/// What is registered for every session. A session's own registrations are laid over it.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    sources: BTreeMap<Text, Arc<Source>>,
    layout: Arc<Layout>,
}

/// A source that is not registered any more, if there was one, and the layout that held it.
pub(crate) type Replaced = (Option<Arc<Source>>, Arc<Layout>);

impl Registry {
    pub(crate) fn new() -> Self {
        // There is always a root, and it is the first.
        let sources = BTreeMap::from([(Text::default(), Arc::new(Source::bare()))]);
        let layout = Layout::build(&sources);
        Self { sources, layout }
    }

    /// Registers, and hands over what was there before, to be dropped without a lock.
    #[must_use]
    pub(crate) fn insert(&mut self, path: Text, source: Arc<Source>) -> Replaced {
        let before = self.sources.insert(path, source);
        (before, std::mem::replace(&mut self.layout, Layout::build(&self.sources)))
    }

    /// Removes exactly this path; what is registered below it stays (contract 2.3), and so does a bare root.
    #[must_use]
    pub(crate) fn remove(&mut self, path: &str) -> Replaced {
        let before = self.sources.remove(path);
        self.sources.entry(Text::default()).or_insert_with(|| Arc::new(Source::bare()));
        (before, std::mem::replace(&mut self.layout, Layout::build(&self.sources)))
    }

    pub(crate) const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The layout for a session that has an instance, or registrations of its own; `None` hides a path.
    pub(crate) fn layout_with(
        &self,
        instance: &BTreeMap<Text, Arc<Source>>,
        own: &BTreeMap<Text, Option<Arc<Source>>>,
    ) -> Arc<Layout> {
        let mut sources = self.sources.clone();
        sources.extend(instance.iter().map(|(path, source)| (path.clone(), Arc::clone(source))));
        for (path, source) in own {
            match source {
                Some(source) => sources.insert(path.clone(), Arc::clone(source)),
                None if path.is_empty() => sources.insert(Text::default(), Arc::new(Source::bare())),
                None => sources.remove(path),
            };
        }
        Layout::build(&sources)
    }
}

/// How often each path's functions ran, over all sessions and whatever was registered there.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<BTreeMap<Text, Arc<AtomicU64>>>);

/// How many paths are counted apart.
const COUNTED_PATHS: usize = 10_000;

impl Runs {
    /// Counts a source's runs under a path from now on.
    pub(crate) fn count(&self, path: &Text, source: &mut Source) {
        let mut counters = self.0.lock();
        if counters.len() < COUNTED_PATHS || counters.contains_key(path) {
            source.runs = Arc::clone(counters.entry(path.clone()).or_default());
        }
    }

    pub(crate) fn all(&self) -> BTreeMap<Text, u64> {
        self.0.lock().iter().map(|(path, runs)| (path.clone(), runs.load(Ordering::Relaxed))).collect()
    }
}
