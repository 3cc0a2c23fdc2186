//! One heap of what is due when, and one task that waits for the earliest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use futures_util::future::{Either, select};

use super::Clock;
use crate::sync::{AtomicUsize, Mutex, Ordering, Signal};

/// Room for so many entries is never given back.
const SMALLEST: usize = 256;

/// Things of type `T` that are due at a time in milliseconds. Entries are never cancelled; whoever gets one looks whether
/// it still matters.
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    heap: Mutex<BinaryHeap<Reverse<Due<T>>>>,
    changed: Signal,
    /// Things taken and not yet dealt with.
    firing: AtomicUsize,
    /// How many have fired, ever.
    #[cfg(feature = "testing")]
    fired: AtomicUsize,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Due<T> {
    at_ms: u64,
    what: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at_ms == other.at_ms
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at_ms.cmp(&other.at_ms)
    }
}

impl<T> TimerQueue<T> {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            heap: Mutex::new(BinaryHeap::new()),
            changed: Signal::new(),
            firing: AtomicUsize::new(0),
            #[cfg(feature = "testing")]
            fired: AtomicUsize::new(0),
            clock,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Makes something due.
    pub(crate) fn at(&self, at_ms: u64, what: T) {
        let mut heap = self.heap.lock();
        let earliest = heap.peek().is_none_or(|Reverse(first)| at_ms < first.at_ms);
        heap.push(Reverse(Due { at_ms, what }));
        drop(heap);
        if earliest {
            self.changed.notify(usize::MAX);
        }
    }

    /// Whether something is due that nobody has dealt with yet.
    #[cfg(feature = "testing")]
    pub(crate) fn is_due(&self) -> bool {
        let now = self.now_ms();
        let heap = self.heap.lock();
        self.firing.load(Ordering::SeqCst) > 0 || heap.peek().is_some_and(|Reverse(first)| first.at_ms <= now)
    }

    /// How many have fired, ever.
    #[cfg(feature = "testing")]
    pub(crate) fn fired(&self) -> usize {
        self.fired.load(Ordering::SeqCst)
    }

    fn take_due(&self) -> Result<T, Option<u64>> {
        let now = self.now_ms();
        let mut heap = self.heap.lock();
        match heap.peek() {
            Some(Reverse(first)) if first.at_ms <= now => {
                self.firing.fetch_add(1, Ordering::SeqCst);
                #[cfg(feature = "testing")]
                self.fired.fetch_add(1, Ordering::SeqCst);
                let due = heap.pop().map(|Reverse(due)| due.what);
                // After a storm its room is given back, a half at a time.
                if heap.capacity() > SMALLEST && heap.len() < heap.capacity() / 4 {
                    let room = heap.capacity() / 2;
                    heap.shrink_to(room);
                }
                due.ok_or(None)
            }
            Some(Reverse(first)) => Err(Some(first.at_ms)),
            None => Err(None),
        }
    }

    /// What [`TimerQueue::next`] gave has been dealt with.
    pub(crate) fn complete(&self) {
        self.firing.fetch_sub(1, Ordering::SeqCst);
    }

    /// The next thing that is due, when it is; to be followed by [`TimerQueue::complete`].
    pub(crate) async fn next(&self) -> T {
        loop {
            let changed = self.changed.listen();
            match self.take_due() {
                Ok(what) => return what,
                Err(Some(at_ms)) => match select(self.clock.sleep_until(at_ms), changed).await {
                    Either::Left(_) | Either::Right(_) => {}
                },
                Err(None) => changed.await,
            }
        }
    }
}
