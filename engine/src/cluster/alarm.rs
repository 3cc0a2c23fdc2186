//! When a cluster has something to do next.

use std::fmt;

use crate::sync::{AtomicU64, Ordering};

/// An entry of the timer queue for whatever comes first. Those for what comes later than something that was set afterwards
/// stay in the queue until their time, and do nothing then.
pub(crate) struct Alarm {
    next_ms: AtomicU64,
    ring_at: Box<dyn Fn(u64) + Send + Sync>,
}

impl Alarm {
    pub(crate) fn new(ring_at: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { next_ms: AtomicU64::new(u64::MAX), ring_at: Box::new(ring_at) }
    }

    /// Something is to be done at this time, if nothing was to be done earlier.
    pub(crate) fn set(&self, at_ms: u64) {
        if self.next_ms.fetch_min(at_ms, Ordering::SeqCst) > at_ms {
            (self.ring_at)(at_ms);
        }
    }

    /// An entry of the timer queue is due. Whether that is the one for what comes first, and not one that was set before it:
    /// then whatever is to be done next has to be set again.
    pub(crate) fn rings(&self, now_ms: u64) -> bool {
        let next_ms = self.next_ms.load(Ordering::SeqCst);
        // If something was set for an earlier time meanwhile, there is an entry for that.
        let is_it = || self.next_ms.compare_exchange(next_ms, u64::MAX, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        next_ms <= now_ms && is_it()
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("next_ms", &self.next_ms).finish_non_exhaustive()
    }
}

// A scheduled atomic works only in a scheduled run.
#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sync::Mutex;

    /// An alarm, and the entries that it has made.
    fn alarm() -> (Alarm, Arc<Mutex<Vec<u64>>>) {
        let entries = Arc::<Mutex<Vec<u64>>>::default();
        let made = Arc::clone(&entries);
        (Alarm::new(move |at_ms| made.lock().push(at_ms)), entries)
    }

    #[test]
    fn an_entry_that_something_earlier_has_overtaken_does_nothing() {
        let (alarm, entries) = alarm();
        [500, 700, 2, 500].into_iter().for_each(|at_ms| alarm.set(at_ms));
        assert_eq!(*entries.lock(), [500, 2]);
        assert_eq!((alarm.rings(1), alarm.rings(2), alarm.rings(2)), (false, true, false));
        alarm.set(600);
        assert!(!alarm.rings(500), "that one was made before");
        assert!(alarm.rings(600));
    }

    #[test]
    fn a_steady_load_leaves_no_more_entries_than_fit_before_the_latest() {
        let (alarm, entries) = alarm();
        let (mut waiting, mut most) = (Vec::new(), 0);
        for now_ms in 0..20_000_u64 {
            // A notice gathers for a moment, and a heartbeat is due in a while.
            alarm.set(now_ms + 2);
            waiting.append(&mut entries.lock());
            let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|at_ms| *at_ms <= now_ms);
            waiting = later;
            if due.into_iter().filter(|_| alarm.rings(now_ms)).count() > 0 {
                alarm.set(now_ms + 500);
            }
            waiting.append(&mut entries.lock());
            most = most.max(waiting.len());
        }
        assert!(most <= 501, "{most} entries wait");
    }
}
