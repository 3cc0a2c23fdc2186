//! Which sessions wait for their async functions.

use hashbrown::HashMap;

use super::gathered::{Job, address};
use crate::sync::Mutex;

/// How many jobs of one session may wait for its async functions at a time: one that began before the last change, and one
/// that began after it. Whatever is requested meanwhile follows, so a function that hangs does not pile up.
const AT_A_TIME: usize = 2;

/// The sessions for which async functions run, each held by its jobs. Jobs that go beside others are counted apart: no
/// other function that hangs delays them.
#[derive(Debug)]
pub(super) struct Awaiting {
    sessions: Mutex<HashMap<Key, Entry>>,
    /// How many jobs of one session that go beside others may wait at a time; one may always.
    beside: usize,
}

/// A session's address, and whether the jobs go beside others.
type Key = (usize, bool);

#[derive(Debug, Default)]
struct Entry {
    running: usize,
    /// What is requested meanwhile.
    next: Option<Job>,
}

impl Awaiting {
    pub(super) fn new(beside: usize) -> Self {
        Self { sessions: Mutex::default(), beside: beside.max(1) }
    }

    /// Lets a job begin, if few enough of its session have; otherwise it follows them.
    pub(super) fn enter(&self, mut job: Job) -> Option<Job> {
        job.awaits = true;
        let mut sessions = self.sessions.lock();
        let entry = sessions.entry(key(&job)).or_default();
        let most = if job.beside { self.beside } else { AT_A_TIME };
        if entry.running < most {
            entry.running += 1;
            return Some(job);
        }
        match &mut entry.next {
            Some(next) => next.merge(job),
            None => entry.next = Some(job),
        }
        None
    }

    /// A job that could begin is done. Returns the one that follows it.
    pub(super) fn leave(&self, job: &Job) -> Option<Job> {
        let mut sessions = self.sessions.lock();
        let entry = sessions.get_mut(&key(job))?;
        entry.running -= 1;
        let next = entry.next.take();
        if entry.running == 0 {
            sessions.remove(&key(job));
        }
        next.map(|job| Job { awaits: false, ..job })
    }

    /// Nothing follows any more. Returns what would have, to be dropped without a lock.
    pub(super) fn clear(&self) -> Vec<Job> {
        self.sessions.lock().values_mut().filter_map(|entry| entry.next.take()).collect()
    }
}

fn key(job: &Job) -> Key {
    (address(&job.slot), job.beside)
}

// A scheduled lock works only in a scheduled run.
#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::session::Session;
    use crate::sessions::paths::Paths;
    use crate::sessions::slot::Slot;

    #[test]
    fn what_follows_is_one_job_that_counts_only_once_it_begins() {
        let slot = Arc::new(Slot::new(Arc::clone(Session::new("s").context()), 0, 0, false));
        let awaiting = Awaiting::default();
        let enter = || awaiting.enter(Job::new(Arc::clone(&slot), Paths::All));
        let running: Vec<Job> = (0..AT_A_TIME).filter_map(|_| enter()).collect();
        assert_eq!((running.len(), running.iter().all(|job| job.awaits)), (AT_A_TIME, true));
        assert!(enter().is_none() && enter().is_none(), "they follow");
        let next = awaiting.leave(&running[0]).expect("one job follows");
        // It may find that it need not wait for anything any more.
        assert!(!next.awaits);
        assert!(awaiting.leave(&running[1]).is_none(), "there is only one");
        assert!(awaiting.enter(next).is_some_and(|job| job.awaits));
    }
}
