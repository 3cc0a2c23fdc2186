//! Who waits until a session has been rendered.

use std::sync::{Arc, Weak};

use smallvec::SmallVec;
use tracing::Span;

use crate::sync::{self, AtomicUsize, Ordering, Signal};

/// How much of a request is not rendered yet, for whoever made it.
#[derive(Debug)]
pub(crate) struct Countdown {
    left: AtomicUsize,
    signal: Signal,
    /// Where the request was made.
    cause: Span,
}

/// Whoever waits for one session's share of a pass. They are released when this is dropped, whatever became of it.
#[derive(Debug, Default)]
pub(crate) struct Waiters(SmallVec<[Waiter; 1]>);

/// One share of a countdown. Whoever has stopped waiting is not kept alive by it.
#[derive(Debug)]
struct Waiter(Weak<Countdown>);

impl Countdown {
    pub(crate) fn new(cause: Span) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(0), signal: Signal::new(), cause })
    }

    /// One more share that has to be rendered.
    pub(crate) fn share(self: &Arc<Self>) -> Waiters {
        self.left.fetch_add(1, Ordering::SeqCst);
        Waiters(SmallVec::from_iter([Waiter(Arc::downgrade(self))]))
    }

    /// Blocks the thread for a moment. True if there is nothing left to wait for.
    pub(crate) fn wait_briefly(&self) -> bool {
        let listener = self.signal.listen();
        if self.left.load(Ordering::SeqCst) > 0 {
            sync::wait_briefly(listener);
        }
        self.left.load(Ordering::SeqCst) == 0
    }

    /// Waits until every share was rendered or given up.
    pub(crate) async fn wait(&self) {
        loop {
            let listener = self.signal.listen();
            if self.left.load(Ordering::SeqCst) == 0 {
                return;
            }
            listener.await;
        }
    }
}

impl Waiters {
    /// The same once more: they wait for one share more.
    pub(crate) fn again(&self) -> Self {
        let live = self.0.iter().filter_map(|waiter| waiter.0.upgrade());
        Self(live.flat_map(|countdown| countdown.share().0).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the first request was made.
    pub(crate) fn cause(&self) -> Span {
        let first = self.0.first().and_then(|waiter| waiter.0.upgrade());
        first.map_or_else(Span::none, |countdown| countdown.cause.clone())
    }

    /// Adds those who wait for another request of the same session.
    pub(crate) fn merge(&mut self, mut others: Self) {
        // Looked through each time their number has doubled, so that those who gave up do not accumulate.
        if self.0.len() + others.0.len() > self.0.capacity() {
            self.0.retain(|waiter| waiter.0.strong_count() > 0);
        }
        self.0.append(&mut others.0);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(countdown) = self.0.upgrade()
            && countdown.left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            countdown.signal.notify(usize::MAX);
        }
    }
}

// A scheduled signal works only in a scheduled run.
#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn whoever_waits_is_released_by_the_last_share() {
        let countdown = Countdown::new(Span::none());
        let (first, mut second) = (countdown.share(), countdown.share());
        assert!(countdown.wait().now_or_never().is_none());
        second.merge(first);
        assert!(countdown.wait().now_or_never().is_none());
        drop(second);
        assert!(countdown.wait().now_or_never().is_some());
    }

    #[test]
    fn whoever_waits_for_several_shares_is_released_by_the_last_of_them() {
        let countdown = Countdown::new(Span::none());
        let first = countdown.share();
        let second = first.again();
        drop(first);
        assert!(countdown.wait().now_or_never().is_none());
        drop(second);
        assert!(countdown.wait().now_or_never().is_some());
    }

    #[test]
    fn those_who_gave_up_do_not_accumulate() {
        let mut waiters = Waiters::default();
        for _ in 0..10_000 {
            waiters.merge(Countdown::new(Span::none()).share());
        }
        assert!(waiters.0.len() < 16, "{} are kept", waiters.0.len());
    }
}
