//! What is registered for every session, and how often each path's functions ran.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Text;
use crate::panics::guarded::Owner;
use crate::render::registry::Registry;
use crate::render::run_counts::RunCounts;
use crate::render::source::Source;
use crate::sync::{AtomicU64, Ordering, RwLock};

/// The registry, as a value that is replaced as a whole: whoever reads it holds no lock meanwhile, so whatever it drops
/// is dropped without one.
#[derive(Debug)]
pub(crate) struct Sources {
    registry: RwLock<Arc<Registry>>,
    /// That of the registry. Changed under its lock, so whoever has seen a registry reads no smaller number.
    generation: AtomicU64,
    runs: RunCounts,
    owner: Owner,
}

impl Sources {
    pub(crate) fn new(owner: Owner) -> Self {
        let registry = RwLock::new(Arc::new(Registry::new()));
        Self { registry, generation: AtomicU64::new(0), runs: RunCounts::default(), owner }
    }

    /// What is registered now.
    pub(crate) fn snapshot(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read())
    }

    /// What is registered now, if it is not this.
    pub(crate) fn newer_than(&self, known: &Registry) -> Option<Arc<Registry>> {
        (self.generation.load(Ordering::SeqCst) != known.generation()).then(|| self.snapshot())
    }

    /// Registers a source, in place of the one before.
    pub(crate) fn register(&self, path: &Text, mut source: Source) {
        self.adopt(path, &mut source);
        let source = Arc::new(source);
        let _replaced = self.replace(|registry| registry.insert(path.clone(), source));
    }

    /// Removes exactly this path. False if nothing is registered there.
    pub(crate) fn unregister(&self, path: &str) -> bool {
        let (replaced, _before) = self.replace(|registry| registry.remove(path));
        replaced.0.is_some()
    }

    /// Changes the registry. Hands over what is replaced, to be dropped without the lock.
    fn replace<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> (T, Arc<Registry>) {
        let mut current = self.registry.write();
        let mut changed = Registry::clone(&current);
        let replaced = change(&mut changed);
        self.generation.store(changed.generation(), Ordering::SeqCst);
        (replaced, std::mem::replace(&mut *current, Arc::new(changed)))
    }

    /// Makes a source this engine's: its runs are counted under a path, and its panics in drops are reported here.
    pub(crate) fn adopt(&self, path: &Text, source: &mut Source) {
        source.belongs_to(&self.owner);
        self.runs.count(path, source);
    }

    /// The same for a source that one session alone has.
    pub(crate) fn adopt_own(&self, path: &Text, source: &mut Source) {
        source.belongs_to(&self.owner);
        self.runs.count_own(path, source);
    }

    /// How often sources ran that one session alone has, at paths that no other has.
    pub(crate) fn own_runs(&self) -> u64 {
        self.runs.own()
    }

    /// How often each path's functions ran, over all sessions and whatever was registered there.
    pub(crate) fn runs(&self) -> BTreeMap<Text, u64> {
        self.runs.all()
    }
}
