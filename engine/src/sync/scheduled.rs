//! The stand-ins: the same methods, each a point at which shuttle's scheduler may let somebody else go first.

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::task::Waker;

pub(crate) use event_listener::EventListener as Listening;
pub(crate) use shuttle::future::AbortHandle;
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use shuttle::thread_local;

/// In place of `parking_lot::Mutex`. Outside a scheduled run, as in the inline tests of pure modules, it is a plain lock.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T: ?Sized> {
    turn: shuttle::sync::Mutex<()>,
    value: parking_lot::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { turn: shuttle::sync::Mutex::new(()), value: parking_lot::Mutex::new(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    pub(crate) fn lock(&self) -> Guard<parking_lot::MutexGuard<'_, T>, MutexGuard<'_, ()>> {
        let turn = is_scheduled().then(|| self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        Guard { value: self.value.lock(), _turn: turn }
    }

    pub(crate) fn try_lock(&self) -> Option<Guard<parking_lot::MutexGuard<'_, T>, MutexGuard<'_, ()>>> {
        let turn = if is_scheduled() { Some(self.turn.try_lock().ok()?) } else { None };
        Some(Guard { value: self.value.try_lock()?, _turn: turn })
    }
}

/// In place of `parking_lot::RwLock`, in the same way.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T: ?Sized> {
    turn: shuttle::sync::RwLock<()>,
    value: parking_lot::RwLock<T>,
}

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { turn: shuttle::sync::RwLock::new(()), value: parking_lot::RwLock::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    pub(crate) fn read(&self) -> Guard<parking_lot::RwLockReadGuard<'_, T>, RwLockReadGuard<'_, ()>> {
        let turn = is_scheduled().then(|| self.turn.read().unwrap_or_else(PoisonError::into_inner));
        Guard { value: self.value.read(), _turn: turn }
    }

    pub(crate) fn write(&self) -> Guard<parking_lot::RwLockWriteGuard<'_, T>, RwLockWriteGuard<'_, ()>> {
        let turn = is_scheduled().then(|| self.turn.write().unwrap_or_else(PoisonError::into_inner));
        Guard { value: self.value.write(), _turn: turn }
    }
}

/// A locked value, and the turn that the scheduler gave for it; the turn is given back last.
pub(crate) struct Guard<V, T> {
    value: V,
    _turn: Option<T>,
}

impl<V: Deref, T> Deref for Guard<V, T> {
    type Target = V::Target;

    fn deref(&self) -> &V::Target {
        &self.value
    }
}

impl<V: DerefMut, T> DerefMut for Guard<V, T> {
    fn deref_mut(&mut self) -> &mut V::Target {
        &mut self.value
    }
}

/// Whether a scheduler runs this thread.
fn is_scheduled() -> bool {
    shuttle::current::try_get_current_task().is_some()
}

/// In place of `event_listener::Event`, which does each step at once: only what comes between the steps is left open.
#[derive(Default)]
pub(crate) struct Signal {
    event: event_listener::Event,
    /// Touched before each step, so that the scheduler is asked.
    step: AtomicBool,
}

impl Signal {
    pub(crate) const fn new() -> Self {
        Self { event: event_listener::Event::new(), step: AtomicBool::new(false) }
    }

    pub(crate) fn notify(&self, count: usize) {
        self.step.load(Ordering::SeqCst);
        self.event.notify(count);
    }

    pub(crate) fn listen(&self) -> Listening {
        self.step.load(Ordering::SeqCst);
        self.event.listen()
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.event).finish()
    }
}

/// In place of `futures_util::task::AtomicWaker`, in the same way.
#[derive(Debug)]
pub(crate) struct AtomicWaker {
    waker: futures_util::task::AtomicWaker,
    /// Touched before each step, so that the scheduler is asked.
    step: AtomicBool,
}

impl AtomicWaker {
    pub(crate) const fn new() -> Self {
        Self { waker: futures_util::task::AtomicWaker::new(), step: AtomicBool::new(false) }
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.step.load(Ordering::SeqCst);
        self.waker.register(waker);
    }

    pub(crate) fn wake(&self) {
        self.step.load(Ordering::SeqCst);
        self.waker.wake();
    }
}

/// Lets somebody else go first; no time passes.
pub(crate) fn wait_briefly(signal: Listening) {
    drop(signal);
    shuttle::thread::yield_now();
}

/// In place of tokio's handle: tasks and threads that may block are both the scheduler's.
#[derive(Debug, Clone)]
pub(crate) struct Runtime;

impl Runtime {
    pub(crate) const fn current() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as tokio has it")]
    pub(crate) fn spawn<F>(&self, work: F) -> shuttle::future::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let running = Running::begin();
        shuttle::future::spawn(async move {
            let _running = running;
            work.await
        })
    }

    pub(crate) fn spawn_blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> shuttle::future::JoinHandle<R> {
        self.spawn(async move { work() })
    }

    #[expect(clippy::unused_self, reason = "as tokio has it")]
    pub(crate) fn block_on<F: Future>(&self, work: F) -> F::Output {
        shuttle::future::block_on(work)
    }

    /// Blocks until every task that this execution has spawned has ended or was aborted.
    pub(crate) fn finish_tasks() {
        loop {
            let ended = TASK_ENDED.with(event_listener::Event::listen);
            if TASKS.get() == 0 {
                return;
            }
            shuttle::future::block_on(ended);
        }
    }
}

/// In place of the engine's own threads: each piece of work is a task of the scheduler's.
#[derive(Debug)]
pub(crate) struct Threads(Runtime);

impl Threads {
    pub(crate) fn new(runtime: &Runtime, _max: usize) -> Self {
        Self(runtime.clone())
    }

    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        self.0.spawn_blocking(work);
    }
}

std::thread_local! {
    // One thread of the system runs a whole execution, one execution after the other.
    static TASKS: Cell<usize> = const { Cell::new(0) };
    static TASK_ENDED: event_listener::Event = const { event_listener::Event::new() };
}

/// One task that has not ended.
struct Running;

impl Running {
    fn begin() -> Self {
        TASKS.set(TASKS.get() + 1);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        TASKS.set(TASKS.get() - 1);
        TASK_ENDED.with(|ended| ended.notify(usize::MAX));
    }
}
