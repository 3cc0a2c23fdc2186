//! What executes work that outlives the call that started it: that of tasks and of runs.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};

use crate::sync::{AtomicBool, Ordering, Runtime};

/// How work ended.
#[derive(Debug)]
pub(crate) enum Ended<T> {
    Returned(T),
    Panicked(String),
    /// Somebody stopped it: it was dropped.
    Stopped,
    /// The runtime has ended: it was dropped.
    Abandoned,
}

/// Polls work on the runtime until it ends, or is stopped. Whatever becomes of it, even if the runtime drops it, `ended` is
/// called exactly once.
///
/// A runtime that has ended drops it at once. Then this returns false and `ended` is not called: what follows from that may
/// begin other work, and so on, in one loop of the caller's instead of one call within another.
#[must_use]
pub(crate) fn execute<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, String>> + Unpin + Send + 'static,
    stopped: impl Future<Output = ()> + Send + 'static,
    ended: impl FnOnce(Ended<T>) + Send + 'static,
) -> bool {
    let is_known = Arc::new(AtomicBool::new(false));
    let ended: OnEnd<T> = Box::new(ended);
    runtime.spawn(attend(work, stopped.boxed(), End { ended: Some(ended), is_known: Arc::clone(&is_known) }));
    // Whoever is the first here leaves the rest to the other.
    !is_known.swap(true, Ordering::SeqCst)
}

type OnEnd<T> = Box<dyn FnOnce(Ended<T>) + Send>;

async fn attend<T>(
    work: impl Future<Output = Result<T, String>> + Unpin,
    stopped: BoxFuture<'static, ()>,
    mut end: End<T>,
) {
    let how = match select(work, stopped).await {
        Either::Left((Ok(result), _)) => Ended::Returned(result),
        Either::Left((Err(why), _)) => Ended::Panicked(why),
        Either::Right(_) => Ended::Stopped,
    };
    if let Some(ended) = end.ended.take() {
        ended(how);
    }
}

/// Dropped with the work.
struct End<T> {
    /// Present until it was told how the work ended.
    ended: Option<OnEnd<T>>,
    /// The work was handed to the runtime, or was dropped before that returned.
    is_known: Arc<AtomicBool>,
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take()
            && self.is_known.swap(true, Ordering::SeqCst)
        {
            ended(Ended::Abandoned);
        }
    }
}
