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
    sessions: Mutex<Sessions>,
    /// How many jobs of one session that go beside others may wait at a time; one may always.
    beside: usize,
}

#[derive(Debug, Default)]
struct Sessions {
    by_key: HashMap<Key, Entry>,
    /// Nothing follows any more: no job will be done that something could follow.
    closed: bool,
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
        let Sessions { by_key, closed } = &mut *self.sessions.lock();
        let entry = by_key.entry(key(&job)).or_default();
        let most = if job.beside { self.beside } else { AT_A_TIME };
        if entry.running < most || *closed {
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
        let entry = sessions.by_key.get_mut(&key(job))?;
        entry.running -= 1;
        let next = entry.next.take();
        if entry.running == 0 {
            sessions.by_key.remove(&key(job));
        }
        next.map(|job| Job { awaits: false, ..job })
    }

    /// Nothing follows any more. Returns what would have, to be dropped without a lock.
    pub(super) fn close(&self) -> Vec<Job> {
        let Sessions { by_key, closed } = &mut *self.sessions.lock();
        *closed = true;
        by_key.values_mut().filter_map(|entry| entry.next.take()).collect()
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
        let awaiting = Awaiting::new(1);
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

    #[test]
    fn nothing_waits_for_jobs_of_a_runtime_that_has_ended() {
        let slot = Arc::new(Slot::new(Arc::clone(Session::new("s").context()), 0, 0, false));
        let awaiting = Awaiting::new(1);
        let enter = || awaiting.enter(Job::new(Arc::clone(&slot), Paths::All));
        let _running: Vec<Job> = (0..AT_A_TIME).filter_map(|_| enter()).collect();
        assert!(enter().is_none());
        assert_eq!(awaiting.close().len(), 1);
        assert!(enter().is_some(), "it begins, and is dropped with the runtime");
    }
}
