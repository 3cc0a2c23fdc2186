//! The stand-ins: the same methods, each a point at which shuttle's scheduler may let somebody else go first.

use std::fmt;
use std::sync::PoisonError;
use std::task::Waker;

pub(crate) use event_listener::EventListener as Listening;
pub(crate) use shuttle::future::AbortHandle;
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// In place of `parking_lot::Mutex`.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T: ?Sized>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In place of `parking_lot::RwLock`.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T: ?Sized>(shuttle::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::RwLock::new(value))
    }
}

impl<T: ?Sized> RwLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Blocks the thread until the signal is given.
pub(crate) fn wait(signal: Listening) {
    shuttle::future::block_on(signal);
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
        shuttle::future::spawn(work)
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
}
