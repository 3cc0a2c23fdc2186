//! Work that goes on by itself, counted until it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::in_flight::InFlight;
use crate::sync::{AtomicBool, Ordering, Runtime};

/// The runtime, and how much of the engine's own work runs on it.
#[derive(Debug)]
pub(crate) struct Background {
    pub(crate) runtime: Runtime,
    pub(crate) in_flight: Arc<InFlight>,
    /// The runtime has ended: what is spawned on it is dropped.
    ended: AtomicBool,
}

impl Background {
    pub(crate) fn new(runtime: Runtime) -> Arc<Self> {
        Arc::new(Self { runtime, in_flight: Arc::new(InFlight::default()), ended: AtomicBool::new(false) })
    }

    /// Whether the runtime still runs.
    pub(crate) fn is_alive(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
    }

    /// The runtime has dropped the engine's own task.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Runs in the background and counts as work until it ends.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let token = self.in_flight.begin();
        self.runtime.spawn(async move {
            work.await;
            drop(token);
        });
    }

    /// Runs in the background. If it is dropped before it ends, the runtime has ended, which is known before anything that
    /// the work holds is dropped.
    pub(crate) fn run(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(Running { end: EndIfDropped(Some(Arc::clone(self))), work: work.boxed() });
    }
}

/// Work that ends by itself, unless the runtime does.
struct Running {
    // Dropped before the work.
    end: EndIfDropped,
    work: BoxFuture<'static, ()>,
}

struct EndIfDropped(Option<Arc<Background>>);

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.work.poll_unpin(context));
        self.end.0 = None;
        Poll::Ready(())
    }
}

impl Drop for EndIfDropped {
    fn drop(&mut self) {
        if let Some(background) = self.0.take().filter(|_| !std::thread::panicking()) {
            background.end();
        }
    }
}
