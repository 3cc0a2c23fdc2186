//! Engines that start with what another one has kept.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use grove_engine::testing::ManualClock;
use grove_engine::{
    Access, ActionError, Archive, Config, Engine, Event, EventLog as RoomLog, LogBounds, LoggedEvent, MemoryStore,
    Message, NewRoom, PageSize, Part, PartKind, Room, RoomEvents, RoomOptions, RoomStore, Session, ShowRoom, Storage,
    StorageError, Store, Text, Write,
};
use parking_lot::Mutex;
use serde_json::Value;

/// A store that makes so many commits and refuses those after them.
#[derive(Debug)]
pub(crate) struct Failing {
    memory: MemoryStore,
    left: AtomicI64,
    written: AtomicU64,
    reads: AtomicU64,
    damaged: Mutex<BTreeSet<Text>>,
    is_interrupted: AtomicBool,
    /// How many commits have begun, and what a commit needs to go on.
    begun: AtomicU64,
    gate: Mutex<()>,
}

impl Failing {
    pub(crate) fn after(commits: i64) -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryStore::new(usize::MAX).surviving(),
            left: AtomicI64::new(commits),
            written: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            damaged: Mutex::default(),
            is_interrupted: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            gate: Mutex::default(),
        })
    }

    pub(crate) fn allow(&self, commits: i64) {
        self.left.store(commits, Ordering::SeqCst);
    }

    /// How often all parts of a room were read.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// Does something while a commit is being made.
    pub(crate) fn during_a_commit(&self, begin: impl FnOnce(), meanwhile: impl FnOnce()) {
        let _gate = self.gate.lock();
        let begun = self.begun.load(Ordering::SeqCst);
        begin();
        while self.begun.load(Ordering::SeqCst) == begun {
            std::thread::yield_now();
        }
        meanwhile();
    }

    /// What is kept of a room cannot be read, or can again.
    pub(crate) fn damage(&self, room: &str, is_damaged: bool) {
        let mut damaged = self.damaged.lock();
        if is_damaged {
            damaged.insert(room.into())
        } else {
            damaged.remove(room)
        };
    }

    /// When all rooms are shown, their runs cannot be read.
    pub(crate) fn interrupt(&self) {
        self.is_interrupted.store(true, Ordering::SeqCst);
    }

    fn check(&self, room: &str) -> Result<(), StorageError> {
        let is_damaged = self.damaged.lock().contains(room);
        if is_damaged { Err(StorageError::Corrupt("a page is not what it was".into())) } else { Ok(()) }
    }

    /// How many bytes of events and parts were written.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// How many parts of a kind a room has.
    pub(crate) fn parts_of(&self, room: &str, kind: PartKind) -> usize {
        self.memory.parts(room).unwrap().iter().filter(|part| part.kind == kind).count()
    }
}

impl RoomStore for Failing {
    fn rooms(&self) -> Result<Vec<Text>, StorageError> {
        self.memory.rooms()
    }

    fn parts(&self, room: &str) -> Result<Vec<Part>, StorageError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.check(room)?;
        self.memory.parts(room)
    }

    fn each_room(&self, kinds: &[PartKind], show: ShowRoom<'_>) -> Result<(), StorageError> {
        let is_interrupted = self.is_interrupted.load(Ordering::SeqCst);
        self.memory.each_room(kinds, &mut |room, mut parts, unread| {
            if is_interrupted {
                parts.retain(|part| part.kind != PartKind::Run);
            }
            show(room, parts, if is_interrupted { &[PartKind::Run] } else { unread });
        })
    }
}

impl RoomLog for Failing {
    fn read(&self, room: &str, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
        self.check(room)?;
        self.memory.read(room, after, page)
    }

    fn bounds(&self, room: &str) -> Result<Option<LogBounds>, StorageError> {
        self.memory.bounds(room)
    }
}

impl Archive for Failing {
    fn about_archive(&self, id: &str) -> Result<Option<Arc<str>>, StorageError> {
        self.memory.about_archive(id)
    }

    fn read_archive(&self, id: &str, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
        self.memory.read_archive(id, after, page)
    }
}

impl Store for Failing {
    fn commit(&self, writes: &[Write]) -> Result<(), StorageError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _gate = self.gate.lock();
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StorageError::Unavailable("the disk is full".into()));
        }
        let bytes = writes.iter().map(|write| match write {
            Write::Put { part, .. } => part.value.len(),
            Write::Append { event, .. } => event.text.len(),
            _ => 0,
        });
        self.written.fetch_add(bytes.sum::<usize>() as u64, Ordering::SeqCst);
        self.memory.commit(writes)
    }
}

/// Receives `failed` and `recovered` when observers are told that of the storage.
pub(crate) fn told_of_storage(engine: &Engine) -> tokio::sync::mpsc::Receiver<&'static str> {
    let (told, storage) = tokio::sync::mpsc::channel(16);
    engine.observe(move |event| match event {
        Event::StorageFailed { .. } => drop(told.try_send("failed")),
        Event::StorageRecovered { .. } => drop(told.try_send("recovered")),
        _ => {}
    });
    storage
}

pub(crate) fn start(store: &Arc<Failing>, change: impl FnOnce(&mut Config)) -> (Engine, Arc<ManualClock>) {
    start_at(store, ManualClock::new(), change)
}

pub(crate) fn start_at(
    store: &Arc<Failing>,
    clock: Arc<ManualClock>,
    change: impl FnOnce(&mut Config),
) -> (Engine, Arc<ManualClock>) {
    let mut config = Config::immediate();
    change(&mut config);
    let storage = Storage::new(Arc::clone(store) as Arc<dyn Store>);
    let rooms = RoomOptions::new().storage(storage);
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).rooms(rooms).build();
    (engine, clock)
}

pub(crate) fn replayable(engine: &Engine, owner: &Session) -> Room {
    let new = NewRoom::new("Board").id("board").access(Access::Project).replayable(true).attribute("b", "7");
    engine.rooms().create(owner, &new).unwrap().room
}

pub(crate) fn say(engine: &Engine, session: &Session, text: &str) -> u64 {
    engine.rooms().say(session, "board", &Message::text(text)).unwrap().seq.unwrap()
}

pub(crate) async fn log(engine: &Engine, session: &Session) -> Vec<Value> {
    engine.rooms().replay(session, "board", 0, Some(1_000)).await.unwrap().events
}

pub(crate) fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

pub(crate) fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

pub(crate) async fn next_of(events: &mut RoomEvents, kind: &str) -> Value {
    loop {
        let event = events.next().await.unwrap();
        if event.kind == kind {
            return event.data;
        }
    }
}
