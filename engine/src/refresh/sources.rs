//! What is registered for every session, and how often each path's functions ran.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Text;
use crate::model::path;
use crate::panics::guarded::Owner;
use crate::render::registry::Registry;
use crate::render::room_layouts::{ROOMS, RoomSources};
use crate::render::room_source::RoomSource;
use crate::render::run_counts::RunCounts;
use crate::render::source::Source;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

/// The registry, as a value that is replaced as a whole: whoever reads it holds no lock meanwhile, so whatever it drops
/// is dropped without one. It is made when somebody reads it, so registering many paths lays them out once.
#[derive(Debug)]
pub(crate) struct Sources {
    registered: Mutex<Registered>,
    /// That of what is registered. Changed under its lock, so whoever has seen a registry reads no smaller number.
    generation: AtomicU64,
    runs: RunCounts,
    /// Whether any source awaits, or one has that is gone by now.
    has_async: AtomicBool,
    owner: Owner,
}

/// What is registered, and the registry that was made of it, unless it has changed since.
#[derive(Debug)]
struct Registered {
    sources: BTreeMap<Text, Arc<Source>>,
    rooms: RoomSources,
    registry: Option<Arc<Registry>>,
}

impl Sources {
    pub(crate) fn new(owner: Owner) -> Self {
        // There is always a root, and it is the first.
        let sources = BTreeMap::from([(Text::default(), Arc::new(Source::bare()))]);
        Self {
            registered: Mutex::new(Registered { sources, rooms: RoomSources::new(), registry: None }),
            generation: AtomicU64::new(0),
            runs: RunCounts::default(),
            has_async: AtomicBool::new(false),
            owner,
        }
    }

    /// What is registered now.
    pub(crate) fn snapshot(&self) -> Arc<Registry> {
        let Registered { sources, rooms, registry } = &mut *self.registered.lock();
        let make = || Arc::new(Registry::new(self.generation.load(Ordering::SeqCst), sources.clone(), rooms.clone()));
        Arc::clone(registry.get_or_insert_with(make))
    }

    /// What is registered now, if it is not this.
    pub(crate) fn newer_than(&self, known: &Registry) -> Option<Arc<Registry>> {
        (self.generation.load(Ordering::SeqCst) != known.generation()).then(|| self.snapshot())
    }

    /// Registers a source, in place of the one before.
    pub(crate) fn register(&self, path: &Text, mut source: Source) {
        self.adopt(path, &mut source);
        let source = Arc::new(source);
        let _replaced = self.replace(|registered| registered.sources.insert(path.clone(), source));
    }

    /// Removes exactly this path; what is registered below it stays (contract 2.3), and so does a bare root. False if
    /// nothing is registered there.
    pub(crate) fn unregister(&self, path: &str) -> bool {
        let (removed, _before) = self.replace(|registered| {
            let removed = registered.sources.remove(path);
            registered.sources.entry(Text::default()).or_insert_with(|| Arc::new(Source::bare()));
            removed
        });
        removed.is_some()
    }

    /// Registers a source under a path below each room, in place of the one before.
    pub(crate) fn register_room(&self, below: &Text, mut source: RoomSource) {
        source.belongs_to(&self.owner);
        // One count for all rooms: there is no bound on how many come and go.
        source.runs = self.runs.counter(&room_path(below)).unwrap_or(source.runs);
        let source = Arc::new(source);
        let _replaced = self.replace(|registered| registered.rooms.insert(below.clone(), source));
    }

    /// Removes what is registered under exactly this path below each room. False if nothing is.
    pub(crate) fn unregister_room(&self, below: &str) -> bool {
        let (removed, _before) = self.replace(|registered| registered.rooms.remove(below));
        removed.is_some()
    }

    /// The paths below a room at which something may show who takes part.
    pub(crate) fn showing_participants(&self) -> Vec<Text> {
        let registered = self.registered.lock();
        let shown = registered.rooms.iter().filter(|(_, source)| source.looks_at_participants());
        shown.map(|(below, _)| below.clone()).collect()
    }

    /// Changes what is registered. Hands over what is replaced, to be dropped without the lock.
    fn replace<T>(&self, change: impl FnOnce(&mut Registered) -> T) -> (T, Option<Arc<Registry>>) {
        let mut registered = self.registered.lock();
        let replaced = change(&mut registered);
        self.generation.fetch_add(1, Ordering::SeqCst);
        (replaced, registered.registry.take())
    }

    /// Makes a source this engine's: its runs are counted under a path, and its panics in drops are reported here.
    pub(crate) fn adopt(&self, path: &Text, source: &mut Source) {
        self.adopt_any(source);
        self.runs.count(path, source);
    }

    /// The same for a source that one session alone has.
    pub(crate) fn adopt_own(&self, path: &Text, source: &mut Source) {
        self.adopt_any(source);
        self.runs.count_own(path, source);
    }

    fn adopt_any(&self, source: &Source) {
        source.belongs_to(&self.owner);
        if source.is_async() {
            self.has_async.store(true, Ordering::SeqCst);
        }
    }

    /// Whether a session's layout may have sources that await.
    pub(crate) fn may_await(&self) -> bool {
        self.has_async.load(Ordering::SeqCst)
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

/// The path under which the runs of a source for rooms are counted: that of no room.
fn room_path(below: &str) -> Text {
    path::normal(&format!("{ROOMS}/{{id}}/{below}"))
}
